-- Plans, limits, usage. Limits are looked up when they are needed, never copied; counting and limiting are one conditional
-- update, so nobody overfills anything by being quick. LK001 limit-reached, LK009 reservation-ended.

create table plans (name text collate "C" primary key, position int not null unique);
insert into plans values ('free', 1), ('pro', 2), ('enterprise', 3), ('custom', 4);

create table meters (
  name text collate "C" primary key,
  limit_key text collate "C" not null unique,
  metric text collate "C" not null unique,      -- what its use over time is called in usage_points
  resets text collate "C" not null constraint meters_resets_known check (resets in ('never', 'month')),
  units_per_limit bigint not null,              -- maxStorageGB counts 10^9 bytes
  counted_by text collate "C" not null constraint meters_counted_by_known check (counted_by in ('rows', 'reports')),
  position int not null unique,
  constraint meters_are_counted_one_way unique (name, counted_by));
insert into meters values
  ('members', 'maxMembers', 'seats', 'never', 1, 'rows', 1),
  ('scenarios', 'maxScenarios', 'scenarios', 'never', 1, 'rows', 2),
  ('executions', 'maxExecutionsPerMonth', 'executions', 'month', 1, 'reports', 3),
  ('storageBytes', 'maxStorageGB', 'storage', 'never', 1000000000, 'reports', 4),
  ('integrations', 'maxIntegrations', 'integrations', 'never', 1, 'rows', 5),
  ('webhooks', 'maxWebhooks', 'webhooks', 'never', 1, 'rows', 6),
  ('templates', 'maxTemplates', 'templates', 'never', 1, 'rows', 7);

create table plan_limits (
  plan text collate "C" references plans,
  limit_key text collate "C" references meters (limit_key),
  value bigint constraint plan_limits_not_negative check (value >= 0),           -- null = unlimited
  primary key (plan, limit_key));
insert into plan_limits
select plan, limit_key, value from (values
  ('maxMembers', 5, 25, 1000), ('maxScenarios', 10, 100, 10000), ('maxExecutionsPerMonth', 1000, 10000, 1000000),
  ('maxStorageGB', 1, 10, 1000), ('maxIntegrations', 5, 20, 1000), ('maxWebhooks', 10, 100, 10000),
  ('maxTemplates', 5, 50, 1000)) as l (limit_key, free, pro, enterprise)
cross join lateral (values ('free', free), ('pro', pro), ('enterprise', enterprise), ('custom', null)) as p (plan, value);

-- Organizations that were there before there were plans are not held to the smallest one.
alter table organizations add column plan text collate "C" not null default 'custom'
  constraint organizations_plan_known references plans;
alter table organizations alter column plan set default 'free';
grant update (plan) on organizations to latchkey_platform;

create table limit_overrides (
  organization_id typeid references organizations on delete cascade,
  limit_key text collate "C" references meters (limit_key),
  value bigint constraint limit_overrides_in_range check (value between 0 and 1000000000),   -- null = unlimited
  expires_at timestamptz,
  set_by text not null,
  reason text not null constraint limit_overrides_reason_length check (length(reason) between 1 and 280),
  set_at timestamptz not null default now(),
  primary key (organization_id, limit_key));

create table usage (
  organization_id typeid references organizations on delete cascade,
  meter text collate "C" references meters,
  period_start date,                            -- 0001-01-01 for meters that never reset
  used bigint not null default 0
    constraint usage_used_not_negative check (used >= 0)
    constraint usage_stays_countable check (used <= 9000000000000000),           -- exact in JSON
  reserved bigint not null default 0 constraint usage_reserved_not_negative check (reserved >= 0),
  -- What one transaction gave back: it may take that again, whatever the limit. So who was invited joins an organization
  -- that is full, or above a limit that was lowered since.
  returned bigint not null default 0,
  returned_by xid8,
  returned_at timestamptz,
  primary key (organization_id, meter, period_start)) with (fillfactor = 70);

-- A row exists if and only if it was counted; what it answered is answered again.
create table usage_reports (
  organization_id typeid references organizations on delete cascade,
  idempotency_key text collate "C" constraint usage_reports_key_length check (length(idempotency_key) between 1 and 255),
  meter text collate "C" not null,
  counted_by text collate "C" not null generated always as ('reports') stored,   -- what rows count, nobody reports
  amount bigint not null
    constraint usage_reports_give_back_storage_only check (amount > 0 or meter = 'storageBytes'),
  reported_by text not null,
  reported_at timestamptz not null default now(),
  used bigint,
  reserved bigint,
  limit_units bigint,
  resets_at timestamptz,
  constraint usage_reports_count_once primary key (organization_id, idempotency_key),
  foreign key (meter, counted_by) references meters (name, counted_by));
create index usage_reports_by_time on usage_reports (reported_at);

-- For work that takes time: reserve, then commit or release.
create table usage_reservations (
  id typeid primary key constraint usage_reservations_id_prefix check (starts_with(id, 'rsv_')),
  organization_id typeid not null references organizations on delete cascade,
  meter text collate "C" not null,
  counted_by text collate "C" not null generated always as ('reports') stored,
  amount bigint not null constraint usage_reservations_positive check (amount > 0),
  used bigint not null default 0 constraint usage_reservations_within check (used between 0 and amount),
  status text collate "C" not null default 'reserved'
    constraint usage_reservations_status_known check (status in ('reserved', 'committed', 'released', 'expired')),
  reserved_by text not null,
  reserved_at timestamptz not null default now(),   -- names the month it counts in, even if it ends in the next
  expires_at timestamptz not null,
  ended_at timestamptz,
  constraint usage_reservations_ended_have_a_time check ((status = 'reserved') = (ended_at is null)),
  constraint usage_reservations_use_by_commit check (used = 0 or status = 'committed'),
  foreign key (meter, counted_by) references meters (name, counted_by));
create index usage_reservations_overdue on usage_reservations (expires_at) where status = 'reserved';
create index usage_reservations_held on usage_reservations (organization_id, meter, expires_at) where status = 'reserved';
create index usage_reservations_ended on usage_reservations (ended_at) where status <> 'reserved';

-- Measured over time; what is asked often is never counted from big tables.
create table usage_points (
  organization_id typeid not null references organizations on delete cascade,
  workspace_id typeid,                          -- null: the whole organization
  metric text collate "C" not null
    constraint usage_points_metric_known check (metric in ('members', 'roles', 'checks', 'denials', 'executions', 'storage',
      'seats', 'scenarios', 'integrations', 'webhooks', 'templates')),
  grain text collate "C" not null default 'hour' constraint usage_points_grain_known check (grain in ('hour', 'day')),
  at timestamptz not null,                      -- the beginning of the hour or day, UTC
  value bigint not null,
  constraint usage_points_once unique nulls not distinct (organization_id, workspace_id, metric, grain, at),
  foreign key (organization_id, workspace_id) references workspaces (organization_id, id) on delete cascade
) with (fillfactor = 80);
create index usage_points_by_workspace on usage_points (organization_id, workspace_id) where workspace_id is not null;
create index usage_points_by_time on usage_points (grain, at);

-- An invitation that the database expired, so that it stood in nobody's way, and of which the log does not know yet.
alter table invitations add column unrecorded boolean not null default false;
create index invitations_unrecorded on invitations (id) where unrecorded;

-- Units a meter may reach; null is unlimited, an unknown meter an error.
create function limit_of(organization text, wanted_meter text) returns bigint
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  units bigint;
begin
  select case when v.limit_key is not null then v.value else p.value end * m.units_per_limit into strict units
    from meters m
    join organizations o on o.id = organization
    join plan_limits p on p.plan = o.plan and p.limit_key = m.limit_key
    left join limit_overrides v on v.organization_id = o.id and v.limit_key = m.limit_key
      and (v.expires_at is null or v.expires_at > now())
   where m.name = wanted_meter;
  return units;
end $$;

create function period_of(wanted_meter text, at timestamptz) returns date language sql stable set search_path = public, pg_temp as
  $$ select case resets when 'month' then date_trunc('month', at at time zone 'UTC')::date else date '0001-01-01' end
       from meters where name = wanted_meter $$;

create function resets_at_of(wanted_meter text, at timestamptz) returns timestamptz
language sql stable set search_path = public, pg_temp as
  $$ select case resets when 'month' then (date_trunc('month', at at time zone 'UTC') + interval '1 month') at time zone 'UTC' end
       from meters where name = wanted_meter $$;

-- The one way to count: whoever does not fit finds no row. Giving back is never refused. Only triggers call it.
create function take_usage(organization text, wanted_meter text, to_use bigint, to_reserve bigint default 0,
  at timestamptz default now())
returns void language plpgsql security definer set search_path = public, pg_temp as $$
declare
  growth bigint := to_use + to_reserve;
  period date := period_of(wanted_meter, at);
begin
  if to_use = 0 and to_reserve = 0 then return; end if;
  -- The organization itself is ending, and its usage with it.
  if not exists (select 1 from organizations where id = organization) then return; end if;
  insert into usage (organization_id, meter, period_start) values (organization, wanted_meter, period) on conflict do nothing;
  for attempt in 1..2 loop
    update usage u set used = greatest(u.used + to_use, 0), reserved = greatest(u.reserved + to_reserve, 0),
      returned = greatest(case when (u.returned_by, u.returned_at) = (pg_current_xact_id(), now()) then u.returned else 0 end
        - growth, 0),
      returned_by = pg_current_xact_id(), returned_at = now()
     where u.organization_id = organization and u.meter = wanted_meter and u.period_start = period
       and (growth <= 0
         or coalesce(u.used + u.reserved + growth <= limit_of(organization, wanted_meter), true)
         or (growth <= u.returned and (u.returned_by, u.returned_at) = (pg_current_xact_id(), now())));
    if found then return; end if;
    -- What is over but not yet written down as over stands in nobody's way. What somebody else is ending is left to them:
    -- they wait for the row that is held here.
    if attempt = 1 and wanted_meter = 'members' then
      update invitations set status = 'expired', ended_at = now(), token_hash = null, unrecorded = true, version = version + 1
       where id in (select id from invitations where organization_id = organization and status = 'pending' and expires_at <= now()
                    for update skip locked);
    end if;
    if attempt = 1 then
      update usage_reservations set status = 'expired', ended_at = now()
       where id in (select id from usage_reservations
                     where organization_id = organization and meter = wanted_meter and status = 'reserved' and expires_at <= now()
                       for update skip locked);
    end if;
  end loop;
  raise exception 'limit-reached' using errcode = 'LK001', detail = (
    select jsonb_build_object('key', m.limit_key,
        'value', limit_of(organization, wanted_meter) / m.units_per_limit,
        'used', trim_scale((u.used + u.reserved) / m.units_per_limit::numeric))::text
      from meters m join usage u on u.meter = m.name and u.organization_id = organization and u.period_start = period
     where m.name = wanted_meter);
end $$;

-- Counts rows: `held` says which rows hold a unit.
create function count_rows_of(name text, meter text, held text) returns void language plpgsql as $$
declare
  added text := format('select organization_id, 1 as n from new_rows where %s', held);
  removed text := format('select organization_id, -1 as n from old_rows where %s', held);
  verb text;
begin
  execute format('insert into usage (organization_id, meter, period_start, used)
    select organization_id, %2$L, date ''0001-01-01'', count(*) from %1$I where %3$s group by 1
    on conflict (organization_id, meter, period_start) do update set used = usage.used + excluded.used', name, meter, held);
  foreach verb in array array['insert', 'update', 'delete'] loop
    execute format($f$
      create function count_%1$s_%2$s() returns trigger
      language plpgsql security definer set search_path = public, pg_temp as $body$
      declare whose text; growth bigint;
      begin
        for whose, growth in select c.organization_id, sum(c.n) from (%3$s) c group by 1 having sum(c.n) <> 0 order by 1
        loop perform take_usage(whose, %4$L, growth); end loop;
        return null;
      end $body$;
      create trigger count_%2$s after %2$s on %1$s referencing %5$s for each statement execute function count_%1$s_%2$s()
      $f$, name, verb,
      case verb when 'insert' then added when 'delete' then removed else added || ' union all ' || removed end, meter,
      case verb when 'insert' then 'new table as new_rows' when 'delete' then 'old table as old_rows'
                else 'old table as old_rows new table as new_rows' end);
  end loop;
end $$;
-- Active people hold a seat, and so does a pending invitation; suspended members and services do not.
select count_rows_of('members', 'members', 'status = ''active'' and subject not like ''service:%''');
select count_rows_of('invitations', 'members', 'status = ''pending''');
select count_rows_of('webhooks', 'webhooks', 'true');

-- The use of a meter that resets, over time: added where it is counted, so that the sums agree.
create function add_point(organization text, wanted_meter text, amount bigint, at timestamptz) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into usage_points as p (organization_id, metric, at, value)
  select organization, metric, date_trunc('hour', add_point.at, 'UTC'), amount from meters where name = wanted_meter and resets = 'month'
  on conflict on constraint usage_points_once do update set value = p.value + excluded.value;
end $$;

create function count_report() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform take_usage(new.organization_id, new.meter, new.amount);
  perform add_point(new.organization_id, new.meter, new.amount, now());
  update usage_reports r set used = u.used, reserved = u.reserved, limit_units = limit_of(u.organization_id, u.meter),
      resets_at = resets_at_of(u.meter, now())
    from usage u
   where r.organization_id = new.organization_id and r.idempotency_key = new.idempotency_key
     and u.organization_id = new.organization_id and u.meter = new.meter and u.period_start = period_of(new.meter, now());
  return null;
end $$;
create trigger count_report after insert on usage_reports for each row execute function count_report();

create function move_reservation() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'INSERT' then perform take_usage(new.organization_id, new.meter, 0, new.amount, new.reserved_at);
  elsif old.status <> 'reserved' then raise exception 'reservation-ended' using errcode = 'LK009';
  elsif new.status <> 'reserved' then
    perform take_usage(new.organization_id, new.meter, new.used, -old.amount, old.reserved_at);
    if new.used > 0 then perform add_point(new.organization_id, new.meter, new.used, old.reserved_at); end if;
  end if;
  return null;
end $$;
create trigger move_reservation after insert or update of status, used on usage_reservations
  for each row execute function move_reservation();

do $$ declare name text; begin
  foreach name in array array['limit_overrides', 'usage', 'usage_reports', 'usage_reservations', 'usage_points'] loop
    perform protect_rows(name, case when name in ('usage_reports', 'usage_reservations')
      then 'organization_id = current_organization()' else 'false' end, 'organization_id = current_organization()');
  end loop;
end $$;
grant select on plans, meters, plan_limits, limit_overrides, usage, usage_points, usage_reports, usage_reservations
  to latchkey_app, latchkey_platform;
grant insert (organization_id, idempotency_key, meter, amount, reported_by) on usage_reports to latchkey_app;
grant delete on usage_reports, usage_reservations to latchkey_platform;
grant insert (id, organization_id, meter, amount, reserved_by, expires_at) on usage_reservations to latchkey_app;
grant update (status, used, ended_at) on usage_reservations to latchkey_app, latchkey_platform;
grant insert, update, delete on limit_overrides, usage_points to latchkey_platform;
-- They would reach every organization; triggers run as their owner.
revoke execute on function limit_of, take_usage, add_point from public;
