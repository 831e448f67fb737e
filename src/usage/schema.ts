import * as v from 'valibot'
import { Timestamp, textUpTo } from '../permissions/schema.ts'
import { Page, pageOf } from '../platform/page.ts'

/** The plans, smallest first. */
export const PLANS = ['free', 'pro', 'enterprise', 'custom'] as const

/** What stands over time; the first six are what `/analytics` tells. */
export const METRICS = ['members', 'roles', 'checks', 'denials', 'executions', 'storage'] as const

/** How much of a limit is used. `null` is unlimited. */
export const Limit = v.object({
  limit: v.string(),
  value: v.nullable(v.number()),
  source: v.picklist(['plan', 'override']),
  overrideEndsAt: v.nullable(v.string()),
  used: v.number(),
  reserved: v.number(),
  remaining: v.nullable(v.number()),
})
export type Limit = v.InferOutput<typeof Limit>
export const Limits = v.object({ items: v.array(Limit) })

const Word = v.pipe(textUpTo(100), v.nonEmpty('must not be empty'))

export const PutPlan = v.strictObject({ plan: Word })
export const PlanQuery = v.strictObject({
  dryRun: v.optional(
    v.pipe(
      v.picklist(['true', 'false'], 'must be true or false'),
      v.transform((text) => text === 'true'),
    ),
    'false',
  ),
})
export type PutPlan = v.InferOutput<typeof PutPlan> & v.InferOutput<typeof PlanQuery>

/** What a plan would freeze: use that is above the limit stays, and does not grow. */
export const Planned = v.object({
  plan: v.string(),
  frozen: v.array(v.object({ limit: v.string(), value: v.number(), used: v.number() })),
})
export type Planned = v.InferOutput<typeof Planned>

const LIMIT_MAX = 1_000_000_000

/** By name, as entries: a limit called `__proto__` is an unknown one like every other. */
const LimitValues = v.pipe(
  v.custom<Record<string, unknown>>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    'must be an object',
  ),
  v.transform((values) => Object.entries(values)),
  v.minLength(1, 'must name at least one limit'),
  v.maxLength(50, 'must name at most 50 limits'),
  v.array(
    v.tuple([
      v.string(),
      v.nullable(
        v.pipe(
          v.number('must be a whole number or null'),
          v.integer('must be a whole number or null'),
          v.minValue(0, 'must not be negative; null is unlimited'),
          v.maxValue(LIMIT_MAX, `must be at most ${LIMIT_MAX.toLocaleString('en')}`),
        ),
      ),
    ]),
  ),
)

export const PutLimits = v.strictObject({
  limits: LimitValues,
  endsAt: v.optional(v.nullable(Timestamp), null),
  reason: v.pipe(textUpTo(280), v.trim(), v.nonEmpty('must not be empty')),
})
export type PutLimits = v.InferOutput<typeof PutLimits>

/** Large enough for a year of bytes, small enough to add up exactly. */
const AMOUNT_MAX = 1_000_000_000_000_000
const Amount = v.pipe(
  v.number('must be a whole number'),
  v.integer('must be a whole number'),
  v.minValue(-AMOUNT_MAX, 'is too small'),
  v.maxValue(AMOUNT_MAX, `must be at most ${AMOUNT_MAX.toLocaleString('en')}`),
)

export const ReportUsage = v.strictObject({
  meter: Word,
  amount: v.pipe(
    Amount,
    v.check((amount) => amount !== 0, 'must not be 0'),
  ),
})
export type ReportUsage = v.InferOutput<typeof ReportUsage>

/** Whether there was room, and how much is left; unlimited: `limit` and `remaining` are null. */
const standing = {
  allowed: v.boolean(),
  limit: v.nullable(v.number()),
  used: v.number(),
  remaining: v.nullable(v.number()),
  resetsAt: v.nullable(v.string()),
}
export const Reported = v.object(standing)
export type Reported = v.InferOutput<typeof Reported>

const SECONDS_MAX = 7 * 86_400
export const ReserveUsage = v.strictObject({
  meter: Word,
  amount: v.pipe(Amount, v.minValue(1, 'must be at least 1')),
  expiresInSeconds: v.pipe(
    v.number('must be a whole number'),
    v.integer('must be a whole number'),
    v.minValue(1, 'must be at least 1'),
    v.maxValue(SECONDS_MAX, `must be at most ${SECONDS_MAX.toLocaleString('en')}`),
  ),
})
export type ReserveUsage = v.InferOutput<typeof ReserveUsage>

/** A reservation, if there was room for it. */
export const Reserved = v.object({ id: v.optional(v.string()), ...standing })
export type Reserved = v.InferOutput<typeof Reserved>

export const OneReservation = v.object({
  reservation: v.pipe(v.string(), v.regex(/^rsv_[0-9a-z]{26}$/, 'must be the id of a reservation')),
})
export type OneReservation = v.InferOutput<typeof OneReservation>

export const CommitReservation = v.strictObject({
  /** What was really used; all of it unless told. */
  used: v.optional(v.pipe(Amount, v.minValue(0, 'must not be negative'))),
})
export type CommitReservation = v.InferOutput<typeof CommitReservation>

/** A day is its beginning, UTC. */
const Moment = v.pipe(
  v.string(),
  v.transform((text) => (/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text)),
  Timestamp,
)
const range = { from: v.optional(Moment), to: v.optional(Moment), ...Page }

export const ListUsage = v.strictObject({
  meter: v.optional(Word),
  bucket: v.optional(v.picklist(['day', 'month'], 'must be day or month'), 'day'),
  ...range,
})
export type ListUsage = v.InferOutput<typeof ListUsage>
export const Used = v.object({
  meter: v.string(),
  at: v.string(),
  used: v.number(),
  limit: v.nullable(v.number()),
})
export type Used = v.InferOutput<typeof Used>

export const ListPoints = v.strictObject({
  bucket: v.optional(v.picklist(['hour', 'day'], 'must be hour or day'), 'day'),
  metrics: v.optional(
    v.pipe(
      textUpTo(500),
      v.transform((text) => text.split(',').map((name) => name.trim())),
    ),
  ),
  ...range,
})
export type ListPoints = v.InferOutput<typeof ListPoints>
export const Point = v.object({ at: v.string(), metric: v.string(), value: v.number() })
export type Point = v.InferOutput<typeof Point>
export const Points = v.object({
  ...pageOf(Point).entries,
  /** True of what was read before and could not be read anew; left out otherwise. */
  isStale: v.optional(v.boolean()),
})
export type Points = v.InferOutput<typeof Points>
