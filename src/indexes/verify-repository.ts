import type { Queryable, Transaction } from '../platform/db/connect.ts'

/** A query whose text is known. */
export type KnownQuery = { fingerprint: string; text: string }

/** Statements that change a table and are looked at for whether they suffer. */
const QUERIES_MAX = 500

/**
 * The queries of these fingerprints, as they were measured or as a run of the advisor was given them,
 * and those that change what is of a table's name: an index makes nothing else slower that is not planned with it.
 */
export const listQueries = (
  tx: Queryable,
  given: { fingerprints: readonly string[]; runId: string | null; table: string },
) => tx<KnownQuery[]>`
  select distinct on (fingerprint) fingerprint, text from (
    select fingerprint, query as text, 1 as rank from queries where fingerprint = any(${given.fingerprints as string[]}::text[])
    union all
    select q->>'fingerprint', q->>'text', 2 from advice_runs r cross join lateral jsonb_array_elements(r.queries) q
    where r.id = ${given.runId} and q->>'fingerprint' = any(${given.fingerprints as string[]}::text[]) and q->>'text' is not null
    union all
    (select fingerprint, query, 3 from queries where position(lower(${given.table}) in lower(query)) > 0
      and query ~* '^\\s*(insert|update|delete|merge)\\y'
      order by last_seen_at desc limit ${QUERIES_MAX})) found
  order by fingerprint, rank`

export type Hours = {
  fingerprint: string
  source: string
  callsBefore: number
  msBefore: number
  squaresBefore: number
  callsAfter: number
  msAfter: number
  squaresAfter: number
}

/** How queries did in the hours before one hour, and in those after it, as many days each at most; by who measured it. */
export const listHours = (
  tx: Queryable,
  given: { fingerprints: readonly string[]; builtAt: string; days: number },
) => tx<Hours[]>`
  select fingerprint, source,
    coalesce(sum(calls) filter (where hour < built), 0)::bigint as calls_before,
    coalesce(sum(total_ms) filter (where hour < built), 0) as ms_before,
    coalesce(sum(total_ms_squares) filter (where hour < built), 0) as squares_before,
    coalesce(sum(calls) filter (where hour > built), 0)::bigint as calls_after,
    coalesce(sum(total_ms) filter (where hour > built), 0) as ms_after,
    coalesce(sum(total_ms_squares) filter (where hour > built), 0) as squares_after
  from query_statistics_hours cross join (select date_trunc('hour', ${given.builtAt}::timestamptz) as built) b
  where fingerprint = any(${given.fingerprints as string[]}::text[])
    and hour between built - make_interval(days => ${given.days}) and built + make_interval(days => ${given.days})
  group by fingerprint, source order by fingerprint, source = 'database'`

const STATEMENT_MS = 5000
const LOCK_MS = 1000

/** Bounds of the transaction in which a planner is asked, and how: for any parameters. */
export const boundTransaction = (tx: Queryable) => tx`
  select set_config('statement_timeout', ${`${STATEMENT_MS}`}, true), set_config('lock_timeout', ${`${LOCK_MS}`}, true),
    set_config('plan_cache_mode', 'force_generic_plan', true), set_config('standard_conforming_strings', 'on', true)`

/** One statement, never more: the server refuses a second one in this protocol. */
export const runOne = (tx: Transaction, text: string) =>
  tx.unsafe<Record<string, unknown>[]>(text, [], { simple: false } as object)
