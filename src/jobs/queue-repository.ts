import type { Queryable } from '../platform/db/connect.ts'
import type { QueueName } from '../platform/jobs/queue.ts'
import type { Queue, Reconciliation, States, Worker } from './schema.ts'

/** Rows of one state that are counted; more are told as so many. */
const COUNTED_MAX = 100_000
const LIVE = `w.seen_at > clock_timestamp() - interval '30 seconds'`

const count = (
  states: string,
) => `(select count(*) from (select 1 from jobs j where j.queue = q.queue and ${states}
  limit ${COUNTED_MAX}) c)`

// Each state by a probe of its own partial index.
const STATES = `json_build_object('scheduled', ${count(`j.state = 'scheduled'`)}, 'ready', ${count(`j.state = 'ready'`)},
  'running', ${count(`j.state = 'running'`)}, 'dead', ${count(`j.state = 'dead'`)}, 'parked', ${count(`j.state = 'parked'`)})`
const OLDEST = `(select extract(epoch from clock_timestamp() - min(run_at)) from (
  select run_at from jobs j where j.queue = q.queue and j.state = 'ready' limit ${COUNTED_MAX}) o)::float8`
const STARTS = `(select coalesce(sum(started), 0) / 300.0 from job_minutes m
  where m.queue = q.queue and m.minute > clock_timestamp() - interval '5 minutes')::float8`

/** Every queue, or one of them: how it is set and how it stands. */
export const findQueues = (tx: Queryable, queue: string | null) => tx<Queue[]>`
  select q.queue, q.paused, q.slots_min, q.slots_max, q.version, q.updated_at, ${tx.unsafe(STATES)} as states,
    ${tx.unsafe(OLDEST)} as oldest_waiting_seconds, ${tx.unsafe(STARTS)} as starts_per_second,
    (select count(*) from job_workers w where w.queues ? q.queue and ${tx.unsafe(LIVE)}) as workers,
    (select coalesce(sum((w.queues->q.queue->>'slots')::int), 0) from job_workers w
      where w.queues ? q.queue and ${tx.unsafe(LIVE)}) as slots
  from job_queues q where ${queue}::text is null or q.queue = ${queue} order by q.queue`

/** Takes a queue's row; its version. */
export const lockQueue = async (tx: Queryable, queue: string) => {
  const [found] = await tx<{ version: number; paused: boolean }[]>`
    select version, paused from job_queues where queue = ${queue} for update`
  return found
}

export const updateSlots = (
  tx: Queryable,
  queue: string,
  { slotsMin = null, slotsMax = null }: { slotsMin?: number | null; slotsMax?: number | null },
) => tx`
  update job_queues set slots_min = coalesce(${slotsMin}, slots_min), slots_max = coalesce(${slotsMax}, slots_max),
    version = version + 1, updated_at = now() where queue = ${queue}`

export const updatePaused = (tx: Queryable, queue: string, paused: boolean) => tx`
  update job_queues set paused = ${paused}, version = version + 1, updated_at = now() where queue = ${queue}`

/** Takes back what executors were told and did not start: the fence makes their messages void. */
export const withdrawJobs = async (tx: Queryable, queue: string) => {
  const rows = await tx`
    update jobs set dispatched_until = null, fence = fence + 1
    where queue = ${queue} and state = 'ready' and dispatched_until is not null returning 1 as withdrawn`
  return rows.length
}

export type StatsRow = {
  queue: string
  startsPerSecond: number
  oldestWaitingSeconds: number | null
  states: States
  started: number
  done: number
  failed: number
  died: number
  canceled: number
  waitMs: number
  runMs: number
  waitBuckets: number[]
  runBuckets: number[]
}

/** What every queue did in the last hour. */
export const findStats = (tx: Queryable) => tx<StatsRow[]>`
  select q.queue, ${tx.unsafe(STATES)} as states, ${tx.unsafe(OLDEST)} as oldest_waiting_seconds,
    ${tx.unsafe(STARTS)} as starts_per_second, coalesce(m.started, 0)::bigint as started, coalesce(m.done, 0)::bigint as done,
    coalesce(m.failed, 0)::bigint as failed, coalesce(m.died, 0)::bigint as died,
    coalesce(m.canceled, 0)::bigint as canceled, coalesce(m.wait_ms, 0)::bigint as wait_ms,
    coalesce(m.run_ms, 0)::bigint as run_ms, coalesce(to_json(m.wait_buckets), '[]') as wait_buckets,
    coalesce(to_json(m.run_buckets), '[]') as run_buckets
  from job_queues q left join (
    select queue, sum(started) as started, sum(done) as done, sum(failed) as failed, sum(died) as died,
      sum(canceled) as canceled, sum(wait_ms) as wait_ms, sum(run_ms) as run_ms,
      sum_counts(wait_buckets) as wait_buckets, sum_counts(run_buckets) as run_buckets
    from job_minutes where minute > clock_timestamp() - interval '1 hour' group by queue) m using (queue)
  order by q.queue`

export type SeriesRow = {
  at: string
  added: number
  started: number
  done: number
  failed: number
  died: number
  canceled: number
  waitMs: number | null
  runMs: number | null
}

/** The books from one time to another, added up in steps; a step without anything is there with noughts. */
export const findSeries = (
  tx: Queryable,
  { queue, from, to, step }: { queue: string | null; from: string; to: string; step: number },
) => tx<SeriesRow[]>`
  select s.at, coalesce(sum(added), 0)::bigint as added, coalesce(sum(started), 0)::bigint as started,
    coalesce(sum(done), 0)::bigint as done, coalesce(sum(failed), 0)::bigint as failed,
    coalesce(sum(died), 0)::bigint as died, coalesce(sum(canceled), 0)::bigint as canceled,
    (sum(wait_ms) / nullif(sum(started), 0))::float8 as wait_ms, (sum(run_ms) / nullif(sum(done), 0))::float8 as run_ms
  from generate_series(${from}::timestamptz, ${to}::timestamptz - interval '1 microsecond', ${step} * interval '1 second') s (at)
  left join job_minutes m on m.minute >= s.at and m.minute < least(s.at + ${step} * interval '1 second', ${to}::timestamptz)
    and (${queue}::text is null or m.queue = ${queue})
  group by s.at order by s.at`

export const listWorkers = (tx: Queryable, { after, limit }: { after: string; limit: number }) =>
  tx<Worker[]>`
  select id, runtime, version, queues, started_at, seen_at, ${tx.unsafe(LIVE)} as alive from job_workers w
  where id > ${after} order by id limit ${limit}`

/** The books against the rows, as of one instant. */
export const findReconciliation = async (tx: Queryable) => {
  const [row] = await tx<Reconciliation[]>`
    select b.*, p.present, (b.added - b.done - b.canceled - b.buried - b.deleted - p.jobs)::bigint as difference
    from (select coalesce(sum(added), 0)::bigint as added, coalesce(sum(done), 0)::bigint as done,
        coalesce(sum(canceled), 0)::bigint as canceled, coalesce(sum(buried), 0)::bigint as buried,
        coalesce(sum(deleted), 0)::bigint as deleted from job_minutes) b,
      (select count(*) as jobs, json_build_object('scheduled', count(*) filter (where state = 'scheduled'),
        'ready', count(*) filter (where state = 'ready'), 'running', count(*) filter (where state = 'running'),
        'dead', count(*) filter (where state = 'dead'), 'parked', count(*) filter (where state = 'parked')) as present
      from jobs) p`
  return row!
}

export const insertReconciliation = (tx: Queryable, difference: number) =>
  tx`insert into job_reconciliations (difference) values (${difference})`

/** What the last check of the books found. */
export const findLastDifference = async (tx: Queryable) => {
  const [row] = await tx<{ difference: number }[]>`
    select difference from job_reconciliations order by at desc limit 1`
  return row?.difference
}

type LimitsRow = {
  queue: QueueName
  weight: number
  runningMax: number | null
  ratePerMinute: number | null
}

export const findLimits = (tx: Queryable, tenant: string) => tx<LimitsRow[]>`
  select q.queue, coalesce(t.weight, 1) as weight, t.running_max, t.rate_per_minute
  from job_queues q left join job_turns t on t.queue = q.queue and t.tenant = ${tenant} order by q.queue`

/** Sets the limits of an organization in one queue or in all. Whoever is new begins where the turns of the queue stand. */
export const upsertLimits = (
  tx: Queryable,
  limits: {
    tenant: string
    queue: string | null
    weight: number | null
    runningMax: number | null
    ratePerMinute: number | null
  },
) => tx`
  insert into job_turns as t (queue, tenant, turn, weight, running_max, rate_per_minute)
  select queue, ${limits.tenant}, virtual_time, ${limits.weight}, ${limits.runningMax}, ${limits.ratePerMinute}
  from job_queues where ${limits.queue}::text is null or queue = ${limits.queue} order by queue
  on conflict (queue, tenant) do update set weight = excluded.weight, running_max = excluded.running_max,
    rate_per_minute = excluded.rate_per_minute, version = t.version + 1,
    tokens = case when t.rate_per_minute is not distinct from excluded.rate_per_minute then t.tokens end,
    tokens_at = case when t.rate_per_minute is not distinct from excluded.rate_per_minute then t.tokens_at end`
