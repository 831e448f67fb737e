-- Counting is part of every change that adds or removes something. The period was planned anew on each call (a function in SQL
-- with a search path of its own is never inlined), and a row of the usage that is there already was inserted once more.
create or replace function period_of(wanted_meter text, at timestamptz) returns date
language plpgsql stable set search_path = public, pg_temp as $$
declare
  is_monthly boolean;
begin
  select resets = 'month' into is_monthly from meters where name = wanted_meter;
  return case when is_monthly then date_trunc('month', at at time zone 'UTC')::date when not is_monthly then date '0001-01-01' end;
end $$;

create or replace function take_usage(organization text, wanted_meter text, to_use bigint, to_reserve bigint default 0,
  at timestamptz default now())
returns void language plpgsql security definer set search_path = public, pg_temp as $$
declare
  growth bigint := to_use + to_reserve;
  period date := period_of(wanted_meter, at);
begin
  if to_use = 0 and to_reserve = 0 then return; end if;
  -- The organization itself is ending, and its usage with it.
  if not exists (select 1 from organizations where id = organization) then return; end if;
  for attempt in 0..2 loop
    update usage u set used = greatest(u.used + to_use, 0), reserved = greatest(u.reserved + to_reserve, 0),
      returned = greatest(case when (u.returned_by, u.returned_at) = (pg_current_xact_id(), now()) then u.returned else 0 end
        - growth, 0),
      returned_by = pg_current_xact_id(), returned_at = now()
     where u.organization_id = organization and u.meter = wanted_meter and u.period_start = period
       and (growth <= 0
         or coalesce(u.used + u.reserved + growth <= limit_of(organization, wanted_meter), true)
         or (growth <= u.returned and (u.returned_by, u.returned_at) = (pg_current_xact_id(), now())));
    if found then return; end if;
    if attempt = 0 then
      insert into usage (organization_id, meter, period_start) values (organization, wanted_meter, period)
        on conflict do nothing;
    end if;
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
