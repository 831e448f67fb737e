import { type Candidate, candidateText } from './candidate.ts'
import { type Costed, PlanError, type PlannedQuery, type Planner } from './planner.ts'

/** Candidates by their numbers, 32 of them a member. */
type Numbers = Uint32Array
type Known = { asked: Numbers; used: Numbers; costed: Costed }

/** What queries cost with candidates, asked of a planner as seldom as can be. */
export type Costs = {
  /** Null where the planner cannot plan the query with these. */
  costOf(query: PlannedQuery, candidates: readonly Candidate[]): Promise<Costed | null>
  /** How often the planner was asked. */
  plans(): number
}

const setOf = (numbers: readonly number[]): Numbers => {
  const set = new Uint32Array((Math.max(-1, ...numbers) >> 5) + 1)
  for (const each of numbers) set[each >> 5]! |= 1 << (each & 31)
  return set
}

const isSubset = (inner: Numbers, outer: Numbers): boolean => {
  for (let at = 0; at < inner.length; at++) if ((inner[at]! & ~(outer[at] ?? 0)) !== 0) return false
  return true
}

/**
 * Remembers plans. What a planner did not use it can do without: a plan holds for every set that has all that it uses and nothing
 * that it was not offered.
 */
export const createCosts = (planner: Planner): Costs => {
  const known = new Map<PlannedQuery, Known[]>()
  const answered = new Map<PlannedQuery, Map<string, Promise<Costed | null>>>()
  const numbers = new Map<string, number>()
  let plans = 0

  const numberOf = (text: string): number => {
    const before = numbers.get(text) ?? numbers.size
    numbers.set(text, before)
    return before
  }

  const ask = async (query: PlannedQuery, candidates: readonly Candidate[], asked: Numbers) => {
    plans++
    try {
      const costed = await planner.plan(query, { with: candidates })
      const all = known.get(query) ?? []
      known.set(query, all)
      all.push({ asked, used: setOf(costed.candidates.map(numberOf)), costed })
      return costed
    } catch (error) {
      if (error instanceof PlanError) return null
      throw error
    }
  }

  const costOf = (query: PlannedQuery, candidates: readonly Candidate[]) => {
    const asked = [...new Set(candidates.map((each) => numberOf(candidateText(each))))]
    const key = asked.sort((one, other) => one - other).join()
    const own = answered.get(query) ?? new Map<string, Promise<Costed | null>>()
    answered.set(query, own)
    const before = own.get(key)
    if (before) return before
    const set = setOf(asked)
    const found = known
      .get(query)
      ?.find((each) => isSubset(each.used, set) && isSubset(set, each.asked))
    const answer = found ? Promise.resolve(found.costed) : ask(query, candidates, set)
    own.set(key, answer)
    return answer
  }

  return { costOf, plans: () => plans }
}
