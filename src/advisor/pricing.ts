import type { AdviceLimits } from './advice.ts'
import { type Candidate, candidateText } from './candidate.ts'
import type { CandidateLimits } from './candidates.ts'
import type { Costs } from './costs.ts'
import { isWithin } from './covered.ts'
import { extendedCandidates } from './extended.ts'
import type { Planner } from './planner.ts'
import { concerns } from './pool.ts'
import { type Selected, select } from './select.ts'
import { type Shortlist, shortlistOf } from './shortlist.ts'
import type { Target } from './target.ts'
import type { Examined } from './workload.ts'
import { type UpdatedColumns, writeCostOf } from './write-cost.ts'

/** A query that something can be done for, with its candidates. */
export type Open = { examined: Examined; shortlist: Shortlist }

/** All that a choice is made of. */
export type Market = {
  target: Target
  planner: Planner
  costs: Costs
  limits: AdviceLimits & CandidateLimits
  updated: UpdatedColumns
  open: Open[]
  /** What the queries cost that nothing can be done for. */
  otherCost: number
  signal?: AbortSignal
}

export type Chosen = { candidates: Candidate[]; pool: Candidate[]; selected: Selected }

/** What a query costs with those of the candidates that concern it; where it cannot be planned with them they are of no use. */
export const costWith = async (
  { costs, target }: Pick<Market, 'costs' | 'target'>,
  { examined, shortlist }: Open,
  candidates: readonly Candidate[],
): Promise<number> => {
  const own = candidates.filter((each) => concerns(each, examined, shortlist, target))
  return (await costs.costOf(examined.query, own))?.cost ?? examined.base!.cost
}

const partsOf = ({ keys, include }: Candidate) => keys.length * 10 + include.length

/** Of those that are as good the narrowest comes first. */
const poolOf = (open: readonly Open[]): Candidate[] =>
  [...new Map(open.flatMap(({ shortlist }) => [...shortlist.kept])).values()].sort(
    (a, b) => partsOf(a) - partsOf(b),
  )

const chooseFrom = async (market: Market, bytes: Map<string, number>): Promise<Chosen> => {
  const { target, planner, limits, updated, open, otherCost, signal } = market
  const pool = poolOf(open)
  for (const each of pool) {
    const text = candidateText(each)
    if (!bytes.has(text)) bytes.set(text, await planner.bytesOf(each))
  }
  const numbers = new Map(pool.map((each, at) => [candidateText(each), at]))
  const of = (items: readonly number[]) => items.map((each) => pool[each]!)
  const selected = await select({
    items: pool.map((each) => ({
      bytes: bytes.get(candidateText(each))!,
      table: `${each.table.schema}.${each.table.name}`,
    })),
    queries: open.map(({ examined, shortlist }) => ({
      weight: examined.query.calls,
      items: new Set(
        pool.flatMap((each, at) => (concerns(each, examined, shortlist, target) ? [at] : [])),
      ),
    })),
    costOf: (query, items) => costWith(market, open[query]!, of(items)),
    writeCostOf: (items) => writeCostOf(target, of(items), updated),
    isWithin: (narrow, wide) => isWithin(pool[narrow]!, pool[wide]!),
    bundles: open.flatMap(({ shortlist }) =>
      shortlist.bundles.map((texts) => texts.flatMap((text) => numbers.get(text) ?? [])),
    ),
    ...{ otherCost, limits, signal },
  })
  return { candidates: of(selected.items), pool, selected }
}

const ROUNDS_MAX = 4
/** What else a query could use is offered in portions. */
const AT_ONCE = 100
const OFFERED_MAX = 300

/** Offers each query all that was seen for it beside what is chosen: what it uses then belongs to what is chosen from. */
const reprice = async (market: Market, { candidates }: Chosen): Promise<boolean> => {
  const { open, limits } = market
  let isMore = false
  await Promise.all(
    open.map(async (each) => {
      const { examined, shortlist } = each
      const { seen, kept, bundles } = shortlist
      const chosen = new Set(candidates.map(candidateText))
      const basis = [...kept.values(), ...candidates]
      for (const wider of extendedCandidates(examined.relations, basis, limits))
        seen.set(candidateText(wider), wider)
      const others = [...seen.values()].filter((other) => !chosen.has(candidateText(other)))
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

/** Chooses, looks for what would still help beside what is chosen, and chooses again. */
export const choose = async (market: Market): Promise<Chosen> => {
  const bytes = new Map<string, number>()
  let chosen = await chooseFrom(market, bytes)
  for (let round = 1; round < ROUNDS_MAX && (await reprice(market, chosen)); round++)
    chosen = await chooseFrom(market, bytes)
  return chosen
}

/** The candidates of each query that something can be done for. */
export const openQueries = async (
  market: Omit<Market, 'open'>,
  examined: readonly Examined[],
  onQuery: (done: number) => void,
): Promise<Open[]> => {
  const open: Open[] = []
  for (const each of examined) {
    market.signal?.throwIfAborted()
    const shortlist = await shortlistOf(market.costs, market.target, each, market.limits)
    open.push({ examined: each, shortlist })
    onQuery(open.length)
  }
  return open
}
