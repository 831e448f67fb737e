import { type Candidate, candidateText } from '../src/advisor/candidate.ts'
import type { Planner } from '../src/advisor/planner.ts'
import type { Target } from '../src/advisor/target.ts'
import { type Found, gatherPool, type NamedQuery, openSearch, type Pool } from './advice-best.ts'
import type { BuiltIndexes } from './advice-built.ts'
import type { Workload } from './advice-workloads.ts'
import { step } from './progress.ts'

/** The best known sets of a workload: by what reads cost, and by what reads and writes cost. */
export type Best = { read: Candidate[]; net: Candidate[]; floor: number; how: string }

export const once = (candidates: readonly Candidate[]): Candidate[] => [
  ...new Map(candidates.map((each) => [candidateText(each), each])).values(),
]

/** What is worth to be built, and what is best of a limited size. */
export type Searched = Pool & { found: Candidate[]; small?: Candidate[] }

const least = (found: readonly Found[]): Found =>
  found.reduce((one, other) => (other.total < one.total ? other : one))

/** Searches in a shadow: what is found there is to be built, with what else was proposed. */
export const searchInShadow = async (
  planner: Planner,
  target: Target,
  { name, queries, handMade }: Workload,
  sets: readonly (readonly Candidate[])[],
  budget?: { bytesMax: number; from: readonly Candidate[] },
): Promise<Searched> => {
  const searching = step(`${name}: search in the shadow`, queries.length)
  try {
    const pool = await gatherPool(planner, queries, { sets, handMade }, (done) =>
      searching.at(done, `${name}: all orders of columns`),
    )
    const costWith = async (query: NamedQuery['query'], set: readonly Candidate[]) =>
      (await planner.plan(query, { with: set })).cost
    searching.at(queries.length, `${name}: the best of ${pool.candidates.length} indexes`)
    const search = openSearch(pool, queries, costWith, target)
    const read = await search(pool.together, { counting: false })
    const net = await search(read.candidates, { counting: true })
    const found = once([...read.candidates, ...net.candidates])
    if (!budget) return { ...pool, found }
    const bytesOf = await Promise.all(pool.candidates.map((each) => planner.bytesOf(each)))
    const within = { counting: true, budget: { bytesOf, bytesMax: budget.bytesMax } }
    const small = least([await search([], within), await search(budget.from, within)])
    return { ...pool, found, small: small.candidates }
  } finally {
    searching.done()
  }
}

/** Searches once more among what was built, by the costs of the server, from each set that somebody proposed. */
export const searchAmongBuilt = async (
  built: BuiltIndexes,
  target: Target,
  { name, queries }: Workload,
  pool: Pool,
  starts: readonly (readonly Candidate[])[],
): Promise<Best> => {
  const searching = step(`${name}: search among what was built`)
  const at = pool.candidates.flatMap((each, number) => (built.has(each) ? [number] : []))
  const among = {
    candidates: at.map((number) => pool.candidates[number]!),
    useful: pool.useful.map(
      (own) => new Set(at.flatMap((number, place) => (own.has(number) ? [place] : []))),
    ),
  }
  const costWith = async (query: NamedQuery['query'], set: readonly Candidate[]) =>
    (await built.plan(query, set)).cost
  const search = openSearch(among, queries, costWith, target)
  const bestOf = async (counting: boolean) => {
    const found: Found[] = []
    for (const from of [[], ...starts]) found.push(await search(from, { counting }))
    return least(found).candidates
  }
  const [read, net] = [await bestOf(false), await bestOf(true)]
  searching.done()
  return {
    ...{ read, net, floor: pool.floor },
    how: `local search over ${pool.tried} indexes in the shadow (all orders of ≤ 3 columns that a query names, led by one that it compares or sorts by; those by hand, those of all rows), then over the ${at.length} that were built, by the server’s costs`,
  }
}
