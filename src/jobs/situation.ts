import type { Queryable } from '../platform/db/connect.ts'

/** All that a waiting job may wait for, as of one instant. */
export type Situation = {
  now: string
  id: string
  queue: string
  state: string
  organizationId: string | null
  runAt: string
  attempts: number
  attemptsMax: number
  deliveries: number
  error: string | null
  reason: string | null
  worker: string | null
  startedAt: string | null
  leaseUntil: string | null
  dispatchedUntil: string | null
  executor: string | null
  exclusiveKey: string | null
  paused: boolean
  organizationStatus: string | null
  weight: number
  runningMax: number | null
  ratePerMinute: number | null
  /** What is left in the organization's bucket. */
  tokens: number | null
  workers: number
  slots: number
  running: number
  runningOwn: number
  /** Whoever of its exclusive key runs, or was handed out. */
  holder: { id: string; organizationId: string | null } | null
  ahead: number
  organizationsWaiting: number
  weights: number
  startsPerSecond: number
}

/** Jobs and organizations that are counted; more are told as so many. */
const COUNTED_MAX = 10_000
const ORGANIZATIONS_MAX = 1000

/** The situation of a job that has not ended. */
export const findSituation = async (tx: Queryable, id: string) => {
  const [found] = await tx<Situation[]>`
    with recursive j as (select * from jobs where id = ${id}), tenants (tenant, n) as (
      (select w.tenant, 1 from jobs w, j where w.queue = j.queue and w.state = 'ready' order by w.tenant limit 1)
      union all
      select (select w.tenant from jobs w, j where w.queue = j.queue and w.state = 'ready' and w.tenant > t.tenant
        order by w.tenant limit 1), n + 1
      from tenants t where t.tenant is not null and n < ${ORGANIZATIONS_MAX}
    ), live as (
      select w.queues from job_workers w, j where w.queues ? j.queue and w.seen_at > clock_timestamp() - interval '30 seconds')
    select clock_timestamp() as now, j.id, j.queue, j.state, j.organization_id, j.run_at, j.attempts, j.attempts_max,
      j.deliveries, j.error, j.reason, j.worker_id as worker, j.started_at, j.lease_until, j.dispatched_until, j.executor,
      j.exclusive_key, q.paused, o.status as organization_status, coalesce(t.weight, 1) as weight, t.running_max,
      t.rate_per_minute,
      least(t.rate_per_minute, coalesce(t.tokens, t.rate_per_minute)
        + coalesce(extract(epoch from clock_timestamp() - t.tokens_at), 0) * t.rate_per_minute / 60)::float8 as tokens,
      (select count(*) from live) as workers,
      (select coalesce(sum((queues->j.queue->>'slots')::int), 0) from live) as slots,
      (select count(*) from jobs r where r.queue = j.queue and r.state = 'running') as running,
      (select count(*) from jobs r where r.queue = j.queue and r.tenant = j.tenant and r.state = 'running')
        + (select count(*) from jobs d where d.queue = j.queue and d.tenant = j.tenant and d.state = 'ready'
          and d.dispatched_until > clock_timestamp()) as running_own,
      (select json_build_object('id', h.id, 'organizationId', h.organization_id) from jobs h
        where h.queue = j.queue and h.exclusive_key = j.exclusive_key and h.id <> j.id
          and (h.state = 'running' or (h.state = 'ready' and h.dispatched_until > clock_timestamp())) limit 1) as holder,
      (select count(*) from (select 1 from jobs a where a.queue = j.queue and a.tenant = j.tenant and a.state = 'ready'
        and (a.priority, a.id) < (j.priority, j.id) limit ${COUNTED_MAX}) c) as ahead,
      (select count(*) from tenants where tenant is not null) as organizations_waiting,
      (select coalesce(sum(coalesce(u.weight, 1)), 0) from tenants w
        left join job_turns u on u.queue = j.queue and u.tenant = w.tenant where w.tenant is not null) as weights,
      (select coalesce(sum(started), 0) / 300.0 from job_minutes m
        where m.queue = j.queue and m.minute > clock_timestamp() - interval '5 minutes')::float8 as starts_per_second
    from j join job_queues q on q.queue = j.queue left join organizations o on o.id = j.organization_id
      left join job_turns t on t.queue = j.queue and t.tenant = j.tenant`
  return found
}
