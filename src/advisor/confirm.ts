import type { AdvisedIndex, RefusedIndex } from './advice.ts'
import type { Candidate } from './candidate.ts'
import { createCosts } from './costs.ts'
import type { Planner } from './planner.ts'
import { costWith, type Market } from './pricing.ts'
import { worthOf } from './worth.ts'

/** What the second opinion cannot judge stays as it is: HypoPG knows plain B-trees only. */
const canJudge = ({ how }: Planner, { method, where, keys }: Candidate) =>
  how !== 'hypopg' || (method === 'btree' && where === null && keys.every((key) => 'column' in key))

/** Asks a second planner: what it contradicts is refused, what it agrees with is certain. */
export const confirmAdvice = async (
  market: Market,
  advised: readonly AdvisedIndex[],
  confirm: Planner,
): Promise<{ advised: AdvisedIndex[]; refused: RefusedIndex[]; plans: number }> => {
  const costs = createCosts(confirm)
  const second: Market = { ...market, costs, planner: confirm }
  second.open = await Promise.all(
    market.open.map(async (each) => {
      const base = await costs.costOf(each.examined.query, [])
      return { ...each, examined: { ...each.examined, base: base ?? each.examined.base } }
    }),
  )
  const judged = advised.filter(({ candidate }) => canJudge(confirm, candidate))
  const set = judged.map(({ candidate }) => candidate)
  const dearer: string[] = []
  for (const each of second.open) {
    const { examined } = each
    const after = await costWith(second, each, set)
    if (after > examined.base!.cost * (1 + market.limits.regressionShareMax))
      dearer.push(examined.query.fingerprint)
  }
  const kept: AdvisedIndex[] = []
  const refused: RefusedIndex[] = []
  for (const each of advised) {
    if (!judged.includes(each)) {
      kept.push(each)
      continue
    }
    const { gain, changes } = await worthOf(second, set, each.candidate)
    const harmed = changes.find((at) => at.with > at.without && dearer.includes(at.fingerprint))
    if (gain > 0 && !harmed) kept.push({ ...each, confidence: 'high' })
    else
      refused.push({
        text: each.text,
        code: harmed ? 'makes-a-query-dearer' : 'no-gain',
        reason: `Asked again (${confirm.how}), the planner ${harmed ? 'makes a query dearer with it' : 'gains nothing by it'}.`,
      })
  }
  return { advised: kept, refused, plans: costs.plans() }
}
