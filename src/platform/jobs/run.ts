import type { Actor, Context } from '../context.ts'
import type { Sql, Transaction } from '../db/connect.ts'
import { parse } from '../parse.ts'
import { Problem } from '../problem.ts'
import {
  Fatal,
  fullJitterMs,
  type JobHandler,
  LeaseLost,
  Postponed,
  RetryAfter,
  type RunningJob,
} from './handler.ts'
import type { Outcome } from './outcome.ts'
import { beginSuspect } from './repository.ts'

/** A row of `jobs` that was started. */
export type StartedJob = {
  id: string
  queue: string
  name: string
  nameVersion: number
  organizationId: string | null
  workspaceId: string | null
  actor: Actor | null
  permission: string | null
  priority: number
  payload: unknown
  attempts: number
  attemptsMax: number
  /** Starts whose worker was never heard of again. */
  losses: number
  timeoutMs: number
  fence: number
  requestId: string | null
  startedAt: string
}

export type RunOptions = {
  sql: Sql
  handlers: ReadonlyMap<string, JobHandler>
  /** The context a job runs in: its actor's, or the server's own. */
  contextOf: (job: StartedJob) => Context
  /** Whether the job's actor holds its permission now, as the database has it. */
  permits: (context: Context, job: StartedJob) => Promise<boolean>
}

const messageOf = (error: unknown): string =>
  (error instanceof Problem
    ? `${error.code}: ${error.detail}`
    : error instanceof Error
      ? error.message || error.name
      : String(error)
  ).slice(0, 2000)

/** Milliseconds a job that lost a worker before has to show that it does not end this one, before the next one begins. */
const SUSPECT_MS = 2000
let lastSuspect: Promise<unknown> = Promise.resolve()

/**
 * Lets jobs that lost a worker before begin one after another in this process, and says of each that it began: if the
 * process ends now, it is known which of all that it held did it.
 */
const beginOf = async (
  sql: Sql,
  job: StartedJob,
  signal: AbortSignal,
  ended: Promise<unknown>,
): Promise<void> => {
  const before = lastSuspect
  lastSuspect = before.then(() => Promise.race([ended, pause(SUSPECT_MS)]))
  await Promise.race([before, rejectionOf(signal)])
  const [begun] = await beginSuspect(sql, job)
  if (!begun) throw new LeaseLost(`${job.id} is not this worker's any more`)
}

/** A run was aborted because the server stops; the job is another's to run. */
export class Stopping extends Error {}

/** Runs one started job to its end and says how it ended. Never throws. */
export const runJob = async (
  options: RunOptions,
  job: StartedJob,
  abort: AbortController,
): Promise<Outcome> => {
  const { id, fence } = job
  const handler = options.handlers.get(job.name)
  if (!handler || handler.type.version < job.nameVersion)
    return {
      id,
      fence,
      end: 'parked',
      error: `no worker here knows ${job.name} version ${job.nameVersion}`,
    }
  let timeout: ReturnType<typeof setTimeout> | undefined
  let end = () => {}
  try {
    if (job.losses > 0)
      await beginOf(
        options.sql,
        job,
        abort.signal,
        new Promise<void>((resolve) => {
          end = resolve
        }),
      )
    timeout = setTimeout(() => abort.abort(new TimedOut(job.timeoutMs)), job.timeoutMs)
    const context = options.contextOf(job)
    if (job.permission && job.actor && !(await options.permits(context, job)))
      return {
        id,
        fence,
        end: 'canceled',
        reason: `${job.actor.subject} does not hold ${job.permission} any more`,
      }
    const payload = parsePayload(handler, job.payload)
    const running = runningJob(options.sql, job, { payload, context, signal: abort.signal })
    const result = await Promise.race([handler.run(running as never), rejectionOf(abort.signal)])
    // A handler that returns because it was aborted has not done its work.
    abort.signal.throwIfAborted()
    return { id, fence, end: 'done', result }
  } catch (error) {
    return outcomeOf(job, error, handler)
  } finally {
    clearTimeout(timeout)
    end()
  }
}

class TimedOut extends Error {
  constructor(timeoutMs: number) {
    super(`it took longer than ${timeoutMs} ms`)
  }
}

/** A payload that does not fit its schema will not fit the next time. */
const parsePayload = (handler: JobHandler, payload: unknown) => {
  try {
    return parse(handler.type.payload, payload)
  } catch (error) {
    const faults = error instanceof Problem ? error.extras.errors : undefined
    throw new Fatal(`the payload is not valid${faults ? ` at ${faults[0]?.pointer}` : ''}`)
  }
}

const rejectionOf = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    if (signal.aborted) reject(signal.reason)
  })

const outcomeOf = (job: StartedJob, error: unknown, handler: JobHandler): Outcome => {
  const { id, fence } = job
  if (error instanceof Stopping || error instanceof LeaseLost) return { id, fence, end: 'released' }
  if (error instanceof Postponed)
    return { id, fence, end: 'postponed', delayMs: error.delayMs, error: messageOf(error) }
  const attempts = job.attempts + 1
  const dead = error instanceof Fatal || attempts >= job.attemptsMax
  const delayMs =
    error instanceof RetryAfter
      ? error.delayMs
      : Math.max(1, (handler.settings.backoffMs ?? fullJitterMs)(attempts))
  const end = error instanceof TimedOut ? 'timed-out' : 'failed'
  return { id, fence, end, dead, delayMs: dead ? 0 : delayMs, error: messageOf(error) }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const PROGRESS_MS = 1000

const runningJob = (
  sql: Sql,
  job: StartedJob,
  given: { payload: unknown; context: Context; signal: AbortSignal },
): RunningJob => {
  let toldAtMs = 0
  return {
    id: job.id,
    organizationId: job.organizationId,
    workspaceId: job.workspaceId,
    attempt: job.attempts + 1,
    attemptsMax: job.attemptsMax,
    fence: job.fence,
    ...given,
    once: (tx, key = job.id) => claimEffect(tx, job, key),
    progress: async (share, note) => {
      if (Date.now() - toldAtMs < PROGRESS_MS && share < 1) return
      toldAtMs = Date.now()
      await sql`update jobs set progress = ${sql.json({ share, note: note ?? null })}
        where id = ${job.id} and fence = ${job.fence} and state = 'running'`
    },
  }
}

const claimEffect = async (
  tx: Transaction,
  { id, fence }: StartedJob,
  key: string,
): Promise<boolean> => {
  const [claimed] = await tx<
    { made: boolean | null }[]
  >`select claim_effect(${id}, ${fence}, ${key}) as made`
  if (claimed?.made == null) throw new LeaseLost(`${id} is not this worker's any more`)
  return claimed.made
}
