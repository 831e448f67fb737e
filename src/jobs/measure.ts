import type { Context } from '../platform/context.ts'
import type { Sql } from '../platform/db/connect.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { unprocessable } from '../platform/problem.ts'
import { percentile } from './percentile.ts'
import type { StatsRow } from './queue-repository.ts'
import * as repository from './queue-repository.ts'
import { type AskSeries, type ListWorkers, POINTS_MAX, type Series, type Stats } from './schema.ts'

const timesOf = (sum: number, count: number, buckets: readonly number[]) => ({
  mean: count === 0 ? null : Math.round(sum / count),
  p50: percentile(buckets, 0.5),
  p95: percentile(buckets, 0.95),
})

const statsOf = (row: StatsRow): Stats => ({
  queue: row.queue,
  states: row.states,
  oldestWaitingSeconds: row.oldestWaitingSeconds,
  startsPerSecond: row.startsPerSecond,
  ended: { done: row.done, failed: row.failed, died: row.died, canceled: row.canceled },
  waitMs: timesOf(row.waitMs, row.started, row.waitBuckets),
  runMs: timesOf(row.runMs, row.done, row.runBuckets),
})

/** Every queue in the last hour: how much ended, how long jobs waited and ran. */
export const getStats = ({ sql }: Context) =>
  inPlatform(sql, async (tx) => ({
    items: (await repository.findStats(tx)).map(statsOf),
    nextCursor: null,
  }))

const HOUR_MS = 3_600_000

/** The books over time. What is older than two days is kept by the hour, than thirty days as one sum. */
export const getSeries = (context: Context, asked: AskSeries): Promise<Series> => {
  const { queue = null, step } = asked
  const to = asked.to ?? context.now().toISOString()
  const from = asked.from ?? new Date(Date.parse(to) - HOUR_MS).toISOString()
  const points = (Date.parse(to) - Date.parse(from)) / 1000 / step
  if (points <= 0) throw unprocessable('range-empty', '/from', 'must be before the end')
  if (points > POINTS_MAX)
    throw unprocessable('range-too-long', '/step', `makes more than ${POINTS_MAX} points`)
  return inPlatform(context.sql, async (tx) => {
    const rows = await repository.findSeries(tx, { queue, from, to, step })
    return { from, to, step, points: [...rows] }
  })
}

export const listWorkers = ({ sql }: Context, { limit, cursor }: ListWorkers) =>
  inPlatform(sql, async (tx) => {
    const range = { after: positionOf(cursor), limit: limit + 1 }
    return toPage(await repository.listWorkers(tx, range), limit, ({ id }) => id)
  })

/** Whether every job that was ever added is accounted for. */
export const reconcile = ({ sql }: Pick<Context, 'sql'>) =>
  inPlatform(sql, (tx) => repository.findReconciliation(tx))

/** What `/metrics` tells of the queues. */
export const measureJobs = (sql: Sql) =>
  inPlatform(sql, async (tx) => ({
    queues: await repository.findQueues(tx, null),
    difference: await repository.findLastDifference(tx),
  }))
