-- Jobs. The row is the only truth: it commits with the change it belongs to, and whatever carries it to a worker (memory,
-- Redis, a queue of the edge) holds no more than its id and fence. A job that has ended leaves this table.

create table job_queues (
  queue text collate "C" primary key,
  paused boolean not null default false,
  slots_min int not null default 1 constraint job_queues_slots_min check (slots_min between 0 and 1000),
  slots_max int not null constraint job_queues_slots_max check (slots_max between 1 and 1000),
  -- Where the turns of this queue stand (start-time fair queueing) and where the next look at organizations begins.
  virtual_time double precision not null default 0,
  scan_after text collate "C" not null default '',
  version int not null default 1,
  updated_at timestamptz not null default now(),
  constraint job_queues_slots_ordered check (slots_min <= slots_max)
) with (fillfactor = 50);
insert into job_queues (queue, slots_min, slots_max) values
  ('security', 2, 20), ('default', 1, 20), ('email', 1, 20), ('webhook', 1, 50), ('audit', 1, 5), ('maintenance', 1, 5),
  ('analytics', 0, 5);

create table jobs (
  id typeid primary key constraint jobs_id_prefix check (starts_with(id, 'job_')),
  queue text collate "C" not null constraint jobs_queue_known references job_queues,
  name text collate "C" not null constraint jobs_name_form check (name ~ '^[a-z][a-z0-9.-]{0,99}$'),
  name_version int not null default 1,
  -- No foreign key: when an organization ends, its jobs are canceled, not lost (end_jobs_of_the_organization).
  organization_id typeid,
  tenant text collate "C" not null generated always as (coalesce(organization_id::text, 'platform')) stored,
  workspace_id typeid,
  actor jsonb,                                  -- in whose name it runs; null: in the server's own
  permission text,                              -- decided again when it starts
  state text collate "C" not null default 'ready'
    constraint jobs_state_known check (state in ('scheduled', 'ready', 'running', 'dead', 'parked')),
  priority smallint not null default 5 constraint jobs_priority_range check (priority between 0 and 9),
  run_at timestamptz not null default clock_timestamp(),
  payload jsonb not null constraint jobs_payload_size check (octet_length(payload::text) <= 65536),
  dedup_key text collate "C" constraint jobs_dedup_key_length check (octet_length(dedup_key) between 1 and 200),
  exclusive_key text collate "C",               -- of one queue and key, one runs at a time
  attempts int not null default 0,              -- runs that failed
  attempts_max int not null constraint jobs_attempts_max_range check (attempts_max between 1 and 100),
  deliveries int not null default 0,            -- starts
  losses int not null default 0,                -- starts whose worker was never heard of again
  timeout_ms int not null constraint jobs_timeout_range check (timeout_ms between 100 and 86400000),
  fence int not null default 0,                 -- raised at each start; whoever holds an older one can finish nothing
  lease_until timestamptz,
  dispatched_until timestamptz,                 -- an executor was told; after that it is told again
  executor text collate "C",
  worker_id text collate "C",
  progress jsonb,
  error text,
  reason text,                                  -- why it is parked
  revision text,
  request_id text,
  created_at timestamptz not null default clock_timestamp(),
  started_at timestamptz,
  constraint jobs_running_has_a_lease check ((state = 'running') = (lease_until is not null))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);
create index jobs_ready on jobs (queue, tenant, priority, id) where state = 'ready';
create index jobs_dispatched on jobs (queue, tenant) where state = 'ready' and dispatched_until is not null;
create index jobs_scheduled on jobs (queue, run_at) where state = 'scheduled';
create index jobs_running on jobs (queue, tenant) where state = 'running';
create index jobs_exclusive on jobs (queue, exclusive_key) where exclusive_key is not null;
create index jobs_stopped on jobs (queue, state, id) where state in ('dead', 'parked');
create index jobs_by_organization on jobs (organization_id, id) where organization_id is not null;
create unique index jobs_dedup on jobs (queue, organization_id, dedup_key) nulls not distinct
  where dedup_key is not null and state <> 'dead';

-- What has ended, by the day it ended; a day is dropped whole.
create table finished_jobs (
  id typeid not null, queue text collate "C" not null, name text collate "C" not null, name_version int not null,
  organization_id typeid, tenant text collate "C" not null, workspace_id typeid, actor jsonb, permission text,
  state text collate "C" not null constraint finished_jobs_state_known check (state in ('done', 'canceled', 'dead')),
  priority smallint not null, run_at timestamptz not null, payload jsonb not null, dedup_key text collate "C",
  exclusive_key text collate "C", attempts int not null, attempts_max int not null, deliveries int not null,
  losses int not null, timeout_ms int not null, fence int not null, executor text collate "C", worker_id text collate "C",
  progress jsonb, result jsonb, error text, reason text, revision text, request_id text,
  created_at timestamptz not null, started_at timestamptz, finished_at timestamptz not null default clock_timestamp()
) partition by range (finished_at);
create table finished_jobs_other partition of finished_jobs default;
create index finished_jobs_by_id on finished_jobs (id);
create index finished_jobs_by_organization on finished_jobs (organization_id, id) where organization_id is not null;

-- One row for each run that ended, well or badly.
create table job_attempts (
  job_id typeid not null, fence int not null, organization_id typeid, worker_id text collate "C",
  started_at timestamptz, ended_at timestamptz not null default clock_timestamp(),
  outcome text collate "C" not null constraint job_attempts_outcome_known
    check (outcome in ('done', 'failed', 'timed-out', 'lost', 'postponed', 'released', 'canceled')),
  error text
) partition by range (ended_at);
create table job_attempts_other partition of job_attempts default;
create index job_attempts_by_job on job_attempts (job_id, fence);

-- An effect that was made, in the transaction that made it: a second run finds the key and does nothing.
create table job_effects (
  key text collate "C" primary key,
  job_id typeid not null,
  at timestamptz not null default clock_timestamp());
create index job_effects_by_time on job_effects (at);

-- Whose turn it is: stride scheduling over the organizations of a queue, with their limits.
create table job_turns (
  queue text collate "C" not null references job_queues,
  tenant text collate "C" not null,
  turn double precision not null default 0,
  weight int constraint job_turns_weight_range check (weight between 1 and 1000),
  running_max int constraint job_turns_running_max_range check (running_max between 1 and 1000),
  rate_per_minute int constraint job_turns_rate_range check (rate_per_minute between 1 and 1000000),
  tokens double precision,
  tokens_at timestamptz,
  version int not null default 1,
  primary key (queue, tenant)
) with (fillfactor = 50);

create table job_schedules (
  name text collate "C" primary key constraint job_schedules_name_form check (name ~ '^[a-z][a-z0-9.-]{0,99}$'),
  queue text collate "C" not null references job_queues,
  job text collate "C" not null,
  cron text not null,
  zone text not null default 'UTC',
  payload jsonb not null default '{}',
  misfire text not null default 'once' constraint job_schedules_misfire_known check (misfire in ('skip', 'once', 'all')),
  enabled boolean not null default true,
  built_in boolean not null default false,
  seen_until timestamptz not null default clock_timestamp(),   -- slots up to here are decided
  version int not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now());
create table job_slots (
  schedule text collate "C" not null references job_schedules on delete cascade,
  slot timestamptz not null,
  job_id typeid,
  primary key (schedule, slot));

create table job_workers (
  id text collate "C" primary key,
  runtime text not null, version text not null, queues jsonb not null, started_at timestamptz not null,
  seen_at timestamptz not null default clock_timestamp());

-- Leadership is a row with an end and a fence, never a session's lock: a pooler may share sessions.
create table leases (
  name text collate "C" primary key,
  holder text not null,
  fence bigint not null default 1,
  until timestamptz not null);

-- The books. Each connection writes rows of its own (shard), so that nobody waits for anybody; they are added up later.
create table job_minutes (
  queue text collate "C" not null, tenant text collate "C" not null, minute timestamptz not null, shard int not null,
  added bigint not null default 0, started bigint not null default 0, done bigint not null default 0,
  failed bigint not null default 0, died bigint not null default 0, redriven bigint not null default 0,
  canceled bigint not null default 0, buried bigint not null default 0, deleted bigint not null default 0,
  wait_ms bigint not null default 0, run_ms bigint not null default 0,
  wait_buckets bigint[] not null default array_fill(0::bigint, array[12]),
  run_buckets bigint[] not null default array_fill(0::bigint, array[12]),
  primary key (tenant, queue, minute, shard)
) with (fillfactor = 50);
create index job_minutes_by_minute on job_minutes (minute);

-- Milliseconds at which the histograms' buckets end; the twelfth has no end.
create function job_bucket(ms double precision) returns int language sql immutable parallel safe as
  $$ select width_bucket(ms, array[10, 30, 100, 300, 1000, 3000, 10000, 30000, 60000, 300000, 3600000]::double precision[]) + 1 $$;
create function job_histogram(buckets int[]) returns bigint[] language sql immutable parallel safe as
  $$ select array_agg((select count(*) from unnest(buckets) b where b = n) order by n) from generate_series(1, 12) n $$;
create function add_counts(a bigint[], b bigint[]) returns bigint[] language sql immutable parallel safe as
  $$ select array_agg(coalesce(x, 0) + coalesce(y, 0) order by n) from unnest(a, b) with ordinality as t(x, y, n) $$;

create function count_added_jobs() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into job_minutes as m (queue, tenant, minute, shard, added)
  select queue, tenant, date_trunc('minute', clock_timestamp()), pg_backend_pid(), count(*) from new_rows group by 1, 2
  on conflict (tenant, queue, minute, shard) do update set added = m.added + excluded.added;
  return null;
end $$;
create trigger count_added after insert on jobs referencing new table as new_rows
  for each statement execute function count_added_jobs();

create function count_finished_jobs() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into job_minutes as m (queue, tenant, minute, shard, done, canceled, buried, run_ms, run_buckets)
  select queue, tenant, date_trunc('minute', clock_timestamp()), pg_backend_pid(),
    count(*) filter (where state = 'done'), count(*) filter (where state = 'canceled'), count(*) filter (where state = 'dead'),
    coalesce(sum(extract(epoch from finished_at - started_at) * 1000) filter (where state = 'done'), 0),
    job_histogram(array_agg(job_bucket(extract(epoch from finished_at - started_at) * 1000)) filter (where state = 'done'))
    from new_rows group by 1, 2
  on conflict (tenant, queue, minute, shard) do update set done = m.done + excluded.done,
    canceled = m.canceled + excluded.canceled, buried = m.buried + excluded.buried, run_ms = m.run_ms + excluded.run_ms,
    run_buckets = add_counts(m.run_buckets, excluded.run_buckets);
  return null;
end $$;
create trigger count_finished after insert on finished_jobs referencing new table as new_rows
  for each statement execute function count_finished_jobs();

-- Chooses whose jobs are next in a queue: up to eight organizations with the lowest turn, jobs of each in proportion to its
-- weight, within its limits. Claims of one queue follow one another (the lock ends with the transaction), so limits and
-- turns are exact. Cost does not grow with the backlog: every step is a probe of a partial index.
create function pick_jobs(which text, wanted int) returns table (job_id typeid, whose text)
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

  with recursive waiting (tenant, n) as (
    (select tenant, 1 from jobs where queue = which and state = 'ready' and tenant > q.scan_after order by tenant limit 1)
    union all
    select (select j.tenant from jobs j where j.queue = which and j.state = 'ready' and j.tenant > w.tenant
             order by j.tenant limit 1), n + 1
      from waiting w where w.tenant is not null and n < 256
  ), candidates as (
    select w.tenant, greatest(coalesce(t.turn, 0), q.virtual_time) as turn, coalesce(t.weight, 1) as weight,
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
      from (select * from candidates where room > 0 order by turn, tenant limit 8) lowest
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
                        then (select max(tenant) from waiting) else '' end
     where queue = which and (
       virtual_time < (select min(turn) from first)
       or scan_after <> case when (select max(n) from waiting where tenant is not null) >= 256
                             then (select max(tenant) from waiting) else '' end)
  )
  select array_agg(id order by turn, tenant, priority, id), array_agg(tenant order by turn, tenant, priority, id)
    into picked, tenants from first;
  return query select * from unnest(picked, tenants);
end $$;

-- Takes jobs for a worker that runs them itself.
create function claim_jobs(which text, wanted int, worker text, how text, lease_ms int) returns setof jobs
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  picked typeid[];
begin
  select array_agg(job_id) into picked from pick_jobs(which, wanted);
  if picked is null then return; end if;
  return query select * from start_jobs(
    (select jsonb_agg(jsonb_build_object('id', p)) from unnest(picked) p), worker, how, lease_ms);
end $$;

-- Tells which jobs an executor may be told of next. Until the given time nobody else is told.
-- At most `ahead` are told and not started, in the whole queue: what is told cannot be reordered any more.
create function dispatch_jobs(which text, ahead int, how text, until_ms int) returns table (id typeid, fence int)
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  picked typeid[];
begin
  select array_agg(job_id) into picked from pick_jobs(which, ahead -
    (select count(*) from jobs where queue = which and state = 'ready' and dispatched_until > clock_timestamp())::int);
  if picked is null then return; end if;
  return query update jobs j set dispatched_until = clock_timestamp() + until_ms * interval '1 ms', executor = how
    where j.id = any (picked) returning j.id, j.fence;
end $$;

-- Starts jobs: those just picked (no fences), or those an executor brings, if nobody else started them.
create function start_jobs(given jsonb, worker text, how text, lease_ms int) returns setof jobs
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query with mine as (
    update jobs j set state = 'running', fence = j.fence + 1, deliveries = j.deliveries + 1,
      lease_until = clock_timestamp() + lease_ms * interval '1 ms', dispatched_until = null,
      worker_id = worker, executor = how, started_at = clock_timestamp()
     from jsonb_to_recordset(given) as g (id text, fence int)
    where j.id = g.id and j.state = 'ready' and (g.fence is null or g.fence = j.fence)
    returning j.*
  ), counted as (
    insert into job_minutes as m (queue, tenant, minute, shard, started, wait_ms, wait_buckets)
    select queue, tenant, date_trunc('minute', clock_timestamp()), pg_backend_pid(), count(*),
      sum(extract(epoch from started_at - greatest(created_at, run_at)) * 1000),
      job_histogram(array_agg(job_bucket(extract(epoch from started_at - greatest(created_at, run_at)) * 1000)))
      from mine group by 1, 2
    on conflict (tenant, queue, minute, shard) do update set started = m.started + excluded.started,
      wait_ms = m.wait_ms + excluded.wait_ms, wait_buckets = add_counts(m.wait_buckets, excluded.wait_buckets)
  )
  select * from mine;
end $$;

-- Each takes what it shall do as an array of objects.
-- Ends running jobs as done or canceled; answers those that were still the caller's to end.
create function finish_jobs(given jsonb) returns setof typeid
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query with gone as (
    delete from jobs j using jsonb_to_recordset(given) as g (id text, fence int, state text, result jsonb, reason text)
     where j.id = g.id and j.fence = g.fence and j.state = 'running'
    returning j.*, g.state as ended_as, g.result as result, g.reason as why
  ), kept as (
    insert into finished_jobs (id, queue, name, name_version, organization_id, tenant, workspace_id, actor, permission, state,
      priority, run_at, payload, dedup_key, exclusive_key, attempts, attempts_max, deliveries, losses, timeout_ms, fence,
      executor, worker_id, progress, result, error, reason, revision, request_id, created_at, started_at)
    select id, queue, name, name_version, organization_id, tenant, workspace_id, actor, permission, ended_as,
      priority, run_at, payload, dedup_key, exclusive_key, attempts, attempts_max, deliveries, losses, timeout_ms, fence,
      executor, worker_id, progress, result, error, why, revision, request_id, created_at, started_at from gone
  ), attempted as (
    insert into job_attempts (job_id, fence, organization_id, worker_id, started_at, outcome, error)
    select id, fence, organization_id, worker_id, started_at, ended_as, why from gone
  )
  select id from gone;
end $$;

-- Puts running jobs back: to be tried again, dead, parked or merely released.
create function put_back_jobs(given jsonb) returns setof typeid language plpgsql set search_path = public, pg_temp set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query with back as (
    update jobs j set
      state = case when g.state = 'ready' and g.delay_ms > 0 then 'scheduled' else g.state end,
      run_at = case when g.delay_ms > 0 then clock_timestamp() + g.delay_ms * interval '1 ms' else j.run_at end,
      attempts = j.attempts + (g.outcome in ('failed', 'timed-out'))::int,
      losses = case when g.outcome = 'lost' then j.losses + 1 else j.losses end,
      error = coalesce(g.error, j.error), reason = case when g.state = 'parked' then g.error end, lease_until = null
     from jsonb_to_recordset(given) as g (id text, fence int, state text, outcome text, delay_ms bigint, error text)
    where j.id = g.id and j.fence = g.fence and j.state = 'running'
    returning j.*, g.outcome, g.error as why
  ), attempted as (
    insert into job_attempts (job_id, fence, organization_id, worker_id, started_at, outcome, error)
    select id, fence, organization_id, worker_id, started_at, outcome, why from back
  ), counted as (
    insert into job_minutes as m (queue, tenant, minute, shard, failed, died)
    select queue, tenant, date_trunc('minute', clock_timestamp()), pg_backend_pid(),
      count(*) filter (where outcome in ('failed', 'timed-out', 'lost')), count(*) filter (where state = 'dead')
      from back group by 1, 2
    on conflict (tenant, queue, minute, shard) do update set failed = m.failed + excluded.failed, died = m.died + excluded.died
  )
  select id from back;
end $$;

-- Cancels jobs that have not ended, running or not; answers what was canceled.
create function cancel_jobs(ids text[], why text) returns setof typeid
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query with gone as (
    delete from jobs j where j.id = any (ids) returning j.*
  ), kept as (
    insert into finished_jobs (id, queue, name, name_version, organization_id, tenant, workspace_id, actor, permission, state,
      priority, run_at, payload, dedup_key, exclusive_key, attempts, attempts_max, deliveries, losses, timeout_ms, fence,
      executor, worker_id, progress, error, reason, revision, request_id, created_at, started_at)
    select id, queue, name, name_version, organization_id, tenant, workspace_id, actor, permission, 'canceled',
      priority, run_at, payload, dedup_key, exclusive_key, attempts, attempts_max, deliveries, losses, timeout_ms, fence,
      executor, worker_id, progress, error, why, revision, request_id, created_at, started_at from gone
  ), attempted as (
    insert into job_attempts (job_id, fence, organization_id, worker_id, started_at, outcome, error)
    select id, fence, organization_id, worker_id, started_at, 'canceled', why from gone where state = 'running'
  )
  select id from gone;
end $$;

-- Jobs whose worker was not heard of in time are run again; those that lost three workers kill what runs them.
create function sweep_jobs(losses_max int) returns int
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
declare
  lost jsonb;
begin
  select jsonb_agg(jsonb_build_object('id', id, 'fence', fence, 'outcome', 'lost', 'delay_ms', 0,
      'state', case when losses + 1 >= losses_max then 'dead' else 'ready' end,
      'error', 'worker ' || worker_id || ' was not heard of any more')) into lost
    from (select * from jobs where state = 'running' and lease_until < clock_timestamp()
           limit 1000 for update skip locked) expired;
  return case when lost is null then 0 else (select count(*) from put_back_jobs(lost)) end;
end $$;

-- Signs of life: answers which jobs are still the worker's.
create function keep_jobs(given jsonb, lease_ms int) returns setof typeid
language sql set search_path = public, pg_temp set enable_seqscan = off as $$
  update jobs j set lease_until = clock_timestamp() + lease_ms * interval '1 ms'
   from jsonb_to_recordset(given) as g (id text, fence int)
  where j.id = g.id and j.fence = g.fence and j.state = 'running' returning j.id $$;

-- True once per effect, false ever after; null when the job is not the caller's any more. With its owner's rights: an
-- effect may be made inside an organization in which the job itself cannot be seen.
create function claim_effect(job text, held_fence int, effect text) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform 1 from jobs where id = job and fence = held_fence and state = 'running';
  if not found then return null; end if;
  insert into job_effects (key, job_id) values (effect, job) on conflict do nothing;
  return found;
end $$;

-- An organization's end cancels its jobs: they are accounted for, like every other.
create function end_jobs_of_the_organization() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform cancel_jobs(array(select j.id::text from jobs j where j.organization_id = old.id), 'the organization was deleted');
  delete from job_turns where tenant = old.id;
  return null;
end $$;
create trigger end_jobs after delete on organizations for each row execute function end_jobs_of_the_organization();

-- A table for each of the coming days. What is late lands in the default partition and is deleted there by time.
create function create_job_partitions(days_ahead int) returns void
language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '2s' as $$
declare
  day date;
  parent text;
begin
  foreach parent in array array['finished_jobs', 'job_attempts'] loop
    for day in select generate_series(current_date, current_date + days_ahead, interval '1 day')::date loop
      begin
        if to_regclass(format('%s_%s', parent, to_char(day, 'YYYYMMDD'))) is null then
          execute format('create table %I partition of %I for values from (%L) to (%L)',
            parent || '_' || to_char(day, 'YYYYMMDD'), parent, day, day + 1);
        end if;
      exception when check_violation or duplicate_table or lock_not_available then null;   -- the default partition serves
      end;
    end loop;
  end loop;
end $$;
create function drop_job_partitions(before date) returns int
language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '2s' as $$
declare
  child text;
  dropped int := 0;
begin
  for child in select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent in ('finished_jobs'::regclass, 'job_attempts'::regclass) and c.relname ~ '_\d{8}$'
      and to_date(right(c.relname, 8), 'YYYYMMDD') < before loop
    begin
      execute format('drop table %I', child);
      dropped := dropped + 1;
    exception when lock_not_available then null;   -- somebody reads it; the next run drops it
    end;
  end loop;
  delete from finished_jobs_other where finished_at < before;
  delete from job_attempts_other where ended_at < before;
  return dropped;
end $$;
select create_job_partitions(3);

select protect_rows('jobs', 'organization_id = current_organization()');
select protect_rows('finished_jobs', 'organization_id = current_organization()');
select protect_rows('job_attempts', 'organization_id = current_organization()');
select protect_rows('job_turns', 'false', 'tenant = current_organization()');
select protect_rows('job_minutes', 'false', 'tenant = current_organization()');
grant select, insert, update, delete on jobs to latchkey_app, latchkey_platform;
grant select, insert on finished_jobs, job_attempts to latchkey_app;
grant select, insert, delete on finished_jobs, job_attempts to latchkey_platform;
grant select, delete on job_effects to latchkey_platform;
grant select on job_turns, job_minutes to latchkey_app;
grant select, insert, update, delete on job_queues, job_turns, job_schedules, job_slots, job_workers, leases, job_minutes
  to latchkey_platform;
revoke execute on function create_job_partitions, drop_job_partitions from public;
grant execute on function create_job_partitions, drop_job_partitions to latchkey_platform;
