import type { Actor } from '../context.ts'
import type { Queryable } from '../db/connect.ts'
import { newId } from '../id.ts'
import { Problem } from '../problem.ts'
import type { NewJob } from './job-type.ts'
import type { QueueName } from './queue.ts'
import { noteQueue } from './wake.ts'

export type EnqueueOptions = {
  /** Whose job it is; turns and limits are of organizations. Null: the platform's own. */
  organizationId?: string | null
  workspaceId?: string | null
  /** In whose name it runs. With `permission` it is asked again, at the start, whether they may. */
  actor?: Actor
  permission?: string
  /** 0 is first, 9 is last; 5 unless told. */
  priority?: number
  /** Not before this time. */
  runAt?: Date
  /** While a job with this key waits or runs in the queue and organization, no second one is made. */
  dedupKey?: string
  /** Of a queue's jobs with this key, one runs at a time. */
  exclusiveKey?: string
  /** Runs that may fail before it is dead. Default 10. */
  attemptsMax?: number
  /** Milliseconds after which a run is aborted. Default 60,000. */
  timeoutMs?: number
  requestId?: string
}

/** Jobs one organization may have waiting or running; more are refused, so that none fills the disk of all. */
export const WAITING_MAX = 100_000
const ATTEMPTS_MAX = 10
const TIMEOUT_MS = 60_000

export type Enqueued = {
  id: string
  /** False where a job with the same `dedupKey` was there already; `id` is then that job's. */
  isNew: boolean
}

/**
 * Leaves a job in the caller's transaction: it exists if and only if that commits.
 * @throws Problem 429 `jobs-limit` where the organization has too many waiting
 */
export const enqueue = async (
  tx: Queryable,
  queue: QueueName,
  job: NewJob,
  options: EnqueueOptions = {},
): Promise<Enqueued> => {
  const [enqueued] = await enqueueMany(tx, queue, [{ ...options, job }])
  return enqueued!
}

/** Leaves many jobs of one organization with one statement; answers in the order of the jobs. */
export const enqueueMany = async (
  tx: Queryable,
  queue: QueueName,
  jobs: readonly (EnqueueOptions & { job: NewJob })[],
): Promise<Enqueued[]> => {
  if (jobs.length === 0) return []
  const rows = jobs.map((job) => rowOf(queue, job))
  const organizationId = rows[0]!.organization_id
  if (rows.some((row) => row.organization_id !== organizationId))
    throw new TypeError('Jobs that are enqueued together are of one organization.')
  await refuseTooMany(tx, organizationId, rows.length)
  const inserted = await insertJobs(tx, rows)
  noteQueue(tx, queue)
  const made = new Set(inserted.map(({ id }) => id))
  const enqueued: Enqueued[] = []
  for (const row of rows)
    enqueued.push(made.has(row.id) ? { id: row.id, isNew: true } : await findTwin(tx, row as Keyed))
  return enqueued
}

type Row = ReturnType<typeof rowOf>
type Keyed = Row & { dedup_key: string }

const rowOf = (queue: QueueName, { job, ...options }: EnqueueOptions & { job: NewJob }) => ({
  id: newId('job'),
  queue,
  name: job.name,
  name_version: job.version,
  organization_id: options.organizationId || null,
  workspace_id: options.workspaceId ?? null,
  actor: options.actor ?? null,
  permission: options.permission ?? null,
  priority: options.priority ?? 5,
  run_at: options.runAt?.toISOString() ?? null,
  payload: job.payload,
  dedup_key: options.dedupKey ?? null,
  exclusive_key: options.exclusiveKey ?? null,
  attempts_max: options.attemptsMax ?? ATTEMPTS_MAX,
  timeout_ms: options.timeoutMs ?? TIMEOUT_MS,
  request_id: options.requestId ?? null,
})

const COLUMNS = `id, queue, name, name_version, organization_id, workspace_id, actor, permission, priority, payload, dedup_key,
  exclusive_key, attempts_max, timeout_ms, request_id`

const insertJobs = (tx: Queryable, rows: readonly Row[]) => tx<{ id: string }[]>`
  insert into jobs (${tx.unsafe(COLUMNS)}, run_at, state)
  select ${tx.unsafe(COLUMNS)}, coalesce(run_at, clock_timestamp()),
    case when run_at > clock_timestamp() then 'scheduled' else 'ready' end
  from jsonb_to_recordset(${tx.json(rows as never)}) as given (id text, queue text, name text, name_version int,
    organization_id text, workspace_id text, actor jsonb, permission text, priority smallint, run_at timestamptz,
    payload jsonb, dedup_key text, exclusive_key text, attempts_max int, timeout_ms int, request_id text)
  on conflict (queue, organization_id, dedup_key) where dedup_key is not null and state <> 'dead' do nothing
  returning id`

/** The job that was there already; or this one after all, when that has ended in the meantime. */
const findTwin = async (tx: Queryable, row: Keyed): Promise<Enqueued> => {
  for (;;) {
    const [twin] = await tx<{ id: string }[]>`
      select id from jobs where queue = ${row.queue} and dedup_key = ${row.dedup_key} and state <> 'dead'
        and organization_id is not distinct from ${row.organization_id}`
    if (twin) return { id: twin.id, isNew: false }
    const [inserted] = await insertJobs(tx, [row])
    if (inserted) return { id: inserted.id, isNew: true }
  }
}

const refuseTooMany = async (tx: Queryable, organizationId: string | null, count: number) => {
  if (organizationId === null) return
  const [row] = await tx<{ waiting: number }[]>`
    select coalesce(sum(added - done - canceled - buried - deleted), 0)::bigint as waiting
    from job_minutes where tenant = ${organizationId}`
  if (row!.waiting + count > WAITING_MAX)
    throw new Problem(
      'limited',
      'jobs-limit',
      `The organization has ${row!.waiting} jobs waiting; more are taken when some are done.`,
      { retryAfterSeconds: 60 },
    )
}
