import * as v from 'valibot'
import { STATUSES, VERDICTS } from '../indexes/schema.ts'
import { textUpTo } from '../permissions/schema.ts'
import { idOf } from '../platform/id.ts'
import { Page } from '../platform/page.ts'

const QUERIES_MAX = 200
const QUERY_CHARACTERS_MAX = 10_000
const whole = (least: number, most: number) =>
  v.pipe(
    v.number(),
    v.integer('must be a whole number'),
    v.minValue(least, `must be at least ${least}`),
    v.maxValue(most, `must be at most ${most}`),
  )

export const AskAdvice = v.strictObject({
  /** Instead of what ran in the last hours. */
  queries: v.optional(
    v.pipe(
      v.array(
        v.strictObject({
          query: v.pipe(textUpTo(QUERY_CHARACTERS_MAX), v.nonEmpty('must not be empty')),
          /** In `hours`. Without any, what indexes cost writers is not weighed. */
          calls: v.optional(whole(1, 1_000_000_000_000)),
        }),
      ),
      v.nonEmpty('must have at least one query'),
      v.maxLength(QUERIES_MAX, `must have at most ${QUERIES_MAX} queries`),
    ),
  ),
  hours: v.optional(whole(1, 24 * 35), 24 * 7),
  budgetBytes: v.optional(whole(8192, 2 ** 50)),
  indexesMax: v.optional(whole(1, 50)),
  /** Whether tables are looked at, too, that are read whole in no time. */
  smallTables: v.optional(v.boolean(), false),
  /** Whether small tables may be locked for a moment, to try indexes on them for real. */
  consent: v.optional(v.boolean(), false),
})
export type AskAdvice = v.InferOutput<typeof AskAdvice>

const RUN_STATUSES = ['queued', 'running', 'done', 'failed'] as const
const HOWS = ['shadow', 'hypopg', 'built', 'formula'] as const

const QueryAdvice = v.object({
  fingerprint: v.string(),
  text: v.string(),
  calls: v.number(),
  before: v.number(),
  after: v.number(),
  uses: v.array(v.string()),
  passedOver: v.nullable(v.string()),
})
const Refused = v.object({ text: v.string(), code: v.string(), reason: v.string() })

export const RunSummary = v.object({
  id: v.string(),
  status: v.picklist(RUN_STATUSES),
  how: v.nullable(v.picklist(HOWS)),
  actor: v.string(),
  jobId: v.nullable(v.string()),
  progress: v.nullable(v.unknown()),
  /** Of all queries, calls times planner units. */
  costBefore: v.nullable(v.number()),
  costAfter: v.nullable(v.number()),
  recommendations: v.number(),
  plans: v.nullable(v.number()),
  elapsedMs: v.nullable(v.number()),
  error: v.nullable(v.string()),
  createdAt: v.string(),
  finishedAt: v.nullable(v.string()),
})
export type RunSummary = v.InferOutput<typeof RunSummary>

export const Run = v.object({
  ...RunSummary.entries,
  queries: v.array(QueryAdvice),
  /** What one could expect, and why it is not advised. */
  refused: v.array(Refused),
  notes: v.array(v.string()),
})
export type Run = v.InferOutput<typeof Run>

export const OneRun = v.object({ run: idOf('run') })
export type OneRun = v.InferOutput<typeof OneRun>
export const ListRuns = v.strictObject({ ...Page })
export type ListRuns = v.InferOutput<typeof ListRuns>

export const Recommendation = v.object({
  id: v.string(),
  runId: v.nullable(v.string()),
  kind: v.picklist(['create', 'drop']),
  schema: v.string(),
  table: v.string(),
  index: v.string(),
  /** What approving it runs, and what makes it undone. */
  statement: v.string(),
  undo: v.string(),
  /** What all queries cost less with it: calls times planner units. */
  gain: v.number(),
  /** What writes cost more with it, in the same units. */
  writeCost: v.number(),
  bytes: v.number(),
  how: v.string(),
  confidence: v.picklist(['high', 'medium', 'unverified']),
  code: v.nullable(v.string()),
  reason: v.string(),
  queries: v.array(
    v.object({
      fingerprint: v.string(),
      calls: v.number(),
      before: v.number(),
      after: v.number(),
    }),
  ),
  status: v.picklist(STATUSES),
  statusReason: v.nullable(v.string()),
  verdict: v.nullable(v.picklist(VERDICTS)),
  decidedBy: v.nullable(v.string()),
  decidedAt: v.nullable(v.string()),
  createdAt: v.string(),
  version: v.number(),
})
export type Recommendation = Omit<v.InferOutput<typeof Recommendation>, 'status'> & {
  status: string
}

export const ListRecommendations = v.strictObject({
  status: v.optional(v.picklist(STATUSES, `must be one of ${STATUSES.join(', ')}`)),
  kind: v.optional(v.picklist(['create', 'drop'], 'must be create or drop')),
  run: v.optional(idOf('run')),
  ...Page,
})
export type ListRecommendations = v.InferOutput<typeof ListRecommendations>

export const OneRecommendation = v.object({ recommendation: idOf('rec') })
export type OneRecommendation = v.InferOutput<typeof OneRecommendation>

export const Dismiss = v.strictObject({
  reason: v.optional(v.pipe(textUpTo(500), v.nonEmpty('must not be empty'))),
})
export type Dismiss = v.InferOutput<typeof Dismiss>
