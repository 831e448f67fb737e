import { remembered } from '../platform/cache/remembered.ts'
import type { Context } from '../platform/context.ts'
import { inOrganization } from '../platform/db/transaction.ts'
import { didYouMean } from '../platform/nearest.ts'
import { cursorAt, positionOf } from '../platform/page.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import * as points from './points-repository.ts'
import * as repository from './repository.ts'
import { HOURS_KEPT_DAYS } from './roll-up.ts'
import {
  type ListPoints,
  type ListUsage,
  METRICS,
  type Point,
  type Points,
  type Used,
} from './schema.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** How long after an hour all nodes have written down what they counted in it, with some to spare. */
const SETTLING_MS = 5 * 60_000
/** Hours become days when they are older than the roll-up keeps them: what is asked by the hour changes then. */
const HOURS_LAST_MS = (HOURS_KEPT_DAYS - 1) * DAY_MS
/** What is listed where no beginning is named. */
const DEFAULT_MS = { hour: DAY_MS, day: 30 * DAY_MS, month: 365 * DAY_MS }

const rangeOf = (
  context: Context,
  { from, to, bucket }: { from?: string; to?: string; bucket: keyof typeof DEFAULT_MS },
) => {
  // The present bucket belongs to it.
  const until = to ?? new Date(context.now().getTime() + 1000).toISOString()
  const since = from ?? new Date(Date.parse(until) - DEFAULT_MS[bucket]).toISOString()
  if (since >= until)
    throw new Problem('invalid', 'invalid-request', 'The range is empty.', {
      errors: [{ pointer: '/from', detail: 'must be before `to`' }],
    })
  return { from: since, to: until }
}

/** The position in a list that is ordered by time and name. */
const afterOf = (cursor: string | undefined): points.After => {
  const [at = '', name] = positionOf(cursor).split(' ')
  if (at === '') return { afterAt: null, afterName: '' }
  if (name === undefined || Number.isNaN(Date.parse(at)))
    throw new Problem('invalid', 'invalid-request', 'The cursor is not one of ours.', {
      errors: [{ pointer: '/cursor', detail: 'must be a nextCursor of this list' }],
    })
  return { afterAt: at, afterName: name }
}

const pageOf = <Row, Item>(
  rows: Row[],
  limit: number,
  { position, item }: { position: (row: Row) => string; item: (row: Row) => Item },
) => {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return {
    items: shown.map(item),
    nextCursor: rows.length > limit && last ? cursorAt(position(last)) : null,
  }
}

/** Use of meters by day or month, each with the limit as it is now: never kept, so that nobody goes by an old one. */
export const listUsage = (
  context: Context,
  { meter, bucket, limit, cursor, ...wanted }: ListUsage,
) =>
  inOrganization(context, async (tx, organizationId) => {
    const meters = await repository.findMeters(tx, { organizationId })
    const names = meters.map((each) => each.meter)
    if (meter !== undefined && !names.includes(meter))
      throw unprocessable(
        'meter-unknown',
        '/meter',
        `There is no such meter.${didYouMean(meter, names)}`,
      )
    const rows = await points.findUsage(tx, {
      organizationId,
      meters: meter === undefined ? names : [meter],
      bucket,
      ...rangeOf(context, { ...wanted, bucket }),
      ...afterOf(cursor),
      limit: limit + 1,
    })
    const limits = new Map(
      meters.map((each) => [
        each.meter,
        each.value === null ? null : each.value * each.unitsPerLimit,
      ]),
    )
    return pageOf(rows, limit, {
      position: (row) => `${row.at} ${row.meter}`,
      item: (row): Used => ({ ...row, limit: limits.get(row.meter) ?? null }),
    })
  })

/**
 * Roll-ups of an organization, or of one workspace: members and what was asked there. What is over is kept for some minutes,
 * and answered, marked as stale, where it cannot be read anew.
 * @throws Problem 422 for a metric that does not exist
 */
export const listPoints = async (
  context: Context,
  { metrics, workspaceId = null, ...wanted }: ListPoints & { workspaceId?: string | null },
): Promise<Points> => {
  const { bucket, limit, cursor } = wanted
  const names = [...new Set(metrics ?? METRICS)]
  requireMetrics(names)
  const range = { workspaceId, metrics: names.sort(), bucket, ...rangeOf(context, wanted) }
  const after = afterOf(cursor)
  const read = () => readPoints(context, { ...range, ...after, limit })
  const nowMs = context.now().getTime()
  if (!isOver(range, nowMs)) return read()
  const hour = Math.floor((nowMs - SETTLING_MS) / HOUR_MS)
  const key = JSON.stringify(['points', hour, range, limit, after])
  const { value, isStale } = await remembered(
    context,
    'report',
    { revision: 0, key },
    async () => ({
      value: await read(),
      revision: 0,
    }),
  )
  return isStale ? { ...value, isStale } : value
}

const requireMetrics = (names: readonly string[]) => {
  const unknown = names.find((name) => !METRICS.some((metric) => metric === name))
  if (unknown === undefined) return
  const detail = `There is no such metric.${didYouMean(unknown, METRICS)}`
  throw unprocessable('metric-unknown', '/metrics', detail)
}

/** Whether nothing is counted in a range any more, nor put together otherwise. */
const isOver = (
  { from, to, bucket }: { from: string; to: string; bucket: string },
  nowMs: number,
) =>
  Date.parse(to) <= Math.floor((nowMs - SETTLING_MS) / HOUR_MS) * HOUR_MS &&
  (bucket === 'day' || Date.parse(from) >= nowMs - HOURS_LAST_MS)

const readPoints = (
  context: Context,
  { limit, ...range }: Omit<Parameters<typeof points.findPoints>[1], 'organizationId'>,
): Promise<Points> =>
  inOrganization(context, async (tx, organizationId) => {
    const rows = await points.findPoints(tx, { organizationId, ...range, limit: limit + 1 })
    return pageOf(rows, limit, {
      position: (row) => `${row.at} ${row.metric}`,
      item: ({ at, metric, value }): Point => ({ at, metric, value }),
    })
  })
