import { type Candidate, candidateText } from './candidate.ts'
import { basicCandidates } from './candidates.ts'
import { extendedCandidates } from './extended.ts'
import { mergedCandidates } from './merged.ts'
import { readPlanReferences } from './plan-references.ts'
import { concerns } from './pool.ts'
import { type Chosen, chooseFrom, costWith, type Market, type Open } from './pricing.ts'
import { completed } from './workload.ts'

const ROUNDS_MAX = 4
/** What else a query could use is offered in portions. */
const AT_ONCE = 100
const OFFERED_MAX = 300

/** With what is chosen a query is planned otherwise, and asks for other indexes. */
const seeAnew = async (market: Market, each: Open, candidates: readonly Candidate[]) => {
  const { parser, target, limits, costs } = market
  const { examined, shortlist } = each
  const own = candidates.filter((one) => concerns(one, examined, shortlist, target))
  const plan = (await costs.costOf(examined.query, own))?.plan
  if (!plan) return
  const { relations } = await readPlanReferences(parser, plan, target)
  const known = completed(relations, examined.relations)
  for (const found of basicCandidates(known, target, limits).candidates) {
    const text = candidateText(found)
    if (!shortlist.seen.has(text)) shortlist.seen.set(text, found)
  }
}

/** Offers each query all that was seen for it beside what is chosen: what it uses then belongs to what is chosen from. */
const reprice = async (market: Market, { candidates }: Chosen): Promise<boolean> => {
  const { open, limits } = market
  let isMore = false
  await Promise.all(
    open.map(async (each) => {
      const { examined, shortlist } = each
      const { seen, kept, bundles } = shortlist
      await seeAnew(market, each, candidates)
      const chosen = new Set(candidates.map(candidateText))
      const basis = [...kept.values(), ...candidates]
      for (const wider of extendedCandidates(examined.relations, basis, limits))
        seen.set(candidateText(wider), wider)
      // What was seen last was looked for under this choice.
      const others = [...seen.values()]
        .filter((other) => !chosen.has(candidateText(other)))
        .toReversed()
      const now = await costWith(market, each, candidates)
      for (let from = 0; from < Math.min(others.length, OFFERED_MAX); from += AT_ONCE) {
        const offered = [...candidates, ...others.slice(from, from + AT_ONCE)]
        const costed = await market.costs.costOf(examined.query, offered)
        if (!costed || costed.cost > now * (1 - limits.gainShareMin)) continue
        for (const text of costed.candidates) {
          const candidate = seen.get(text)
          if (!candidate || kept.has(text)) continue
          kept.set(text, candidate)
          isMore = true
        }
        const used = costed.candidates.filter((text) => kept.has(text))
        if (used.length > 1) bundles.push(used)
      }
    }),
  )
  return isMore
}

/** Offers what one index could do instead of two that were chosen, to the queries of both. */
const offerMerged = ({ open }: Market, { candidates }: Chosen): boolean => {
  let isMore = false
  for (const { merged, of } of mergedCandidates(candidates))
    for (const { shortlist } of open) {
      const text = candidateText(merged)
      if (shortlist.kept.has(text) || !of.some((each) => shortlist.kept.has(each))) continue
      shortlist.kept.set(text, merged)
      isMore = true
    }
  return isMore
}

/** Chooses, looks for what would still help beside what is chosen, and chooses again. */
export const choose = async (market: Market): Promise<Chosen> => {
  const bytes = new Map<string, number>()
  let chosen = await chooseFrom(market, bytes)
  for (let round = 1; round < ROUNDS_MAX; round++) {
    const isMerged = offerMerged(market, chosen)
    if (!(await reprice(market, chosen)) && !isMerged) break
    chosen = await chooseFrom(market, bytes)
  }
  return chosen
}
