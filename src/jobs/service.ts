import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import type { Violations } from '../platform/db/violation.ts'
import { WAITING_MAX } from '../platform/jobs/enqueue.ts'
import type { QueueName } from '../platform/jobs/queue.ts'
import { noteQueue } from '../platform/jobs/wake.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem } from '../platform/problem.ts'
import { changing, jobNotFound, reading, tenantOf } from './mount.ts'
import * as repository from './repository.ts'
import type {
  AskUsage,
  Job,
  JobSummary,
  ListAttempts,
  ListJobs,
  OneJob,
  State,
  Usage,
} from './schema.ts'

export { measureJobs } from './measure.ts'

/** What the database refuses about jobs. */
export const jobViolations: Violations = {
  jobs_dedup: ['conflict', 'job-exists', 'A job with the same key waits already.'],
  job_queues_slots_ordered: [
    'unprocessable',
    'slots-unordered',
    'slotsMin is more than slotsMax.',
    '/slotsMin',
  ],
}

/** After every id of a job, so that the newest come first. */
const AFTER_ALL = 'k'

export const listJobs = (context: Context, { limit, cursor, organization, ...filter }: ListJobs) =>
  reading(context, async (tx) => {
    const tenant = await tenantOf(tx, context, { organization, pointer: '/organization' })
    const range = { before: positionOf(cursor) || AFTER_ALL, limit: limit + 1 }
    return toPage(
      await repository.listJobs(tx, { ...filter, ...range, tenant }),
      limit,
      (job) => job.id,
    )
  })

const ownTenant = ({ organizationId }: Context) => organizationId || undefined

/** A job; what it carries only for those who may see that. */
export const getJob = async (context: Context, { job: id }: OneJob): Promise<Job> => {
  const place = { organizationId: context.organizationId || null }
  const maySeePayload = await context.access.permits(context, 'job:payload:read', place)
  const found = await reading(context, (tx) => repository.findJob(tx, ownTenant(context), id))
  if (!found) throw jobNotFound()
  const { payload, result, ...job } = found
  return maySeePayload ? { ...job, payload, result } : job
}

/** The runs of a job that have ended, in their order. */
export const listAttempts = (context: Context, { job: id, limit, cursor }: ListAttempts) =>
  reading(context, async (tx) => {
    const tenant = ownTenant(context)
    if (!(await repository.findJob(tx, tenant, id))) throw jobNotFound()
    const after = Number.parseInt(positionOf(cursor) || '0', 10) || 0
    const attempts = await repository.listAttempts(tx, { tenant, id, after, limit: limit + 1 })
    return toPage(attempts, limit, ({ number }) => `${number}`)
  })

type Move = {
  /** Where a job must stand that has not ended. */
  from: readonly State[]
  /** Whether it can be done with one that has. */
  ofEnded: boolean
  event: string
  /** What cannot be done, for the refusal. */
  verb: string
  move: (tx: Transaction, id: string) => Promise<readonly unknown[]>
}

const MOVES = {
  cancel: {
    from: ['scheduled', 'ready', 'running', 'parked'],
    ofEnded: false,
    event: 'job.canceled',
    verb: 'canceled',
    move: (tx, id) => repository.cancelJobs(tx, [id], 'canceled by hand'),
  },
  retry: {
    from: ['dead', 'parked'],
    ofEnded: false,
    event: 'job.retried',
    verb: 'tried again',
    move: (tx, id) => repository.redriveJobs(tx, [id]),
  },
  promote: {
    from: ['scheduled'],
    ofEnded: false,
    event: 'job.promoted',
    verb: 'promoted',
    move: (tx, id) => repository.promoteJobs(tx, [id]),
  },
  delete: {
    from: ['scheduled', 'ready', 'dead', 'parked'],
    ofEnded: true,
    event: 'job.deleted',
    verb: 'deleted',
    move: (tx, id) => repository.deleteJobs(tx, [id]),
  },
} as const satisfies Record<string, Move>

const refuseState = (job: JobSummary, { from, ofEnded, verb }: Move) => {
  const ended = job.finishedAt !== null
  if (ended ? ofEnded : (from as readonly string[]).includes(job.state)) return
  throw new Problem(
    'conflict',
    'job-state',
    `A job that ${ended ? 'has ended' : `is ${job.state}`} cannot be ${verb}.`,
    { state: job.state },
  )
}

const withoutPayload = <Found extends Job>({ payload, result, ...job }: Found): JobSummary => job

/** The job as it stands, taken if it has not ended. */
const findTaken = async (tx: Transaction, context: Context, id: string) => {
  const tenant = ownTenant(context)
  const waiting = await repository.lockJob(tx, tenant, id)
  if (waiting) return waiting
  const ended = await repository.findJob(tx, tenant, id)
  if (!ended) throw jobNotFound()
  return withoutPayload(ended)
}

const move = (context: Context, { job: id }: OneJob, kind: Move) =>
  changing(context, async (tx) => {
    const before = await findTaken(tx, context, id)
    // What was buried is dead as well, but nothing can be made of it any more.
    refuseState(
      before.finishedAt && before.state === 'dead' ? { ...before, state: 'done' } : before,
      kind,
    )
    const moved = await kind.move(tx, id)
    if (moved.length === 0)
      throw new Problem('conflict', 'job-exists', 'A job with the same key waits already.')
    const after = await repository.findJob(tx, ownTenant(context), id)
    noteQueue(tx, before.queue as QueueName)
    const { event } = kind
    const [workspaceId, shown] = [before.workspace, after && withoutPayload(after)]
    await recordChange(tx, context, {
      event,
      resource: `job:${id}`,
      workspaceId,
      before,
      after: shown,
    })
    return shown ?? before
  })

/** Ends a job that has not ended. One that runs is aborted at its worker's next sign of life, and can finish nothing. */
export const cancelJob = (context: Context, input: OneJob) => move(context, input, MOVES.cancel)

/** A dead or parked job is ready again, with all its attempts before it. */
export const retryJob = (context: Context, input: OneJob) => move(context, input, MOVES.retry)

/** A job that waits for its time is ready now. */
export const promoteJob = (context: Context, input: OneJob) => move(context, input, MOVES.promote)

/** Deletes a job that does not run, and its attempts. */
export const deleteJob = async (context: Context, input: OneJob): Promise<void> => {
  await move(context, input, MOVES.delete)
}

/** What an organization (or, for operators, everybody) has running and waiting, and what it used. */
export const getUsage = (context: Context, { organization }: AskUsage): Promise<Usage> =>
  reading(context, async (tx) => {
    const tenant = await tenantOf(tx, context, { organization, pointer: '/organization' })
    const rows = await repository.findUsage(tx, tenant)
    const queues = rows.map(({ weight, runningMax, ratePerMinute, ...queue }) => ({
      ...queue,
      limits: tenant === undefined ? null : { weight: weight ?? 1, runningMax, ratePerMinute },
    }))
    const sum = (of: (queue: (typeof queues)[number]) => number) =>
      queues.reduce((total, queue) => total + of(queue), 0)
    return {
      running: sum(({ running }) => running),
      waiting: sum(({ waiting }) => waiting),
      waitingMax: tenant === undefined || tenant === 'platform' ? null : WAITING_MAX,
      slotSecondsLastDay: sum(({ slotSecondsLastDay }) => slotSecondsLastDay),
      queues,
    }
  })
