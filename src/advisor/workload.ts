import { type SqlParser, SqlSyntaxError } from '../platform/sql-parser.ts'
import type { WorkloadQuery } from './advice.ts'
import { readPlanReferences } from './plan-references.ts'
import { type Costed, PlanError, type Planner } from './planner.ts'
import { readReferences } from './references.ts'
import type { Relation } from './relation.ts'
import type { Target } from './target.ts'

/** A query with what it costs now and what it asks of tables; with `passedOver` where nothing can be done for it. */
export type Examined = {
  query: WorkloadQuery
  base: Costed | null
  relations: Relation[]
  passedOver: string | null
}

/** What costs less is not made better. */
const COST_MIN = 100

/** What a plan leaves unsaid: where it does not write down which columns it reads, those are taken that the query names. */
export const completed = (planned: Relation[], read: readonly Relation[]): Relation[] => {
  for (const relation of planned)
    for (const { table, referenced } of read)
      if (table === relation.table) for (const each of referenced) relation.referenced.add(each)
  const named = new Set(read.map(({ table }) => table))
  // Of a view's table nothing is known but what its conditions say: it may give all columns.
  for (const { table, referenced } of planned)
    if (!named.has(table)) for (const { name } of table.columns) referenced.add(name)
  return planned
}

/** Reads a query and asks what it costs now. */
export const examine = async (
  parser: SqlParser,
  target: Target,
  planner: Planner,
  query: WorkloadQuery,
  updated: Map<string, Set<string>>,
  { smallTables }: { smallTables: boolean },
): Promise<Examined> => {
  const passed = (passedOver: string, base: Costed | null = null): Examined => ({
    ...{ query, base, relations: [], passedOver },
  })
  try {
    const references = await readReferences(parser, query.text, target)
    for (const { table, columns } of references.updates) {
      const key = `${table.schema}.${table.name}`
      updated.set(key, new Set([...(updated.get(key) ?? []), ...columns]))
    }
    const base = await planner.plan(query, { with: [] })
    const planned = base.plan ? await readPlanReferences(parser, base.plan, target) : undefined
    const relations = [
      ...references.relations,
      ...completed(planned?.relations ?? [], references.relations),
    ]
    if (relations.length === 0) return passed('It reads no table that is looked after.', base)
    if (base.cost < COST_MIN && !smallTables)
      return passed(`It costs ${Math.round(base.cost)}; less than ${COST_MIN} is little.`, base)
    return { query, base, relations, passedOver: null }
  } catch (error) {
    if (error instanceof SqlSyntaxError) return passed(`It is not SQL: ${error.message}.`)
    if (error instanceof PlanError) return passed(`It cannot be planned: ${error.message}`)
    throw error
  }
}

/** Tables that are read but were never analyzed. */
export const unanalyzed = (examined: readonly Examined[]): string[] => [
  ...new Set(
    examined.flatMap(({ relations }) =>
      relations
        .filter(({ table }) => table.rows === null)
        .map(({ table }) => `${table.schema}.${table.name}`),
    ),
  ),
]
