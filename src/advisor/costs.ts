import { type Candidate, candidateText } from './candidate.ts'
import { type Costed, PlanError, type PlannedQuery, type Planner } from './planner.ts'

type Known = { asked: ReadonlySet<string>; used: ReadonlySet<string>; costed: Costed }

/** What queries cost with candidates, asked of a planner as seldom as can be. */
export type Costs = {
  /** Null where the planner cannot plan the query with these. */
  costOf(query: PlannedQuery, candidates: readonly Candidate[]): Promise<Costed | null>
  /** How often the planner was asked. */
  plans(): number
}

const isSubset = (inner: ReadonlySet<string>, outer: ReadonlySet<string>) => inner.isSubsetOf(outer)

/**
 * Remembers plans. What a planner did not use it can do without: a plan holds for every set that has all that it uses and nothing
 * that it was not offered.
 */
export const createCosts = (planner: Planner): Costs => {
  const known = new Map<PlannedQuery, Known[]>()
  const running = new Map<PlannedQuery, Map<string, Promise<Costed | null>>>()
  let plans = 0

  const ask = async (query: PlannedQuery, candidates: readonly Candidate[], asked: Set<string>) => {
    plans++
    try {
      const costed = await planner.plan(query, { with: candidates })
      const all = known.get(query) ?? []
      known.set(query, all)
      all.push({ asked, used: new Set(costed.candidates), costed })
      return costed
    } catch (error) {
      if (error instanceof PlanError) return null
      throw error
    }
  }

  const costOf = (query: PlannedQuery, candidates: readonly Candidate[]) => {
    const texts = new Set(candidates.map(candidateText))
    const found = known
      .get(query)
      ?.find(({ asked, used }) => isSubset(used, texts) && isSubset(texts, asked))
    if (found) return Promise.resolve(found.costed)
    const own = running.get(query) ?? new Map<string, Promise<Costed | null>>()
    running.set(query, own)
    const key = [...texts].sort().join('\n')
    const before = own.get(key)
    if (before) return before
    const answer = ask(query, candidates, texts)
    own.set(key, answer)
    return answer
  }

  return { costOf, plans: () => plans }
}
