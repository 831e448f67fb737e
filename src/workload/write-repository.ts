import type { Queryable } from '../platform/db/connect.ts'
import type { KnownQuery } from './read-query.ts'

/** So much of one query in one hour, to be added to what is there. */
export type Share = {
  fingerprint: string
  calls: number
  rows: number
  totalMs: number
  totalMsSquares: number
  maxMs: number
  slow: number
}

/** In the order of fingerprints, so that processes that write at once wait for each other instead of dying. */
export const putQueries = (tx: Queryable, queries: readonly KnownQuery[]) => tx`
  insert into queries as known (fingerprint, query, parameters_max)
  select distinct on (fingerprint) fingerprint, query, "parametersMax"
  from jsonb_to_recordset(${tx.json(queries as never)}) as q (fingerprint text, query text, "parametersMax" int)
  order by fingerprint
  on conflict (fingerprint) do update set last_seen_at = now() where known.last_seen_at < now() - interval '1 minute'`

export const addShares = (
  tx: Queryable,
  { source, hour, shares }: { source: string; hour: string; shares: readonly Share[] },
) => tx`
  insert into query_statistics_hours as known (fingerprint, source, hour, calls, rows, total_ms, total_ms_squares, max_ms, slow)
  select fingerprint, ${source}, date_trunc('hour', ${hour}::timestamptz), sum(calls), sum(rows), sum("totalMs"),
    sum("totalMsSquares"), max("maxMs"), sum(slow)
  from jsonb_to_recordset(${tx.json(shares as never)}) as s (fingerprint text, calls bigint, rows bigint, "totalMs" float8,
    "totalMsSquares" float8, "maxMs" float8, slow bigint)
  group by fingerprint order by fingerprint
  on conflict (fingerprint, source, hour) do update set calls = known.calls + excluded.calls, rows = known.rows + excluded.rows,
    total_ms = known.total_ms + excluded.total_ms, total_ms_squares = known.total_ms_squares + excluded.total_ms_squares,
    max_ms = greatest(known.max_ms, excluded.max_ms), slow = known.slow + excluded.slow`

export const addSlow = (
  tx: Queryable,
  slow: readonly { fingerprint: string; durationMs: number; rows: number; at: string }[],
) => tx`
  insert into slow_queries (fingerprint, duration_ms, rows, at)
  select fingerprint, "durationMs", rows, at from jsonb_to_recordset(${tx.json(slow as never)})
    as s (fingerprint text, "durationMs" float8, rows bigint, at timestamptz) order by at`

/** What is older than so many days is forgotten, of what is slow all but the newest. */
export const deleteOld = async (
  tx: Queryable,
  { days, slowMax, limit }: { days: number; slowMax: number; limit: number },
) => {
  const rows = await tx`
    with old_hours as (
      delete from query_statistics_hours where ctid = any(array(
        select ctid from query_statistics_hours where hour < now() - make_interval(days => ${days}) limit ${limit})) returning 1),
    old_slow as (
      delete from slow_queries where id in (select id from slow_queries order by at desc, id desc offset ${slowMax} limit ${limit})
      returning 1),
    old_queries as (
      delete from queries where fingerprint in (
        select fingerprint from queries where last_seen_at < now() - make_interval(days => ${days}) limit ${limit}) returning 1)
    select 1 as gone from old_hours union all select 1 from old_slow union all select 1 from old_queries`
  return rows.length
}
