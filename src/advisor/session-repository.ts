import type { Queryable } from '../platform/db/connect.ts'
import type { PlannedQuery } from './planner.ts'

/** One statement, never more: the server refuses a second one in this protocol. */
export const runOne = (sql: Queryable, text: string) =>
  sql.unsafe<Record<string, unknown>[]>(text, [], { simple: false } as object)

/** Bounds that end with the transaction; plans are those of any values. */
export const boundSession = (sql: Queryable, bounds: { statementMs: number; lockMs: number }) =>
  sql`
    select set_config('statement_timeout', ${`${bounds.statementMs}`}, true),
      set_config('lock_timeout', ${`${bounds.lockMs}`}, true),
      set_config('plan_cache_mode', 'force_generic_plan', true),
      set_config('max_parallel_workers_per_gather', '0', true), set_config('jit', 'off', true)`

export const explainPrepared = async (
  sql: Queryable,
  name: string,
  { parametersMax }: PlannedQuery,
): Promise<Record<string, unknown>> => {
  const values = Array(parametersMax).fill('null').join(', ')
  const [row] = await runOne(
    sql,
    `explain (format json, verbose) execute ${name}${values && `(${values})`}`,
  )
  const [explained] = Object.values(row!)[0] as { Plan: Record<string, unknown> }[]
  return explained!.Plan
}

/** Where HypoPG is, and whether it can look away from indexes that are there (1.4). */
export const findHypopg = async (sql: Queryable) => {
  const [row] = await sql<{ schema: string; canHide: boolean }[]>`
    select n.nspname::text as schema, exists (select from pg_proc p
      where p.pronamespace = n.oid and p.proname = 'hypopg_hide_index') as can_hide
    from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'hypopg'`
  return row
}

export const findIndexBytes = async (sql: Queryable, schema: string, name: string) => {
  const [row] = await sql<{ bytes: number }[]>`
    with recursive parts (oid) as (
      select to_regclass(format('%I.%I', ${schema}::text, ${name}::text))::oid
      union all select p.inhrelid from pg_inherits p join parts on parts.oid = p.inhparent)
    select coalesce(sum(pg_relation_size(oid)), 0)::bigint as bytes from parts`
  return row!.bytes
}

/** The indexes of these names, and of a partitioned table those of its partitions. */
export const listBuilt = (sql: Queryable, names: readonly string[]) =>
  sql<{ root: string; schema: string; name: string }[]>`
    with recursive parts (root, oid) as (
      select relname::text, oid from pg_class where relname = any(${names as string[]}::text[]) and relkind in ('i', 'I')
      union all select parts.root, p.inhrelid from pg_inherits p join parts on parts.oid = p.inhparent)
    select parts.root, n.nspname::text as schema, c.relname::text as name
    from parts join pg_class c on c.oid = parts.oid join pg_namespace n on n.oid = c.relnamespace`
