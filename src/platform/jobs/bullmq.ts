import type { IRedisClient, Job, Queue, Worker } from 'bullmq'
import { ANSWER_MS_MAX, createRedis, destroy, type RedisClient } from '../cache/redis-client.ts'
import { within } from '../cache/within.ts'
import { ConfigError } from '../config.ts'
import type { Log } from '../log.ts'
import type { Executor, Message } from './executor.ts'
import { judgeRedis } from './preflight.ts'
import type { QueueName } from './queue.ts'

/** Milliseconds between two questions whether Redis is there. */
const PING_MS = 500
/** Milliseconds between two preflights of a Redis that is in use: its settings may be changed while it runs. */
const JUDGE_MS = 30_000
const STOP_MS_MAX = 2000
const REFUSED_MS_MAX = 30_000
/** Milliseconds after which BullMQ takes a message from a worker that does not renew it. */
const LOCK_MS = 15_000
/** Seconds that a worker waits for a message with one command. */
const WAIT_SECONDS = 5

export type BullmqOptions = {
  url: string
  log: Log
  /** What the names of all keys begin with. */
  prefix?: string
  /** Milliseconds after which a message is taken from a worker that died with it. */
  lockMs?: number
}

type Listener = { slots: number; deliver: (message: Message) => Promise<void> }
/** All that is connected to one Redis, from the moment it is there until it is away. */
type Lines = {
  client: RedisClient
  /** The client as BullMQ wants it. */
  connection: IRedisClient
  queues: Map<QueueName, Queue>
  workers: Map<QueueName, Worker>
}
type State = 'starting' | 'here' | 'away' | 'unfit'

const jobIdOf = ({ id, fence }: Message) => `${id}.${fence}`

/** Read from the key, because an evicting Redis may have thrown away the data. */
const messageOf = (jobId: string | undefined): Message | undefined => {
  const [, id, fence] = /^(job_\w+)\.(\d+)$/.exec(jobId ?? '') ?? []
  return id ? { id, fence: Number(fence) } : undefined
}

/**
 * Carries messages over BullMQ. Whatever goes wrong with Redis (a lost connection, an answer that does not come, a refused
 * command) ends in one state, away: all connections are closed, and made anew when it answers again.
 * @throws ConfigError where Redis is there, but not fit to carry jobs
 */
export const createBullmqExecutor = async (options: BullmqOptions): Promise<Executor> => {
  const { url, log, prefix = 'latchkey', lockMs = LOCK_MS } = options
  const { createNodeRedisClient, Queue, Worker } = await import('bullmq')
  const listeners = new Map<QueueName, Listener>()
  const watchers: ((healthy: boolean) => void)[] = []
  const told = new Set<string>()
  let state: State = 'starting'
  let lines: Lines | undefined
  let [stopped, paused, refused, waitUntilMs, judgedAtMs] = [false, false, 0, 0, 0]
  let timer: ReturnType<typeof setTimeout> | undefined

  /** One line for each change, however many commands fail. */
  const become = (next: State, error?: unknown) => {
    if (state === next || stopped) return
    const before = state
    state = next
    if (next === 'away') log.warn({ err: error }, 'redis is away, jobs are taken from PostgreSQL')
    if (next === 'here' && before !== 'starting') log.info({}, 'redis is back')
    if (next === 'here' || before === 'here')
      for (const changed of watchers) changed(next === 'here')
  }
  const noted = (error: unknown) => log.debug({ err: error }, 'BullMQ says')

  const lose = (lost: Lines | undefined, error: unknown, next: State = 'away') => {
    if (lost !== lines) return
    lines = undefined
    if (lost) void close(lost, true)
    become(next, error)
  }

  const close = async ({ client, queues, workers }: Lines, force: boolean) => {
    const closing = [...workers.values()].map((worker) => worker.close(force))
    await Promise.allSettled([...closing, ...[...queues.values()].map((queue) => queue.close())])
    destroy(client)
  }

  /** BullMQ asks nothing about the server by itself: the preflight did. */
  const shared = ({ connection }: Lines) => ({ connection, prefix, skipVersionCheck: true })

  const queueOf = (open: Lines, name: QueueName): Queue => {
    const known = open.queues.get(name)
    if (known) return known
    const queue = new Queue(name, {
      ...shared(open),
      // What is added, completed and so on is told nobody; without this Redis keeps ten thousand of each queue.
      streams: { events: { maxLen: 100 } },
      defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
    })
    queue.on('error', noted)
    open.queues.set(name, queue)
    return queue
  }

  const deliverNext = (listener: Listener) => async (job: Job) => {
    const message = messageOf(job.id)
    if (message) await listener.deliver(message)
  }

  const startWorker = (open: Lines, name: QueueName, listener: Listener) => {
    if (paused) return
    const worker = new Worker(name, deliverNext(listener), {
      ...shared(open),
      concurrency: listener.slots,
      drainDelay: WAIT_SECONDS,
      lockDuration: lockMs,
      // A message whose worker died is delivered once more. That is soon, and harmless: its fence counts once.
      stalledInterval: Math.ceil(lockMs / 3),
      maxStalledCount: 1,
      runRetryDelay: 1000,
    })
    worker.on('error', noted)
    worker.on('ioredis:close', () => lose(open, new Error('a connection was closed')))
    open.workers.set(name, worker)
  }

  /** BullMQ stops listening to a connection while it closes it; an error of that moment would end the process. */
  const heard = (connection: IRedisClient): IRedisClient => {
    connection.on('error', noted)
    const duplicate = connection.duplicate.bind(connection)
    connection.duplicate = (...given) => heard(duplicate(...given))
    return connection
  }

  /** Connects, judges, and opens a line for each queue that is listened to. Answers what makes Redis unfit, if anything. */
  const open = async (): Promise<string | undefined> => {
    const client = await createRedis(url, 'latchkey-jobs')
    let broken: unknown
    let made: Lines | undefined
    client.on('error', (error) => {
      broken = error
      if (made) lose(made, error)
    })
    try {
      await within(ANSWER_MS_MAX, client.connect())
      const fault = await judge(client)
      if (broken) throw broken
      if (fault !== undefined || stopped) {
        destroy(client)
        return fault
      }
    } catch (error) {
      destroy(client)
      throw error
    }
    made = {
      client,
      connection: heard(createNodeRedisClient(client as never)),
      queues: new Map(),
      workers: new Map(),
    }
    lines = made
    for (const [name, listener] of listeners) startWorker(made, name, listener)
    become('here')
    return undefined
  }

  const judge = async (client: RedisClient): Promise<string | undefined> => {
    const { fault, warnings } = judgeRedis(await within(ANSWER_MS_MAX, client.info()))
    judgedAtMs = Date.now()
    for (const warning of warnings) {
      if (!told.has(warning)) log.warn({}, warning)
      told.add(warning)
    }
    return fault
  }

  /** One look: asks the Redis that is here, or tries the one that is not. */
  const look = async () => {
    const current = lines
    try {
      if (!current) {
        if (Date.now() < waitUntilMs) return
        const fault = await open()
        if (fault !== undefined) refuse(fault)
        return
      }
      await within(ANSWER_MS_MAX, current.client.ping())
      if (Date.now() - judgedAtMs < JUDGE_MS) return
      const fault = await judge(current.client)
      if (fault === undefined) return
      lose(current, fault, 'unfit')
      refuse(fault)
    } catch (error) {
      lose(current, error)
    }
  }

  const refuse = (fault: string) => {
    waitUntilMs = Date.now() + JUDGE_MS
    become('unfit')
    if (told.has(fault)) return
    told.add(fault)
    log.error({ fault }, 'redis is not fit to carry jobs, they are taken from PostgreSQL')
  }

  const keepLooking = () => {
    timer = setTimeout(() => void look().finally(() => !stopped && keepLooking()), PING_MS)
  }

  const fault = await open().catch((error: unknown) => become('away', error))
  if (fault !== undefined) throw new ConfigError(`REDIS_QUEUE_URL: ${fault}`)
  keepLooking()

  return {
    name: 'bullmq',
    healthy: () => state === 'here' && !stopped,
    dispatch: async (queue, messages) => {
      const current = lines
      if (!current) throw new Error('redis is away')
      try {
        const jobs = messages.map((message) => ({
          name: 'job',
          data: {},
          opts: { jobId: jobIdOf(message) },
        }))
        await within(ANSWER_MS_MAX, queueOf(current, queue).addBulk(jobs))
        refused = 0
      } catch (error) {
        // One that answers but takes nothing (its memory is full) is tried again less and less often.
        waitUntilMs = Date.now() + Math.min(REFUSED_MS_MAX, PING_MS * 2 ** refused++)
        lose(current, error)
        throw error
      }
    },
    listen: async (queue, slots, deliver) => {
      const listener = { slots, deliver }
      listeners.set(queue, listener)
      if (lines) startWorker(lines, queue, listener)
    },
    resize: (queue, slots) => {
      const listener = listeners.get(queue)
      if (listener) listener.slots = slots
      const worker = lines?.workers.get(queue)
      if (worker) worker.concurrency = slots
    },
    watch: (changed) => void watchers.push(changed),
    pause: () => {
      paused = true
      for (const worker of lines?.workers.values() ?? []) void worker.pause(true).catch(noted)
    },
    stop: async () => {
      stopped = true
      clearTimeout(timer)
      const last = lines
      lines = undefined
      if (!last) return
      await within(STOP_MS_MAX, close(last, false)).catch(noted)
      void close(last, true)
      for (const worker of last.workers.values()) void worker.disconnect().catch(noted)
      destroy(last.client)
    },
  }
}
