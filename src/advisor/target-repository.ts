import type { Queryable } from '../platform/db/connect.ts'
import type { TargetColumn, TargetIndex, TargetTable } from './target.ts'

export type DatabaseFacts = {
  version: number
  isEmbedded: boolean
  searchPath: string[]
  bytes: number
  extensions: string[]
  countedSince: string | null
}

export const findDatabase = async (sql: Queryable): Promise<DatabaseFacts> => {
  const [row] = await sql<DatabaseFacts[]>`
    select current_setting('server_version_num')::int as version, version() ~* 'emscripten|emcc|wasm' as is_embedded,
      current_schemas(false)::text[] as search_path, pg_database_size(current_database()) as bytes,
      array(select extname::text from pg_extension order by 1) as extensions,
      (select stats_reset from pg_stat_database where datname = current_database()) as counted_since`
  return row!
}

/** Settings that costs or the reading of statistics depend on, as `show` writes them. */
export const listSettings = (sql: Queryable) =>
  sql<{ name: string; value: string }[]>`
    select name, current_setting(name) as value from pg_settings
    where name ~ '^(enable_|cpu_|geqo|parallel_|min_parallel_)' or name in ('seq_page_cost', 'random_page_cost',
      'effective_cache_size', 'work_mem', 'hash_mem_multiplier', 'from_collapse_limit', 'join_collapse_limit',
      'cursor_tuple_fraction', 'constraint_exclusion', 'default_statistics_target', 'effective_io_concurrency',
      'recursive_worktable_factor', 'max_parallel_workers_per_gather', 'jit', 'TimeZone', 'DateStyle', 'IntervalStyle')
    order by name`

/** Schemas that are looked at: those named, or all that are not PostgreSQL's own. */
export const ours = (sql: Queryable, schemas: readonly string[] | undefined) => sql`
  n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
  and (${schemas === undefined} or n.nspname = any(${(schemas ?? []) as string[]}::text[]))`

/** What an extension brings along is its own. */
export const ofNoExtension = (sql: Queryable, catalog: string) => sql`
  not exists (select from pg_depend x where x.classid = ${catalog}::regclass and x.objid = c.oid and x.deptype = 'e')`

export type TableRow = Omit<TargetTable, 'columns' | 'indexes' | 'foreignKeys'> & { oid: number }

export const listTables = (sql: Queryable, schemas: readonly string[] | undefined) =>
  sql<TableRow[]>`
    select c.oid::bigint as oid, n.nspname::text as schema, c.relname::text as name,
      case when c.reltuples >= 0 then c.reltuples::float8 end as rows, c.relpages as pages,
      c.relallvisible as all_visible_pages, coalesce(pg_total_relation_size(c.oid), 0) as bytes,
      case c.relkind when 'r' then 'table' when 'p' then 'partitioned' else 'materialized-view' end as kind,
      (select json_build_object('schema', pn.nspname, 'name', p.relname)
        from pg_inherits h join pg_class p on p.oid = h.inhparent join pg_namespace pn on pn.oid = p.relnamespace
        where h.inhrelid = c.oid and c.relispartition) as partition_of,
      json_build_object('inserted', pg_stat_get_tuples_inserted(c.oid), 'updated', pg_stat_get_tuples_updated(c.oid),
        'hotUpdated', pg_stat_get_tuples_hot_updated(c.oid), 'deleted', pg_stat_get_tuples_deleted(c.oid)) as writes
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'm') and c.relpersistence <> 't'
      and ${ours(sql, schemas)} and ${ofNoExtension(sql, 'pg_class')}
    order by 2, 3`

export type ColumnRow = Omit<TargetColumn, 'common' | 'bounds'> & {
  oid: number
  bounds: number[] | null
  values: string[] | null
  shares: number[] | null
}

/** The common values of arrays are left out: as text they cannot be told from one another. */
export const listColumns = (sql: Queryable, schemas: readonly string[] | undefined) =>
  sql<ColumnRow[]>`
    select c.oid::bigint as oid, a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type,
      t.typcategory::text as category, a.attnotnull as is_not_null,
      exists (select from pg_opclass o where o.opcdefault and o.opcmethod = (select oid from pg_am where amname = 'btree')
        and o.opcintype = case
          when b.typtype = 'e' then 'anyenum'::regtype when b.typtype = 'r' then 'anyrange'::regtype
          when b.typtype = 'm' then 'anymultirange'::regtype
          when b.typtype = 'c' then 'record'::regtype
          when b.typcategory = 'A' then 'anyarray'::regtype when b.oid = 'varchar'::regtype then 'text'::regtype
          when b.oid = 'cidr'::regtype then 'inet'::regtype
          else b.oid end) as is_sortable,
      s.avg_width as average_bytes, s.null_frac::float8 as null_share, s.correlation::float8 as correlation,
      case when s.n_distinct >= 0 then s.n_distinct::float8 else -s.n_distinct::float8 * greatest(c.reltuples, 0) end
        as distinct,
      case when b.typcategory <> 'A' then s.most_common_vals::text::text[] end as values,
      s.most_common_freqs::float8[] as shares,
      case when b.typname in ('int2', 'int4', 'int8') then s.histogram_bounds::text::float8[] end as bounds
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_type t on t.oid = a.atttypid
    join pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
    left join pg_stats s on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname
      and s.inherited = (c.relkind = 'p')
    where c.relkind in ('r', 'p', 'm') and c.relpersistence <> 't' and ${ours(sql, schemas)}
    order by c.oid, a.attnum`

export type IndexRow = Omit<TargetIndex, 'table'> & { oid: number }

/** An expression key has the number 0; what is behind the keys is only carried. */
export const listIndexes = (sql: Queryable, schemas: readonly string[] | undefined) =>
  sql<IndexRow[]>`
    select c.oid::bigint as oid, ic.relname::text as name, m.amname::text as method,
      (select json_agg(json_build_object(
          'column', a.attname,
          'expression', case when i.indkey[p] = 0 then pg_get_indexdef(i.indexrelid, p + 1, false) end,
          'descending', (i.indoption[p] & 1) = 1, 'nullsFirst', (i.indoption[p] & 2) = 2,
          'operatorClass', case when not o.opcdefault then o.opcname end,
          'collation', case when i.indcollation[p] not in (0, 100, coalesce(a.attcollation, 0)) then l.collname end
        ) order by p)
        from generate_series(0, i.indnkeyatts - 1) p
        left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[p] and a.attnum <> 0
        left join pg_opclass o on o.oid = i.indclass[p]
        left join pg_collation l on l.oid = i.indcollation[p]) as keys,
      array(select a.attname::text from generate_series(i.indnkeyatts, i.indnatts - 1) p
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[p] order by p) as include,
      pg_get_expr(i.indpred, i.indrelid) as where, pg_get_indexdef(i.indexrelid) as definition,
      i.indisunique as is_unique, i.indisprimary as is_primary,
      i.indisreplident or ic.relispartition
        or exists (select from pg_constraint k where k.conindid = i.indexrelid) as is_needed,
      i.indisvalid and i.indisready and i.indislive as is_valid,
      coalesce(pg_relation_size(i.indexrelid), 0) as bytes, pg_stat_get_numscans(i.indexrelid) as scans
    from pg_index i
    join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
    join pg_class ic on ic.oid = i.indexrelid join pg_am m on m.oid = ic.relam
    where c.relkind in ('r', 'p', 'm') and c.relpersistence <> 't' and ${ours(sql, schemas)}
    order by c.oid, ic.relname`

export type ForeignKeyRow = TargetTable['foreignKeys'][number] & { oid: number }

/** Those of partitions follow from those of their parents. */
export const listForeignKeys = (sql: Queryable, schemas: readonly string[] | undefined) =>
  sql<ForeignKeyRow[]>`
    select c.oid::bigint as oid, k.conname::text as name,
      array(select a.attname::text from unnest(k.conkey) with ordinality as key (number, place)
        join pg_attribute a on a.attrelid = k.conrelid and a.attnum = key.number order by key.place) as columns,
      json_build_object('schema', rn.nspname, 'name', r.relname) as references
    from pg_constraint k
    join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
    join pg_class r on r.oid = k.confrelid join pg_namespace rn on rn.oid = r.relnamespace
    where k.contype = 'f' and k.conparentid = 0 and ${ours(sql, schemas)}
    order by c.oid, k.conname`
