-- Index advice: runs of the advisor, and what each advises, which is also the register of the indexes that were made of it.
-- Operators only; nothing here belongs to an organization.

create table advice_runs (
  id typeid primary key constraint advice_runs_id_prefix check (starts_with(id, 'run_')),
  status text collate "C" not null default 'queued'
    constraint advice_runs_status_known check (status in ('queued', 'running', 'done', 'failed')),
  -- Given queries and limits; queries are kept as they were given, so only operators read them.
  input jsonb not null default '{}',
  actor text collate "C" not null,
  job_id typeid,
  progress jsonb,
  how text collate "C" constraint advice_runs_how_known check (how in ('shadow', 'hypopg', 'built', 'formula')),
  cost_before double precision, cost_after double precision,  -- of the workload: calls times planner units
  queries jsonb not null default '[]',                        -- each with its cost before and after
  refused jsonb not null default '[]',                        -- what one could expect, and why not
  notes jsonb not null default '[]',
  plans int, elapsed_ms int,
  error text,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  constraint advice_runs_failed_says_why check ((status = 'failed') = (error is not null)));
create index advice_runs_newest on advice_runs (created_at desc, id desc);

create table recommendations (
  id typeid primary key constraint recommendations_id_prefix check (starts_with(id, 'rec_')),
  run_id typeid references advice_runs on delete set null,
  kind text collate "C" not null constraint recommendations_kind_known check (kind in ('create', 'drop')),
  schema_name text collate "C" not null,
  table_name text collate "C" not null,
  index_name text collate "C" not null,
  -- What the index is, without its name; the same index is advised once.
  definition text collate "C" not null,
  statement text not null,                                    -- what approving it runs
  undo text not null,                                         -- what makes it undone
  gain double precision not null default 0,                   -- of the workload, in calls times planner units
  write_cost double precision not null default 0,
  bytes bigint not null default 0,                            -- estimated
  how text collate "C" not null,
  confidence text collate "C" not null
    constraint recommendations_confidence_known check (confidence in ('high', 'medium', 'unverified')),
  code text collate "C",                                      -- of a drop: duplicate, covered, unused, invalid, no-gain
  reason text not null,
  -- [{fingerprint, calls, before, after}] of the queries it helps
  queries jsonb not null default '[]',
  status text collate "C" not null default 'proposed' constraint recommendations_status_known
    check (status in ('proposed', 'dismissed', 'approved', 'creating', 'active', 'failed', 'reverting', 'reverted')),
  status_reason text,
  job_id typeid,
  attempts int not null default 0,
  progress jsonb,                                             -- {phase, share} while it is built
  bytes_built bigint,                                         -- measured
  build_ms int,
  -- {planned: [{fingerprint, before, after, uses}], measured: [{fingerprint, callsBefore, meanBeforeMs, callsAfter, meanAfterMs}], verdict}
  verification jsonb,
  verdict text collate "C" constraint recommendations_verdict_known
    check (verdict in ('pending', 'helps', 'no-gain', 'makes-a-query-slower', 'unused')),
  -- A drop that was approved waits until then; how often the index had been scanned when that began.
  hold_until timestamptz,
  scans_held bigint,
  decided_by text collate "C",
  decided_at timestamptz,
  built_at timestamptz,
  ended_at timestamptz,
  version int not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now());
create unique index recommendations_once on recommendations (kind, definition, index_name)
  -- What was dropped may be made again by somebody, and advised to be dropped again.
  where status in ('proposed', 'approved', 'creating', 'reverting') or (status = 'active' and kind = 'create');
create index recommendations_newest on recommendations (created_at desc, id desc);
create index recommendations_by_status on recommendations (status, id);

grant select, insert, update, delete on advice_runs, recommendations to latchkey_platform;
