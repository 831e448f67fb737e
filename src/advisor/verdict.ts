import type { AdvisedIndex, RefusedIndex } from './advice.ts'
import { type Candidate, candidateText } from './candidate.ts'
import type { Market } from './pricing.ts'
import { helped, percent, savedShare, units, worthOf } from './worth.ts'

/** Leaves out what makes no query much cheaper. */
export const dropFaint = async (
  market: Market,
  set: readonly Candidate[],
): Promise<{ kept: Candidate[]; refused: RefusedIndex[] }> => {
  let kept = [...set]
  const refused: RefusedIndex[] = []
  const { queryGainShareMin } = market.limits
  for (;;) {
    const worths = await Promise.all(
      kept.map(async (candidate) => {
        const worth = await worthOf(market, kept, candidate)
        return { candidate, most: Math.max(0, ...worth.changes.map(savedShare)), gain: worth.gain }
      }),
    )
    const [faint] = worths
      .filter(({ most }) => most < queryGainShareMin)
      .sort((a, b) => a.gain - b.gain)
    if (!faint) return { kept, refused }
    kept = kept.filter((each) => each !== faint.candidate)
    refused.push({
      text: candidateText(faint.candidate),
      code: 'gain-too-small',
      reason: `No query gets cheaper by more than ${percent(faint.most)}; ${percent(queryGainShareMin)} is asked for.`,
    })
  }
}

/** An index with all that is known of it. */
export const adviseOne = async (
  market: Market,
  set: readonly Candidate[],
  candidate: Candidate,
): Promise<AdvisedIndex> => {
  const worth = await worthOf(market, set, candidate)
  const helps = helped(worth)
  const most = worth.changes.toSorted(
    (a, b) => (b.without - b.with) * b.calls - (a.without - a.with) * a.calls,
  )[0]!
  const { how } = market.planner
  return {
    ...{ candidate, text: candidateText(candidate), gain: worth.gain, writeCost: worth.writeCost },
    ...{ bytes: await market.planner.bytesOf(candidate), how, helps },
    confidence: how === 'formula' ? 'unverified' : how === 'built' ? 'high' : 'medium',
    reason: `${helps.length === 1 ? 'One query gets cheaper: it' : `${helps.length} queries get cheaper; one of them`} costs ${units(most.without)} units without it and ${units(most.with)} with it.`,
  }
}
