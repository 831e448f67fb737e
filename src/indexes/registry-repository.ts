import type { Queryable } from '../platform/db/connect.ts'
import type { DatabaseIndex, Mark } from './schema.ts'

export type IndexRow = Omit<DatabaseIndex, 'marks'> & {
  oid: number
  isAdvised: boolean
  isUnused: boolean
}

type Range = { bytes: number; oid: number; mark: Mark | null; table: string | null; limit: number }

/**
 * All indexes outside the database's own schemas. Twins have the same table, method, keys, operator classes, collations, orders,
 * expressions and condition; of them the one that is needed, else the oldest, is none's duplicate.
 */
export const listIndexes = (tx: Queryable, { bytes, oid, mark, table, limit }: Range) =>
  tx<IndexRow[]>`
  with every as (
    select i.indexrelid as oid, n.nspname as schema, t.relname as table, c.relname as index, m.amname as method,
      pg_get_indexdef(i.indexrelid) as definition, pg_relation_size(i.indexrelid) as bytes,
      coalesce(s.idx_scan, 0) as scans, i.indisunique as is_unique,
      i.indisvalid and i.indisready and i.indislive as is_valid,
      i.indisunique or i.indisexclusion or i.indisreplident
        or exists (select from pg_constraint where conindid = i.indexrelid)
        or exists (select from pg_inherits where inhrelid = i.indexrelid) as is_needed,
      array[i.indrelid::text, m.oid::text, i.indkey::text, i.indnkeyatts::text, i.indclass::text, i.indcollation::text,
        i.indoption::text, pg_get_expr(i.indexprs, i.indrelid), pg_get_expr(i.indpred, i.indrelid)] as same
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_class t on t.oid = i.indrelid
    join pg_namespace n on n.oid = c.relnamespace
    join pg_am m on m.oid = c.relam
    left join pg_stat_all_indexes s on s.indexrelid = i.indexrelid
    where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and n.nspname !~ '^pg_(temp|toast_temp)_'
  ), judged as (
    select e.*, r.id is not null and r.kind = 'create' as is_advised,
      e.scans = 0 and e.is_valid and not e.is_needed and coalesce(r.built_at < now() - interval '7 days', true) as is_unused,
      case when e.is_needed or not e.is_valid then null else
        nullif(first_value(e.index) over (partition by e.same order by not e.is_valid, not e.is_needed, e.oid), e.index)
      end as duplicate_of,
      case when r.id is not null then
        json_build_object('id', r.id, 'kind', r.kind, 'status', r.status, 'verdict', r.verdict) end as recommendation
    from every e
    left join lateral (
      select id, kind, status, verdict, built_at from recommendations r
      where r.schema_name = e.schema and r.index_name = e.index and (r.kind = 'create' or r.status <> 'dismissed')
        and (r.kind = 'create' or r.status in ('proposed', 'approved', 'creating', 'failed', 'reverting'))
      order by r.kind, r.created_at desc limit 1) r on true
  )
  select oid, schema, "table", index, method, definition, bytes, scans, is_unique, is_needed, is_valid, is_advised, is_unused,
    duplicate_of, recommendation,
    (select stats_reset from pg_stat_database where datname = current_database()) as counted_since
  from judged
  where (bytes, -oid::bigint) < (${bytes}::bigint, ${-oid}::bigint)
    and (${table}::text is null or ${table}::text in ("table"::text, schema || '.' || "table"))
    and (${mark}::text is null
      or ${mark}::text = 'advised' and is_advised or ${mark}::text = 'invalid' and not is_valid
      or ${mark}::text = 'duplicate' and duplicate_of is not null or ${mark}::text = 'unused' and is_unused)
  order by bytes desc, oid limit ${limit}`
