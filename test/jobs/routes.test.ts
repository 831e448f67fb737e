import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { booksOf } from '../support/jobs.ts'
import { readPages, refusesGarbage } from '../support/paging.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { jobsOf } from './fixtures.ts'

type Organization = Awaited<ReturnType<TestServer['newOrganization']>>

const LATER = new Date('2090-01-01T00:00:00.000Z')

let server: TestServer
let jobs: ReturnType<typeof jobsOf>
let mine: Organization
let theirs: Organization
let own: { organizationId: string }

beforeAll(async () => {
  server = await startTestServer()
  jobs = jobsOf(server)
  mine = await server.newOrganization()
  theirs = await server.newOrganization('user:eve')
  own = { organizationId: mine.id }
})
afterAll(() => server.drop())
beforeEach(() => jobs.clear())
/** Whatever a test did, every job is accounted for. */
afterEach(async () => {
  const { body } = await server.call('GET /v1/jobs/reconciliation')
  expect(body.difference).toBe(0)
})

const eventsOf = async (requestId: string) => {
  const rows = await server.sql<{ body: string }[]>`
    select body from audit_events where request_id = ${requestId}`
  return rows.map(({ body }) => JSON.parse(body))
}

describe('a list of jobs', () => {
  test('has what waits and what has ended, newest first, and never what they carry', async () => {
    const done = await jobs.addDone(own)
    const ready = await jobs.add(own)
    const { body } = await server.call(`GET ${mine.path}/jobs`)
    expect(body.items.map(({ id, state }: { id: string; state: string }) => [id, state])).toEqual([
      [ready, 'ready'],
      [done, 'done'],
    ])
    expect(body.items[1]).toMatchObject({ organization: mine.id, name: 'test.run', deliveries: 1 })
    for (const item of body.items) expect(Object.keys(item)).not.toContain('payload')
  })

  test('is narrowed by queue, state, name and, for operators, organization', async () => {
    const dead = await jobs.addDead({ ...own, queue: 'email' })
    const foreign = await jobs.add({ organizationId: theirs.id })
    const platform = await jobs.add()
    const ids = async (query: string) =>
      (await server.call(`GET /v1/jobs?${query}`)).body.items.map(({ id }: { id: string }) => id)
    expect(await ids('queue=email')).toEqual([dead])
    expect(await ids('state=dead&name=test.run')).toEqual([dead])
    expect(await ids('name=other')).toEqual([])
    expect(await ids(`organization=${theirs.slug}`)).toEqual([foreign])
    expect(await ids('organization=platform')).toEqual([platform])
    expect(await ids('')).toEqual([platform, foreign, dead])
    const unknown = await server.call('GET /v1/jobs?organization=nowhere')
    expect([unknown.status, unknown.body.code]).toEqual([422, 'organization-unknown'])
    const state = await server.call('GET /v1/jobs?state=lost')
    expect([state.status, state.body.errors[0].pointer]).toEqual([400, '/state'])
  })

  test('is read page by page', async () => {
    const ids = [await jobs.addDone(own), await jobs.add(own), await jobs.addDone(own)]
    for (const path of [`${mine.path}/jobs`, '/v1/jobs']) {
      const read = await readPages(server, path, { limit: 1, idOf: ({ id }) => id! })
      expect(read).toEqual([...ids].reverse())
      await refusesGarbage(server, path)
    }
  })
})

describe('a job', () => {
  test('shows what it carries only to whoever may see that', async () => {
    const id = await jobs.addDone({ ...own, how: 'quietly' })
    const reader = await mine.keyFor({ permissions: ['job:read'] })
    const both = await mine.keyFor({ permissions: ['job:read', 'job:payload:read'] })
    const read = (key: string) => server.call(`GET ${mine.path}/jobs/${id}`, undefined, { key })
    const hidden = (await read(reader)).body
    expect(hidden).toMatchObject({ id, state: 'done' })
    expect([hidden.payload, hidden.result]).toEqual([undefined, undefined])
    expect((await read(both)).body).toMatchObject({
      payload: { n: 0, how: 'quietly' },
      result: { sum: 1 },
    })
    expect((await server.call(`GET /v1/jobs/${id}`)).body.payload).toEqual({ n: 0, how: 'quietly' })
  })

  test('tells its runs', async () => {
    const id = await jobs.addBackingOff(own)
    await server.call(`POST ${mine.path}/jobs/${id}/promote`)
    await jobs.claim()
    await server.call(`POST ${mine.path}/jobs/${id}/cancel`)
    const path = `${mine.path}/jobs/${id}/attempts`
    const { body } = await server.call(`GET ${path}`)
    expect(body.items).toMatchObject([
      { number: 1, outcome: 'failed', error: 'it broke', worker: 'wrk_test' },
      { number: 2, outcome: 'canceled' },
    ])
    const numbers = await readPages(server, path, { limit: 1, idOf: (each) => `${each.number}` })
    expect(numbers).toEqual(['1', '2'])
    await refusesGarbage(server, path)
  })

  test.each([
    ['ready', () => jobs.add(own)],
    ['scheduled', () => jobs.add({ ...own, runAt: LATER })],
    ['running', () => jobs.addRunning(own)],
    ['parked', () => jobs.addParked(own)],
  ])('is canceled while it is %s', async (state, make) => {
    const id = await make()
    const headers = { 'x-request-id': `cancel-${id}` }
    const answer = await server.call(`POST ${mine.path}/jobs/${id}/cancel`, undefined, { headers })
    expect([answer.status, answer.body]).toMatchObject([
      200,
      { id, state: 'canceled', reason: 'canceled by hand' },
    ])
    expect(answer.revision).toContain(mine.id)
    const [event] = await eventsOf(`cancel-${id}`)
    expect(event).toMatchObject({
      event: 'job.canceled',
      resource: `job:${id}`,
      before: { state },
      after: { state: 'canceled' },
    })
    expect(JSON.stringify(event)).not.toContain('payload')
    const again = await server.call(`POST ${mine.path}/jobs/${id}/cancel`)
    expect([again.status, again.body.code]).toEqual([409, 'job-state'])
  })

  test('that is dead or parked is ready again, with all attempts before it', async () => {
    for (const id of [await jobs.addDead(own), await jobs.addParked(own)]) {
      const { status, body } = await server.call(`POST ${mine.path}/jobs/${id}/retry`)
      expect([status, body]).toMatchObject([200, { id, state: 'ready', attempts: 0, reason: null }])
      await server.call(`POST ${mine.path}/jobs/${id}/cancel`)
    }
    const [row] = await server.sql`select sum(redriven)::int as redriven from job_minutes`
    expect(row).toEqual({ redriven: 2 })
    const ready = await server.call(`POST ${mine.path}/jobs/${await jobs.add(own)}/retry`)
    expect([ready.status, ready.body.code]).toEqual([409, 'job-state'])
  })

  test('stays dead while another waits with its key', async () => {
    const dead = await jobs.addDead({ ...own, dedupKey: 'only' })
    const twin = await jobs.add({ ...own, dedupKey: 'only' })
    expect(twin).not.toBe(dead)
    const refused = await server.call(`POST ${mine.path}/jobs/${dead}/retry`)
    expect([refused.status, refused.body.code]).toEqual([409, 'job-exists'])
    await server.call(`POST ${mine.path}/jobs/${twin}/cancel`)
    expect((await server.call(`POST ${mine.path}/jobs/${dead}/retry`)).status).toBe(200)
  })

  test('that waits for its time is promoted', async () => {
    const id = await jobs.add({ ...own, runAt: LATER })
    const { status, body } = await server.call(`POST ${mine.path}/jobs/${id}/promote`)
    expect([status, body.state]).toEqual([200, 'ready'])
    expect((await jobs.claim()).map((each) => each.id)).toEqual([id])
    expect((await server.call(`POST ${mine.path}/jobs/${id}/promote`)).status).toBe(409)
  })

  test('wakes the workers of its queue when it becomes ready', async () => {
    const woken: string[] = []
    const other = await startTestServer({ database: server.database })
    other.jobs.onWake((queues) => void woken.push(...queues))
    const id = await jobs.addDead({ ...own, queue: 'email' })
    const woke = `POST ${mine.path}/jobs/${id}/retry`
    expect((await other.call(woke, undefined, { key: server.adminKey })).status).toBe(200)
    expect(woken).toEqual(['email'])
  })

  test('is deleted unless it runs, and the books know it', async () => {
    const running = await jobs.addRunning(own)
    const refused = await server.call(`DELETE /v1/jobs/${running}`)
    expect([refused.status, refused.body.code]).toEqual([409, 'job-state'])
    const made = [await jobs.add(own), await jobs.addDead(own), await jobs.addDone(own)]
    for (const id of made) {
      expect((await server.call(`DELETE /v1/jobs/${id}`)).status).toBe(204)
      expect((await server.call(`GET /v1/jobs/${id}`)).status).toBe(404)
    }
    expect(await booksOf(server.sql)).toMatchObject({ added: 4, done: 1, deleted: 2, present: 1 })
    const left = await server.sql`select 1 from job_attempts where job_id in ${server.sql(made)}`
    expect(left).toHaveLength(0)
  })

  test('makes nothing twice under one Idempotency-Key', async () => {
    const id = await jobs.addDead(own)
    const headers = { 'idempotency-key': id }
    const retry = () => server.call(`POST ${mine.path}/jobs/${id}/retry`, undefined, { headers })
    const [first, second] = [await retry(), await retry()]
    expect([second.status, second.body]).toEqual([200, first.body])
  })
})

describe('an organization', () => {
  test('neither sees nor changes a job of another, nor the platform’s', async () => {
    for (const id of [await jobs.addDead({ organizationId: theirs.id }), await jobs.addDead()]) {
      const key = await mine.keyFor({ roles: ['admin'] })
      for (const what of [
        'GET',
        'GET attempts',
        'GET explain',
        'POST cancel',
        'POST retry',
        'POST promote',
      ]) {
        const [method, action] = what.split(' ')
        const path = `${mine.path}/jobs/${id}${action ? `/${action}` : ''}`
        const answer = await server.call(`${method} ${path}`, undefined, { key })
        expect([what, answer.status, answer.body.code]).toEqual([what, 404, 'job-not-found'])
      }
      expect((await server.call(`GET /v1/jobs/${id}`)).body.state).toBe('dead')
    }
    await jobs.addDone({ organizationId: theirs.id })
    expect((await server.call(`GET ${mine.path}/jobs`)).body.items).toEqual([])
  })

  test('cannot narrow its list to another, and has no routes of the platform', async () => {
    const narrowed = await server.call(`GET ${mine.path}/jobs?organization=${theirs.slug}`)
    expect([narrowed.status, narrowed.body.errors[0].pointer]).toEqual([400, '/organization'])
    const id = await jobs.add(own)
    expect((await server.call(`DELETE ${mine.path}/jobs/${id}`)).status).toBe(405)
    const key = await mine.keyFor({ roles: ['admin'] })
    for (const what of ['GET /v1/jobs', `GET /v1/jobs/${id}`, `POST /v1/jobs/${id}/cancel`])
      expect((await server.call(what, undefined, { key })).status).toBe(403)
  })

  test('needs job:update to change a job, and job:read to see one', async () => {
    const id = await jobs.add(own)
    const reader = await mine.keyFor({ permissions: ['job:read'] })
    const writer = await mine.keyFor({ permissions: ['job:update'] })
    const cancel = (key: string) =>
      server.call(`POST ${mine.path}/jobs/${id}/cancel`, undefined, { key })
    expect([(await cancel(reader)).status, (await cancel(writer)).status]).toEqual([403, 200])
    const seen = await server.call(`GET ${mine.path}/jobs`, undefined, { key: writer })
    expect([seen.status, seen.body.permission]).toEqual([403, 'job:read'])
  })

  test('sees what it uses and its limits', async () => {
    await jobs.addDone(own)
    await jobs.addRunning(own)
    await jobs.add(own)
    await jobs.add({ ...own, runAt: LATER })
    await jobs.add({ organizationId: theirs.id })
    await server.call(`PUT /v1/jobs/organizations/${mine.slug}`, {
      queue: 'default',
      runningMax: 3,
    })
    await server.sql`update job_minutes set run_ms = 1500 where tenant = ${mine.id} and done > 0`
    const { body } = await server.call(`GET ${mine.path}/jobs/usage`)
    expect(body).toMatchObject({
      running: 1,
      waiting: 2,
      waitingMax: 100_000,
      slotSecondsLastDay: 1.5,
    })
    const [queue] = body.queues.filter((each: { queue: string }) => each.queue === 'default')
    expect(queue).toEqual({
      queue: 'default',
      running: 1,
      waiting: 2,
      slotSecondsLastDay: 1.5,
      limits: { weight: 1, runningMax: 3, ratePerMinute: null },
    })
    const all = (await server.call('GET /v1/jobs/usage')).body
    expect(all).toMatchObject({ running: 1, waiting: 3, waitingMax: null })
    const narrowed = (await server.call(`GET /v1/jobs/usage?organization=${theirs.slug}`)).body
    expect(narrowed).toMatchObject({ running: 0, waiting: 1 })
  })
})

describe('many jobs at once', () => {
  const bulk = (body: object, options = {}) => server.call('POST /v1/jobs/bulk', body, options)

  test('are canceled, tried again, promoted and deleted by a filter', async () => {
    const dead = [await jobs.addDead(own), await jobs.addDead({ ...own, queue: 'email' })]
    await jobs.addDead({ organizationId: theirs.id })
    await jobs.add({ ...own, runAt: LATER })
    const narrowed = { organization: mine.slug }
    expect((await bulk({ action: 'retry', filter: narrowed, dryRun: true })).body).toEqual({
      matched: 2,
      changed: 0,
    })
    const headers = { 'x-request-id': `bulk-${dead[0]}` }
    const retried = await bulk({ action: 'retry', filter: narrowed }, { headers })
    expect(retried.body).toEqual({ matched: 2, changed: 2 })
    const [event] = await eventsOf(`bulk-${dead[0]}`)
    expect(event).toMatchObject({ event: 'jobs.redriven', after: { matched: 2, changed: 2 } })
    expect((await bulk({ action: 'promote', filter: { queue: 'default' } })).body.changed).toBe(1)
    expect((await bulk({ action: 'cancel', filter: { state: 'ready' } })).body.changed).toBe(3)
    const all = { action: 'delete', filter: { name: 'test.run' } }
    expect((await bulk(all)).body).toEqual({ matched: 4, changed: 4 })
    expect((await bulk(all)).body).toEqual({ matched: 0, changed: 0 })
    expect(await booksOf(server.sql)).toMatchObject({
      canceled: 3,
      deleted: 1,
      present: 0,
      kept: 0,
    })
  })

  test('are ten thousand at most', async () => {
    await server.sql`insert into jobs (id, queue, name, payload, attempts_max, timeout_ms)
      select 'job_' || lpad(n::text, 26, '0'), 'analytics', 'test.run', '{}', 1, 1000
      from generate_series(1, 10001) n`
    const cancel = { action: 'cancel', filter: { queue: 'analytics' } }
    expect((await bulk(cancel)).body).toEqual({ matched: 10_000, changed: 10_000 })
    expect((await bulk(cancel)).body).toEqual({ matched: 1, changed: 1 })
  })

  test('need a filter that means something', async () => {
    const none = await bulk({ action: 'cancel', filter: {} })
    expect([none.status, none.body.errors[0].pointer]).toEqual([400, '/filter'])
    const state = await bulk({ action: 'promote', filter: { state: 'dead' } })
    expect([state.status, state.body.errors[0].pointer]).toEqual([422, '/filter/state'])
  })

  test('are redriven by queue', async () => {
    await jobs.addDead({ ...own, queue: 'email', dedupKey: 'k' })
    await jobs.addDead({ ...own, queue: 'email', dedupKey: 'k' })
    await jobs.addDead({ organizationId: theirs.id, queue: 'email' })
    const parked = await jobs.addParked({ queue: 'email' })
    const redrive = (filter?: object) =>
      server.call('POST /v1/jobs/redrive', { queue: 'email', ...(filter ? { filter } : {}) })
    expect((await redrive({ organization: theirs.slug })).body).toEqual({ matched: 1, changed: 1 })
    // Of two with one key, one can wait.
    expect((await redrive()).body).toEqual({ matched: 2, changed: 1 })
    expect((await server.call(`GET /v1/jobs/${parked}`)).body.state).toBe('parked')
    expect((await redrive({ name: 'other' })).body).toEqual({ matched: 0, changed: 0 })
  })
})
