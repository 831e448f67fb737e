import type { Sql } from '../db/connect.ts'
import type { Message } from './executor.ts'
import { DISPATCH_MS, LEASE_MS, LOSSES_MAX, type QueueName } from './queue.ts'
import type { StartedJob } from './run.ts'

/** Who takes jobs, and how it came to them. */
export type Taker = { worker: string; executor: string }

/** Takes the next jobs of a queue, in turn. */
export const claimJobs = (
  sql: Sql,
  queue: QueueName,
  wanted: number,
  taker: Taker,
  leaseMs = LEASE_MS,
) => sql<StartedJob[]>`
  select * from claim_jobs(${queue}, ${wanted}, ${taker.worker}, ${taker.executor}, ${leaseMs})`

/** Starts what an executor delivered; answers those that nobody else had started. */
export const startJobs = (
  sql: Sql,
  messages: readonly Message[],
  taker: Taker,
  leaseMs = LEASE_MS,
) => sql<StartedJob[]>`
  select * from start_jobs(${sql.json(messages as never)}, ${taker.worker}, ${taker.executor}, ${leaseMs})`

/** The next messages for an executor, so that at most `ahead` of the queue are on their way. */
export const dispatchJobs = (
  sql: Sql,
  queue: QueueName,
  ahead: number,
  executor: string,
  dispatchMs = DISPATCH_MS,
) => sql<Message[]>`select * from dispatch_jobs(${queue}, ${ahead}, ${executor}, ${dispatchMs})`

/** Takes back messages that were not handed over. */
export const undispatchJobs = (sql: Sql, messages: readonly Message[]) => sql`
  update jobs j set dispatched_until = null from jsonb_to_recordset(${sql.json(messages as never)}) as g (id text, fence int)
  where j.id = g.id and j.fence = g.fence and j.state = 'ready'`

/** Takes back whatever an executor was told of and nobody started; a message that comes after all finds nothing to do. */
export const undispatchAll = (sql: Sql, queues: readonly QueueName[], executor: string) => sql`
  update jobs set dispatched_until = null
  where queue in ${sql(queues)} and state = 'ready' and dispatched_until is not null and executor = ${executor}`

/** Says that a job which lost a worker before begins now; answers nothing where it is not the worker's any more. */
export const beginSuspect = (sql: Sql, { id, fence }: Message) => sql`
  update jobs set begun_fence = fence where id = ${id} and fence = ${fence} and state = 'running' returning 1 as begun`

/** Sign of life for running jobs; answers those that are still the worker's. */
export const keepJobs = async (sql: Sql, messages: readonly Message[], leaseMs = LEASE_MS) => {
  const rows = await sql<
    { id: string }[]
  >`select keep_jobs as id from keep_jobs(${sql.json(messages as never)}, ${leaseMs})`
  return new Set(rows.map(({ id }) => id))
}

/** Puts back what lost its worker; answers how many. */
export const sweepJobs = async (sql: Sql) => {
  const [row] = await sql<{ swept: number }[]>`select sweep_jobs(${LOSSES_MAX}) as swept`
  return row!.swept
}

/** Which queues have something to do now, and when the next job of any comes due. */
export const findDue = async (sql: Sql) => {
  const [row] = await sql<{ queues: QueueName[] | null; nextInMs: number | null }[]>`
    select array_agg(queue) filter (where due) as queues,
      (extract(epoch from (select min(next_at) from job_queues q cross join lateral (
        select run_at as next_at from jobs where queue = q.queue and state = 'scheduled' order by run_at limit 1) s)
        - clock_timestamp()) * 1000)::float8 as next_in_ms
    from (select queue, exists (select 1 from jobs j where j.queue = q.queue and j.state = 'ready'
        and (j.dispatched_until is null or j.dispatched_until < clock_timestamp()))
      or exists (select 1 from jobs j where j.queue = q.queue and j.state = 'scheduled' and j.run_at <= clock_timestamp()) as due
      from job_queues q where not paused) queues`
  return { queues: row?.queues ?? [], nextInMs: row?.nextInMs ?? null }
}

/** What the number of slots depends on, per queue. Rates are of the last two minutes, durations of the last ten. */
export const findLoad = (sql: Sql) => sql<Load[]>`
  select q.queue, q.slots_min, q.slots_max, q.paused,
    (select count(*) from (select 1 from jobs j where j.queue = q.queue and j.state = 'ready' limit 10000) r)::int as backlog,
    coalesce(m.rate, 0)::float8 as rate_per_second, coalesce(m.duration_ms, 0)::float8 as duration_ms,
    greatest(1, (select count(*) from job_workers w where w.queues ? q.queue
      and w.seen_at > clock_timestamp() - interval '30 seconds'))::int as workers
  from job_queues q left join (
    select queue, sum(added) filter (where minute >= clock_timestamp() - interval '2 minutes') / 120.0 as rate,
      sum(run_ms) / nullif(sum(done), 0) as duration_ms
    from job_minutes where minute >= clock_timestamp() - interval '10 minutes' group by queue) m using (queue)`

export type Load = {
  queue: QueueName
  slotsMin: number
  slotsMax: number
  paused: boolean
  /** Ready jobs, counted up to 10,000. */
  backlog: number
  ratePerSecond: number
  durationMs: number
  /** Live workers that serve the queue. */
  workers: number
}

/** Tells that a worker lives, and what it does. */
export const upsertWorker = (
  sql: Sql,
  worker: { id: string; runtime: string; version: string; startedAt: string; queues: object },
) => sql`
  insert into job_workers (id, runtime, version, started_at, queues)
  values (${worker.id}, ${worker.runtime}, ${worker.version}, ${worker.startedAt}, ${sql.json(worker.queues as never)})
  on conflict (id) do update set queues = excluded.queues, seen_at = clock_timestamp()`

export const deleteWorker = (sql: Sql, id: string) => sql`delete from job_workers where id = ${id}`

/** Parked jobs that a newer worker knows are ready again. */
export const unparkJobs = (sql: Sql, known: readonly { name: string; version: number }[]) => sql`
  update jobs j set state = 'ready', reason = null
  from jsonb_to_recordset(${sql.json(known as never)}) as k (name text, version int)
  where j.state = 'parked' and j.name = k.name and j.name_version <= k.version`
