import type { Condition } from './condition.ts'
import { createRelation, type References, type Relation } from './relation.ts'
import { findQuery, type Output, resolve, type Scope } from './scope.ts'
import { type Fields, namesIn } from './sql-node.ts'
import type { Target, TargetTable } from './target.ts'

/** Reads the statements of one query into what they ask of tables. */
export type Reader = {
  target: Target
  references: References
  /** What a subquery answers with; each is read once. */
  sublinks: Map<Fields, Output[]>
  /** Reads a statement; gives what its rows are made of. */
  readStatement: (reader: Reader, value: unknown, parent: Scope | null) => Output[]
}

const SYSTEM = new Set(['pg_catalog', 'information_schema'])

/** The table of that name, found as the database would find it. */
export const lookUp = (
  target: Target,
  schema: string | undefined,
  name: string,
): TargetTable | undefined => {
  const schemas = schema ? [schema] : target.searchPath
  return schemas
    .flatMap(
      (each) => target.tables.find((table) => table.schema === each && table.name === name) ?? [],
    )
    .at(0)
}

export const aliasOf = (fields: Fields): string | undefined =>
  (fields.alias as Fields | undefined)?.aliasname as string | undefined

export const renamed = (outputs: Output[], fields: Fields): Output[] => {
  const names = namesIn((fields.alias as Fields | undefined)?.colnames)
  return outputs.map((each, at) => ({ ...each, name: names[at] ?? each.name }))
}

/** Adds a table to what names mean; nothing where the name is that of a WITH query, or nobody knows it. */
export const addTable = (reader: Reader, fields: Fields, scope: Scope): Relation | undefined => {
  const [schema, name] = [fields.schemaname as string | undefined, String(fields.relname)]
  const alias = aliasOf(fields) ?? name
  const query = schema === undefined ? findQuery(scope, name) : undefined
  if (query) {
    scope.sources.push({ alias, outputs: renamed(query, fields) })
    return undefined
  }
  const table = lookUp(reader.target, schema, name)
  if (!table) {
    const isSystem = SYSTEM.has(schema ?? '') || (schema === undefined && name.startsWith('pg_'))
    if (!isSystem) reader.references.unknown.push(schema ? `${schema}.${name}` : name)
    scope.sources.push({ alias, outputs: [] })
    return undefined
  }
  const relation = createRelation(table, alias)
  reader.references.relations.push(relation)
  scope.sources.push({ alias, relation })
  return relation
}

/** USING: both sides have columns of these names. */
export const joinedBy = (
  names: string[],
  scope: Scope,
  before: number,
  middle: number,
): Condition => {
  const of = (from: number, to: number, column: string) =>
    resolve({ ...scope, sources: scope.sources.slice(from, to), parent: null }, [column])[0]
  const all = names.flatMap((column) => {
    const [one, other] = [of(before, middle, column), of(middle, scope.sources.length, column)]
    const join = (mine: typeof one, theirs: typeof one) =>
      mine
        ? [
            {
              relation: mine.relation,
              predicate: {
                ...{ on: { column: mine.column }, kind: 'join' as const, operator: '=' },
                ...{ values: [], count: 1, sql: null, other: theirs ?? null },
              },
            },
          ]
        : []
    one?.relation.referenced.add(one.column)
    other?.relation.referenced.add(other.column)
    return [...join(one, other), ...join(other, one)]
  })
  return { all, ors: [] }
}
