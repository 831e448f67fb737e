-- What operators do with jobs by hand, and what keeps the books small and true.

create aggregate sum_counts (bigint[]) (sfunc = add_counts, stype = bigint[], initcond = '{}');

-- Counts as the table's owner does: an organization's own role may see its books, not write them.
create function count_redriven_jobs(given jsonb) returns void
language sql security definer set search_path = public, pg_temp as $$
  insert into job_minutes as m (queue, tenant, minute, shard, redriven)
  select queue, tenant, date_trunc('minute', clock_timestamp()), pg_backend_pid(), sum(n)
    from jsonb_to_recordset(given) as g (queue text, tenant text, n bigint)
   where tenant = coalesce(current_organization(), tenant) group by 1, 2
  on conflict (tenant, queue, minute, shard) do update set redriven = m.redriven + excluded.redriven $$;
revoke execute on function count_redriven_jobs from public;
grant execute on function count_redriven_jobs to latchkey_app, latchkey_platform;

-- Dead and parked jobs are ready again, with all their attempts before them. Of a dedup key only one job may wait, so a
-- dead one stays where it is while another with its key is there.
create function redrive_jobs(ids text[]) returns table (job_id typeid, whose_queue text)
language plpgsql set search_path = public, pg_temp set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query with stopped as (
    select id, row_number() over (partition by queue, organization_id, dedup_key, state order by id) as of_its_key,
      state = 'dead' and dedup_key is not null as may_have_a_twin
      from jobs d where d.id = any (ids) and d.state in ('dead', 'parked')
       and (d.state = 'parked' or d.dedup_key is null or not exists (select 1 from jobs twin
         where twin.queue = d.queue and twin.organization_id is not distinct from d.organization_id
           and twin.dedup_key = d.dedup_key and twin.state <> 'dead'))
  ), back as (
    update jobs j set state = 'ready', attempts = 0, losses = 0, reason = null, run_at = clock_timestamp(),
      dispatched_until = null
     from stopped s where j.id = s.id and j.state in ('dead', 'parked') and (not s.may_have_a_twin or s.of_its_key = 1)
    returning j.id, j.queue, j.tenant
  ), counted as (
    select count_redriven_jobs(jsonb_agg(jsonb_build_object('queue', queue, 'tenant', tenant, 'n', n)))
      from (select queue, tenant, count(*) as n from back group by 1, 2) sums
  )
  select back.id, back.queue from back cross join counted;
end $$;

-- Deletes jobs that do not run, with what is known of their runs. What had ended was counted when it ended.
create function delete_jobs(ids text[]) returns setof typeid
language plpgsql set search_path = public, pg_temp set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query with waiting as (
    delete from jobs j where j.id = any (ids) and j.state <> 'running' returning j.id, j.queue, j.tenant
  ), ended as (
    delete from finished_jobs f where f.id = any (ids) returning f.id
  ), gone as (
    select id from waiting union all select id from ended
  ), counted as (
    insert into job_minutes as m (queue, tenant, minute, shard, deleted)
    select queue, tenant, date_trunc('minute', clock_timestamp()), pg_backend_pid(), count(*) from waiting group by 1, 2
    on conflict (tenant, queue, minute, shard) do update set deleted = m.deleted + excluded.deleted
  ), forgotten as (
    delete from job_attempts a using gone g where a.job_id = g.id
  )
  select id from gone;
end $$;

-- Dead jobs that nobody cared for go where what has ended goes; the trigger there counts them as buried.
create function bury_jobs(before timestamptz, at_once int) returns int
language plpgsql set search_path = public, pg_temp as $$
#variable_conflict use_column
declare
  buried int;
begin
  with gone as (
    delete from jobs where id in (
      select id from jobs where state = 'dead' and coalesce(started_at, created_at) < before
       order by id limit at_once for update skip locked)
    returning *
  ), kept as (
    insert into finished_jobs (id, queue, name, name_version, organization_id, tenant, workspace_id, actor, permission, state,
      priority, run_at, payload, dedup_key, exclusive_key, attempts, attempts_max, deliveries, losses, timeout_ms, fence,
      executor, worker_id, progress, error, reason, revision, request_id, created_at, started_at)
    select id, queue, name, name_version, organization_id, tenant, workspace_id, actor, permission, 'dead',
      priority, run_at, payload, dedup_key, exclusive_key, attempts, attempts_max, deliveries, losses, timeout_ms, fence,
      executor, worker_id, progress, error, 'nobody redrove it', revision, request_id, created_at, started_at from gone
  )
  select count(*) into buried from gone;
  return buried;
end $$;

-- Adds up rows of the books: the shards of a minute, the minutes of an hour, the hours of all that is long past ('epoch').
-- One statement takes rows away and puts their sum, so no sum over the table is ever another. Answers how many it took.
create index job_minutes_unfolded on job_minutes (minute) where shard <> 0;
create function fold_job_minutes(before timestamptz, into_what text) returns int
language plpgsql set search_path = public, pg_temp as $$
#variable_conflict use_column
declare
  taken int;
begin
  with gone as (
    delete from job_minutes where minute < before and minute > 'epoch' and case into_what
      when 'minute' then shard <> 0
      when 'hour' then shard <> 0 or minute <> date_trunc('hour', minute, 'UTC')
      when 'epoch' then true end
    returning *
  ), summed as (
    insert into job_minutes as m (queue, tenant, minute, shard, added, started, done, failed, died, redriven, canceled,
      buried, deleted, wait_ms, run_ms, wait_buckets, run_buckets)
    select queue, tenant, case into_what when 'minute' then minute when 'hour' then date_trunc('hour', minute, 'UTC')
        else 'epoch' end as at, 0, sum(added), sum(started), sum(done), sum(failed), sum(died), sum(redriven), sum(canceled),
      sum(buried), sum(deleted), sum(wait_ms), sum(run_ms), sum_counts(wait_buckets), sum_counts(run_buckets)
      from gone group by queue, tenant, at
    on conflict (tenant, queue, minute, shard) do update set added = m.added + excluded.added,
      started = m.started + excluded.started, done = m.done + excluded.done, failed = m.failed + excluded.failed,
      died = m.died + excluded.died, redriven = m.redriven + excluded.redriven, canceled = m.canceled + excluded.canceled,
      buried = m.buried + excluded.buried, deleted = m.deleted + excluded.deleted, wait_ms = m.wait_ms + excluded.wait_ms,
      run_ms = m.run_ms + excluded.run_ms, wait_buckets = add_counts(m.wait_buckets, excluded.wait_buckets),
      run_buckets = add_counts(m.run_buckets, excluded.run_buckets)
  )
  select count(*) into taken from gone;
  return taken;
end $$;

-- What each check of the books found, so that every node can tell the last one.
create table job_reconciliations (
  at timestamptz primary key default clock_timestamp(),
  difference bigint not null);
grant select, insert, delete on job_reconciliations to latchkey_platform;
