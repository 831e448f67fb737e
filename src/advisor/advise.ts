import type { SqlParser } from '../platform/sql-parser.ts'
import type { Advice, AdviceLimits, QueryAdvice, RefusedIndex, WorkloadQuery } from './advice.ts'
import { candidateText } from './candidate.ts'
import { canonicalTarget } from './canonical.ts'
import { confirmAdvice } from './confirm.ts'
import { createCosts } from './costs.ts'
import { adviseDrops } from './drops.ts'
import { limitsOf } from './limits.ts'
import type { Planner } from './planner.ts'
import { type Market, openQueries } from './pricing.ts'
import { explainRefusals } from './refusals.ts'
import { choose } from './rounds.ts'
import type { Target } from './target.ts'
import { adviseOne, dropFaint } from './verdict.ts'
import { type Examined, examine, unanalyzed } from './workload.ts'

/** How far a run has come; of phases without a count both are 0. */
export type AdviceProgress = {
  phase: 'reading' | 'candidates' | 'choosing' | 'confirming' | 'drops'
  done: number
  total: number
}

export type AdviceOptions = {
  onProgress?: (progress: AdviceProgress) => void
  /** A second opinion about what was chosen. */
  confirm?: Planner
  signal?: AbortSignal
  /** Whether tables are looked at, too, that are read whole in no time. */
  smallTables?: boolean
  now?: Date
}

const unique = (refused: RefusedIndex[]): RefusedIndex[] =>
  [...new Map(refused.toReversed().map((each) => [each.text, each])).values()].toReversed()

const NAMED_MAX = 3

const unanalyzedNote = (tables: readonly string[]): string[] => {
  if (tables.length === 0) return []
  const more = tables.length > NAMED_MAX ? ` and ${tables.length - NAMED_MAX} more` : ''
  return [
    `${tables.slice(0, NAMED_MAX).join(', ')}${more} ${tables.length > 1 ? 'were' : 'was'} never analyzed, so that the planner guesses; run ANALYZE.`,
  ]
}

const notesOf = (target: Target, examined: readonly Examined[], planner: Planner): string[] => {
  const passed = examined.filter(({ passedOver }) => passedOver !== null).length
  return [
    ...unanalyzedNote(unanalyzed(examined)),
    ...(passed > 0 ? [`${passed} of ${examined.length} queries were passed over.`] : []),
    ...(planner.how === 'formula'
      ? ['The costs were computed from statistics, no planner was asked: they are unverified.']
      : []),
    ...(target.countedSince === null
      ? [
          'Since when writes are counted is not known, so that their cost may be too high or too low.',
        ]
      : []),
  ]
}

const queryAdvice = async (
  market: Market,
  { query, base, passedOver }: Examined,
  set: Parameters<Market['costs']['costOf']>[1],
): Promise<QueryAdvice> => {
  const { fingerprint, text, calls } = query
  const before = base?.cost ?? 0
  const after = passedOver === null ? await market.costs.costOf(query, set) : base
  return {
    ...{ fingerprint, text, calls, before, passedOver },
    after: after?.cost ?? before,
    uses: after?.candidates ?? [],
  }
}

const total = (queries: readonly QueryAdvice[], of: 'before' | 'after') =>
  queries.reduce((sum, each) => sum + each[of] * each.calls, 0)

/**
 * Advises indexes for a workload: what would help each query, chosen for all of them together within the limits, and why what one
 * could expect is not advised. Asked again once they are there, it advises nothing.
 */
export const advise = async (
  parser: SqlParser,
  given: Target,
  planner: Planner,
  workload: readonly WorkloadQuery[],
  limits: Partial<AdviceLimits> = {},
  options: AdviceOptions = {},
): Promise<Advice> => {
  const { onProgress, confirm, signal, smallTables = false, now = new Date() } = options
  const startedAt = performance.now()
  const report = (phase: AdviceProgress['phase'], done = 0, count = 0) => {
    signal?.throwIfAborted()
    onProgress?.({ phase, done, total: count })
  }
  const target = await canonicalTarget(parser, given)
  const updated = new Map<string, Set<string>>()
  const examined: Examined[] = []
  for (const query of workload) {
    report('reading', examined.length, workload.length)
    examined.push(await examine(parser, target, planner, query, updated, { smallTables }))
  }

  const costs = createCosts(planner)
  const asked = { ...limitsOf(target, limits), smallTables }
  const worthy = examined.filter(({ passedOver }) => passedOver === null)
  const otherCost = examined
    .filter(({ passedOver }) => passedOver !== null)
    .reduce((sum, { query, base }) => sum + query.calls * (base?.cost ?? 0), 0)
  const offer = { parser, target, otherCost, planner, costs, limits: asked, updated, signal }
  const open = await openQueries(offer, worthy, (done) => report('candidates', done, worthy.length))
  const market: Market = { ...offer, open }
  report('choosing')
  const chosen = await choose(market)
  const { kept, refused } = await dropFaint(market, chosen.candidates)
  const first = await Promise.all(kept.map((each) => adviseOne(market, kept, each)))

  report('confirming', 0, confirm ? first.length : 0)
  const confirmed = confirm
    ? await confirmAdvice(market, first, confirm)
    : { advised: first, refused: [], plans: 0 }
  const set = confirmed.advised.map(({ candidate }) => candidate)
  const refusals = await explainRefusals(market, chosen, set)
  const queries = await Promise.all(examined.map((each) => queryAdvice(market, each, set)))
  report('drops')
  const drops = await adviseDrops(target, { now, planner, workload })
  const isAdvised = new Set(set.map(candidateText))
  return {
    how: planner.how,
    indexes: confirmed.advised.toSorted((a, b) => b.gain - a.gain),
    refused: unique([
      ...[...refused, ...confirmed.refused, ...refusals],
      ...open.flatMap(({ shortlist }) => shortlist.refused),
    ]).filter(({ text }) => !isAdvised.has(text)),
    ...{ drops, queries },
    ...{ before: total(queries, 'before'), after: total(queries, 'after') },
    plans: costs.plans() + examined.length + confirmed.plans,
    elapsedMs: performance.now() - startedAt,
    notes: notesOf(target, examined, planner),
  }
}
