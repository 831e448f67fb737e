import type { Queryable } from '../platform/db/connect.ts'

export const createPartitions = (tx: Queryable, daysAhead: number) =>
  tx`select create_job_partitions(${daysAhead})`

/** Drops the days before the last ones; what a reader holds is dropped the next time. */
export const dropPartitions = async (tx: Queryable, daysKept: number) => {
  const [row] = await tx<{ dropped: number }[]>`
    select drop_job_partitions(current_date - ${daysKept}::int) as dropped`
  return row!.dropped
}

/** Adds up the rows of the books that are older than so many seconds. */
export const foldMinutes = async (
  tx: Queryable,
  { into, olderThanSeconds }: { into: 'minute' | 'hour' | 'epoch'; olderThanSeconds: number },
) => {
  const [row] = await tx<{ taken: number }[]>`
    select fold_job_minutes(clock_timestamp() - ${olderThanSeconds} * interval '1 second', ${into}) as taken`
  return row!.taken
}

export const buryJobs = async (tx: Queryable, daysKept: number, atOnce: number) => {
  const [row] = await tx<{ buried: number }[]>`
    select bury_jobs(clock_timestamp() - ${daysKept} * interval '1 day', ${atOnce}) as buried`
  return row!.buried
}

const before = (tx: Queryable, days: number) => tx`clock_timestamp() - ${days} * interval '1 day'`

/** Effects of jobs that are gone. While a job can still be redriven, what it did must stay known. */
export const deleteEffects = (tx: Queryable, daysKept: number) => tx`
  delete from job_effects e where at < ${before(tx, daysKept)}
    and not exists (select 1 from jobs j where j.id = e.job_id)`

export const deleteWorkers = (tx: Queryable, daysKept: number) =>
  tx`delete from job_workers where seen_at < ${before(tx, daysKept)}`

export const deleteSlots = (tx: Queryable, daysKept: number) =>
  tx`delete from job_slots where slot < ${before(tx, daysKept)}`

export const deleteReconciliations = (tx: Queryable, daysKept: number) =>
  tx`delete from job_reconciliations where at < ${before(tx, daysKept)}`

export const deleteIdempotencyKeys = (tx: Queryable, daysKept: number) =>
  tx`delete from idempotency_keys where created_at < ${before(tx, daysKept)}`

/** Windows of rate limits that have ended; what is tried again opens another. */
export const deleteRateLimits = (tx: Queryable) =>
  tx`delete from rate_limits where ends_at <= now()`
