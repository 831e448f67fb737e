/** A place in a plan where an index is read. */
export type IndexUse = {
  schema: string
  index: string
  /** What is looked up in it, as the planner writes it; null where all of it is read. */
  condition: string | null
}

type Node = Record<string, unknown> & { Plans?: Node[] }

const visit = <Found>(
  node: Node,
  schema: string,
  found: (node: Node, schema: string) => Found[],
): Found[] => {
  // The scan of a bitmap does not say whose index it is; the node above it does.
  const own = typeof node.Schema === 'string' ? node.Schema : schema
  return [...found(node, own), ...(node.Plans ?? []).flatMap((each) => visit(each, own, found))]
}

/** Every use of an index in a plan of `explain (format json, verbose)`. */
export const indexUses = (plan: Record<string, unknown>): IndexUse[] =>
  visit(plan as Node, '', (node, schema) =>
    typeof node['Index Name'] === 'string'
      ? [
          {
            schema,
            index: node['Index Name'],
            condition: typeof node['Index Cond'] === 'string' ? node['Index Cond'] : null,
          },
        ]
      : [],
  )

/** The tables of a plan, as schema.name. */
export const tablesOfPlan = (plan: Record<string, unknown>): Set<string> =>
  new Set(
    visit(plan as Node, '', (node, schema) =>
      typeof node['Relation Name'] === 'string' ? [`${schema}.${node['Relation Name']}`] : [],
    ),
  )

/** The plan with other names of its indexes, where there are others. */
export const renameIndexes = (
  plan: Record<string, unknown>,
  nameOf: (schema: string, index: string) => string | undefined,
  schema = '',
): Record<string, unknown> => {
  const { 'Index Name': index, Plans, ...rest } = plan as Node
  const own = typeof rest.Schema === 'string' ? rest.Schema : schema
  return {
    ...rest,
    ...(typeof index === 'string' ? { 'Index Name': nameOf(own, index) ?? index } : {}),
    ...(Plans ? { Plans: Plans.map((each) => renameIndexes(each, nameOf, own)) } : {}),
  }
}
