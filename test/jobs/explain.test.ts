import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'
import { jobsOf } from './fixtures.ts'

type Organization = Awaited<ReturnType<TestServer['newOrganization']>>

let server: TestServer
let jobs: ReturnType<typeof jobsOf>
let mine: Organization
let theirs: Organization
let own: { organizationId: string }

beforeAll(async () => {
  server = await startTestServer()
  jobs = jobsOf(server)
})
afterAll(() => server.drop())
beforeEach(async () => {
  await jobs.clear()
  await server.sql`update job_queues set paused = false`
  mine = await server.newOrganization()
  theirs = await server.newOrganization('user:eve')
  own = { organizationId: mine.id }
  await jobs.addWorker()
})

const explain = async (id: string, path = '/v1') =>
  (await server.call(`GET ${path}/jobs/${id}/explain`)).body
const codes = ({ waitsFor }: { waitsFor: { code: string }[] }) => waitsFor.map(({ code }) => code)
const msUntil = (time: string) => Date.parse(time) - Date.now()
const limit = (limits: object) => server.call(`PUT /v1/jobs/organizations/${mine.slug}`, limits)

describe('a job that does not wait', () => {
  test('has ended, runs, is dead or parked', async () => {
    const done = await explain(await jobs.addDone(own))
    expect([done.state, codes(done)]).toEqual(['done', ['finished']])
    const running = await explain(await jobs.addRunning(own))
    expect([running.state, codes(running)]).toEqual(['running', ['running']])
    expect(running.waitsFor[0].detail).toMatch(/^runs since 2.* on wrk_test$/)
    const dead = await explain(await jobs.addDead(own))
    expect([dead.state, codes(dead)]).toEqual(['dead', ['dead']])
    expect(dead.waitsFor[0].detail).toBe('dead after 1 attempt: it broke; retry it')
    const parked = await explain(await jobs.addParked(own))
    expect(parked.waitsFor).toEqual([{ code: 'parked', detail: 'parked: unknown here' }])
    for (const each of [done, running, dead, parked]) expect(each.expectedStartAt).toBeNull()
  })
})

describe('a job waits', () => {
  test('for its time', async () => {
    const runAt = new Date(Date.now() + 60_000)
    const told = await explain(await jobs.add({ ...own, runAt }))
    expect(codes(told)).toEqual(['scheduled'])
    expect(told.waitsFor[0].until).toBe(runAt.toISOString())
    expect(told.expectedStartAt).toBe(runAt.toISOString())
  })

  test('after an attempt that failed', async () => {
    const told = await explain(await jobs.addBackingOff(own))
    expect(codes(told)).toEqual(['backing-off'])
    expect(told.waitsFor[0].detail).toMatch(
      /^1 of 10 attempts failed, the next is in .* s: it broke$/,
    )
    expect(msUntil(told.waitsFor[0].until)).toBeGreaterThan(50_000)
  })

  test('for its queue, its organization and a worker, and all are told in order', async () => {
    const id = await jobs.add(own)
    await server.sql`update job_queues set paused = true where queue = 'default'`
    expect(codes(await explain(id))).toEqual(['queue-paused'])
    await server.call(`POST ${mine.path}/suspend`, { reason: 'unpaid' })
    await server.sql`update job_workers set seen_at = now() - interval '1 minute'`
    const told = await explain(id)
    expect(codes(told)).toEqual(['queue-paused', 'organization-closed', 'no-worker'])
    expect(told.waitsFor[1].detail).toBe('its organization is suspended')
    expect([told.expectedStartAt, told.basis]).toEqual([
      null,
      'nobody knows when this ends: the queue default is paused',
    ])
  })

  test('for an executor that was told of it', async () => {
    const id = await jobs.add(own)
    await server.sql`select * from dispatch_jobs('default', 10, 'bullmq', 30000)`
    const told = await explain(id)
    expect(codes(told)).toEqual(['dispatched'])
    expect(told.waitsFor[0].detail).toMatch(/^bullmq was told of it/)
    expect(msUntil(told.waitsFor[0].until)).toBeGreaterThan(20_000)
    expect(told.expectedStartAt).not.toBeNull()
  })

  test('for another of its exclusive key, which only its own organization may know', async () => {
    const holder = await jobs.addRunning({ ...own, exclusiveKey: 'seal' })
    const id = await jobs.add({ ...own, exclusiveKey: 'seal' })
    const foreign = await jobs.add({ organizationId: theirs.id, exclusiveKey: 'seal' })
    const told = await explain(id, mine.path)
    expect(codes(told)).toEqual(['exclusive'])
    expect(told.waitsFor[0].detail).toContain(holder)
    const hidden = await explain(foreign, theirs.path)
    expect(codes(hidden)).toEqual(['exclusive'])
    expect(JSON.stringify(hidden)).not.toContain('job_')
  })

  test('for the cap of its organization', async () => {
    await limit({ queue: 'default', runningMax: 1 })
    await jobs.addRunning(own)
    const told = await explain(await jobs.add(own))
    expect(told.waitsFor).toEqual([
      { code: 'running-max', detail: 'its organization runs 1 of 1 jobs' },
    ])
  })

  test('for the rate of its organization', async () => {
    await limit({ queue: 'default', ratePerMinute: 1 })
    await jobs.add(own)
    await jobs.claim()
    const told = await explain(await jobs.add(own))
    expect(codes(told)).toEqual(['rate'])
    expect(told.waitsFor[0].detail).toBe('its organization may start 1 jobs a minute')
    expect(msUntil(told.waitsFor[0].until)).toBeGreaterThan(40_000)
    expect(msUntil(told.waitsFor[0].until)).toBeLessThan(61_000)
    expect(msUntil(told.expectedStartAt)).toBeGreaterThan(40_000)
  })

  test('for its turn', async () => {
    const next = await explain(await jobs.add(own))
    expect(next.waitsFor).toEqual([{ code: 'turn', detail: 'it is next, and a slot is free' }])
    expect(Math.abs(msUntil(next.expectedStartAt))).toBeLessThan(10_000)
    await jobs.add({ organizationId: theirs.id })
    await jobs.add({ ...own, priority: 9 })
    const id = await jobs.add(own)
    const told = await explain(id, mine.path)
    expect(told).toMatchObject({ state: 'ready', ahead: 1, organizationsWaiting: 2 })
    expect(told.waitsFor).toEqual([
      { code: 'turn', detail: '1 job of its own organization before it, 2 organizations wait' },
    ])
    expect([told.expectedStartAt, told.basis]).toEqual([
      null,
      'nothing of the queue was started in the last five minutes',
    ])
  })

  test('as long as the pace of its queue and its share of it say', async () => {
    await limit({ queue: 'default', weight: 3 })
    await jobs.addDone()
    await server.sql`update job_minutes set started = 600 where started > 0`
    await jobs.add({ organizationId: theirs.id })
    await jobs.add(own)
    await jobs.add(own)
    // 2 a second, of which three quarters are its organization's; it is the third.
    const told = await explain(await jobs.add(own))
    expect(told.basis).toBe(
      '2 starts a second in the last five minutes, of which its weight is 3 in 4',
    )
    expect(msUntil(told.expectedStartAt)).toBeGreaterThan(1000)
    expect(msUntil(told.expectedStartAt)).toBeLessThan(2100)
  })
})
