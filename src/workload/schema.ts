import * as v from 'valibot'
import { Page } from '../platform/page.ts'

/** latchkey: measured by this server; database: what pg_stat_statements has counted of everybody. */
const Source = v.picklist(['latchkey', 'database'], 'must be latchkey or database')
export const SORTS = ['total', 'mean', 'calls', 'slow', 'max'] as const
export type Sort = (typeof SORTS)[number]

const HOURS_MAX = 24 * 35
const Hours = v.optional(
  v.pipe(
    v.string(),
    v.regex(/^\d{1,3}$/, 'must be a whole number of hours'),
    v.transform(Number),
    v.minValue(1, 'must be at least 1'),
    v.maxValue(HOURS_MAX, `must be at most ${HOURS_MAX}`),
  ),
  '24',
)

export const Fingerprint = v.strictObject({
  fingerprint: v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/, 'must be 16 hexadecimal digits')),
})

export const ListQueries = v.strictObject({
  sort: v.optional(v.picklist(SORTS, `must be one of ${SORTS.join(', ')}`), 'total'),
  source: v.optional(Source, 'latchkey'),
  hours: Hours,
  ...Page,
})
export type ListQueries = v.InferOutput<typeof ListQueries>

export const OneQuery = v.strictObject({ source: v.optional(Source, 'latchkey'), hours: Hours })
export type OneQuery = v.InferOutput<typeof Fingerprint> & v.InferOutput<typeof OneQuery>

const Figures = {
  calls: v.number(),
  rows: v.number(),
  totalMs: v.number(),
  meanMs: v.number(),
  deviationMs: v.number(),
  maxMs: v.number(),
  /** Calls that took SLOW_QUERY_MS and longer; null where nobody counts them. */
  slow: v.nullable(v.number()),
}

export const Query = v.object({
  fingerprint: v.string(),
  query: v.string(),
  ...Figures,
  /** Of the time of all queries in these hours, 0 to 1. */
  share: v.number(),
  firstSeenAt: v.string(),
  lastSeenAt: v.string(),
})
export type Query = v.InferOutput<typeof Query>

export const QueryHistory = v.object({
  ...Query.entries,
  /** Hours in which it ran, the newest last. */
  hours: v.array(v.object({ hour: v.string(), ...Figures })),
})
export type QueryHistory = v.InferOutput<typeof QueryHistory>

export const ListSlow = v.strictObject({ ...Page })
export type ListSlow = v.InferOutput<typeof ListSlow>

export const SlowQuery = v.object({
  id: v.number(),
  at: v.string(),
  durationMs: v.number(),
  rows: v.number(),
  fingerprint: v.string(),
  query: v.string(),
})
export type SlowQuery = v.InferOutput<typeof SlowQuery>
