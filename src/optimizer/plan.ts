/** A node of a plan as PostgreSQL writes it down. */
export type PlanNode = {
  'Node Type': string
  'Relation Name'?: string
  Schema?: string
  'Index Name'?: string
  Filter?: string
  'Total Cost': number
  'Plan Rows': number
  'Plan Width': number
  'Actual Rows'?: number
  'Actual Loops'?: number
  'Rows Removed by Filter'?: number
  'Sort Space Type'?: string
  'Sort Space Used'?: number
  Plans?: PlanNode[]
}

/** What `explain (format json)` answers. */
export type Explained = { Plan: PlanNode; 'Execution Time'?: number }

/** A node and where it stands: a JSON Pointer from the plan's root. */
export type Placed = { node: PlanNode; pointer: string }

/** Every node, the root first. */
export const placedNodes = (node: PlanNode, pointer = ''): Placed[] => [
  { node, pointer },
  ...(node.Plans ?? []).flatMap((below, at) => placedNodes(below, `${pointer}/Plans/${at}`)),
]

/** `schema.table` of a node that reads or writes one. */
export const tableOf = ({ Schema, 'Relation Name': name }: PlanNode): string | null =>
  name === undefined ? null : `${Schema ?? ''}.${name}`

const unique = <Item>(items: Item[]) => [...new Set(items)]

/** The tables of a plan, once each. */
export const tablesOf = (placed: readonly Placed[]) => {
  const named = new Map(
    placed.flatMap(({ node }) => {
      const { Schema: schema = '', 'Relation Name': name } = node
      return name === undefined ? [] : [[`${schema}.${name}`, { schema, name }] as const]
    }),
  )
  return [...named.values()]
}

/** Rows that the planner expects: of a change those that it changes, which its own node does not say. */
export const estimatedRowsOf = ({ 'Node Type': kind, 'Plan Rows': rows, Plans }: PlanNode) =>
  kind === 'ModifyTable' ? (Plans?.[0]?.['Plan Rows'] ?? rows) : rows

export const indexesOf = (placed: readonly Placed[]) =>
  unique(placed.flatMap(({ node }) => node['Index Name'] ?? []))
