import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { BUCKET_ENDS_MS, percentile } from '../../src/jobs/percentile.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { jobsOf } from './fixtures.ts'

let server: TestServer
let jobs: ReturnType<typeof jobsOf>
let organization: Awaited<ReturnType<TestServer['newOrganization']>>

beforeAll(async () => {
  server = await startTestServer()
  jobs = jobsOf(server)
  organization = await server.newOrganization()
})
afterAll(() => server.drop())
beforeEach(async () => {
  await jobs.clear()
  await server.sql`update job_queues set paused = false, virtual_time = 0`
})

const EMAIL = '/v1/jobs/queues/email'

describe('a queue', () => {
  test('tells how it is set and how it stands', async () => {
    await jobs.addDead({ queue: 'email' })
    await jobs.addRunning({ queue: 'email' })
    await jobs.add({ queue: 'email' })
    await server.sql`update jobs set run_at = now() - interval '1 minute' where state = 'ready'`
    await jobs.addWorker({ email: { slots: 4, running: 1 } })
    await jobs.addWorker({ email: { slots: 3, running: 0 } })
    const { body, headers } = await server.call(`GET ${EMAIL}`)
    expect(body).toMatchObject({
      queue: 'email',
      paused: false,
      slotsMin: 1,
      slotsMax: 20,
      slots: 7,
      workers: 2,
      states: { scheduled: 0, ready: 1, running: 1, dead: 1, parked: 0 },
    })
    expect(body.oldestWaitingSeconds).toBeGreaterThanOrEqual(60)
    expect(body.startsPerSecond).toBeGreaterThan(0)
    expect(headers.get('etag')).toBe(`"${body.version}"`)
    const { body: list } = await server.call('GET /v1/jobs/queues')
    expect(list.items).toHaveLength(7)
    expect((await server.call('GET /v1/jobs/queues/tea')).body.code).toBe('queue-not-found')
  })

  test('gets another number of slots, unless somebody was quicker', async () => {
    const { body } = await server.call(`GET ${EMAIL}`)
    const patch = (slots: object, version: number) =>
      server.call(`PATCH ${EMAIL}`, slots, { headers: { 'if-match': `"${version}"` } })
    const set = await patch({ slotsMin: 2, slotsMax: 9 }, body.version)
    expect([set.status, set.body]).toMatchObject([200, { slotsMin: 2, slotsMax: 9 }])
    expect((await patch({ slotsMax: 8 }, body.version)).status).toBe(412)
    const inverse = await patch({ slotsMin: 10 }, set.body.version)
    expect([inverse.status, inverse.body.code]).toEqual([422, 'slots-unordered'])
    expect((await server.call(`PATCH ${EMAIL}`, { slotsMax: 1001 })).status).toBe(400)
    expect((await server.call('PATCH /v1/jobs/queues/tea', {})).status).toBe(404)
  })

  test('that is paused hands out nothing until it is resumed', async () => {
    const id = await jobs.add({ queue: 'email' })
    expect((await server.call(`POST ${EMAIL}/pause`)).body.paused).toBe(true)
    expect(await jobs.claim('email')).toEqual([])
    // What is so already is no change.
    const again = await server.call(`POST ${EMAIL}/pause`)
    expect([again.status, again.revision]).toEqual([200, null])
    expect((await server.call(`POST ${EMAIL}/resume`)).body.paused).toBe(false)
    expect((await jobs.claim('email')).map((job) => job.id)).toEqual([id])
  })

  test('that is drained takes back what executors were told', async () => {
    const { sql } = server
    const running = await jobs.addRunning({ queue: 'email' })
    const id = await jobs.add({ queue: 'email' })
    const [told] = await sql<{ id: string; fence: number }[]>`
      select * from dispatch_jobs('email', 10, 'bullmq', 30000)`
    expect(told!.id).toBe(id)
    const { body } = await server.call(`POST ${EMAIL}/drain`)
    expect(body).toMatchObject({ paused: true, withdrawn: 1, states: { running: 1, ready: 1 } })
    const late = await sql`
      select * from start_jobs(${sql.json([told] as never)}, 'wrk_test', 'bullmq', 30000)`
    expect(late).toHaveLength(0)
    expect((await server.call(`GET /v1/jobs/${running}`)).body.state).toBe('running')
    await server.call(`POST ${EMAIL}/resume`)
    expect(await sql`select * from dispatch_jobs('email', 10, 'bullmq', 30000)`).toHaveLength(1)
  })

  test('is tuned by those only who may', async () => {
    const key = await organization.keyFor({ roles: ['admin'] })
    for (const what of [`PATCH ${EMAIL}`, `POST ${EMAIL}/pause`, `POST ${EMAIL}/drain`]) {
      const answer = await server.call(what, {}, { key })
      expect([what, answer.status, answer.body.permission]).toEqual([what, 403, 'job:queue:update'])
    }
  })
})

describe('the limits of an organization', () => {
  const put = (body: object, who = organization.slug) =>
    server.call(`PUT /v1/jobs/organizations/${who}`, body)

  test('are set in one queue or in all, and taken away by leaving them out', async () => {
    const one = await put({ queue: 'email', weight: 3, runningMax: 2, ratePerMinute: 60 })
    expect(one.body.organization).toBe(organization.id)
    const limited = one.body.queues.filter(({ weight }: { weight: number }) => weight === 3)
    expect(limited).toEqual([{ queue: 'email', weight: 3, runningMax: 2, ratePerMinute: 60 }])
    const all = await put({ runningMax: 1 })
    for (const queue of all.body.queues)
      expect(queue).toMatchObject({ weight: 1, runningMax: 1, ratePerMinute: null })
    expect((await put({ weight: 0 })).status).toBe(400)
    expect((await put({ queue: 'tea' })).body.code).toBe('queue-not-found')
    expect((await put({}, 'nowhere')).status).toBe(422)
  })

  test('hold: no more run than the cap allows', async () => {
    await put({ queue: 'default', runningMax: 1 })
    await jobs.add({ organizationId: organization.id })
    await jobs.add({ organizationId: organization.id })
    expect(await jobs.claim('default', 5)).toHaveLength(1)
    expect(await jobs.claim('default', 5)).toHaveLength(0)
  })

  test('give nobody a turn before those who waited', async () => {
    await server.sql`update job_queues set virtual_time = 41 where queue = 'default'`
    await put({ queue: 'default', weight: 1 })
    const [row] = await server.sql`select turn from job_turns where tenant = ${organization.id}`
    expect(row).toEqual({ turn: 41 })
  })
})

describe('figures', () => {
  test('of the last hour are told by queue', async () => {
    await jobs.addDone({ queue: 'email' })
    await jobs.addDead({ queue: 'email' })
    await server.sql`update job_minutes set run_ms = 40, run_buckets = array[0,0,1,0,0,0,0,0,0,0,0,0] where done > 0`
    const { body } = await server.call('GET /v1/jobs/stats')
    const [email] = body.items.filter(({ queue }: { queue: string }) => queue === 'email')
    expect(email).toMatchObject({
      states: { dead: 1 },
      ended: { done: 1, failed: 1, died: 1, canceled: 0 },
      runMs: { mean: 40, p50: 65, p95: 97 },
    })
    expect(email.waitMs.p95).toBeGreaterThan(0)
    const [audit] = body.items.filter(({ queue }: { queue: string }) => queue === 'audit')
    expect(audit.runMs).toEqual({ mean: null, p50: null, p95: null })
  })

  test('are estimated inside the buckets that the database fills', async () => {
    expect(percentile([], 0.5)).toBeNull()
    expect(percentile([100], 0.5)).toBe(5)
    expect(percentile([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7], 0.5)).toBe(3_600_000)
    for (const [index, end] of BUCKET_ENDS_MS.entries()) {
      const [row] = await server.sql`
        select job_bucket(${end - 1}) as inside, job_bucket(${end}) as beyond`
      expect(row).toEqual({ inside: index + 1, beyond: index + 2 })
    }
  })

  test('over time have every step, also where nothing was', async () => {
    const { sql } = server
    await jobs.addDone({ queue: 'email' })
    await sql`update job_minutes set minute = '2026-01-01T00:01:00Z'`
    const range = 'from=2026-01-01T00:00:00Z&to=2026-01-01T00:03:00Z'
    const { body } = await server.call(`GET /v1/jobs/series?queue=email&${range}`)
    expect(body.points.map(({ at, done }: { at: string; done: number }) => [at, done])).toEqual([
      ['2026-01-01T00:00:00.000Z', 0],
      ['2026-01-01T00:01:00.000Z', 1],
      ['2026-01-01T00:02:00.000Z', 0],
    ])
    const coarse = await server.call(`GET /v1/jobs/series?step=120&${range}`)
    expect(coarse.body.points).toMatchObject([{ added: 1, done: 1 }, { added: 0 }])
    expect((await server.call('GET /v1/jobs/series')).body.points).toHaveLength(60)
    const other = await server.call(`GET /v1/jobs/series?queue=audit&${range}`)
    expect(other.body.points.every(({ done }: { done: number }) => done === 0)).toBe(true)
    for (const [query, status] of [
      ['from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', 422],
      ['from=2020-01-01T00:00:00Z', 422],
      ['step=59', 400],
      ['from=yesterday', 400],
    ])
      expect((await server.call(`GET /v1/jobs/series?${query}`)).status).toBe(status)
  })

  test('of workers say which live', async () => {
    const [live, gone] = [await jobs.addWorker(), await jobs.addWorker()]
    await server.sql`update job_workers set seen_at = now() - interval '1 hour' where id = ${gone}`
    const { body } = await server.call('GET /v1/jobs/workers')
    expect(body.items).toMatchObject([
      { id: live, alive: true, queues: { default: { slots: 2, running: 0 } } },
      { id: gone, alive: false },
    ])
  })

  test('add up, unless a row is deleted by hand', async () => {
    const id = await jobs.add()
    await jobs.addDead()
    const books = async () => (await server.call('GET /v1/jobs/reconciliation')).body
    expect(await books()).toEqual({
      added: 2,
      done: 0,
      canceled: 0,
      buried: 0,
      deleted: 0,
      present: { scheduled: 0, ready: 1, running: 0, dead: 1, parked: 0 },
      difference: 0,
    })
    await server.sql`delete from jobs where id = ${id}`
    expect((await books()).difference).toBe(1)
  })
})

describe('metrics', () => {
  test('tell of queues, never of organizations', async () => {
    const { createMetrics } = await import('../../src/platform/metrics.ts')
    const { measureJobs } = await import('../../src/jobs/service.ts')
    await jobs.addDead({ queue: 'email', organizationId: organization.id })
    await server.sql`insert into job_reconciliations (difference) values (3)`
    const metrics = createMetrics()
    metrics.jobs.measureBy(() => measureJobs(server.sql))
    metrics.jobs.ran('email', 'done', 250)
    const load = {
      ...{ queue: 'email' as const, slotsMin: 1, slotsMax: 9, paused: false, backlog: 1 },
      ...{ ratePerSecond: 1, durationMs: 1, workers: 1, slots: 2, wanted: 5 },
    }
    metrics.jobs.scaled([load])
    const other = await startTestServer({ database: server.database, metrics })
    const { body } = await other.call('GET /metrics')
    expect(body).toContain('latchkey_jobs{queue="email",state="dead"} 1')
    expect(body).toContain('latchkey_jobs_oldest_seconds{queue="email"} 0')
    expect(body).toContain('latchkey_jobs_slots{queue="email"} 2')
    expect(body).toContain('latchkey_jobs_slots_wanted{queue="email"} 5')
    expect(body).toContain('latchkey_jobs_ended_total{queue="email",end="done"} 1')
    expect(body).toContain('latchkey_jobs_run_seconds_sum{queue="email"} 0.25')
    expect(body).toContain('latchkey_jobs_books_difference 3')
    expect(body).not.toContain(organization.id)
  })
})
