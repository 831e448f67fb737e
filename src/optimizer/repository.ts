import type { Queryable, Transaction } from '../platform/db/connect.ts'

/** What changes when a plan may. */
export type Situation = {
  isEmbedded: boolean
  /**
   * Changes with where names are looked up, and with every table, column, index, constraint, view, policy and extended
   * statistic (xmin in their catalogs).
   */
  schema: string
  /** Changes with the statistics of any table. */
  statistics: string
  /** Changes with the statistics of the tables that were named. */
  ownStatistics: string
}

export type Table = { schema: string; name: string }

/** Statistics are rows and pages of a table and its indexes, and how often it was analyzed. */
export const findSituation = async (tx: Queryable, own: readonly Table[]): Promise<Situation> => {
  const [row] = await tx<Situation[]>`
    with own as (
      select c.oid from unnest(${own.map(({ schema }) => schema)}::text[], ${own.map(({ name }) => name)}::text[])
        as asked (schema, name)
      join pg_namespace n on n.nspname = asked.schema
      join pg_class c on c.relnamespace = n.oid and c.relname = asked.name),
    sized as (
      select c.xmin, c.relpages::bigint as pages, c.reltuples::float8 as rows,
        pg_stat_get_analyze_count(c.oid) + pg_stat_get_autoanalyze_count(c.oid) as analyzed,
        coalesce(i.indrelid, c.oid) in (select oid from own) as is_own
      from pg_class c left join pg_index i on i.indexrelid = c.oid
      where c.relkind in ('r', 'p', 'm', 'v', 'i', 'I', 'f'))
    select version() ~* 'emscripten|emcc|wasm' as is_embedded,
      concat_ws(' ', array_to_string(current_schemas(true), ','),
        (select concat_ws(' ', count(*), sum(xmin::text::bigint)) from sized),
        (select concat_ws(' ', count(*), sum(xmin::text::bigint), count(*) filter (where indisvalid)) from pg_index),
        (select sum(xmin::text::bigint) from pg_attribute where attrelid >= 16384),
        (select sum(xmin::text::bigint) from pg_constraint),
        (select sum(xmin::text::bigint) from pg_rewrite),
        (select concat_ws(' ', count(*), sum(xmin::text::bigint)) from pg_policy),
        (select concat_ws(' ', count(*), sum(xmin::text::bigint)) from pg_statistic_ext)) as schema,
      (select concat_ws(' ', sum(pages), sum(rows), sum(analyzed)) from sized) as statistics,
      (select concat_ws(' ', sum(pages), sum(rows), sum(analyzed)) from sized where is_own) as own_statistics`
  return row!
}

/** Functions of somebody else's that have one of these names: a call could mean them. */
export const listForeignFunctions = (tx: Queryable, names: readonly string[]) =>
  tx<{ name: string }[]>`
    select distinct proname as name from pg_proc
    where proname = any(${names as string[]}::text[]) and pronamespace <> 'pg_catalog'::regnamespace`

/** Bounds that end with the transaction, and how text is read in it. */
export const boundTransaction = (
  tx: Queryable,
  bounds: { statementMs: number; lockMs: number; idleMs: number; planMode: string },
) =>
  tx`
    select set_config('statement_timeout', ${`${bounds.statementMs}`}, true),
      set_config('lock_timeout', ${`${bounds.lockMs}`}, true),
      set_config('idle_in_transaction_session_timeout', ${`${bounds.idleMs}`}, true),
      set_config('plan_cache_mode', ${bounds.planMode}, true),
      set_config('standard_conforming_strings', 'on', true)`

/** One statement, never more: the server refuses a second one in this protocol. */
export const runOne = (tx: Transaction, text: string) =>
  tx.unsafe<Record<string, unknown>[]>(text, [], { simple: false } as object)

export type TableFacts = Table & { rows: number; pages: number; hasStatistics: boolean }

export const listTables = (tx: Queryable, schemas: string[], names: string[]) =>
  tx<TableFacts[]>`
    select n.nspname as schema, c.relname as name, greatest(c.reltuples, 0)::float8 as rows, c.relpages as pages,
      c.reltuples >= 0 as has_statistics
    from unnest(${schemas}::text[], ${names}::text[]) as asked (schema, name)
    join pg_namespace n on n.nspname = asked.schema
    join pg_class c on c.relnamespace = n.oid and c.relname = asked.name`

export type IndexFacts = Table & {
  index: string
  /** The column it begins with; null for an expression. */
  column: string | null
  isTextual: boolean
  expressions: string | null
}

export const listIndexes = (tx: Queryable, schemas: string[], names: string[]) =>
  tx<IndexFacts[]>`
    select n.nspname as schema, c.relname as name, i.indexrelid::regclass::text as index, a.attname as column,
      coalesce(t.typcategory = 'S', false) as is_textual, pg_get_expr(i.indexprs, i.indrelid) as expressions
    from unnest(${schemas}::text[], ${names}::text[]) as asked (schema, name)
    join pg_namespace n on n.nspname = asked.schema
    join pg_class c on c.relnamespace = n.oid and c.relname = asked.name
    join pg_index i on i.indrelid = c.oid and i.indisvalid
    left join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0] and a.attnum > 0
    left join pg_type t on t.oid = a.atttypid`

export type ForeignKeyFacts = Table & { constraint: string; columns: string[] }

/** Foreign keys whose columns no whole, valid index begins with, in any order. */
export const listBareForeignKeys = (tx: Queryable, schemas: string[], names: string[]) =>
  tx<ForeignKeyFacts[]>`
    select n.nspname as schema, c.relname as name, f.conname as constraint,
      array(select a.attname::text from unnest(f.conkey) with ordinality as k (number, place)
        join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.number order by k.place) as columns
    from unnest(${schemas}::text[], ${names}::text[]) as asked (schema, name)
    join pg_namespace n on n.nspname = asked.schema
    join pg_class c on c.relnamespace = n.oid and c.relname = asked.name
    join pg_constraint f on f.conrelid = c.oid and f.contype = 'f'
    where not exists (
      select from pg_index i
      where i.indrelid = c.oid and i.indisvalid and i.indpred is null
        and (i.indkey::int2[])[0:cardinality(f.conkey) - 1] @> f.conkey)
    order by f.conname`
