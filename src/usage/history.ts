import type { Context } from '../platform/context.ts'
import { inOrganization } from '../platform/db/transaction.ts'
import { didYouMean } from '../platform/nearest.ts'
import { cursorAt, positionOf } from '../platform/page.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import * as points from './points-repository.ts'
import * as repository from './repository.ts'
import { type ListPoints, type ListUsage, METRICS, type Point, type Used } from './schema.ts'

const DAY_MS = 86_400_000
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

/** Use of meters by day or month, each with the limit as it is now. */
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

/** Roll-ups of an organization, or of one workspace: members and what was asked there. */
export const listPoints = (
  context: Context,
  {
    metrics,
    bucket,
    limit,
    cursor,
    workspaceId = null,
    ...wanted
  }: ListPoints & {
    workspaceId?: string | null
  },
) => {
  const names = [...new Set(metrics ?? METRICS)]
  const unknown = names.find((name) => !METRICS.some((metric) => metric === name))
  if (unknown !== undefined)
    throw unprocessable(
      'metric-unknown',
      '/metrics',
      `There is no such metric.${didYouMean(unknown, METRICS)}`,
    )
  return inOrganization(context, async (tx, organizationId) => {
    const rows = await points.findPoints(tx, {
      organizationId,
      workspaceId,
      metrics: names,
      bucket,
      ...rangeOf(context, { ...wanted, bucket }),
      ...afterOf(cursor),
      limit: limit + 1,
    })
    return pageOf(rows, limit, {
      position: (row) => `${row.at} ${row.metric}`,
      item: ({ at, metric, value }): Point => ({ at, metric, value }),
    })
  })
}
