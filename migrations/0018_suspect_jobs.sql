-- A job that kills the process which runs it takes along whatever that process held. So that only the culprit ends dead:
-- a job that lost a worker before says when it begins (begun_fence), such jobs begin one after another in a process, and
-- from the second loss on only those that had begun are counted.
alter table jobs add column begun_fence int not null default 0;

-- Jobs whose worker was not heard of in time are run again. One that lost so many workers is dead, unless a second one
-- that did so was lost with it: then it is not known which of them it was, and they are run again at different times.
create or replace function sweep_jobs(losses_max int) returns int
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
declare
  lost jsonb;
begin
  with expired as (
    select id, fence, worker_id, losses, losses = 0 or begun_fence = fence as counted
      from jobs where state = 'running' and lease_until < clock_timestamp() limit 1000 for update skip locked
  ), judged as (
    select *, counted and losses + 1 >= losses_max as accused,
      count(*) filter (where counted and losses + 1 >= losses_max) over (partition by worker_id) as accused_together
      from expired
  )
  select jsonb_agg(jsonb_build_object('id', id, 'fence', fence,
      'outcome', case when counted then 'lost' else 'released' end,
      'state', case when accused and (accused_together = 1 or losses + 1 >= 4 * losses_max) then 'dead' else 'ready' end,
      'delay_ms', case when counted and losses > 0 then floor(random() * 1000 * 2 ^ least(losses, 10)) else 0 end,
      'error', 'worker ' || worker_id || ' was not heard of any more')) into lost from judged;
  return case when lost is null then 0 else (select count(*) from put_back_jobs(lost)) end;
end $$;

-- As before, and the messages come in the order in which they shall run: the first of each organization, the second of
-- each, and so on. What carries them keeps it.
create or replace function dispatch_jobs(which text, ahead int, how text, until_ms int) returns table (id typeid, fence int)
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  picked text[];
begin
  select array_agg(job_id::text order by rank, place) into picked from (
    select job_id, place, row_number() over (partition by whose order by place) as rank
      from pick_jobs(which, ahead - (select count(*) from jobs
        where queue = which and state = 'ready' and dispatched_until > clock_timestamp())::int)
      with ordinality as p (job_id, whose, place)) ranked;
  if picked is null then return; end if;
  return query with told as (
    update jobs j set dispatched_until = clock_timestamp() + until_ms * interval '1 ms', executor = how
     where j.id = any (picked) returning j.id, j.fence)
  select told.id, told.fence from told order by array_position(picked, told.id::text);
end $$;

-- As before, except that a look which begins in the middle goes on at the beginning: with more than 256 organizations all
-- are looked at equally often, and among equals the look decides, not the name. (It ended at the last one, so the few after the 256th had every second look for themselves.)
create or replace function pick_jobs(which text, wanted int) returns table (job_id typeid, whose text)
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set enable_bitmapscan = off
set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  q job_queues;
  seen int;
  last_seen text;
  picked typeid[];
  tenants text[];
  moment timestamptz;
begin
  perform pg_advisory_xact_lock(hashtextextended('latchkey jobs ' || which, 0));
  moment := clock_timestamp();
  select * into q from job_queues where queue = which;
  if q.paused or wanted < 1 then return; end if;

  update jobs set state = 'ready' where id in (
    select id from jobs where queue = which and state = 'scheduled' and run_at <= moment
     order by run_at limit 500 for update skip locked);

  with recursive waiting (tenant, n, wrapped) as (
    select f.tenant, 1, f.tenant <= q.scan_after from (select coalesce(
      (select tenant from jobs where queue = which and state = 'ready' and tenant > q.scan_after order by tenant limit 1),
      (select tenant from jobs where queue = which and state = 'ready' order by tenant limit 1)) as tenant) f
    union all
    select s.tenant, n + 1, wrapped or s.tenant <= w.tenant
      from waiting w cross join lateral (select coalesce(
        (select j.tenant from jobs j where j.queue = which and j.state = 'ready' and j.tenant > w.tenant
            and j.tenant <= case when w.wrapped then q.scan_after else '~' end order by j.tenant limit 1),
        case when not w.wrapped and q.scan_after <> '' then (
          select j.tenant from jobs j where j.queue = which and j.state = 'ready' and j.tenant <= q.scan_after
           order by j.tenant limit 1) end) as tenant) s
     where w.tenant is not null and n < 256
  ), candidates as (
    select w.tenant, w.n as place, greatest(coalesce(t.turn, 0), q.virtual_time) as turn, coalesce(t.weight, 1) as weight,
      least(wanted,
        case when t.running_max is not null then t.running_max
          - (select count(*) from jobs r where r.queue = which and r.tenant = w.tenant and r.state = 'running')
          - (select count(*) from jobs d where d.queue = which and d.tenant = w.tenant and d.state = 'ready'
               and d.dispatched_until > moment) end,
        floor(least(t.rate_per_minute, coalesce(t.tokens, t.rate_per_minute)
          + extract(epoch from moment - t.tokens_at) * t.rate_per_minute / 60)))::int as room
      from waiting w
      left join job_turns t on t.queue = which and t.tenant = w.tenant
      left join organizations o on o.id = w.tenant
     where w.tenant is not null and coalesce(o.status, 'active') in ('active', 'read_only')
       and exists (select 1 from jobs j where j.queue = which and j.tenant = w.tenant and j.state = 'ready'
         and (j.dispatched_until is null or j.dispatched_until <= moment)
         and (j.exclusive_key is null or not exists (select 1 from jobs r where r.queue = which
           and r.exclusive_key = j.exclusive_key
           and (r.state = 'running' or (r.state = 'ready' and r.dispatched_until > moment)))))
  ), chosen as (
    select *, ceil(wanted * weight::numeric / sum(weight) over ()) as share
      from (select * from candidates where room > 0 order by turn, place limit 8) lowest
  ), taken as (
    select j.id, c.tenant, c.turn, j.priority,
      row_number() over (partition by j.exclusive_key order by c.turn, c.tenant, j.priority, j.id) as of_its_key, j.exclusive_key
      from chosen c cross join lateral (
        select id, priority, exclusive_key from jobs j
         where j.queue = which and j.tenant = c.tenant and j.state = 'ready'
           and (j.dispatched_until is null or j.dispatched_until <= moment)
           and (j.exclusive_key is null or not exists (select 1 from jobs r where r.queue = which
             and r.exclusive_key = j.exclusive_key
             and (r.state = 'running' or (r.state = 'ready' and r.dispatched_until > moment))))
         order by priority, id limit least(c.room, c.share) for update skip locked) j
  ), first as (
    select * from taken where exclusive_key is null or of_its_key = 1 order by turn, tenant, priority, id limit wanted
  ), charged as (
    -- Alone in the queue and without a rate, nobody needs a turn.
    insert into job_turns as t (queue, tenant, turn, tokens, tokens_at)
    select which, f.tenant, f.turn + count(*)::float8 / c.weight, null, moment
      from first f join chosen c using (tenant)
     where (select count(*) from candidates) > 1 or exists (
       select 1 from job_turns u where u.queue = which and u.tenant = f.tenant and u.rate_per_minute is not null)
     group by f.tenant, f.turn, c.weight order by f.tenant
    on conflict (queue, tenant) do update set turn = excluded.turn,
      tokens = case when t.rate_per_minute is not null then
        least(t.rate_per_minute, coalesce(t.tokens, t.rate_per_minute)
          + coalesce(extract(epoch from moment - t.tokens_at), 0) * t.rate_per_minute / 60)
        - (select count(*) from first f where f.tenant = t.tenant) end,
      tokens_at = moment
  ), clock as (
    update job_queues set
      virtual_time = greatest(virtual_time, coalesce((select min(turn) from first), 0)),
      scan_after = case when (select max(n) from waiting where tenant is not null) >= 256
                        then (select tenant from waiting where n = 256) else '' end
     where queue = which and (
       virtual_time < (select min(turn) from first)
       or scan_after <> case when (select max(n) from waiting where tenant is not null) >= 256
                             then (select tenant from waiting where n = 256) else '' end)
  )
  select array_agg(id order by turn, tenant, priority, id), array_agg(tenant order by turn, tenant, priority, id)
    into picked, tenants from first;
  return query select * from unnest(picked, tenants);
end $$;
