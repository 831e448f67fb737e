import type { Queryable } from '../platform/db/connect.ts'

/** Use over time: what was asked, from when (included) to when, after which item of the list. */
export type Range = { organizationId: string; from: string; to: string; limit: number } & After
export type After = { afterAt: string | null; afterName: string }

const AFTER = (tx: Queryable, name: string, { afterAt, afterName }: After) =>
  tx`(${afterAt}::timestamptz is null or (at, ${tx(name)}) > (${afterAt}::timestamptz, ${afterName}::text))`

/**
 * Use by day or month. What resets is added up, of other meters the last point of a bucket counts; the present one and whole
 * months of what resets are read where they are counted, so that nobody waits for a roll-up.
 */
export const findUsage = (
  tx: Queryable,
  range: Range & { meters: readonly string[]; bucket: 'day' | 'month' },
) => tx<{ meter: string; at: string; used: number }[]>`
  select meter, at, used from (
    select distinct on (at, meter) meter, at, used from (
      select u.meter, case m.resets when 'never' then date_trunc(${range.bucket}, now(), 'UTC')
          else u.period_start::timestamp at time zone 'UTC' end as at, u.used, 1 as rank
      from usage u join meters m on m.name = u.meter
      where u.organization_id = ${range.organizationId} and (m.resets = 'never' or ${range.bucket} = 'month')
      union all
      select m.name, date_trunc(${range.bucket}, p.at, 'UTC') as at,
        case m.resets when 'month' then sum(p.value)::bigint else (array_agg(p.value order by p.at desc))[1] end, 2
      from usage_points p join meters m on m.metric = p.metric
      where p.organization_id = ${range.organizationId} and p.workspace_id is null
        and p.at >= date_trunc(${range.bucket}, ${range.from}::timestamptz, 'UTC') and p.at < ${range.to}::timestamptz
        and (m.resets = 'never' or ${range.bucket} <> 'month')
      group by 1, 2, m.resets) measured
    where meter = any (${range.meters as string[]}::text[])
      and at >= date_trunc(${range.bucket}, ${range.from}::timestamptz, 'UTC') and at < ${range.to}::timestamptz
    order by at, meter, rank) listed
  where ${AFTER(tx, 'meter', range)} order by at, meter limit ${range.limit}`

/** What stands at an instant and is not added up. */
const GAUGES = ['members', 'roles', 'storage']

/** Roll-ups by hour or day, of the organization or of one workspace. */
export const findPoints = (
  tx: Queryable,
  range: Range & { workspaceId: string | null; metrics: readonly string[]; bucket: 'hour' | 'day' },
) => tx<{ metric: string; at: string; value: number }[]>`
  select metric, at, value from (
    select metric, date_trunc(${range.bucket}, p.at, 'UTC') as at,
      case when metric = any (${GAUGES}::text[]) then (array_agg(value order by p.at desc))[1] else sum(value)::bigint end as value
    from usage_points p
    where organization_id = ${range.organizationId} and workspace_id is not distinct from ${range.workspaceId}::text
      and metric = any (${range.metrics as string[]}::text[])
      and p.at >= date_trunc(${range.bucket}, ${range.from}::timestamptz, 'UTC') and p.at < ${range.to}::timestamptz
    group by 1, 2) measured
  where ${AFTER(tx, 'metric', range)} order by at, metric limit ${range.limit}`

/** Decisions that were asked since they were last written down. */
export type Asked = {
  organizationId: string
  workspaceId: string | null
  checks: number
  denials: number
}

/**
 * Adds to what other nodes wrote down for the same hour. In one order on every node, so that two never wait for each other.
 * What ended meanwhile is left out.
 */
export const addDecisions = (tx: Queryable, asked: readonly Asked[], at: string) => tx`
  insert into usage_points as p (organization_id, workspace_id, metric, at, value)
  select a."organizationId", a."workspaceId", m.metric, date_trunc('hour', ${at}::timestamptz, 'UTC'), m.value
  from jsonb_to_recordset(${tx.json(asked as never)}) as a ("organizationId" text, "workspaceId" text, checks bigint, denials bigint)
  join organizations o on o.id = a."organizationId"
  left join workspaces w on w.organization_id = o.id and w.id = a."workspaceId"
  cross join lateral (values ('checks', a.checks), ('denials', a.denials)) as m (metric, value)
  where m.value > 0 and (a."workspaceId" is null or w.id is not null)
  order by 1, 2 nulls first, 3
  on conflict on constraint usage_points_once do update set value = p.value + excluded.value`

/** The next organizations by id. */
export const findOrganizationIds = (tx: Queryable, after: string, limit: number) =>
  tx<{ id: string }[]>`select id from organizations where id > ${after} order by id limit ${limit}`

/**
 * What stands now, for the present hour. Active people are the seats without the invitations, so that members are not
 * counted one by one.
 */
export const measureGauges = (tx: Queryable, ids: readonly string[]) => tx`
  insert into usage_points as p (organization_id, metric, at, value)
  select organization_id, metric, date_trunc('hour', now(), 'UTC'), value from (
    select u.organization_id, m.metric, u.used as value from usage u join meters m on m.name = u.meter
    where m.resets = 'never' and u.organization_id = any (${ids as string[]}::text[])
    union all
    select u.organization_id, 'members', greatest(u.used - (select count(*) from invitations i
      where i.organization_id = u.organization_id and i.status = 'pending'), 0)
    from usage u where u.meter = 'members' and u.organization_id = any (${ids as string[]}::text[])
    union all
    select home, 'roles', count(*) from roles where home = any (${ids as string[]}::text[]) group by 1) measured
  order by 1, 2
  on conflict on constraint usage_points_once do update set value = excluded.value`

/** Members of workspaces, who hold a role in the workspace itself. */
export const measureWorkspaces = (tx: Queryable, ids: readonly string[]) => tx`
  insert into usage_points as p (organization_id, workspace_id, metric, at, value)
  select organization_id, workspace_id, 'members', date_trunc('hour', now(), 'UTC'), count(distinct subject)
  from workspace_members where organization_id = any (${ids as string[]}::text[]) group by 1, 2 order by 1, 2
  on conflict on constraint usage_points_once do update set value = excluded.value`

/** Makes days of the hours before a number of days: counts are added up, of what stands the last hour counts. */
export const foldHours = async (tx: Queryable, ids: readonly string[], days: number) => {
  const folded = await tx`
    with folded as (
      delete from usage_points where grain = 'hour' and organization_id = any (${ids as string[]}::text[])
        and at < date_trunc('day', now() - make_interval(days => ${days}), 'UTC')
      returning organization_id, workspace_id, metric, at, value)
    insert into usage_points as p (organization_id, workspace_id, metric, grain, at, value)
    select organization_id, workspace_id, metric, 'day', date_trunc('day', f.at, 'UTC'),
      case when metric in ('checks', 'denials', 'executions') then sum(value) else (array_agg(value order by f.at desc))[1] end
    from folded f group by 1, 2, 3, 5 order by 1, 2, 3, 5
    on conflict on constraint usage_points_once do update set value =
      case when p.metric in ('checks', 'denials', 'executions') then p.value + excluded.value else excluded.value end`
  return folded.count
}
