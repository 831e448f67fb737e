import type { Sql } from '../db/connect.ts'
import { newId } from '../id.ts'
import type { Log } from '../log.ts'
import { createStarter } from './deliver.ts'
import type { Executor, Message } from './executor.ts'
import { createOutcomes } from './outcome.ts'
import { type QueueName, TIMES, type Times } from './queue.ts'
import {
  deleteWorker,
  findDue,
  findLoad,
  keepJobs,
  type Load,
  sweepJobs,
  undispatchAll,
  undispatchJobs,
  unparkJobs,
  upsertWorker,
} from './repository.ts'
import type { RunOptions, StartedJob } from './run.ts'
import { createScale, slotsWanted } from './slots.ts'
import { createWorker, type WorkerOptions } from './worker.ts'

export type WorkersOptions = RunOptions & {
  sql: Sql
  log: Log
  version: string
  queues: readonly QueueName[]
  /** Carries jobs between processes; without one each takes its own from Postgres. */
  executor?: Executor | undefined
  /** Milliseconds between two looks for jobs of which nobody told this process. */
  pollMs: number
  /** Other times than the usual ones. */
  times?: Partial<Times> | undefined
  /** Event-loop lag of this process, p99 in milliseconds. */
  lagMs?: () => number
  onRun?: WorkerOptions['onRun']
  /** Called with what was measured and decided, every few seconds. */
  onLoad?: (loads: readonly (Load & { slots: number; wanted: number })[]) => void
}

/** Milliseconds between two tries to start a job that an executor delivered. */
const RESTART_MS = 200
const LOAD_MS = 5000
const LOAD_AT_ONCE_MS = 250

/** Workers of every queue, with their signs of life, their net (polling) and their scaling. */
export const startWorkers = async (options: WorkersOptions) => {
  const { sql, log, executor } = options
  const times = { ...TIMES, ...options.times }
  const id = newId('wrk')
  const startedAt = new Date().toISOString()
  const outcomes = createOutcomes(sql, log)
  const taker = { worker: id, executor: 'embedded' }
  let databaseMs = 0
  let stopping = false

  let loadTimer: ReturnType<typeof setTimeout> | undefined
  let loadDueMs = Number.POSITIVE_INFINITY
  /** Looks at the load soon; the earlier of two wishes counts. */
  const lookAtLoad = (inMs: number) => {
    if (stopping || Date.now() + inMs >= loadDueMs) return
    loadDueMs = Date.now() + inMs
    clearTimeout(loadTimer)
    loadTimer = setTimeout(() => {
      loadDueMs = Number.POSITIVE_INFINITY
      void scale().finally(() => lookAtLoad(LOAD_MS))
    }, inMs)
  }

  const workers = options.queues.map((queue) => ({
    worker: createWorker({
      ...options,
      queue,
      taker,
      outcomes,
      times,
      executor,
      onFull: () => lookAtLoad(LOAD_AT_ONCE_MS),
    }),
    scale: createScale(Date.now),
  }))
  const byQueue = new Map(workers.map((each) => [each.worker.queue, each]))

  const scale = async () => {
    try {
      const startedAtMs = Date.now()
      const loads = await findLoad(sql)
      databaseMs = Date.now() - startedAtMs
      const seen = loads.map((load) => {
        const mine = byQueue.get(load.queue)
        const slots = mine?.scale(load, { lagMs: options.lagMs?.() ?? 0, databaseMs }) ?? 0
        if (mine && mine.worker.size().slots !== slots) mine.worker.resize(slots)
        return { ...load, slots, wanted: slotsWanted(load) }
      })
      options.onLoad?.(seen)
    } catch (error) {
      log.debug({ err: error }, 'the load of the queues cannot be read now')
    }
  }

  /** Says that this worker lives, keeps its jobs, and lets go of what is another's by now. */
  const beat = async () => {
    const held = workers.flatMap(({ worker }) => worker.held())
    const kept = await keepJobs(sql, held, times.leaseMs)
    const holds = new Map(
      workers.flatMap(({ worker }) => worker.held().map((h) => [h.id, h.fence])),
    )
    const lost = held.filter(({ id, fence }) => !kept.has(id) && holds.get(id) === fence)
    for (const { worker } of workers) worker.abort(lost.map((each) => each.id))
    const queues = Object.fromEntries(workers.map(({ worker }) => [worker.queue, worker.size()]))
    await upsertWorker(sql, { id, runtime: 'node', version: options.version, startedAt, queues })
  }

  let pollTimer: ReturnType<typeof setTimeout> | undefined
  const poll = async () => {
    const { queues, nextInMs } = await findDue(sql).catch(() => ({ queues: [], nextInMs: null }))
    for (const queue of queues) byQueue.get(queue)?.worker.fill()
    if (stopping) return
    const inMs = Math.min(options.pollMs, Math.max(10, nextInMs ?? options.pollMs))
    pollTimer = setTimeout(() => void poll(), inMs)
  }

  const quietly = (work: () => Promise<unknown>) => () =>
    void work().catch((error: unknown) => log.debug({ err: error }, 'jobs: the database is away'))
  const sweep = async () => {
    if ((await sweepJobs(sql)) > 0) fillAll()
  }

  const fillAll = () => {
    for (const { worker } of workers) worker.fill()
  }
  const listen = async (executor: Executor) => {
    const start = createStarter(sql, { worker: id, executor: executor.name }, times.leaseMs)
    // What an executor carried when it fell silent need not wait until it is told again.
    executor.watch((healthy) => {
      if (healthy) fillAll()
      else
        void undispatchAll(sql, options.queues, executor.name)
          .catch((error: unknown) => log.debug({ err: error }, 'jobs: the database is away'))
          .finally(fillAll)
    })
    /** With the database away a message is held until it would be told again anyway. */
    const startInTime = async (message: Message): Promise<StartedJob | undefined> => {
      const deadlineMs = Date.now() + times.dispatchMs
      for (;;)
        try {
          return await start(message)
        } catch (error) {
          if (stopping || Date.now() > deadlineMs) throw error
          await new Promise((resolve) => setTimeout(resolve, RESTART_MS))
        }
    }
    for (const { worker } of workers)
      await executor.listen(worker.queue, worker.size().slots, async (message) => {
        if (stopping) return void (await undispatchJobs(sql, [message]))
        const job = await startInTime(message)
        if (job) await worker.admit(job)
        worker.delivered()
      })
  }

  const known = [...options.handlers.values()].map(({ type }) => ({
    name: type.jobName,
    version: type.version,
  }))
  await unparkJobs(sql, known)
  await beat()
  await scale()
  if (executor) await listen(executor)
  const timers = [
    setInterval(quietly(beat), times.heartbeatMs),
    setInterval(quietly(sweep), times.sweepMs),
  ]
  lookAtLoad(LOAD_MS)
  fillAll()
  await poll()

  return {
    id,
    /** Looks for jobs in these queues now: something was just committed there. */
    wake: (queues: Iterable<QueueName>) => {
      for (const queue of queues) byQueue.get(queue)?.worker.fill()
    },
    /** Ends running jobs that were just canceled here, without waiting for the next sign of life. */
    abort: (ids: readonly string[]) => {
      for (const { worker } of workers) worker.abort(ids)
    },
    size: () => Object.fromEntries(workers.map(({ worker }) => [worker.queue, worker.size()])),
    /** Takes no more jobs, lets those running end for `drainMs`, and gives the rest back. */
    stop: async (drainMs = 10_000) => {
      stopping = true
      for (const timer of timers) clearInterval(timer)
      clearTimeout(pollTimer)
      clearTimeout(loadTimer)
      executor?.pause()
      await Promise.all(workers.map(({ worker }) => worker.stop(drainMs)))
      await executor?.stop()
      await deleteWorker(sql, id).catch(() => {})
    },
  }
}

export type Workers = Awaited<ReturnType<typeof startWorkers>>
