import * as bullmq from 'bullmq'
import { Queue, Worker } from 'bullmq'
import { createClient } from 'redis'
import { connect, type Sql } from '../src/platform/db/connect.ts'
import { startEmbedded } from '../src/platform/db/embedded.ts'
import { migrate } from '../src/platform/db/migrate.ts'
import { readMigrations } from '../src/platform/db/migrations.ts'
import { newId } from '../src/platform/id.ts'
import { createBullmqExecutor } from '../src/platform/jobs/bullmq.ts'
import type { Executor } from '../src/platform/jobs/executor.ts'
import type { Workers } from '../src/platform/jobs/workers.ts'
import { silentLog } from '../src/platform/log.ts'
import { asAdministrator, within } from '../test/support/database.ts'
import { booksOf, enqueueNumbers, startTestWorkers } from '../test/support/jobs.ts'
import { startRedis } from '../test/support/redis.ts'
import { until } from '../test/support/until.ts'
import { type Figure, median, percentile, spreadOf } from './figures.ts'
import { step } from './progress.ts'

export type JobsAmount = { jobs: number; turns: number; foreign: number; small: number }

/** A migrated database on the server. */
const openDatabase = async (postgresUrl: string, name: string) => {
  await asAdministrator(postgresUrl, `drop database if exists ${name} with (force)`)
  await asAdministrator(postgresUrl, `create database ${name}`)
  const sql = connect({ url: within(postgresUrl, name) }, { connectionsMax: 10 })
  await migrate(sql, await readMigrations())
  return {
    sql,
    stop: async () => {
      await sql.end({ timeout: 5 })
      await asAdministrator(postgresUrl, `drop database if exists ${name} with (force)`)
    },
  }
}

const openEmbedded = async () => {
  const embedded = await startEmbedded({ dataDir: null })
  const sql = connect(embedded.target)
  await migrate(sql, await readMigrations())
  return {
    sql,
    stop: async () => {
      await sql.end({ timeout: 5 })
      await embedded.stop()
    },
  }
}

const TABLES = 'jobs, finished_jobs, job_attempts, job_effects, job_minutes, job_turns, job_workers'
const clear = (sql: Sql) => sql.unsafe(`truncate ${TABLES}`)

const perSecond = (count: number, startedAtMs: number) =>
  (1000 * count) / (performance.now() - startedAtMs)

/** Works off a backlog and answers jobs per second; every job is looked for afterwards. */
const workOff = async (sql: Sql, count: number, executor?: Executor): Promise<number> => {
  await clear(sql)
  await enqueueNumbers(sql, count)
  await sql`analyze jobs`
  let ran = 0
  const startedAtMs = performance.now()
  const workers = await startTestWorkers(sql, async () => void ran++, { executor })
  await until(async () => ran >= count && (await leftIn(sql)) === 0, 300_000)
  const rate = perSecond(count, startedAtMs)
  await workers.stop()
  const books = await booksOf(sql)
  if (ran !== count || books.done !== count || books.kept !== count || books.present !== 0)
    throw new Error(`ran ${ran} of ${count}; the books say ${JSON.stringify(books)}`)
  return rate
}

const leftIn = async (sql: Sql) => {
  const [row] = await sql<
    { left: number }[]
  >`select count(*) as left from (select 1 from jobs limit 1) j`
  return row!.left
}

/** BullMQ by itself: no row in PostgreSQL, nothing survives Redis. */
const workOffBullmq = async (url: string, count: number): Promise<number> => {
  const client = createClient({ url })
  await client.connect()
  const connection = bullmq.createNodeRedisClient(client)
  const queue = new Queue(`bench-${newId('job')}`, { connection })
  for (let from = 0; from < count; from += 1000)
    await queue.addBulk(
      Array.from({ length: 1000 }, (_, n) => ({
        name: 'test',
        data: { n: from + n },
        opts: { attempts: 1, removeOnComplete: true },
      })),
    )
  let ran = 0
  const startedAtMs = performance.now()
  const worker = new Worker(queue.name, async () => void ran++, { connection, concurrency: 50 })
  await until(() => ran >= count, 300_000)
  const rate = perSecond(count, startedAtMs)
  await worker.close()
  await queue.obliterate({ force: true })
  await queue.close()
  client.destroy()
  return rate
}

/** Milliseconds from the commit of a job to its start, one job at a time on idle workers. */
const startLatencies = async (sql: Sql, count: number, executor?: Executor) => {
  await clear(sql)
  const started = new Map<number, number>()
  const workers = await startTestWorkers(
    sql,
    async ({ payload }) => void started.set(payload.n, performance.now()),
    { executor },
  )
  const waits: number[] = []
  for (let n = 0; n < count; n++) {
    await enqueueNumbers(sql, 1, { from: n })
    const committedAtMs = performance.now()
    workers.wake(['default'])
    await until(() => started.has(n))
    waits.push(started.get(n)! - committedAtMs)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await workers.stop()
  return waits
}

/** The jobs of small organizations behind one that has a hundred thousand waiting, each of 2 ms. */
const smallBehindForeign = async (sql: Sql, { foreign, small }: JobsAmount) => {
  await clear(sql)
  await enqueueNumbers(sql, foreign, { organizationId: newId('org') })
  await sql`analyze jobs`
  const started = new Map<number, number>()
  const workers: Workers = await startTestWorkers(sql, async ({ payload }) => {
    if (payload.how === 'small') started.set(payload.n, performance.now())
    await new Promise((resolve) => setTimeout(resolve, 2))
  })
  // Until the workers have the slots that such a backlog asks for.
  await new Promise((resolve) => setTimeout(resolve, 3000))
  const waits: number[] = []
  for (let n = 0; n < small; n++) {
    await enqueueNumbers(sql, 1, { organizationId: newId('org'), from: n, how: 'small' })
    const committedAtMs = performance.now()
    workers.wake(['default'])
    await until(() => started.has(n))
    waits.push(started.get(n)! - committedAtMs)
  }
  const [{ left } = { left: 0 }] = await sql<{ left: number }[]>`select count(*) as left from jobs`
  await workers.stop()
  if (left === 0) throw new Error('the backlog was gone before the small ones were measured')
  return { waits, left }
}

/** Jobs a second that transactions of one row each commit, and many rows each. */
const addRates = async (sql: Sql, count: number) => {
  await clear(sql)
  let startedAtMs = performance.now()
  for (let n = 0; n < count / 20; n++) await enqueueNumbers(sql, 1, { from: n })
  const single = perSecond(count / 20, startedAtMs)
  startedAtMs = performance.now()
  await enqueueNumbers(sql, count)
  return { single, bulk: perSecond(count, startedAtMs) }
}

/** The job queue: on PostgreSQL, on embedded storage, through BullMQ, and BullMQ alone beside it, in turns. */
export const benchJobs = async (postgresUrl: string, amount: JobsAmount): Promise<Figure[]> => {
  const { jobs, turns } = amount
  const redis = await startRedis(['maxmemory-policy noeviction'])
  const database = await openDatabase(postgresUrl, 'bench_jobs')
  const embedded = await openEmbedded()
  const { sql } = database
  const working = step('jobs', turns * 4)
  const rates = { postgres: [], bullmq: [], alone: [], embedded: [] } as Record<string, number[]>
  const executorOf = () => createBullmqExecutor({ url: redis.url, log: silentLog })
  try {
    for (let turn = 0; turn < turns; turn++) {
      working.at(turn * 4)
      rates.postgres!.push(await workOff(sql, jobs))
      rates.bullmq!.push(await workOff(sql, jobs, await executorOf()))
      rates.alone!.push(await workOffBullmq(redis.url, jobs))
      rates.embedded!.push(await workOff(embedded.sql, jobs))
    }
    working.done()
    const adding = step('add jobs, and start them')
    const added = await addRates(sql, jobs)
    const waits = await startLatencies(sql, 200)
    const bullmqWaits = await startLatencies(sql, 200, await executorOf())
    adding.done()
    const turning = step('small organizations behind a big one')
    const small = await smallBehindForeign(sql, amount)
    turning.done()
    const over = `${jobs} jobs that do nothing, one process; every row, attempt and book is written`
    return [
      spreadOf('PostgreSQL only', 'jobs/s', rates.postgres!, {
        target: 5000,
        reach: 'at least',
        note: over,
      }),
      spreadOf('embedded storage', 'jobs/s', rates.embedded!, {
        target: 5000,
        reach: 'at least',
        note: over,
      }),
      spreadOf('carried by BullMQ on Redis', 'jobs/s', rates.bullmq!, { note: over }),
      spreadOf('BullMQ alone', 'jobs/s', rates.alone!, {
        note: 'the peer: no rows, no books; what Redis loses is lost',
      }),
      { name: 'added, one per transaction', value: added.single, unit: 'jobs/s' },
      { name: 'added, 1,000 per transaction', value: added.bulk, unit: 'jobs/s' },
      ...latencyFigures('commit to start, idle', waits, 20),
      ...latencyFigures('commit to start through BullMQ, idle', bullmqWaits),
      ...latencyFigures(
        'commit to start of a small organization’s job',
        small.waits,
        100,
        `${small.waits.length} organizations of one job; ${short(small.left)} of ${short(amount.foreign)} foreign jobs still waited at the end`,
      ),
    ]
  } finally {
    await embedded.stop()
    await database.stop()
    await redis.stop()
  }
}

const short = (count: number) => count.toLocaleString('en')

const latencyFigures = (
  name: string,
  waits: readonly number[],
  target?: number,
  note = `${waits.length} jobs`,
): Figure[] => [
  { name: `${name}, p50`, value: median(waits), unit: 'ms', note },
  {
    name: `${name}, p95`,
    value: percentile(waits, 0.95),
    unit: 'ms',
    note,
    ...(target === undefined ? {} : { target, reach: 'at most' as const }),
  },
]
