-- The workload: statements that ran, told apart by their fingerprint, with how often and how long by the hour. Values are never kept.
create table queries (
  fingerprint text collate "C" primary key constraint queries_fingerprint_form check (fingerprint ~ '^[0-9a-f]{16}$'),
  query text not null constraint queries_query_length check (length(query) between 1 and 10000),
  parameters_max int not null,                    -- the highest $n in it
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now());

create table query_statistics_hours (
  fingerprint text collate "C" not null references queries on delete cascade,
  -- latchkey: measured by the server itself; database: what pg_stat_statements counted of everybody, so it holds the first, too
  source text collate "C" not null constraint query_statistics_hours_source_known check (source in ('latchkey', 'database')),
  hour timestamptz not null,
  calls bigint not null, rows bigint not null,
  total_ms double precision not null,
  total_ms_squares double precision not null,     -- of each call, for its variance
  max_ms double precision not null,
  slow bigint not null default 0,                 -- calls that took longer than SLOW_QUERY_MS; the database does not count them
  primary key (fingerprint, source, hour)) with (fillfactor = 70);
create index query_statistics_hours_by_hour on query_statistics_hours (hour);

create table slow_queries (
  id bigint generated always as identity primary key,
  fingerprint text collate "C" not null references queries on delete cascade,
  duration_ms double precision not null,
  rows bigint not null,
  at timestamptz not null);
create index slow_queries_by_time on slow_queries (at desc, id desc);

-- What pg_stat_statements said last: what came since is the difference.
create table query_counters (
  user_id oid not null, query_id bigint not null,
  fingerprint text collate "C" references queries on delete cascade,    -- null: nothing that is looked at
  calls bigint not null, rows bigint not null,
  total_ms double precision not null, total_ms_squares double precision not null,
  seen_at timestamptz not null default now(),
  primary key (user_id, query_id)) with (fillfactor = 70);

grant select, insert, update, delete on queries, query_statistics_hours, slow_queries, query_counters to latchkey_platform;
