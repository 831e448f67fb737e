import * as v from 'valibot'
import type { Context } from '../../src/platform/context.ts'
import type { Sql } from '../../src/platform/db/connect.ts'
import { type EnqueueOptions, enqueueMany } from '../../src/platform/jobs/enqueue.ts'
import { handle, type JobHandler, type RunningJob } from '../../src/platform/jobs/handler.ts'
import { jobType } from '../../src/platform/jobs/job-type.ts'
import { QUEUES, type QueueName } from '../../src/platform/jobs/queue.ts'
import type { RunOptions, StartedJob } from '../../src/platform/jobs/run.ts'
import { startWorkers, type WorkersOptions } from '../../src/platform/jobs/workers.ts'
import { silentLog } from '../../src/platform/log.ts'
import { until } from './until.ts'

/** A job for tests: its number, and what shall happen. */
export const testJob = jobType(
  'test.run',
  'default',
  v.strictObject({ n: v.number(), how: v.optional(v.string()) }),
)

type Run = (job: RunningJob<{ n: number; how?: string | undefined }>) => Promise<unknown>

const contextOf = (sql: Sql, job: StartedJob): Context => ({
  sql,
  log: silentLog,
  access: {} as Context['access'],
  outgoing: { recorded: async () => {}, wake: () => {} },
  auditKey: {} as Context['auditKey'],
  sealKey: {} as Context['sealKey'],
  actor: job.actor ?? {
    subject: 'service:test',
    apiKeyId: null,
    organizationId: null,
    restrictedTo: null,
  },
  organizationId: job.organizationId ?? '',
  requestId: job.id,
  now: () => new Date(),
})

/** What workers need to run test jobs. */
export const runOptions = (sql: Sql, run: Run, over: Partial<RunOptions> = {}): RunOptions => ({
  sql,
  handlers: new Map<string, JobHandler>([['test.run', handle(testJob, run)]]),
  contextOf: (job) => contextOf(sql, job),
  permits: async () => true,
  ...over,
})

/** Workers as a node starts them, for test jobs. */
export const startTestWorkers = (sql: Sql, run: Run, over: Partial<WorkersOptions> = {}) =>
  startWorkers({
    ...runOptions(sql, run),
    log: silentLog,
    version: 'test',
    queues: QUEUES,
    pollMs: 100,
    ...over,
  })

/** Hands in test jobs numbered from `from`, in batches of a thousand. */
export const enqueueNumbers = async (
  sql: Sql,
  count: number,
  options: EnqueueOptions & { queue?: QueueName; from?: number; how?: string } = {},
): Promise<string[]> => {
  const { queue = 'default', from = 0, how, ...rest } = options
  const ids: string[] = []
  for (let first = from; first < from + count; first += 1000) {
    const numbers = Array.from(
      { length: Math.min(1000, from + count - first) },
      (_, n) => first + n,
    )
    const made = await sql.begin((tx) =>
      enqueueMany(
        tx,
        queue,
        numbers.map((n) => ({ ...rest, job: testJob(how === undefined ? { n } : { n, how }) })),
      ),
    )
    ids.push(...made.map(({ id }) => id))
  }
  return ids
}

/** The books of a database: what was added is what has ended and what is still there. */
export const booksOf = async (sql: Sql) => {
  const [row] = await sql<
    {
      added: number
      done: number
      canceled: number
      buried: number
      deleted: number
      present: number
      kept: number
    }[]
  >`
    select (select count(*) from jobs) as present, (select count(*) from finished_jobs) as kept,
      coalesce(sum(added), 0)::bigint as added, coalesce(sum(done), 0)::bigint as done,
      coalesce(sum(canceled), 0)::bigint as canceled, coalesce(sum(buried), 0)::bigint as buried,
      coalesce(sum(deleted), 0)::bigint as deleted
    from job_minutes`
  return row!
}

/** Waits until no job is left that could still run. */
export const untilIdle = (sql: Sql, timeoutMs = 30_000) =>
  until(async () => {
    const [row] = await sql<{ left: number }[]>`
      select count(*) as left from jobs where state in ('ready', 'scheduled', 'running')`
    return row!.left === 0
  }, timeoutMs)
