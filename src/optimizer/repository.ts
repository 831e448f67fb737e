import type { Queryable, Transaction } from '../platform/db/connect.ts'

/** Where names are looked up, and what changes when a plan may. */
export type Situation = { searchPath: string; signature: string; isEmbedded: boolean }

/**
 * The signature changes with every table, column, index and constraint that comes, goes or changes, and every view,
 * policy and extended statistic (xmin in their catalogs), and with their statistics (rows, pages, and how often each was analyzed).
 */
export const findSituation = async (tx: Queryable): Promise<Situation> => {
  const [row] = await tx<Situation[]>`
    select array_to_string(current_schemas(true), ',') as search_path,
      version() ~* 'emscripten|emcc|wasm' as is_embedded,
      concat_ws(' ',
        (select concat_ws(' ', count(*), sum(xmin::text::bigint), sum(relpages::bigint), sum(reltuples::float8))
          from pg_class where relkind in ('r', 'p', 'm', 'v', 'i', 'I', 'f')),
        (select concat_ws(' ', count(*), sum(xmin::text::bigint), count(*) filter (where indisvalid)) from pg_index),
        (select sum(xmin::text::bigint) from pg_attribute where attrelid >= 16384),
        (select sum(xmin::text::bigint) from pg_constraint),
        (select sum(xmin::text::bigint) from pg_rewrite),
        (select concat_ws(' ', count(*), sum(xmin::text::bigint)) from pg_policy),
        (select concat_ws(' ', count(*), sum(xmin::text::bigint)) from pg_statistic_ext),
        (select sum(analyze_count + autoanalyze_count) from pg_stat_all_tables)) as signature`
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

export type Table = { schema: string; name: string }

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
