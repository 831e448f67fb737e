import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { enqueue } from '../../../src/platform/jobs/enqueue.ts'
import { Fatal, Postponed } from '../../../src/platform/jobs/handler.ts'
import type { Workers } from '../../../src/platform/jobs/workers.ts'
import { openTestDatabase, type TestDatabase } from '../../support/database.ts'
import {
  booksOf,
  enqueueNumbers,
  startTestWorkers,
  testJob,
  untilIdle,
} from '../../support/jobs.ts'
import { until } from '../../support/until.ts'

let database: TestDatabase
let workers: Workers | undefined
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(() => database.drop())
afterEach(async () => {
  await workers?.stop(1000)
  workers = undefined
  await database.sql`truncate jobs, finished_jobs, job_attempts, job_effects, job_minutes, job_turns, job_workers`
})

const finished = (id: string) =>
  database.sql`select state, result, reason, error, attempts, deliveries from finished_jobs where id = ${id}`.then(
    ([row]) => row,
  )
const row = (id: string) =>
  database.sql`select state, error, reason, attempts, deliveries, losses from jobs where id = ${id}`.then(
    ([found]) => found,
  )

test('runs what was committed, and nothing of what was rolled back', async () => {
  const { sql } = database
  const ran: number[] = []
  workers = await startTestWorkers(sql, async ({ payload }) => {
    ran.push(payload.n)
    return { n: payload.n }
  })
  await sql
    .begin(async (tx) => {
      await enqueue(tx, 'default', testJob({ n: 1 }))
      throw new Error('no')
    })
    .catch(() => {})
  const [id] = await enqueueNumbers(sql, 1, { from: 2 })
  await until(async () => (await finished(id!)) !== undefined)
  expect(ran).toEqual([2])
  expect(await finished(id!)).toMatchObject({
    state: 'done',
    result: { n: 2 },
    deliveries: 1,
    attempts: 0,
  })
  const attempts = await sql`select fence, outcome from job_attempts where job_id = ${id!}`
  expect([...attempts]).toEqual([{ fence: 1, outcome: 'done' }])
})

test('works off many jobs, and the books add up', async () => {
  const { sql } = database
  const seen = new Set<number>()
  await enqueueNumbers(sql, 3000)
  workers = await startTestWorkers(sql, async ({ payload }) => {
    seen.add(payload.n)
  })
  await untilIdle(sql)
  await workers.stop()
  expect(seen.size).toBe(3000)
  expect(await booksOf(sql)).toEqual({
    added: 3000,
    done: 3000,
    canceled: 0,
    buried: 0,
    deleted: 0,
    present: 0,
    kept: 3000,
  })
})

test('tries a failed job again, and lays it down dead after its last attempt', async () => {
  const { sql } = database
  let runs = 0
  workers = await startTestWorkers(sql, async ({ payload, attempt }) => {
    runs++
    if (payload.how === 'fatal') throw new Fatal('the address is no address')
    if (payload.how === 'once' && attempt === 1) throw new Error('the first time')
    if (payload.how === 'always') throw new Error(`attempt ${attempt}`)
  })
  const [once] = await enqueueNumbers(sql, 1, { how: 'once' })
  await until(async () => (await finished(once!)) !== undefined)
  expect(await finished(once!)).toMatchObject({
    state: 'done',
    attempts: 1,
    deliveries: 2,
    error: 'the first time',
  })

  const [fatal] = await enqueueNumbers(sql, 1, { how: 'fatal' })
  await until(async () => (await row(fatal!))?.state === 'dead')
  expect(await row(fatal!)).toMatchObject({ attempts: 1, error: 'the address is no address' })

  runs = 0
  const [always] = await enqueueNumbers(sql, 1, { how: 'always', attemptsMax: 2 })
  await until(async () => (await row(always!))?.state === 'dead')
  expect(runs).toBe(2)
  expect(await row(always!)).toMatchObject({ attempts: 2, error: 'attempt 2' })
})

test('aborts what takes too long', async () => {
  const { sql } = database
  let reason: unknown
  workers = await startTestWorkers(sql, async ({ signal }) => {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    reason = signal.reason
  })
  const [id] = await enqueueNumbers(sql, 1, { timeoutMs: 150, attemptsMax: 1 })
  await until(async () => (await row(id!))?.state === 'dead')
  expect(reason).toBeInstanceOf(Error)
  const [attempt] = await sql`select outcome, error from job_attempts where job_id = ${id!}`
  expect(attempt).toEqual({ outcome: 'timed-out', error: 'it took longer than 150 ms' })
})

test('waits for its time, by the second, and lets a handler say "not now" without counting it', async () => {
  const { sql } = database
  let runs = 0
  workers = await startTestWorkers(sql, async () => {
    runs++
    if (runs === 1) throw new Postponed('the other side is closed', 200)
  })
  const [id] = await enqueueNumbers(sql, 1, { runAt: new Date(Date.now() + 300) })
  expect((await row(id!))!.state).toBe('scheduled')
  await until(async () => (await finished(id!)) !== undefined)
  expect(await finished(id!)).toMatchObject({ state: 'done', attempts: 0, deliveries: 2 })
  const [times] = await sql`
    select started_at - run_at < interval '1 second' as soon, started_at >= run_at as not_early from finished_jobs where id = ${id!}`
  expect(times).toEqual({ soon: true, notEarly: true })
})

test('makes one job of a dedup key at a time, per organization', async () => {
  const { sql } = database
  const put = (dedupKey: string) =>
    sql.begin((tx) => enqueue(tx, 'default', testJob({ n: 1 }), { dedupKey }))
  const first = await put('digest')
  expect(first.isNew).toBe(true)
  expect(await put('digest')).toEqual({ id: first.id, isNew: false })
  expect((await put('another')).isNew).toBe(true)
  workers = await startTestWorkers(sql, async () => {})
  await untilIdle(sql)
  expect((await put('digest')).isNew).toBe(true)
})

test('runs one of an exclusive key at a time', async () => {
  const { sql } = database
  let [now, most] = [0, 0]
  await sql`update job_queues set slots_min = 5 where queue = 'maintenance'`
  await enqueueNumbers(sql, 12, { queue: 'maintenance', exclusiveKey: 'one' })
  workers = await startTestWorkers(sql, async () => {
    most = Math.max(most, ++now)
    await new Promise((resolve) => setTimeout(resolve, 10))
    now--
  })
  await untilIdle(sql)
  expect(most).toBe(1)
})

test('puts back what it holds when it stops, without counting an attempt', async () => {
  const { sql } = database
  let started = 0
  const first = await startTestWorkers(sql, async ({ signal }) => {
    started++
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
  })
  const [id] = await enqueueNumbers(sql, 1)
  await until(() => started === 1)
  await first.stop(100)
  expect(await row(id!)).toMatchObject({ state: 'ready', attempts: 0, deliveries: 1, losses: 0 })
  workers = await startTestWorkers(sql, async () => {})
  await until(async () => (await finished(id!)) !== undefined)
})

test('a worker that lost its job can finish nothing, and an effect is made once', async () => {
  const { sql } = database
  let effects = 0
  let letGo = () => {}
  const gone = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const zombie = await startTestWorkers(sql, async (job) => {
    await gone
    await sql.begin(async (tx) => {
      if (await job.once(tx)) effects++
    })
  })
  const [id] = await enqueueNumbers(sql, 1)
  await until(async () => (await row(id!))?.state === 'running')
  // As if its lease had run out while it lives.
  await sql`update jobs set lease_until = now() - interval '1 second' where id = ${id!}`
  await sql`select sweep_jobs(3)`
  expect(await row(id!)).toMatchObject({ state: expect.stringMatching(/ready|running/), losses: 1 })
  workers = await startTestWorkers(sql, async (job) => {
    await sql.begin(async (tx) => {
      if (await job.once(tx)) effects++
    })
    return 'second'
  })
  await until(async () => (await finished(id!)) !== undefined)
  letGo()
  await zombie.stop(1000)
  expect(effects).toBe(1)
  expect(await finished(id!)).toMatchObject({ result: 'second', deliveries: 2 })
})

/** A worker takes everything, begins some of it, and is never heard of again. */
const loseWorker = async (worker: string, begun: readonly string[]) => {
  const { sql } = database
  await sql`update jobs set state = 'ready', run_at = now() where state = 'scheduled'`
  await sql`select * from claim_jobs('default', 100, ${worker}, 'embedded', 30000)`
  await sql`update jobs set begun_fence = fence where id in ${sql(begun)}`
  await sql`update jobs set lease_until = now() - interval '1 second' where state = 'running'`
  await sql`select sweep_jobs(3)`
}

test('a job that loses three workers is dead', async () => {
  const [id] = await enqueueNumbers(database.sql, 1)
  for (let loss = 1; loss <= 3; loss++) {
    await loseWorker('wrk_x', [id!])
    expect(await row(id!)).toMatchObject({
      losses: loss,
      state: loss === 1 ? 'ready' : loss === 2 ? 'scheduled' : 'dead',
      attempts: 0,
    })
  }
})

test('what was merely held by a process that a job killed is not held against it', async () => {
  const [culprit, bystander] = await enqueueNumbers(database.sql, 2)
  for (let loss = 1; loss <= 3; loss++) await loseWorker('wrk_x', [culprit!])
  expect(await row(culprit!)).toMatchObject({ losses: 3, state: 'dead' })
  expect(await row(bystander!)).toMatchObject({ losses: 1, state: 'ready' })
})

test('of two that were running whenever their process ended, neither is condemned', async () => {
  const ids = await enqueueNumbers(database.sql, 2)
  for (let loss = 1; loss <= 3; loss++) await loseWorker('wrk_x', ids)
  for (const id of ids) expect(await row(id)).toMatchObject({ losses: 3, state: 'scheduled' })
  await loseWorker('wrk_x', [ids[0]!])
  expect((await row(ids[0]!))!.state).toBe('dead')
  expect((await row(ids[1]!))!.state).toBe('ready')
})

test('jobs that lost a worker begin one after another', async () => {
  const { sql } = database
  const ids = await enqueueNumbers(sql, 3)
  await loseWorker('wrk_x', [])
  let [now, most] = [0, 0]
  await sql`update job_queues set slots_min = 5 where queue = 'default'`
  workers = await startTestWorkers(sql, async () => {
    most = Math.max(most, ++now)
    await new Promise((resolve) => setTimeout(resolve, 50))
    now--
  })
  await untilIdle(sql)
  expect(most).toBe(1)
  expect(await finished(ids[0]!)).toMatchObject({ state: 'done', deliveries: 2 })
})

test('parks what it does not know, until a worker comes that does', async () => {
  const { sql } = database
  workers = await startTestWorkers(sql, async () => {}, { handlers: new Map() })
  const [id] = await enqueueNumbers(sql, 1)
  await until(async () => (await row(id!))?.state === 'parked')
  expect((await row(id!))!.reason).toBe('no worker here knows test.run version 1')
  await workers.stop()
  workers = await startTestWorkers(sql, async () => {})
  await until(async () => (await finished(id!)) !== undefined)
})

test('cancels a job whose actor lost the permission', async () => {
  const { sql } = database
  let ran = 0
  workers = await startTestWorkers(
    sql,
    async () => {
      ran++
    },
    { permits: async () => false },
  )
  const actor = { subject: 'user:bob', apiKeyId: null, organizationId: null, restrictedTo: null }
  const [id] = await enqueueNumbers(sql, 1, { actor, permission: 'audit:export' })
  await until(async () => (await finished(id!)) !== undefined)
  expect(await finished(id!)).toMatchObject({
    state: 'canceled',
    reason: 'user:bob does not hold audit:export any more',
  })
  expect(ran).toBe(0)
})
