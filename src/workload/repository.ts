import type { Fragment, Queryable } from '../platform/db/connect.ts'
import type { Query, QueryHistory, SlowQuery, Sort } from './schema.ts'

/** A query that is advised: how often it ran, and how it reads. */
export type RankedQuery = {
  fingerprint: string
  query: string
  parametersMax: number
  calls: number
}

const FIGURES = (tx: Queryable) => tx`
  sum(h.calls)::bigint as calls, sum(h.rows)::bigint as rows, sum(h.total_ms) as total_ms, sum(h.total_ms) / sum(h.calls) as mean_ms,
  sqrt(greatest(sum(h.total_ms_squares) / sum(h.calls) - (sum(h.total_ms) / sum(h.calls)) ^ 2, 0)) as deviation_ms,
  max(h.max_ms) as max_ms, case when min(h.source) = 'latchkey' then sum(h.slow)::bigint end as slow`

const SINCE = (tx: Queryable, hours: number) =>
  tx`h.hour > date_trunc('hour', now()) - make_interval(hours => ${hours})`

const KEYS: Record<Sort, (tx: Queryable) => Fragment> = {
  total: (tx) => tx`total_ms`,
  mean: (tx) => tx`mean_ms`,
  calls: (tx) => tx`calls`,
  slow: (tx) => tx`coalesce(slow, 0)`,
  max: (tx) => tx`max_ms`,
}

export type Range = {
  source: string
  hours: number
  sort: Sort
  after: { key: number; fingerprint: string } | undefined
  limit: number
}

/** The highest first; the key is what they are sorted by. */
export const listQueries = (tx: Queryable, { source, hours, sort, after, limit }: Range) => {
  const key = KEYS[sort](tx)
  const beyond = after
    ? tx`(${key}::float8 < ${after.key} or (${key}::float8 = ${after.key} and fingerprint > ${after.fingerprint}))`
    : tx`true`
  return tx<(Query & { key: number })[]>`
    with figures as (
      select h.fingerprint, ${FIGURES(tx)} from query_statistics_hours h
      where h.source = ${source} and ${SINCE(tx, hours)} group by h.fingerprint),
    shares as (select *, coalesce(total_ms / nullif(sum(total_ms) over (), 0), 0) as share from figures)
    select s.*, q.query, q.first_seen_at, q.last_seen_at, ${key}::float8 as key from shares s join queries q using (fingerprint)
    where ${beyond} order by key desc, fingerprint limit ${limit}`
}

export const findQuery = async (
  tx: Queryable,
  { fingerprint, source, hours }: { fingerprint: string; source: string; hours: number },
) => {
  const [found] = await tx<Query[]>`
    with figures as (
      select h.fingerprint, ${FIGURES(tx)} from query_statistics_hours h
      where h.source = ${source} and ${SINCE(tx, hours)} group by h.fingerprint),
    shares as (select *, coalesce(total_ms / nullif(sum(total_ms) over (), 0), 0) as share from figures)
    select q.fingerprint, q.query, coalesce(s.calls, 0)::bigint as calls, coalesce(s.rows, 0)::bigint as rows,
      coalesce(s.total_ms, 0) as total_ms, coalesce(s.mean_ms, 0) as mean_ms, coalesce(s.deviation_ms, 0) as deviation_ms,
      coalesce(s.max_ms, 0) as max_ms, s.slow, coalesce(s.share, 0) as share, q.first_seen_at, q.last_seen_at
    from queries q left join shares s using (fingerprint) where q.fingerprint = ${fingerprint}`
  return found
}

export const listHours = (
  tx: Queryable,
  { fingerprint, source, hours }: { fingerprint: string; source: string; hours: number },
) => tx<QueryHistory['hours']>`
  select h.hour, ${FIGURES(tx)} from query_statistics_hours h
  where h.fingerprint = ${fingerprint} and h.source = ${source} and ${SINCE(tx, hours)} group by h.hour order by h.hour`

export const listSlow = (tx: Queryable, { before, limit }: { before: number; limit: number }) => tx<
  SlowQuery[]
>`
  select s.id, s.at, s.duration_ms, s.rows, s.fingerprint, q.query from slow_queries s join queries q using (fingerprint)
  where s.id < ${before} order by s.id desc limit ${limit}`

/** The queries that took the most time, of everybody where the database counts them, else of this server. */
export const listRanked = (tx: Queryable, { hours, limit }: { hours: number; limit: number }) => tx<
  RankedQuery[]
>`
  with chosen as (
    select case when exists (select from query_statistics_hours h where h.source = 'database' and ${SINCE(tx, hours)})
      then 'database' else 'latchkey' end as source)
  select q.fingerprint, q.query, q.parameters_max, sum(h.calls)::bigint as calls
  from query_statistics_hours h join chosen c using (source) join queries q using (fingerprint)
  where ${SINCE(tx, hours)} group by q.fingerprint order by sum(h.total_ms) desc, q.fingerprint limit ${limit}`
