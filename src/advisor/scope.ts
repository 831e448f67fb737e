import type { Named } from './expression.ts'
import type { Column, Relation } from './relation.ts'

/** What a name of a derived table stands for: columns of tables; none where it was computed. */
export type Output = { name: string; columns: Column[] }

/** One thing that a FROM names. */
export type Source = { alias: string; relation: Relation } | { alias: string; outputs: Output[] }

/** What names mean at one place of a query. */
export type Scope = {
  sources: Source[]
  /** WITH queries by name. */
  queries: Map<string, Output[]>
  parent: Scope | null
}

export const createScope = (parent: Scope | null): Scope => ({
  sources: [],
  queries: new Map(),
  parent,
})

/** What all columns of a source are called, and what they are. */
export const outputsOf = (source: Source): Output[] =>
  'outputs' in source
    ? source.outputs
    : source.relation.table.columns.map(({ name }) => ({
        name,
        columns: [{ relation: source.relation, column: name }],
      }))

/** The WITH query of that name that can be seen here. */
export const findQuery = (scope: Scope | null, name: string): Output[] | undefined =>
  scope ? (scope.queries.get(name) ?? findQuery(scope.parent, name)) : undefined

const inSources = (sources: readonly Source[], column: string): Column[] | undefined => {
  for (const source of sources) {
    const found = outputsOf(source).find(({ name }) => name === column)
    if (found) return found.columns
  }
  return undefined
}

/** The columns that a name stands for, looked up from the inside outwards; none where it is no column of a table. */
export const resolve = (scope: Scope | null, names: readonly string[]): Column[] => {
  const [column, alias] = names.toReversed()
  if (!scope || column === undefined) return []
  const sources = scope.sources.filter((each) => alias === undefined || each.alias === alias)
  return inSources(sources, column) ?? resolve(scope.parent, names)
}

/** How a column is called and what it is, for an expression of its table. */
export const namedOf = ({ relation, column }: Column): Named | undefined =>
  relation.table.columns.find(({ name }) => name === column)
