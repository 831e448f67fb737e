import type { Queryable } from '../platform/db/connect.ts'

export type BuildProgress = {
  phase: string
  blocksTotal: number
  blocksDone: number
  tuplesTotal: number
  tuplesDone: number
}

/** How far a backend is with the index it builds; nothing where it builds none. */
export const findBuildProgress = async (tx: Queryable, pid: number) => {
  const [row] = await tx<BuildProgress[]>`
    select phase, blocks_total, blocks_done, tuples_total, tuples_done
    from pg_stat_progress_create_index where pid = ${pid}`
  return row
}

/** The backend that builds, or drops, the index of that name without anybody who waits for it. */
export const findOrphan = async (tx: Queryable, lockKey: string) => {
  const [row] = await tx<{ pid: number; seconds: number }[]>`
    select l.pid, coalesce(extract(epoch from clock_timestamp() - a.query_start), 0)::int as seconds
    from pg_locks l left join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.granted and l.objsubid = 1
      and l.database = (select oid from pg_database where datname = current_database())
      and (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended(${lockKey}, 0)`
  return row
}

export const cancelBackend = (tx: Queryable, pid: number) => tx`select pg_cancel_backend(${pid})`

/** Bounds of a session, and the lock of a table: whoever has it is the only one who applies advice there. */
export const beginSession = async (
  own: Queryable,
  { lockKey, lockMs }: { lockKey: string; lockMs: number },
) => {
  const [row] = await own<{ pid: number; isTaken: boolean }[]>`
    select set_config('lock_timeout', ${`${lockMs}`}, false), set_config('statement_timeout', '0', false),
      pg_backend_pid() as pid, pg_try_advisory_lock(hashtextextended(${lockKey}, 0)) as is_taken`
  return row!
}
