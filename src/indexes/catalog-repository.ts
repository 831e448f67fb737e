import type { Queryable } from '../platform/db/connect.ts'

/** Whether this is embedded storage, which has one connection only. */
export const findIsEmbedded = async (tx: Queryable) => {
  const [row] = await tx<{ isEmbedded: boolean }[]>`
    select version() ~* 'emscripten|emcc|wasm' as is_embedded`
  return row!.isEmbedded
}

/** An index as the catalog has it. */
export type IndexState = {
  isValid: boolean
  /** Whether a constraint, replication or a partition's parent needs it, or it keeps values unique. */
  isNeeded: boolean
  bytes: number
  scans: number
  definition: string
}

export const findIndex = async (
  tx: Queryable,
  { schema, index }: { schema: string; index: string },
) => {
  const [found] = await tx<IndexState[]>`
    select i.indisvalid and i.indisready and i.indislive as is_valid,
      i.indisunique or i.indisexclusion or i.indisreplident
        or exists (select from pg_constraint where conindid = i.indexrelid)
        or exists (select from pg_inherits where inhrelid = i.indexrelid) as is_needed,
      pg_relation_size(i.indexrelid) as bytes, coalesce(s.idx_scan, 0) as scans, pg_get_indexdef(i.indexrelid) as definition
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_index i on i.indexrelid = c.oid
    left join pg_stat_all_indexes s on s.indexrelid = c.oid
    where n.nspname = ${schema} and c.relname = ${index}`
  return found
}

/** What keeps an index from being built now, or at all. */
export type Readiness = {
  /** `r` table, `p` partitioned, `m` materialized view; null where there is none of that name. */
  kind: string | null
  isOwner: boolean
  isInRecovery: boolean
  databaseBytes: number
  /** Bytes of all indexes that were advised and stand. */
  advisedBytes: number
  /** The transaction that began first among those that a build must wait for, in seconds; null where there is none so old. */
  oldestSeconds: number | null
  oldestPid: number | null
  /** Another build on the table. */
  buildingPid: number | null
  /** Builds under way in this database. */
  builds: number
}

export const findReadiness = async (
  own: Queryable,
  { schema, table, secondsMax }: { schema: string; table: string; secondsMax: number },
) => {
  const [row] = await own<Readiness[]>`
    select c.relkind as kind, coalesce(pg_has_role(c.relowner, 'usage'), false) as is_owner,
      pg_is_in_recovery() as is_in_recovery, pg_database_size(current_database()) as database_bytes,
      (select coalesce(sum(bytes_built), 0)::bigint from recommendations where kind = 'create' and status = 'active') as advised_bytes,
      old.seconds as oldest_seconds, old.pid as oldest_pid,
      (select min(b.pid) from pg_stat_progress_create_index b where b.relid = c.oid and b.pid <> pg_backend_pid()) as building_pid,
      (select count(*)::int from pg_stat_progress_create_index b where b.datname = current_database()) as builds
    from (select) as one
    left join (pg_class c join pg_namespace n on n.oid = c.relnamespace and n.nspname = ${schema}) on c.relname = ${table}
    left join lateral (
      select pid, extract(epoch from clock_timestamp() - xact_start)::int as seconds from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
        and (backend_xmin is not null or backend_xid is not null)
        and xact_start < clock_timestamp() - make_interval(secs => ${secondsMax})
      order by xact_start limit 1) old on true`
  return row!
}

/** Who the rest of a transaction is; `none` is the connection's own user, who owns the tables. */
export const actAs = (tx: Queryable, role: 'none' | 'latchkey_platform') =>
  tx`select set_config('role', ${role}, true)`

/** One statement, never more: the server refuses a second one in this protocol. */
export const runOne = (own: Queryable, text: string) =>
  own.unsafe(text, [], { simple: false } as object)

/** The table on which an index is tried out. */
export const PROBE = 'latchkey_probe'

/** A valid index of the table that is the same as the one on the probe, whatever its name. */
export const findTwinOfProbe = async (
  tx: Queryable,
  { schema, table }: { schema: string; table: string },
) => {
  const [twin] = await tx<{ name: string }[]>`
    with every as (
      select i.indexrelid, i.indrelid, i.indisvalid and i.indisready as is_valid, d.text, c.relname,
        substr(d.text, strpos(d.text, '.' || quote_ident(t.relname) || ' USING ') + length(quote_ident(t.relname)) + 1) as rest
      from pg_index i join pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid
      cross join lateral (select pg_get_indexdef(i.indexrelid) as text) d
      where i.indrelid in (format('%I.%I', ${schema}::text, ${table}::text)::regclass, ${`pg_temp.${PROBE}`}::regclass))
    select e.relname as name from every e join every p on p.indrelid = ${`pg_temp.${PROBE}`}::regclass and p.rest = e.rest
    where e.indrelid <> p.indrelid and e.is_valid order by e.indexrelid limit 1`
  return twin?.name
}
