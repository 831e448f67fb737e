import { type Candidate, candidateText } from '../src/advisor/candidate.ts'
import type { Planner } from '../src/advisor/planner.ts'
import type { WorkloadQuery } from '../src/advisor/service.ts'
import type { Target } from '../src/advisor/target.ts'
import { writeCostOf } from '../src/advisor/write-cost.ts'
import { type Named, permutations, plainIndex } from './advice-columns.ts'
import { searchBest } from './advice-search.ts'
import { UPDATED } from './advice-writes.ts'

/** Who knows what a query costs with indexes: the shadow at first, the server with all of them built at last. */
export type CostWith = (query: WorkloadQuery, candidates: readonly Candidate[]) => Promise<number>
export type NamedQuery = { query: WorkloadQuery; named: Named }

/** Keys of one index, and how many indexes of a query are pursued. */
const WIDTH = 3
const PURSUED_MAX = 10
const GAIN_MIN = 1e-3

/** Indexes to choose from, and which of them change what a query costs. */
export type Pool = {
  candidates: Candidate[]
  useful: Set<number>[]
  /** What the planner uses of everything at once. */
  together: Candidate[]
  tried: number
  floor: number
}

const isOf = ({ named }: NamedQuery, { table, keys }: Candidate) =>
  named.tables.some(({ name }) => name === table.name) &&
  keys.some(
    (key) =>
      !('column' in key) ||
      [...named.referenced].some(
        ([{ name }, of]) => name === table.name && of.includes(key.column),
      ),
  )

const allOf = ({ named }: NamedQuery): Candidate[] =>
  [...named.referenced].flatMap(([table, columns]) =>
    permutations(columns, WIDTH)
      .filter(([first]) => named.leading.get(table)!.includes(first!))
      .map((each) => plainIndex(table, each)),
  )

/**
 * Tries all orders of up to three columns that a query names, led by one that it compares or sorts by, one by one and all at
 * once, and those given. What all queries cost with everything at once is the floor: no choice of these costs less.
 */
export const gatherPool = async (
  planner: Planner,
  queries: readonly NamedQuery[],
  { sets, handMade }: { sets: readonly (readonly Candidate[])[]; handMade: readonly Candidate[] },
  onQuery: (done: number) => void,
): Promise<Pool> => {
  const given = [...sets.flat(), ...handMade]
  const pool = new Map<string, Candidate>(given.map((each) => [candidateText(each), each]))
  const tried = new Set<string>()
  const costs = queries.map(() => new Map<string, number>())
  let floor = 0
  const tryOne = async (at: number, candidate: Candidate) => {
    const text = candidateText(candidate)
    const before = costs[at]!.get(text)
    if (before !== undefined) return before
    tried.add(text)
    const { cost } = await planner.plan(queries[at]!.query, { with: [candidate] })
    costs[at]!.set(text, cost)
    return cost
  }
  const together: Set<string>[] = []
  const bases: number[] = []
  for (const [at, each] of queries.entries()) {
    onQuery(at)
    const own = [...allOf(each), ...given.filter((one) => isOf(each, one))]
    const { cost: base } = await planner.plan(each.query, { with: [] })
    const all = await planner.plan(each.query, { with: own })
    bases.push(base)
    together.push(new Set(all.candidates))
    // Some are of use beside others only.
    for (const set of sets) {
      const { candidates: texts } = await planner.plan(each.query, { with: set })
      for (const text of texts) together[at]!.add(text)
    }
    const singles: { one: Candidate; cost: number }[] = []
    for (const one of own) singles.push({ one, cost: await tryOne(at, one) })
    const best = singles.filter(({ cost }) => cost < base * (1 - GAIN_MIN))
    best.sort((a, b) => a.cost - b.cost)
    floor += each.query.calls * Math.min(all.cost, best[0]?.cost ?? base)
    for (const { one } of best.slice(0, PURSUED_MAX)) pool.set(candidateText(one), one)
    for (const one of own)
      if (together[at]!.has(candidateText(one))) pool.set(candidateText(one), one)
  }
  const candidates = [...pool.values()]
  const useful: Set<number>[] = []
  for (const [at, each] of queries.entries()) {
    const own = new Set<number>()
    for (const [number, one] of candidates.entries()) {
      const isUsed = together[at]!.has(candidateText(one))
      if (isUsed || (isOf(each, one) && (await tryOne(at, one)) < bases[at]! * (1 - GAIN_MIN)))
        own.add(number)
    }
    useful.push(own)
  }
  const used = new Set(together.flatMap((texts) => [...texts]))
  return {
    ...{ candidates, useful, floor },
    together: candidates.filter((each) => used.has(candidateText(each))),
    tried: tried.size,
  }
}

export type Found = { candidates: Candidate[]; total: number }
export type Wanted = {
  counting: boolean
  budget?: { bytesOf: readonly number[]; bytesMax: number }
}

/** Whoever looks for the best of the pool by these costs, of which each is asked once. */
export const openSearch = (
  { candidates, useful }: Pick<Pool, 'candidates' | 'useful'>,
  queries: readonly NamedQuery[],
  costWith: CostWith,
  target: Target,
) => {
  const numbers = new Map(candidates.map((each, at) => [candidateText(each), at]))
  const of = (items: readonly number[]) => items.map((item) => candidates[item]!)
  const known = queries.map(() => new Map<string, Promise<number>>())
  const costOf = (at: number, items: readonly number[]) => {
    const key = items.join()
    const found = known[at]!.get(key) ?? costWith(queries[at]!.query, of(items))
    known[at]!.set(key, found)
    return found
  }

  /** The best that is found from there; with `counting` writes it is what reads and writes cost together. */
  return async (from: readonly Candidate[], { counting, budget }: Wanted): Promise<Found> => {
    const { items, total } = await searchBest(
      {
        items: candidates.length,
        queries: queries.map(({ query }, at) => ({ weight: query.calls, useful: useful[at]! })),
        costOf,
        extraOf: (set) => (counting ? writeCostOf(target, of(set), UPDATED) : 0),
        ...(budget && { budget }),
      },
      from.flatMap((each) => numbers.get(candidateText(each)) ?? []),
    )
    return { candidates: of(items), total }
  }
}
