import type { RefusedIndex } from './advice.ts'
import { type Candidate, candidateText } from './candidate.ts'
import type { Chosen, Market } from './pricing.ts'
import { percent, units, worthOf } from './worth.ts'

/** So many of those that were in the choice are explained. */
const REFUSED_MAX = 30

const whyNot = async (
  market: Market,
  set: readonly Candidate[],
  candidate: Candidate,
): Promise<RefusedIndex | undefined> => {
  const { limits, planner } = market
  const { gain, writeCost, changes } = await worthOf(market, [...set, candidate], candidate)
  const now = changes.reduce((sum, each) => sum + each.without * each.calls, market.otherCost)
  const text = candidateText(candidate)
  const refuse = (code: RefusedIndex['code'], reason: string): RefusedIndex => ({
    text,
    code,
    reason,
  })
  if (gain <= 0)
    return refuse('no-gain', 'Beside the indexes that are advised no query gets cheaper by it.')
  const net = gain - writeCost
  if (net < limits.gainShareMin * now)
    return refuse(
      'gain-too-small',
      `It saves ${units(gain)} of ${units(now)} units and costs writes ${units(writeCost)}; ${percent(limits.gainShareMin)} is asked for.`,
    )
  const bytes = await Promise.all([...set, candidate].map((each) => planner.bytesOf(each)))
  if (bytes.reduce((sum, each) => sum + each, 0) > limits.budgetBytes)
    return refuse(
      'over-budget',
      `With its ${units(bytes.at(-1)!)} bytes the indexes would be larger than ${units(limits.budgetBytes)}.`,
    )
  const ofTable = set.filter(
    ({ table }) => table.schema === candidate.table.schema && table.name === candidate.table.name,
  )
  if (set.length >= limits.indexesMax || ofTable.length >= limits.indexesPerTableMax)
    return refuse('too-many', 'As many indexes as are allowed are advised already.')
  return undefined
}

/** Why what could have been advised is not: the most promising first. */
export const explainRefusals = async (
  market: Market,
  { pool }: Chosen,
  set: readonly Candidate[],
): Promise<RefusedIndex[]> => {
  const chosen = new Set(set.map(candidateText))
  const hopes = new Map<string, number>()
  for (const { examined, shortlist } of market.open)
    for (const [text, cost] of shortlist.singles) {
      const gain = (examined.base!.cost - cost) * examined.query.calls
      hopes.set(text, (hopes.get(text) ?? 0) + gain)
    }
  const hopeOf = (each: Candidate) => hopes.get(candidateText(each)) ?? 0
  const passed = pool
    .filter((each) => !chosen.has(candidateText(each)))
    .sort((a, b) => hopeOf(b) - hopeOf(a))
    .slice(0, REFUSED_MAX)
  const useless = market.open
    .flatMap(({ shortlist }) => [...shortlist.seen.values()])
    .filter(({ keys, where, include }) => keys.length === 1 && !where && include.length === 0)
    .filter((each) => !chosen.has(candidateText(each)) && hopeOf(each) <= 0 && !pool.includes(each))
    .map(
      (each): RefusedIndex => ({
        text: candidateText(each),
        code: 'no-gain',
        reason: 'The planner would not use it, or no query would cost less.',
      }),
    )
  const explained = await Promise.all(passed.map((each) => whyNot(market, set, each)))
  return [...explained.flatMap((each) => each ?? []), ...useless]
}
