import type { Queryable } from '../platform/db/connect.ts'
import { QUEUES, type QueueName } from '../platform/jobs/queue.ts'
import type { Tenant } from './mount.ts'
import type { Attempt, Job, JobSummary, State } from './schema.ts'

const COLUMNS = `id, queue, name, name_version, organization_id as organization, workspace_id as workspace, state, priority,
  run_at, actor->>'subject' as actor, permission, dedup_key, exclusive_key, attempts, attempts_max, deliveries, losses,
  timeout_ms, executor, worker_id as worker, progress, error, reason, request_id, created_at, started_at`

const of = (tx: Queryable, tenant: Tenant) =>
  tenant === undefined
    ? tx``
    : tenant === 'platform'
      ? tx`and organization_id is null`
      : tx`and organization_id = ${tenant}`

/** What narrows a list; members left out narrow nothing. */
export type JobFilter = {
  tenant: Tenant
  queue?: string | undefined
  state?: State | undefined
  name?: string | undefined
}

const matching = (tx: Queryable, { tenant, queue, state, name }: JobFilter) => tx`
  ${of(tx, tenant)} ${queue === undefined ? tx`` : tx`and queue = ${queue}`}
  ${state === undefined ? tx`` : tx`and state = ${state}`} ${name === undefined ? tx`` : tx`and name = ${name}`}`

/** Jobs that have not ended and jobs that have, newest first, before an id. */
export const listJobs = (
  tx: Queryable,
  { before, limit, ...filter }: JobFilter & { before: string; limit: number },
) => tx<JobSummary[]>`
  select * from (
    (select ${tx.unsafe(COLUMNS)}, null::timestamptz as finished_at from jobs
      where id < ${before} ${matching(tx, filter)} order by id desc limit ${limit})
    union all
    (select ${tx.unsafe(COLUMNS)}, finished_at from finished_jobs
      where id < ${before} ${matching(tx, filter)} order by id desc limit ${limit})
  ) every order by id desc limit ${limit}`

/** A job with what it carries, wherever it stands. */
export const findJob = async (tx: Queryable, tenant: Tenant, id: string) => {
  const [found] = await tx<(Job & { payload: unknown; result: unknown })[]>`
    select ${tx.unsafe(COLUMNS)}, null::timestamptz as finished_at, payload, null::jsonb as result
      from jobs where id = ${id} ${of(tx, tenant)}
    union all
    select ${tx.unsafe(COLUMNS)}, finished_at, payload, result
      from finished_jobs where id = ${id} ${of(tx, tenant)}`
  return found
}

/** Takes a job that has not ended, so that it stands where it stands until this transaction is over. */
export const lockJob = async (tx: Queryable, tenant: Tenant, id: string) => {
  const [found] = await tx<JobSummary[]>`
    select ${tx.unsafe(COLUMNS)}, null::timestamptz as finished_at from jobs
    where id = ${id} ${of(tx, tenant)} for update`
  return found
}

export const listAttempts = (
  tx: Queryable,
  { tenant, id, after, limit }: { tenant: Tenant; id: string; after: number; limit: number },
) => tx<Attempt[]>`
  select fence as number, outcome, worker_id as worker, started_at, ended_at, error from job_attempts
  where job_id = ${id} and fence > ${after} ${of(tx, tenant)} order by fence limit ${limit}`

/** Jobs that a filter finds in some states, oldest first. */
export const findMatches = (
  tx: Queryable,
  { states, limit, ...filter }: JobFilter & { states: readonly string[]; limit: number },
) => tx<{ id: string; queue: QueueName }[]>`
  select id, queue from jobs where state in ${tx(states)} ${matching(tx, filter)} order by id limit ${limit}`

export const findEndedMatches = (
  tx: Queryable,
  { limit, ...filter }: JobFilter & { limit: number },
) =>
  tx<{ id: string; queue: QueueName }[]>`
  select id, queue from finished_jobs where true ${matching(tx, filter)} order by id limit ${limit}`

type Moved = { id: string }

export const cancelJobs = (tx: Queryable, ids: readonly string[], why: string) =>
  tx<Moved[]>`select cancel_jobs as id from cancel_jobs(${tx.array(ids as string[])}, ${why})`

export const redriveJobs = (tx: Queryable, ids: readonly string[]) =>
  tx<Moved[]>`select job_id as id from redrive_jobs(${tx.array(ids as string[])})`

export const promoteJobs = (tx: Queryable, ids: readonly string[]) => tx<Moved[]>`
  update jobs set state = 'ready', run_at = clock_timestamp()
  where id = any (${tx.array(ids as string[])}) and state = 'scheduled' returning id`

export const deleteJobs = (tx: Queryable, ids: readonly string[]) =>
  tx<Moved[]>`select delete_jobs as id from delete_jobs(${tx.array(ids as string[])})`

/** What each queue holds and did in the last day, of one organization or of all. */
export const findUsage = (tx: Queryable, tenant: Tenant) => tx<
  {
    queue: string
    running: number
    waiting: number
    slotSecondsLastDay: number
    weight: number | null
    runningMax: number | null
    ratePerMinute: number | null
  }[]
>`
  select q.queue, coalesce(j.running, 0) as running, coalesce(j.waiting, 0) as waiting,
    coalesce(m.slot_seconds, 0)::float8 as slot_seconds_last_day, t.weight, t.running_max, t.rate_per_minute
  from (select unnest(${tx.array([...QUEUES])}::text[]) as queue) q
  left join (select queue, count(*) filter (where state = 'running') as running,
      count(*) filter (where state in ('scheduled', 'ready')) as waiting
    from jobs where true ${of(tx, tenant)} group by queue) j using (queue)
  left join (select queue, sum(run_ms) / 1000.0 as slot_seconds from job_minutes
    where minute >= clock_timestamp() - interval '1 day' and (${tenant ?? null}::text is null or tenant = ${tenant ?? null})
    group by queue) m using (queue)
  left join job_turns t on t.queue = q.queue and t.tenant = ${tenant ?? null}
  order by q.queue`

/** The id behind an id or a slug. */
export const findOrganizationId = async (tx: Queryable, reference: string) => {
  const [found] = await tx<{ id: string }[]>`
    select id from organizations where id = ${reference} or slug = ${reference}`
  return found?.id
}
