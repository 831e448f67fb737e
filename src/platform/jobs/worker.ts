import type { Sql } from '../db/connect.ts'
import type { Log } from '../log.ts'
import type { Executor, Message } from './executor.ts'
import { LeaseLost } from './handler.ts'
import type { createOutcomes } from './outcome.ts'
import type { QueueName, Times } from './queue.ts'
import { claimJobs, dispatchJobs, type Taker, undispatchJobs } from './repository.ts'
import { type RunOptions, runJob, type StartedJob, Stopping } from './run.ts'

/** Milliseconds of work that may wait in this process: more would be taken from whoever is faster, less wastes trips. */
const AHEAD_MS = 50
const AHEAD_MAX = 200
/** Messages on their way to workers, per slot. */
const DISPATCHED_PER_SLOT = 4
const DISPATCHED_MIN = 200
const RETRY_MS_MAX = 5000
/** Milliseconds that a stop waits for the last outcomes to be written. */
const SETTLE_MS = 3000

export type WorkerOptions = RunOptions & {
  sql: Sql
  log: Log
  queue: QueueName
  taker: Taker
  executor: Executor | undefined
  outcomes: ReturnType<typeof createOutcomes>
  times: Times
  /** Called after each run, with its milliseconds. */
  onRun?: ((queue: QueueName, end: string, durationMs: number) => void) | undefined
  /** Called when every slot is taken and more is waiting. */
  onFull?: (() => void) | undefined
}

type Running = { abort: AbortController; fence: number }

const byPriority = (a: StartedJob, b: StartedJob) =>
  a.priority - b.priority || (a.id < b.id ? -1 : 1)

/** Jobs of one claim, first the first of each organization, then the second of each, and so on. */
export const inTurn = (jobs: readonly StartedJob[]): StartedJob[] => {
  const taken = new Map<string | null, number>()
  return [...jobs]
    .sort(byPriority)
    .map((job) => {
      const rank = taken.get(job.organizationId) ?? 0
      taken.set(job.organizationId, rank + 1)
      return { job, rank }
    })
    .sort((a, b) => a.rank - b.rank)
    .map(({ job }) => job)
}

/** Adds a job behind the others; those of its own organization are put in order among their places. */
const addInOrder = (jobs: StartedJob[], added: StartedJob): void => {
  jobs.push(added)
  const places = [...jobs.keys()].filter((at) => jobs[at]!.organizationId === added.organizationId)
  const own = places.map((at) => jobs[at]!).sort(byPriority)
  for (const [nth, at] of places.entries()) jobs[at] = own[nth]!
}

/** Takes the jobs of one queue and runs so many at once as it has slots. */
export const createWorker = (options: WorkerOptions) => {
  const { sql, log, queue, taker, executor, outcomes, times } = options
  const running = new Map<string, Running>()
  let waiting: StartedJob[] = []
  let [slots, stopped, filling, again, failures, meanMs] = [1, false, false, false, 0, Number.NaN]
  let retry: ReturnType<typeof setTimeout> | undefined
  let arrived = 0

  /** Jobs that would begin within the next moments, judged by how long the last ones took. */
  const aheadMax = () =>
    Number.isNaN(meanMs) ? 0 : Math.min(AHEAD_MAX, Math.floor((slots * AHEAD_MS) / (meanMs + 0.05)))

  /** Runs a job that is started; resolves when its handler has ended and its slot is free. */
  const run = async (job: StartedJob): Promise<void> => {
    busy++
    try {
      await runToItsEnd(job)
    } finally {
      busy--
    }
  }
  const runToItsEnd = async (job: StartedJob): Promise<void> => {
    const abort = new AbortController()
    running.set(job.id, { abort, fence: job.fence })
    const startedAtMs = performance.now()
    const outcome = await runJob(options, job, abort)
    const durationMs = performance.now() - startedAtMs
    meanMs = Number.isNaN(meanMs) ? durationMs : meanMs * 0.9 + durationMs * 0.1
    const recorded = outcomes.record(outcome)
    // The slot is free once the handler has ended; the row stays this worker's until the outcome is written.
    const held = recorded
      .then((ours) => {
        if (!ours && outcome.end !== 'released')
          log.warn(
            { job: job.id, name: job.name, end: outcome.end },
            'a job was no longer ours when it ended',
          )
        if (outcome.end === 'failed' || outcome.end === 'timed-out')
          log[outcome.dead ? 'error' : 'warn'](
            { job: job.id, name: job.name, attempt: job.attempts + 1, reason: outcome.error },
            outcome.dead ? 'a job is dead' : 'a job failed and is tried again',
          )
        options.onRun?.(
          queue,
          outcome.end === 'failed' && outcome.dead ? 'dead' : outcome.end,
          durationMs,
        )
      })
      .catch((error: unknown) => log.warn({ err: error, job: job.id }, 'an outcome is not written'))
      .finally(() => running.get(job.id)?.fence === job.fence && running.delete(job.id))
    unsettled.add(held)
    void held.finally(() => unsettled.delete(held))
  }
  const unsettled = new Set<Promise<unknown>>()
  let busy = 0

  /** Told when a job that an executor delivered is through with this worker. */
  const through = new Map<string, () => void>()
  const letGo = (jobs: readonly StartedJob[]) => {
    for (const { id } of jobs) {
      through.get(id)?.()
      through.delete(id)
    }
  }

  let delivering = 0
  /** As many are delivered at once as would be taken at once: what starts soon is started with few trips. */
  const resizeExecutor = () => {
    const wanted = slots + aheadMax()
    if (!executor || Math.abs(wanted - delivering) * 5 <= delivering) return
    delivering = wanted
    executor.resize(queue, wanted)
  }

  const startWaiting = () => {
    while (!stopped && busy < slots && waiting.length > 0) {
      const job = waiting.shift()!
      void run(job).finally(() => {
        letGo([job])
        resizeExecutor()
        startWaiting()
        // Half empty: the next trip is worth it.
        if (waiting.length <= aheadMax() / 2) fill()
      })
    }
  }

  /** One trip for more; true if there may be even more. */
  const take = async (): Promise<boolean> => {
    if (executor?.healthy()) {
      const ahead = Math.max(DISPATCHED_MIN, slots * DISPATCHED_PER_SLOT)
      const messages = await dispatchJobs(sql, queue, ahead, executor.name, times.dispatchMs)
      if (messages.length === 0) return false
      await executor.dispatch(queue, messages).catch(async (error: unknown) => {
        log.debug({ err: error, queue }, 'the executor took no messages')
        await undispatchJobs(sql, messages)
        // It is not healthy any more now, so the next look takes them here; one that says it is waits for the next poll.
        again ||= !executor.healthy()
      })
      return false
    }
    const wanted = slots - busy + aheadMax() - waiting.length
    if (wanted <= 0) return false
    const claimed = await claimJobs(sql, queue, wanted, taker, times.leaseMs)
    // What was claimed after the stop goes back at once.
    if (stopped) await release(claimed)
    else waiting.push(...inTurn(claimed))
    startWaiting()
    if (claimed.length >= wanted && busy >= slots) options.onFull?.()
    return claimed.length >= wanted && wanted > 0
  }

  const release = (jobs: readonly StartedJob[]) =>
    Promise.all(jobs.map(({ id, fence }) => outcomes.record({ id, fence, end: 'released' })))

  /** Takes jobs until there are none or no room; asked while it does, it looks once more. */
  const fill = (): void => {
    again = true
    if (filling || stopped) return
    filling = true
    clearTimeout(retry)
    void (async () => {
      try {
        while (again && !stopped) {
          again = false
          if (await take()) again = true
          failures = 0
        }
      } catch (error) {
        failures++
        if (!stopped) {
          log.warn({ err: error, queue }, 'jobs cannot be taken now; trying again')
          retry = setTimeout(fill, Math.min(RETRY_MS_MAX, 50 * 2 ** failures))
        }
      } finally {
        filling = false
      }
    })()
  }

  return {
    queue,
    fill,
    /** Takes a job that an executor delivered and that was started for it; resolves when it has ended here. */
    admit: async (job: StartedJob): Promise<void> => {
      if (stopped) return void (await release([job]))
      const done = new Promise<void>((resolve) => through.set(job.id, resolve))
      addInOrder(waiting, job)
      startWaiting()
      await done
    },
    /** An executor has delivered one more: when a quarter of what may be on its way has arrived, more is sent. */
    delivered: (): void => {
      if (++arrived < DISPATCHED_MIN / 4 && busy > 0) return
      arrived = 0
      fill()
    },
    /** The jobs this worker holds: running, or taken and about to run. */
    held: (): Message[] => [
      ...[...running].map(([id, { fence }]) => ({ id, fence })),
      ...waiting.map(({ id, fence }) => ({ id, fence })),
    ],
    /** Ends what is not this worker's any more. */
    abort: (
      ids: Iterable<string>,
      reason = new LeaseLost('the job is not this worker’s any more'),
    ) => {
      const lost = new Set(ids)
      letGo(waiting.filter(({ id }) => lost.has(id)))
      waiting = waiting.filter(({ id }) => !lost.has(id))
      for (const id of lost) running.get(id)?.abort.abort(reason)
    },
    resize: (wanted: number) => {
      slots = wanted
      resizeExecutor()
      startWaiting()
      fill()
    },
    size: () => ({ slots, running: running.size }),
    /** Takes no more; what is running may end in time, else it is aborted and released. */
    stop: async (drainMs: number) => {
      stopped = true
      clearTimeout(retry)
      const unstarted = waiting
      waiting = []
      const released = release(unstarted)
      letGo(unstarted)
      const deadline = Date.now() + drainMs
      while (running.size > 0 && Date.now() < deadline) await pause(10)
      for (const { abort } of running.values()) abort.abort(new Stopping('the server stops'))
      while (busy > 0 && Date.now() < deadline + 1000) await pause(5)
      // A database that is away keeps nobody from stopping: what is not written is swept when its lease ends.
      await Promise.race([Promise.allSettled([released, ...unsettled]), pause(SETTLE_MS)])
    },
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
