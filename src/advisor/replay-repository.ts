import type { Queryable } from '../platform/db/connect.ts'
import type { ShadowRelation, ShadowStatistics } from '../platform/shadow.ts'
import { ofNoExtension, ours } from './target-repository.ts'

type Schemas = readonly string[] | undefined
/** Something that is made by a statement. */
export type Made = { what: string; statement: string }

export const listSchemas = (sql: Queryable, schemas: Schemas) =>
  sql<Made[]>`
    select n.nspname::text as what, format('create schema if not exists %I', n.nspname) as statement
    from pg_namespace n where ${ours(sql, schemas)} order by n.oid`

export const listExtensions = (sql: Queryable) =>
  sql<{ name: string; schema: string }[]>`
    select e.extname::text as name, n.nspname::text as schema
    from pg_extension e join pg_namespace n on n.oid = e.extnamespace order by e.oid`

/** Whether the database sorts texts by their bytes: nothing else lets an index serve LIKE. */
export const findSorting = async (sql: Queryable) => {
  const [row] = await sql<{ isBytewise: boolean; name: string }[]>`
    select datlocprovider = 'b' or datlocprovider = 'c' and datcollate in ('C', 'POSIX') as is_bytewise,
      datcollate as name
    from pg_database where datname = current_database()`
  return row!
}

/** Collations that columns and indexes name; what sorts by bytes does so there, all others in one other way. */
export const listCollations = (sql: Queryable) =>
  sql<Made[]>`
    select 'the collation ' || c.oid::regcollation as what,
      format('create collation %I.%I from %I', n.nspname, c.collname,
        case when c.collprovider = 'b' or c.collcollate in ('C', 'POSIX') then 'C' else 'C.utf8' end) as statement
    from pg_collation c join pg_namespace n on n.oid = c.collnamespace
    where c.oid <> 100 and c.collname not in ('C', 'POSIX', 'ucs_basic', 'C.utf8') and c.collisdeterministic
      and (exists (select from pg_attribute a where a.attcollation = c.oid and a.attrelid >= 16384)
        or exists (select from pg_index i where c.oid = any(i.indcollation) and i.indexrelid >= 16384))
    order by c.oid`

/** Enumerations, domains, ranges and composites, each after what it is made of in most cases. */
export const listTypes = (sql: Queryable) =>
  sql<Made[]>`
    select 'the type ' || format_type(c.oid, null) as what, case c.typtype
      when 'e' then format('create type %I.%I as enum (%s)', n.nspname, c.typname,
        (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder) from pg_enum e
          where e.enumtypid = c.oid))
      when 'd' then format('create domain %I.%I as %s%s', n.nspname, c.typname, format_type(c.typbasetype, c.typtypmod),
        case when c.typnotnull then ' not null' else '' end)
      when 'r' then (select format('create type %I.%I as range (subtype = %s)', n.nspname, c.typname,
        format_type(r.rngsubtype, null)) from pg_range r where r.rngtypid = c.oid)
      else format('create type %I.%I as (%s)', n.nspname, c.typname,
        (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
          from pg_attribute a where a.attrelid = c.typrelid and a.attnum > 0 and not a.attisdropped)) end as statement
    from pg_type c join pg_namespace n on n.oid = c.typnamespace
    where (c.typtype in ('e', 'd', 'r')
        or c.typtype = 'c' and exists (select from pg_class k where k.oid = c.typrelid and k.relkind = 'c'))
      and ${ours(sql, undefined)} and ${ofNoExtension(sql, 'pg_type')}
    order by c.oid`

export type FunctionMade = Made & { language: string }

/** Functions that indexes, generated columns and views are made of. */
export const listFunctions = (sql: Queryable) =>
  sql<FunctionMade[]>`
    select 'the function ' || c.oid::regprocedure::text as what, pg_get_functiondef(c.oid) as statement,
      l.lanname::text as language
    from pg_proc c join pg_namespace n on n.oid = c.pronamespace join pg_language l on l.oid = c.prolang
    where c.prokind = 'f' and ${ours(sql, undefined)} and ${ofNoExtension(sql, 'pg_proc')}
      and exists (select from pg_depend d where d.refclassid = 'pg_proc'::regclass and d.refobjid = c.oid
        and d.classid in ('pg_class'::regclass, 'pg_attrdef'::regclass, 'pg_rewrite'::regclass))
    order by c.oid`

export type TableMade = {
  schema: string
  name: string
  /** The table with all columns as they are, and with what only PostgreSQL itself brings. */
  statement: string
  simple: string
  /** Columns that can only be text there, with the extension whose type is missing. */
  lost: { column: string; extension: string }[] | null
  isPartition: boolean
  hasPolicies: boolean
}

/** Tables, and materialized views as tables: parents before their partitions in most cases. */
export const listTables = (sql: Queryable, schemas: Schemas, carried: readonly string[]) =>
  sql<TableMade[]>`
    select n.nspname::text as schema, c.relname::text as name, c.relrowsecurity as has_policies,
      c.relispartition as is_partition,
      format('create table %I.%I %s%s', n.nspname, c.relname,
        case when c.relispartition then format('partition of %s %s', parents.named,
            pg_get_expr(c.relpartbound, c.oid))
          else format('(%s)%s', columns.exact, coalesce(' inherits (' || parents.named || ')', '')) end,
        partitioned.keys) as statement,
      format('create table %I.%I (%s)%s', n.nspname, c.relname, columns.simple, partitioned.keys) as simple,
      columns.lost
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    cross join lateral (
      select string_agg(p.inhparent::regclass::text, ', ' order by p.inhseqno) as named
      from pg_inherits p where p.inhrelid = c.oid) parents
    cross join lateral (
      select case when c.relkind = 'p' then ' partition by ' || pg_get_partkeydef(c.oid) else '' end as keys) partitioned
    cross join lateral (
      select string_agg(format('%I %s%s%s%s', a.attname,
            case when x.extname is null then format_type(a.atttypid, a.atttypmod) else 'text' end,
            case when a.attcollation in (0, 100) or x.extname is not null then ''
              else ' collate ' || a.attcollation::regcollation end,
            case when a.attgenerated in ('s', 'v') then format(' generated always as (%s) %s',
              pg_get_expr(f.adbin, f.adrelid), case a.attgenerated when 's' then 'stored' else 'virtual' end) else '' end,
            case when a.attnotnull then ' not null' else '' end), ', ' order by a.attnum) as exact,
        string_agg(format('%I %s', a.attname,
            case when t.typnamespace = 'pg_catalog'::regnamespace and a.atttypid < 16384
              then format_type(a.atttypid, a.atttypmod) else 'text' end), ', ' order by a.attnum) as simple,
        json_agg(json_build_object('column', a.attname, 'extension', x.extname)) filter (where x.extname is not null)
          as lost
      from pg_attribute a join pg_type t on t.oid = a.atttypid
      left join pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
      left join lateral (
        select e.extname from pg_depend d join pg_extension e on e.oid = d.refobjid
        where d.classid = 'pg_type'::regclass and d.objid in (t.oid, nullif(t.typelem, 0)) and d.deptype = 'e'
          and d.refclassid = 'pg_extension'::regclass and e.extname <> all(${carried as string[]}::text[])
        limit 1) x on true
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) columns
    where c.relkind in ('r', 'p', 'm') and c.relpersistence <> 't'
      and ${ours(sql, schemas)} and ${ofNoExtension(sql, 'pg_class')}
    order by c.oid`

/** Primary keys, unique and exclusion constraints first; foreign keys need none of their rows checked. */
export const listConstraints = (sql: Queryable, schemas: Schemas) =>
  sql<Made[]>`
    select format('the constraint %I of %s', k.conname, c.oid::regclass) as what,
      format('alter table %s%s add constraint %I %s%s', case when k.contype = 'f' then '' else 'only ' end,
        format('%I.%I', n.nspname, c.relname), k.conname, pg_get_constraintdef(k.oid),
        case when k.contype = 'f' and k.convalidated then ' not valid' else '' end) as statement
    from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
    where (k.contype in ('p', 'u', 'x') or k.contype = 'f' and k.conparentid = 0
        or k.contype = 'c' and (current_setting('constraint_exclusion') = 'on'
          or exists (select from pg_inherits p where p.inhrelid = c.oid)))
      and c.relkind in ('r', 'p') and c.relpersistence <> 't'
      and ${ours(sql, schemas)} and ${ofNoExtension(sql, 'pg_class')}
    order by k.contype = 'f', k.contype = 'c', k.oid`

/** Valid indexes that no constraint makes. */
export const listIndexes = (sql: Queryable, schemas: Schemas) =>
  sql<Made[]>`
    select format('the index %I on %s', ic.relname, c.oid::regclass) as what, pg_get_indexdef(i.indexrelid) as statement
    from pg_index i join pg_class ic on ic.oid = i.indexrelid
    join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
    where i.indisvalid and i.indisready and i.indislive and c.relkind in ('r', 'p', 'm') and c.relpersistence <> 't'
      and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
      and ${ours(sql, schemas)} and ${ofNoExtension(sql, 'pg_class')}
    order by i.indexrelid`

/** Indexes of partitions become those of their parents. */
export const listAttached = (sql: Queryable, schemas: Schemas) =>
  sql<Made[]>`
    select format('the index %s of a partition', c.oid::regclass) as what,
      format('alter index %s attach partition %s', pi.named, format('%I.%I', n.nspname, c.relname)) as statement
    from pg_inherits p join pg_class c on c.oid = p.inhrelid join pg_namespace n on n.oid = c.relnamespace
    cross join lateral (
      select format('%I.%I', pn.nspname, pc.relname) as named
      from pg_class pc join pg_namespace pn on pn.oid = pc.relnamespace where pc.oid = p.inhparent) pi
    where c.relkind in ('i', 'I') and ${ours(sql, schemas)}
    order by c.oid desc`

export const listPartitions = (sql: Queryable) =>
  sql<{ parent: string; partition: string }[]>`
    select pn.nspname || '.' || pc.relname as parent, n.nspname || '.' || c.relname as partition
    from pg_inherits p join pg_class c on c.oid = p.inhrelid join pg_namespace n on n.oid = c.relnamespace
    join pg_class pc on pc.oid = p.inhparent join pg_namespace pn on pn.oid = pc.relnamespace
    where c.relispartition and c.relkind in ('r', 'p') order by p.inhparent, p.inhseqno`

export const listViews = (sql: Queryable, schemas: Schemas) =>
  sql<Made[]>`
    select format('the view %s', c.oid::regclass) as what,
      format('create view %I.%I%s as %s', n.nspname, c.relname,
        coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', ''), pg_get_viewdef(c.oid)) as statement
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'v' and ${ours(sql, schemas)} and ${ofNoExtension(sql, 'pg_class')}
    order by c.oid`

export const listExtendedStatistics = (sql: Queryable, schemas: Schemas) =>
  sql<Made[]>`
    select format('the statistics %I', c.stxname) as what, pg_get_statisticsobjdef(c.oid) as statement
    from pg_statistic_ext c join pg_namespace n on n.oid = c.stxnamespace
    where ${ours(sql, schemas)} order by c.oid`

export const listForeignTables = (sql: Queryable, schemas: Schemas) =>
  sql<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'f' and ${ours(sql, schemas)} order by 1`

export type RelationRow = Omit<ShadowRelation, 'levels'> & {
  isBtree: boolean
  /** Of an index, each key and carried column: what it is of, and its bytes where they are fixed. */
  keys: { table: string; column: string | null; bytes: number | null }[] | null
}

/** What is empty or was never counted has no pages; the file is measured now, as the planner does. */
export const listRelations = (sql: Queryable, schemas: Schemas) =>
  sql<RelationRow[]>`
    select n.nspname::text as schema, c.relname::text as name,
      ceil(coalesce(pg_relation_size(c.oid), 0) / 8192.0)::float8 as pages,
      (c.relpages * (current_setting('block_size')::float8 / 8192))::float8 as counted_pages,
      case when c.reltuples >= 0 then c.reltuples::float8 end as rows, c.relallvisible as all_visible_pages,
      coalesce(m.amname = 'btree', false) as is_btree,
      (select json_agg(json_build_object('table', t.relname, 'column', a.attname, 'bytes', nullif(ia.attlen, -1))
          order by ia.attnum)
        from pg_attribute ia
        left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[ia.attnum - 1] and a.attnum > 0
        where ia.attrelid = i.indexrelid) as keys
    from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_am m on m.oid = c.relam
    left join pg_index i on i.indexrelid = c.oid left join pg_class t on t.oid = i.indrelid
    where c.relkind in ('r', 'p', 'm', 'i') and c.relpersistence <> 't' and ${ours(sql, schemas)}`

/** As text, as it is written and read by PostgreSQL itself; names are those of the parameters that take it. */
export const listStatistics = async (sql: Queryable, schemas: Schemas) => {
  const rows = await sql<{ statistics: ShadowStatistics }[]>`
    select jsonb_build_object('schemaname', n.nspname, 'relname', n.tablename, 'attname', n.attname,
      'inherited', n.inherited, 'null_frac', n.null_frac, 'avg_width', n.avg_width, 'n_distinct', n.n_distinct,
      'most_common_vals', n.most_common_vals::text, 'most_common_freqs', n.most_common_freqs::text,
      'histogram_bounds', n.histogram_bounds::text, 'correlation', n.correlation,
      'most_common_elems', n.most_common_elems::text, 'most_common_elem_freqs', n.most_common_elem_freqs::text,
      'elem_count_histogram', n.elem_count_histogram::text,
      'range_length_histogram', to_jsonb(n) ->> 'range_length_histogram',
      'range_empty_frac', (to_jsonb(n) ->> 'range_empty_frac')::real,
      'range_bounds_histogram', to_jsonb(n) ->> 'range_bounds_histogram') as statistics
    from (select s.*, s.schemaname as nspname from pg_stats s) n
    where ${ours(sql, schemas)}`
  return rows.map(({ statistics }) => statistics)
}
