import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newId } from '../../../src/platform/id.ts'
import { createBullmqExecutor } from '../../../src/platform/jobs/bullmq.ts'
import type { Executor } from '../../../src/platform/jobs/executor.ts'
import { Fatal } from '../../../src/platform/jobs/handler.ts'
import type { Workers } from '../../../src/platform/jobs/workers.ts'
import { silentLog } from '../../../src/platform/log.ts'
import { openTestDatabase, type TestDatabase } from '../../support/database.ts'
import {
  booksOf,
  enqueueNumbers,
  type runOptions,
  startTestWorkers,
  untilIdle,
} from '../../support/jobs.ts'
import { provideRedis, startRedis } from '../../support/redis.ts'
import { until } from '../../support/until.ts'

// What every executor owes: whatever carries the messages, jobs run once, in turn, and as they were asked for.
type Run = Parameters<typeof runOptions>[1]
type Redis = Awaited<ReturnType<typeof startRedis>>

let database: TestDatabase
let redis: Redis | undefined
let workers: Workers | undefined
let skip: string | undefined

beforeAll(async () => {
  database = await openTestDatabase()
  const found = await provideRedis()
  if ('skip' in found) skip = found.skip
  else {
    await found.stop()
    redis = await startRedis()
  }
})
afterAll(async () => {
  await database.drop()
  await redis?.stop()
})
afterEach(async () => {
  await workers?.stop(500)
  workers = undefined
  await database.sql`truncate jobs, finished_jobs, job_attempts, job_effects, job_minutes, job_turns, job_workers`
  await database.sql`update job_queues set slots_min = 1, slots_max = 20, virtual_time = 0 where queue = 'default'`
})

let prefix = ''
beforeEach(() => {
  prefix = `test-${randomBytes(4).toString('hex')}`
})
const bullmq = () => createBullmqExecutor({ url: redis!.url, log: silentLog, prefix })
const EXECUTORS: [string, () => Promise<Executor | undefined>][] = [
  ['embedded', async () => undefined],
  ['bullmq', bullmq],
]

const finished = (id: string) =>
  database.sql`select state, attempts, deliveries, reason, executor from finished_jobs where id = ${id}`.then(
    ([row]) => row,
  )
const row = (id: string) =>
  database.sql`select state, attempts, deliveries, losses, error from jobs where id = ${id}`.then(
    ([found]) => found,
  )

describe.each(EXECUTORS)('%s', (name, makeExecutor) => {
  beforeEach((context) => {
    // Without a Redis to start there is nothing to carry jobs; in CI a skip is a failure.
    if (name === 'bullmq' && skip) context.skip(skip)
  })
  const start = async (run: Run, slots?: number) => {
    if (slots)
      await database.sql`update job_queues set slots_min = ${slots}, slots_max = ${slots} where queue = 'default'`
    workers = await startTestWorkers(database.sql, run, {
      executor: await makeExecutor(),
      queues: ['default'],
    })
    return workers
  }

  test('runs every job once, and the books add up', async () => {
    const seen: number[] = []
    await start(async ({ payload }) => void seen.push(payload.n), 10)
    await enqueueNumbers(database.sql, 1500)
    await untilIdle(database.sql)
    expect(new Set(seen).size).toBe(1500)
    expect(seen).toHaveLength(1500)
    expect(await booksOf(database.sql)).toMatchObject({ added: 1500, done: 1500, present: 0 })
    const carriers = await database.sql`select distinct executor from finished_jobs`
    expect(carriers.map(({ executor }) => executor)).toEqual([name])
  })

  test('tries again what failed, and lays down what cannot succeed', async () => {
    await start(async ({ payload, attempt }) => {
      if (payload.how === 'fatal') throw new Fatal('never')
      if (attempt === 1) throw new Error('not yet')
    })
    const [once] = await enqueueNumbers(database.sql, 1)
    const [fatal] = await enqueueNumbers(database.sql, 1, { how: 'fatal' })
    await until(async () => (await finished(once!)) !== undefined)
    expect(await finished(once!)).toMatchObject({ state: 'done', attempts: 1, deliveries: 2 })
    await until(async () => (await row(fatal!))?.state === 'dead')
    expect(await row(fatal!)).toMatchObject({ attempts: 1, error: 'never' })
  })

  test('aborts what takes too long', async () => {
    await start(
      ({ signal }) =>
        new Promise((resolve) => signal.addEventListener('abort', () => resolve('aborted'))),
    )
    const [id] = await enqueueNumbers(database.sql, 1, { timeoutMs: 150, attemptsMax: 1 })
    await until(async () => (await row(id!))?.state === 'dead')
    expect((await row(id!))!.error).toBe('it took longer than 150 ms')
  })

  test('ends what is canceled, waiting or running', async () => {
    let [started, aborted] = [0, 0]
    const running = await start(async ({ signal }) => {
      started++
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      aborted++
    }, 1)
    const [first, second] = await enqueueNumbers(database.sql, 2)
    await until(() => started === 1)
    const [one, other] =
      (await row(first!))!.state === 'running' ? [first, second] : [second, first]
    await database.sql`select cancel_jobs(${[one!, other!]}, 'changed my mind')`
    running.abort([one!])
    await until(() => aborted === 1)
    expect(await finished(one!)).toMatchObject({ state: 'canceled', reason: 'changed my mind' })
    expect(await finished(other!)).toMatchObject({ state: 'canceled', deliveries: 0 })
    await untilIdle(database.sql)
    expect(started).toBe(1)
  })

  test('keeps the priorities of an organization', async () => {
    const organizationId = newId('org')
    const order: number[] = []
    for (const priority of [9, 5, 0, 7])
      await enqueueNumbers(database.sql, 3, { organizationId, priority, from: priority * 10 })
    await start(async ({ payload }) => void order.push(payload.n), 1)
    await untilIdle(database.sql)
    // Of equal priority an executor that delivers side by side may swap neighbors.
    expect(order.map((n) => Math.floor(n / 10))).toEqual([0, 0, 0, 5, 5, 5, 7, 7, 7, 9, 9, 9])
    expect(order.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 50, 51, 52, 70, 71, 72, 90, 91, 92])
  })

  test('lets organizations take turns', async () => {
    const order: number[] = []
    await enqueueNumbers(database.sql, 400, { organizationId: newId('org') })
    await enqueueNumbers(database.sql, 3, { organizationId: newId('org'), from: 1000 })
    await start(async ({ payload }) => void order.push(payload.n), 1)
    await untilIdle(database.sql)
    const places = order.flatMap((n, place) => (n >= 1000 ? [place] : []))
    expect(Math.max(...places)).toBeLessThan(12)
  })

  test('gives back what it holds when it stops, at once', async () => {
    let started = 0
    const first = await start(async ({ signal }) => {
      started++
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    }, 2)
    const ids = await enqueueNumbers(database.sql, 6)
    await until(() => started === 2)
    await first.stop(100)
    const rows = await database.sql`select state, losses, attempts from jobs`
    expect(rows.map((each) => ({ ...each }))).toEqual(
      ids.map(() => ({ state: 'ready', losses: 0, attempts: 0 })),
    )
    await start(async () => {})
    await untilIdle(database.sql)
    expect(await booksOf(database.sql)).toMatchObject({ added: 6, done: 6 })
  })

  test('runs what it is told of twice, or too late, not at all', async () => {
    const executor = await makeExecutor()
    if (!executor) return
    let runs = 0
    workers = await startTestWorkers(database.sql, async () => void runs++, {
      executor,
      queues: ['default'],
    })
    const [id] = await enqueueNumbers(database.sql, 1)
    await until(async () => (await finished(id!)) !== undefined)
    await executor.dispatch('default', [
      { id: id!, fence: 0 },
      { id: id!, fence: 1 },
      { id: newId('job'), fence: 0 },
    ])
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(runs).toBe(1)
  })
})

describe('Redis goes and comes', () => {
  beforeEach((context) => {
    // There is no Redis to start that could go; in CI a skip is a failure.
    if (skip) context.skip(skip)
  })
  const lines: string[] = []
  const log = {
    ...silentLog,
    warn: (_: object, message: string) => void lines.push(message),
    info: (_: object, message: string) => void lines.push(message),
  }
  const executorOf = (url: string) => createBullmqExecutor({ url, log })
  const carriersOf = async () => {
    const rows = await database.sql`
      select executor, count(*)::int as jobs from finished_jobs group by executor order by executor`
    return Object.fromEntries(rows.map(({ executor, jobs }) => [executor, jobs]))
  }
  const work = async (count: number) => {
    await enqueueNumbers(database.sql, count)
    await untilIdle(database.sql, 20_000)
  }

  test('killed, jobs go on without it at once; back, it carries them again', async () => {
    const own = await startRedis()
    try {
      const executor = await executorOf(own.url)
      workers = await startTestWorkers(database.sql, async () => {}, {
        executor,
        queues: ['default'],
      })
      await work(100)
      expect(await carriersOf()).toEqual({ bullmq: 100 })
      lines.length = 0
      const back = own.restart('SIGKILL', 2500)
      await until(() => !executor.healthy(), 2000)
      const startedAtMs = Date.now()
      await work(100)
      expect(Date.now() - startedAtMs).toBeLessThan(2000)
      expect(await carriersOf()).toEqual({ bullmq: 100, embedded: 100 })
      await back
      await until(() => executor.healthy(), 5000)
      await work(100)
      expect(await carriersOf()).toEqual({ bullmq: 200, embedded: 100 })
      expect(lines).toEqual(['redis is away, jobs are taken from PostgreSQL', 'redis is back'])
    } finally {
      await workers?.stop(500)
      await own.stop()
    }
  })

  test('frozen, it counts as away within two seconds, and what it carried is taken back', async () => {
    const own = await startRedis()
    try {
      const executor = await executorOf(own.url)
      workers = await startTestWorkers(database.sql, async () => {}, {
        executor,
        queues: ['default'],
      })
      await work(10)
      await own.signal('SIGSTOP')
      const startedAtMs = Date.now()
      await enqueueNumbers(database.sql, 50)
      await until(() => !executor.healthy(), 2500)
      await untilIdle(database.sql, 5000)
      expect(Date.now() - startedAtMs).toBeLessThan(4000)
      await own.signal('SIGCONT')
      await until(() => executor.healthy(), 5000)
      await work(10)
      expect(await booksOf(database.sql)).toMatchObject({ added: 70, done: 70 })
    } finally {
      await own.signal('SIGCONT')
      await workers?.stop(500)
      await own.stop()
    }
  })

  test.each(['SIGSTOP', 'SIGKILL'] as const)(
    'a stop does not wait for one that got %s',
    async (signal) => {
      const own = await startRedis()
      try {
        const executor = await executorOf(own.url)
        await executor.listen('default', 5, async () => {})
        await new Promise((resolve) => setTimeout(resolve, 100))
        if (signal === 'SIGKILL') void own.restart(signal, 3000).catch(() => {})
        else await own.signal(signal)
        const startedAtMs = Date.now()
        await executor.stop()
        expect(Date.now() - startedAtMs).toBeLessThan(2500)
        expect(executor.healthy()).toBe(false)
      } finally {
        await own.stop()
      }
    },
  )

  test('one that evicts is refused at the start, and left alone when it begins to', async () => {
    const evicting = await startRedis(['maxmemory-policy allkeys-lru'])
    try {
      await expect(executorOf(evicting.url)).rejects.toThrow(
        /^REDIS_QUEUE_URL: its maxmemory-policy is allkeys-lru, .*noeviction/,
      )
    } finally {
      await evicting.stop()
    }
  })

  test('one that is away at the start is waited for, while jobs run', async () => {
    const own = await startRedis()
    const back = own.restart('SIGKILL', 1500)
    await new Promise((resolve) => setTimeout(resolve, 200))
    try {
      lines.length = 0
      const executor = await executorOf(own.url)
      expect(executor.healthy()).toBe(false)
      workers = await startTestWorkers(database.sql, async () => {}, {
        executor,
        queues: ['default'],
      })
      await work(10)
      await back
      await until(() => executor.healthy(), 5000)
      await work(10)
      expect(await carriersOf()).toEqual({ embedded: 10, bullmq: 10 })
    } finally {
      await back
      await workers?.stop(500)
      await own.stop()
    }
  })
})
