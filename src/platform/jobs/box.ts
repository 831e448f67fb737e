import type { Log } from '../log.ts'
import type { Message } from './executor.ts'
import { createOutcomes } from './outcome.ts'
import { HEARTBEAT_MS, type QueueName } from './queue.ts'
import { claimJobs, keepJobs, startJobs, type Taker } from './repository.ts'
import { type RunOptions, runJob, type StartedJob } from './run.ts'

/** Jobs taken with one trip and run side by side, where a runtime lends its time in boxes. */
const SIDE_BY_SIDE = 10

export type BoxOptions = RunOptions & { log: Log; taker: Taker }

/** Runs jobs that were started to their end, with signs of life while they run. Answers how many ended here. */
const runAll = async (options: BoxOptions, jobs: readonly StartedJob[]): Promise<number> => {
  const { sql, log } = options
  const outcomes = createOutcomes(sql, log)
  const running = new Map(jobs.map((job) => [job.id, { job, abort: new AbortController() }]))
  const beat = setInterval(async () => {
    const held = [...running.values()].map(({ job: { id, fence } }) => ({ id, fence }))
    const kept = await keepJobs(sql, held).catch(() => undefined)
    for (const { id } of held)
      if (kept && !kept.has(id)) running.get(id)?.abort.abort(new Error('the lease was lost'))
  }, HEARTBEAT_MS)
  try {
    const ended = await Promise.all(
      [...running.values()].map(async ({ job, abort }) => {
        const outcome = await runJob(options, job, abort)
        const ours = await outcomes.record(outcome)
        running.delete(job.id)
        return ours
      }),
    )
    return ended.filter(Boolean).length
  } finally {
    clearInterval(beat)
  }
}

/**
 * Takes and runs jobs until there are none or the time is up: for runtimes that call a program now and then instead of
 * keeping it (a cron trigger). Queues are asked in the order they are given. Answers how many ended.
 */
export const workFor = async (
  options: BoxOptions,
  { queues, boxMs }: { queues: readonly QueueName[]; boxMs: number },
): Promise<number> => {
  const deadlineMs = Date.now() + boxMs
  let ended = 0
  for (let found = true; found; ) {
    found = false
    for (const queue of queues) {
      if (Date.now() >= deadlineMs) return ended
      const jobs = await claimJobs(options.sql, queue, SIDE_BY_SIDE, options.taker)
      found ||= jobs.length > 0
      ended += await runAll(options, jobs)
    }
  }
  return ended
}

/** Runs what an executor delivered in one batch, as far as it still counts. Answers how many ended. */
export const workOff = async (options: BoxOptions, messages: readonly Message[]) =>
  runAll(options, await startJobs(options.sql, messages, options.taker))
