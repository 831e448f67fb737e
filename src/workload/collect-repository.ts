import type { Queryable } from '../platform/db/connect.ts'

/** What `pg_stat_statements` says of a statement of this database since it was last reset. */
export type Counter = {
  userId: number
  queryId: string
  query: string
  calls: number
  rows: number
  totalMs: number
  totalMsSquares: number
  maxMs: number
}

/** Where the extension is, quoted; undefined without it. */
export const findExtension = async (tx: Queryable) => {
  const [row] = await tx<{ schema: string }[]>`
    select quote_ident(n.nspname) as schema from pg_extension e join pg_namespace n on n.oid = e.extnamespace
    where e.extname = 'pg_stat_statements'`
  return row?.schema
}

/** Of whose statements nothing may be read the text is not there. */
export const listCounters = (tx: Queryable, schema: string, limit: number) => tx<Counter[]>`
  select userid::int8 as user_id, queryid::text as query_id, query, sum(calls)::bigint as calls, sum(rows)::bigint as rows,
    sum(total_exec_time) as total_ms, sum(calls * (stddev_exec_time ^ 2 + mean_exec_time ^ 2)) as total_ms_squares,
    max(max_exec_time) as max_ms
  from ${tx.unsafe(schema)}.pg_stat_statements
  where dbid = (select oid from pg_database where datname = current_database()) and queryid is not null
    and query is not null and query <> '<insufficient privilege>'
  group by userid, queryid, query order by total_ms desc limit ${limit}`

export type Delta = Omit<Counter, 'query' | 'userId' | 'queryId'> & { fingerprint: string | null }

/**
 * Remembers what was said and answers what came since. A counter that fell was reset: all of it came since. Nothing came since
 * the first time it is seen: when it did is not known.
 */
export const exchangeCounters = (
  tx: Queryable,
  counters: readonly (Counter & { fingerprint: string | null })[],
) => tx<Delta[]>`
  with said as (
    select * from jsonb_to_recordset(${tx.json(counters as never)}) as c ("userId" bigint, "queryId" bigint, fingerprint text,
      calls bigint, rows bigint, "totalMs" float8, "totalMsSquares" float8, "maxMs" float8)),
  before as (select k.* from query_counters k join said s on k.user_id = s."userId"::oid and k.query_id = s."queryId" for update of k),
  put as (
    insert into query_counters as known (user_id, query_id, fingerprint, calls, rows, total_ms, total_ms_squares)
    select "userId"::oid, "queryId", fingerprint, calls, rows, "totalMs", "totalMsSquares" from said
    on conflict (user_id, query_id) do update set calls = excluded.calls, rows = excluded.rows, total_ms = excluded.total_ms,
      total_ms_squares = excluded.total_ms_squares, fingerprint = excluded.fingerprint, seen_at = now())
  select s.fingerprint, s."maxMs" as max_ms,
    case when s.calls < b.calls then s.calls else s.calls - b.calls end as calls,
    case when s.calls < b.calls then s.rows else s.rows - b.rows end as rows,
    case when s.calls < b.calls then s."totalMs" else s."totalMs" - b.total_ms end as total_ms,
    case when s.calls < b.calls then s."totalMsSquares" else greatest(s."totalMsSquares" - b.total_ms_squares, 0) end as total_ms_squares
  from said s join before b on b.user_id = s."userId"::oid and b.query_id = s."queryId"
  where s.calls <> b.calls and s.fingerprint is not null`

export const deleteCounters = (tx: Queryable, days: number) => tx`
  delete from query_counters where seen_at < now() - make_interval(days => ${days})`
