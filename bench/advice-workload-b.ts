import type { Literals, Read } from './advice-literals.ts'

/** Workload B: shapes that A has not. Nothing in the advisor or here was chosen by what comes out of it. */
export const readsOfB = ({ tenant, of, member, whole, daysAgo }: Literals): Read[] => [
  {
    text: `select distinct on (workflow_id) workflow_id, status, started_at from executions where organization_id = ${tenant(10)} order by workflow_id, started_at desc`,
    calls: 60,
  },
  {
    text: `select w.id, w.name from workflows w where w.organization_id = $1
      and not exists (select from executions e where e.workflow_id = w.id and e.started_at > $2)`,
    values: [`${tenant(14)}`, daysAgo(30)],
    calls: 40,
  },
  {
    text: `select id, status, started_at from executions where organization_id = ${tenant(6)} and (started_at, id) < (${daysAgo(20)}, ${of('executions')}) order by started_at desc, id desc limit 25`,
    calls: 300,
  },
  {
    text: `select id, at, action from audit where actor_id = ${member()} or target_id = ${of('executions')} order by at desc limit 40`,
    calls: 60,
  },
  {
    text: `select m.email, o.name, g.role from members m join grants g on g.member_id = m.id join organizations o on o.id = m.organization_id
      where g.role = 'auditor' and m.status = 'invited' and o.region = 'eu'`,
    calls: 10,
  },
  {
    text: `select o.id, o.name, last.at, last.action from organizations o
      cross join lateral (select a.at, a.action from audit a where a.organization_id = o.id order by a.at desc limit 1) last where o.plan = 'enterprise'`,
    calls: 20,
  },
  {
    text: `select actor_id, count(*) from audit where action = 'action-${44 + whole(10)}' and at >= ${daysAgo(14)} group by actor_id having count(*) > 3 order by 2 desc`,
    calls: 30,
  },
  {
    text: `select 'delivery' as what, id, created_at as at from deliveries where organization_id = ${tenant(18)} and status = 'failed'
      union all select 'execution', id, started_at from executions where organization_id = ${tenant(18)} and status = 'failed' order by at desc limit 50`,
    calls: 80,
  },
  { text: `select max(started_at) from steps where kind = 'kind-${17 + whole(3)}'`, calls: 200 },
  {
    text: `select kind, max(duration_ms) from steps where execution_id in (select id from executions where workflow_id = ${of('workflows')} and status = 'failed') group by kind`,
    calls: 50,
  },
  {
    text: `select date_trunc('day', started_at) as day, count(*), sum(cost_cents) from executions
      where organization_id = ${tenant(4)} and status <> 'success' and started_at >= ${daysAgo(30)} group by 1 order by 1`,
    calls: 24,
  },
  {
    text: `select id, organization_id, duration_ms from executions where duration_ms > ${580_000 + whole(10_000)} and started_at >= ${daysAgo(20)} order by duration_ms desc limit 20`,
    calls: 24,
  },
  {
    text: `select id, workflow_id, started_at from executions where finished_at is null and started_at < ${daysAgo(2)} order by started_at limit 50`,
    calls: 300,
  },
  {
    text: 'select m.id, m.name, count(g.id) from members m left join grants g on g.member_id = m.id where m.organization_id = $1 and m.role = $2 group by m.id, m.name',
    values: [`${tenant(9)}`, `'owner'`],
    calls: 60,
  },
  {
    text: `select id, status from deliveries where endpoint_id = $1 and created_at >= $2 and created_at < $3 order by created_at desc limit 30`,
    values: [`${1 + whole(500)}`, daysAgo(10), daysAgo(5)],
    calls: 150,
  },
  {
    text: `select id, organization_id from members where lower(email) = 'user${whole(5000)}@example3.test'`,
    calls: 20,
  },
]

/** What somebody who knows PostgreSQL well might make beside. */
export const HAND_MADE_FOR_B = [
  `on public.executions (organization_id, workflow_id, started_at desc) include (status)`,
  `on public.executions (organization_id, started_at, id) include (status)`,
  `on public.executions (organization_id, started_at) include (cost_cents) where status <> 'success'`,
  `on public.executions (organization_id, started_at) include (id) where status = 'failed'`,
  `on public.executions (started_at) include (id, workflow_id) where finished_at is null`,
  `on public.executions (duration_ms) include (id, organization_id, started_at)`,
  `on public.executions (workflow_id) include (id) where status = 'failed'`,
  `on public.audit (organization_id, at) include (action)`,
  `on public.audit (actor_id) include (id, at, action)`,
  `on public.audit (target_id) include (id, at, action)`,
  `on public.audit (action, at) include (actor_id)`,
  `on public.steps (kind, started_at)`,
  `on public.steps (execution_id) include (kind, duration_ms)`,
  `on public.members (organization_id) where status = 'invited'`,
  `on public.members (lower(email)) include (id, organization_id)`,
  `on public.grants (member_id) include (id)`,
  `on public.grants (member_id) where role = 'auditor'`,
  `on public.deliveries (endpoint_id, created_at) include (id, status)`,
]
