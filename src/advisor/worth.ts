import type { Candidate } from './candidate.ts'
import { costWith, type Market } from './pricing.ts'
import { writeCostOf } from './write-cost.ts'

/** What one index of a set is worth, the others being there. */
export type Worth = {
  gain: number
  writeCost: number
  /** By query: what it costs without and with it. */
  changes: { fingerprint: string; calls: number; without: number; with: number }[]
}

/** A query is helped from here on. */
const HELPED_SHARE = 0.01

/** What taking this one out of the set would cost. */
export const worthOf = async (
  market: Market,
  set: readonly Candidate[],
  candidate: Candidate,
): Promise<Worth> => {
  const others = set.filter((each) => each !== candidate)
  const changes = await Promise.all(
    market.open.map(async (each) => ({
      fingerprint: each.examined.query.fingerprint,
      calls: each.examined.query.calls,
      without: await costWith(market, each, others),
      with: await costWith(market, each, set),
    })),
  )
  const { target, updated } = market
  return {
    changes,
    gain: changes.reduce((sum, each) => sum + (each.without - each.with) * each.calls, 0),
    writeCost: writeCostOf(target, set, updated) - writeCostOf(target, others, updated),
  }
}

/** The share of what a query costs that is saved. */
export const savedShare = ({ without, with: now }: Worth['changes'][number]) =>
  without > 0 ? (without - now) / without : 0

export const helped = ({ changes }: Worth): string[] =>
  changes.filter((each) => savedShare(each) >= HELPED_SHARE).map(({ fingerprint }) => fingerprint)

export const percent = (share: number) => `${Math.round(share * 100)} %`
export const units = (cost: number) => Math.round(cost).toLocaleString('en')
