import type { Queryable, Transaction } from '../platform/db/connect.ts'
import type { Progress, RegisterEntry, Status, Verdict } from './schema.ts'

/** A row of the register with what nobody is shown. */
export type EntryRow = RegisterEntry & {
  runId: string | null
  scansHeld: number | null
  /** Of the queries it was advised for. */
  queries: { fingerprint: string; calls: number; before: number; after: number }[]
}

const ENTRY = (tx: Queryable) => tx`
  id, run_id, kind, schema_name as schema, table_name as table, index_name as index, definition, statement, undo, code, reason,
  status, status_reason, hold_until, scans_held, job_id, attempts, progress, bytes, bytes_built, build_ms, verdict,
  verification, queries, decided_by, decided_at, built_at, ended_at, created_at, updated_at, version`

export const findEntry = async (tx: Queryable, id: string) => {
  const [entry] = await tx<EntryRow[]>`select ${ENTRY(tx)} from recommendations where id = ${id}`
  return entry
}

/** The columns that change while advice is applied; what is left out stays. */
export type EntryChange = {
  status?: Status
  status_reason?: string | null
  hold_until?: string | null
  scans_held?: number | null
  job_id?: string | null
  attempts?: number
  progress?: Progress | null
  undo?: string
  bytes_built?: number | null
  build_ms?: number | null
  verdict?: Verdict | null
  decided_by?: string
  decided_at?: string
  built_at?: string | null
  ended_at?: string | null
}

/** Changes a row that stands where it is believed to stand. Nothing where it does not any more. */
export const changeEntry = async (
  tx: Transaction,
  { id, from }: { id: string; from: readonly Status[] },
  { progress, ...change }: EntryChange,
) => {
  const given = { ...change, progress: progress ? tx.json(progress) : null }
  const [entry] = await tx<EntryRow[]>`
    update recommendations set ${tx(given as never)}, version = version + 1, updated_at = now()
    where id = ${id} and status = any(${from as Status[]}::text[]) returning ${ENTRY(tx)}`
  return entry
}

/** Says how far it is, or why it waits: no change that anybody else's edit would collide with. */
export const noteProgress = (
  tx: Queryable,
  id: string,
  { progress, reason }: { progress: Progress | null; reason: string | null },
) => tx`
  update recommendations set progress = ${progress ? tx.json(progress) : null}, status_reason = ${reason}, updated_at = now()
  where id = ${id} and status in ('approved', 'creating', 'reverting')`

/** What is under way, or waits for a job, the oldest first. */
export const listUnderWay = (tx: Queryable) => tx<
  { id: string; status: Status; jobId: string | null }[]
>`
  select id, status, job_id from recommendations where status in ('approved', 'creating', 'reverting') order by id`

/** A job that has not ended; nothing where it has. */
export const findLiveJob = async (tx: Queryable, id: string) => {
  const [job] = await tx<{ state: string }[]>`
    select state from jobs where id = ${id} and state in ('scheduled', 'ready', 'running', 'parked')`
  return job
}

/** Why a job has ended, in its own words. */
export const findJobEnd = async (tx: Queryable, id: string) => {
  const [job] = await tx<{ state: string; why: string | null }[]>`
    select state, coalesce(reason, error) as why from finished_jobs where id = ${id}
    union all select state, error from jobs where id = ${id} and state = 'dead' limit 1`
  return job
}

/** Takes back a job that has not begun. */
export const withdrawJob = (tx: Queryable, id: string, why: string) => tx`
  select cancel_jobs(array(
    select j.id::text from jobs j where j.id = ${id} and j.state in ('scheduled', 'ready', 'parked') for update), ${why})`

/** Advised indexes that stand, with what they were advised for. */
export const listActive = (tx: Queryable, { after, limit }: { after: string; limit: number }) => tx<
  EntryRow[]
>`
  select ${ENTRY(tx)} from recommendations
  where kind = 'create' and status = 'active' and id > ${after} order by id limit ${limit}`

export const keepVerification = (
  tx: Transaction,
  { id, verdict, verification }: { id: string; verdict: Verdict; verification: object },
) => tx`
  update recommendations set verdict = ${verdict}, verification = ${tx.json(verification as never)}, updated_at = now()
  where id = ${id} and status = 'active'`

/** Advises to drop an index; nothing where that is advised already, or was refused once. */
export const proposeDrop = async (
  tx: Transaction,
  given: {
    id: string
    schema: string
    table: string
    index: string
    definition: string
    statement: string
    undo: string
    bytes: number
    code: string
    reason: string
  },
) => {
  const [proposed] = await tx<{ id: string }[]>`
    insert into recommendations (id, kind, schema_name, table_name, index_name, definition, statement, undo, bytes, how,
      confidence, code, reason)
    select ${given.id}, 'drop', ${given.schema}, ${given.table}, ${given.index}, ${given.definition}, ${given.statement},
      ${given.undo}, ${given.bytes}, 'built', 'high', ${given.code}, ${given.reason}
    where not exists (
      select from recommendations where kind = 'drop' and index_name = ${given.index} and schema_name = ${given.schema}
        and (status in ('proposed', 'approved', 'creating', 'failed', 'reverting')
          or status = 'dismissed' and decided_by is not null))
    on conflict do nothing returning id`
  return proposed
}
