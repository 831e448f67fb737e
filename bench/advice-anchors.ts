import { type Candidate, candidateText } from '../src/advisor/candidate.ts'
import type { Planner } from '../src/advisor/planner.ts'
import type { WorkloadQuery } from '../src/advisor/service.ts'
import type { Target, TargetTable } from '../src/advisor/target.ts'
import { type Named, permutations, plainIndex } from './advice-columns.ts'

/** What is asked of a rule: the queries with what they name, and a planner that knows what indexes would do. */
export type Asked = {
  target: Target
  planner: Planner
  queries: readonly { query: WorkloadQuery; named: Named }[]
}

const isLeading = ({ indexes }: TargetTable, column: string) =>
  indexes.some(({ keys }) => keys[0]?.column === column)

const once = (candidates: readonly Candidate[]): Candidate[] => [
  ...new Map(candidates.map((each) => [candidateText(each), each])).values(),
]

const used = async (
  planner: Planner,
  query: WorkloadQuery,
  candidates: readonly Candidate[],
): Promise<{ cost: number; candidates: Candidate[] }> => {
  const { cost, candidates: texts } = await planner.plan(query, { with: candidates })
  return { cost, candidates: candidates.filter((each) => texts.includes(candidateText(each))) }
}

/** One index for each column that a condition or a join compares. */
export const byConditions = async ({ queries }: Asked): Promise<Candidate[]> =>
  once(
    queries.flatMap(({ named }) =>
      [...named.compared].flatMap(([table, columns]) =>
        columns
          .filter((column) => !isLeading(table, column))
          .map((column) => plainIndex(table, [column])),
      ),
    ),
  )

/** Types that index_advisor makes indexes on. */
const ADVISED_TYPE =
  /^(?:smallint|integer|bigint|date|time|timestamp|uuid|numeric|real|double precision|text|character|boolean)/

/** The rule of index_advisor 0.2: of one query all columns of its tables have an index at once; those that are used are advised. */
export const bySingleColumns = async ({ planner, queries }: Asked): Promise<Candidate[]> => {
  const advised: Candidate[] = []
  for (const { query, named } of queries) {
    const all = named.tables.flatMap((table) =>
      table.columns
        .filter(({ name, type }) => ADVISED_TYPE.test(type) && !/\[\]$/.test(type) && name)
        .filter(({ name }) => !isLeading(table, name))
        .map(({ name }) => plainIndex(table, [name])),
    )
    advised.push(...(await used(planner, query, all)).candidates)
  }
  return once(advised)
}

const COST_MIN = 100
const SAVED_TO = 0.5

/**
 * The rule of dexter 0.6: of one query all columns that it names, then all pairs of them. A pair must halve what single columns
 * leave. Of several the one is taken that halves the cost alone, if there is one.
 */
export const byPasses = async ({ planner, queries }: Asked): Promise<Candidate[]> => {
  const advised: Candidate[] = []
  for (const { query, named } of queries) {
    const ofWidth = (width: number) =>
      [...named.referenced].flatMap(([table, columns]) =>
        permutations(columns, width)
          .filter((each) => each.length > 1 || !isLeading(table, each[0]!))
          .map((each) => plainIndex(table, each)),
      )
    const { cost } = await planner.plan(query, { with: [] })
    if (cost < COST_MIN) continue
    const single = await used(planner, query, ofWidth(1))
    const double = await used(planner, query, ofWidth(2))
    const isDouble = single.cost > COST_MIN && double.cost < single.cost * SAVED_TO
    const winners = isDouble ? double : single
    if (winners.cost >= cost * SAVED_TO) continue
    const alone = await Promise.all(
      winners.candidates.map(async (each) => ({
        each,
        cost: (await planner.plan(query, { with: [each] })).cost,
      })),
    )
    const [best] = alone.toSorted((a, b) => a.cost - b.cost)
    const isEnough = best && best.cost < cost * SAVED_TO
    advised.push(...(isEnough ? [best.each] : winners.candidates))
  }
  return once(advised)
}
