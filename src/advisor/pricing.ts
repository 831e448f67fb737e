import type { SqlParser } from '../platform/sql-parser.ts'
import type { AdviceLimits } from './advice.ts'
import { type Candidate, candidateText } from './candidate.ts'
import type { CandidateLimits } from './candidates.ts'
import type { Costs } from './costs.ts'
import { isWithin } from './covered.ts'
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
  parser: SqlParser
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

/** Chooses from all that is kept for any query. */
export const chooseFrom = async (market: Market, bytes: Map<string, number>): Promise<Chosen> => {
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
