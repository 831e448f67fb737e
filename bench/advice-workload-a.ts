import type { Literals, Read } from './advice-literals.ts'

/** Workload A: 24 reads of pages, jobs and reports. How often each runs is a guess at a day of a small installation. */
export const readsOfA = ({ tenant, of, member, whole, daysAgo }: Literals): Read[] => [
  {
    text: `select id, workflow_id, status, started_at from executions where organization_id = ${tenant(3)} and deleted_at is null order by started_at desc limit 50`,
    calls: 400,
  },
  {
    text: 'select * from executions where organization_id = $1 and status = $2 order by started_at desc limit 20',
    values: [`${tenant(20)}`, `'failed'`],
    calls: 200,
  },
  {
    text: 'select id, status, started_at, duration_ms from executions where workflow_id = $1 order by started_at desc limit 10',
    values: [`${of('workflows')}`],
    calls: 300,
  },
  {
    text: 'select position, kind, status, duration_ms from steps where execution_id = $1 order by position',
    values: [`${of('executions')}`],
    calls: 1000,
  },
  {
    text: `select e.id, e.started_at, s.kind, s.retries from executions e join steps s on s.execution_id = e.id
      where e.organization_id = ${tenant(12)} and e.started_at >= ${daysAgo(7)} and s.status = 'failed'`,
    calls: 20,
  },
  {
    text: `select e.id, e.started_at from executions e where e.organization_id = ${tenant(30)} and e.started_at >= ${daysAgo(3)}
      and exists (select from steps s where s.execution_id = e.id and s.retries > 2)`,
    calls: 30,
  },
  {
    text: `with recent as (select workflow_id, cost_cents from executions where organization_id = ${tenant(8)} and started_at >= ${daysAgo(10)})
      select w.name, count(*), sum(r.cost_cents) from recent r join workflows w on w.id = r.workflow_id group by w.name order by 3 desc limit 20`,
    calls: 15,
  },
  {
    text: 'select status, count(*) from executions where organization_id = $1 and started_at between $2 and $3 group by status',
    values: [`${tenant(5)}`, daysAgo(9), daysAgo(2)],
    calls: 60,
  },
  {
    text: `select id, workflow_id from executions where status = 'queued' order by started_at limit 100`,
    calls: 500,
  },
  {
    text: `select id, organization_id from executions where status = 'running' and started_at < ${daysAgo(1)}`,
    calls: 100,
  },
  {
    text: 'select id, actor_id, action, at from audit where organization_id = $1 order by at desc limit 50',
    values: [`${tenant(4)}`],
    calls: 150,
  },
  {
    text: `select organization_id, action, at from audit where actor_id = ${member()} and at between ${daysAgo(20)} and ${daysAgo(8)}`,
    calls: 25,
  },
  {
    text: `select id, action, actor_id, at from audit where organization_id = ${tenant(15)} and action in ('action-40', 'action-41', 'action-55') order by at desc limit 100`,
    calls: 40,
  },
  {
    text: 'select actor_id, action, at from audit where target_type = $1 and target_id = $2 order by at',
    values: [`'grant'`, `${of('executions')}`],
    calls: 50,
  },
  {
    text: 'select id, organization_id, name, status from members where email = $1 and deleted_at is null',
    values: [`'user${whole(5000)}@example7.test'`],
    calls: 800,
  },
  {
    text: `select id, email, name from members where organization_id = ${tenant(2)} and email like 'user12%' order by email limit 20`,
    calls: 120,
  },
  {
    text: `select id, name, role from members where organization_id = ${tenant(40)} and status = 'active' and deleted_at is null order by name limit 30`,
    calls: 150,
  },
  {
    text: `select id from executions where deleted_at is not null and deleted_at < ${daysAgo(60)} order by deleted_at limit 500`,
    calls: 24,
  },
  {
    text: 'select role, resource from grants where organization_id = $1 and member_id = $2',
    values: [`${tenant(6)}`, `${of('members')}`],
    calls: 2000,
  },
  {
    text: `select id, organization_id, member_id, expires_at from grants where expires_at between ${daysAgo(30)} and ${daysAgo(28)} order by expires_at`,
    calls: 48,
  },
  {
    text: 'select id, organization_id, hash from api_keys where prefix = $1 and revoked_at is null',
    values: [`'${(1e8 + whole(1e8)).toString(16).padStart(8, '0')}'`],
    calls: 3000,
  },
  {
    text: `select id, endpoint_id, attempts from deliveries where status = 'pending' and next_attempt_at <= ${daysAgo(30)} order by next_attempt_at limit 100`,
    calls: 1000,
  },
  {
    text: `select kind, count(*), avg(duration_ms) from steps where started_at >= ${daysAgo(1)} group by kind`,
    calls: 12,
  },
  {
    text: `select w.id, w.name, max(e.started_at) from workflows w left join executions e on e.workflow_id = w.id
      where w.organization_id = ${tenant(25)} and w.deleted_at is null group by w.id, w.name order by 3 desc nulls last limit 25`,
    calls: 40,
  },
]

/** What somebody who knows PostgreSQL well might make beside: the search for the best tries these, too. */
export const HAND_MADE_FOR_A = [
  `on public.executions (organization_id, started_at) where deleted_at is null`,
  `on public.executions (started_at) include (workflow_id) where status = 'queued'`,
  `on public.executions (started_at) include (organization_id) where status = 'running'`,
  `on public.executions (deleted_at) include (id) where deleted_at is not null`,
  `on public.executions (organization_id, started_at) include (workflow_id, cost_cents, status)`,
  `on public.executions (workflow_id, started_at) include (id, status, duration_ms)`,
  `on public.steps (execution_id) where retries > 2`,
  `on public.steps (execution_id) where status = 'failed'`,
  `on public.steps (execution_id, position) include (kind, status, duration_ms)`,
  `on public.steps (started_at) include (kind, duration_ms)`,
  `on public.audit (organization_id, at) include (id, actor_id, action)`,
  `on public.members (organization_id, email text_pattern_ops)`,
  `on public.members (organization_id, name) where status = 'active' and deleted_at is null`,
  `on public.members (email) where deleted_at is null`,
  `on public.grants (organization_id, member_id) include (role, resource)`,
  `on public.grants (member_id, organization_id) include (role, resource)`,
  `on public.api_keys (prefix) where revoked_at is null`,
  `on public.deliveries (next_attempt_at) where status = 'pending'`,
]
