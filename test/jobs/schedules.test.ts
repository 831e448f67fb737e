import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { installSchedules, runSchedules } from '../../src/platform/jobs/schedule.ts'
import { silentLog } from '../../src/platform/log.ts'
import { readPages, refusesGarbage } from '../support/paging.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { jobsOf } from './fixtures.ts'

let server: TestServer
let jobs: ReturnType<typeof jobsOf>

beforeAll(async () => {
  server = await startTestServer()
  jobs = jobsOf(server)
})
afterAll(() => server.drop())
beforeEach(() => jobs.clear())

const NAME = 'nightly.expiry'
const SCHEDULE = { job: 'grants.end-expired', cron: '5 3 * * *' }
const at = (name = NAME) => `/v1/jobs/schedules/${name}`
const put = (body: object, headers = {}, name = NAME) =>
  server.call(`PUT ${at(name)}`, body, { headers })
const install = () => installSchedules(server.sql, server.jobs.schedules)

describe('a schedule', () => {
  test('is created, read with its next times, edited and deleted', async () => {
    const created = await put({ ...SCHEDULE, zone: 'Europe/Berlin' })
    expect([created.status, created.body]).toMatchObject([
      200,
      {
        name: NAME,
        queue: 'maintenance',
        job: 'grants.end-expired',
        misfire: 'once',
        enabled: true,
        builtIn: false,
        version: 1,
      },
    ])
    const { nextSlots } = created.body
    expect(nextSlots).toHaveLength(5)
    for (const slot of nextSlots)
      expect(new Date(slot).toLocaleTimeString('en-GB', { timeZone: 'Europe/Berlin' })).toBe(
        '03:05:00',
      )
    const read = await server.call(`GET ${at()}`)
    expect(read.body).toEqual({ ...created.body, payload: {} })
    const off = await put({ ...SCHEDULE, enabled: false }, { 'if-match': '"1"' })
    expect(off.body).toMatchObject({ enabled: false, nextSlots: [], version: 2 })
    expect((await put(SCHEDULE, { 'if-match': '"1"' })).status).toBe(412)
    expect((await server.call(`DELETE ${at()}`)).status).toBe(204)
    expect((await server.call(`GET ${at()}`)).body.code).toBe('schedule-not-found')
    expect((await server.call(`DELETE ${at()}`)).status).toBe(404)
  })

  test.each([
    ['a pattern that is none', { ...SCHEDULE, cron: '61 * * * *' }, '/cron', 'cron-invalid'],
    ['one that never comes', { ...SCHEDULE, cron: '0 0 31 2 *' }, '/cron', 'cron-invalid'],
    ['a zone that is none', { ...SCHEDULE, zone: 'Mars/Olympus' }, '/zone', 'zone-unknown'],
    ['no job', { cron: '* * * * *' }, '/job', 'job-needed'],
    ['a job nobody knows', { ...SCHEDULE, job: 'grants.end-expird' }, '/job', 'job-unknown'],
    ['a queue nobody knows', { ...SCHEDULE, queue: 'tea' }, '/queue', 'queue-unknown'],
    [
      'a payload that does not fit',
      { ...SCHEDULE, payload: { wizard: 1 } },
      '/payload/wizard',
      'payload-invalid',
    ],
  ])('is refused with %s, and the place is named', async (_, body, pointer, code) => {
    const answer = await put(body)
    expect([answer.status, answer.body.code, answer.body.errors[0].pointer]).toEqual([
      422,
      code,
      pointer,
    ])
  })

  test('that came with the server can be retimed and turned off, and nothing else', async () => {
    await install()
    const name = 'grants.end-expired'
    const time = { cron: '*/2 * * * *' }
    const other = await put({ ...time, job: 'jobs.prune' }, {}, name)
    expect([other.status, other.body.errors[0].pointer]).toEqual([422, '/job'])
    expect((await put({ ...time, queue: 'email' }, {}, name)).status).toBe(422)
    expect((await put({ ...time, payload: { a: 1 } }, {}, name)).status).toBe(422)
    const retimed = await put({ ...time, enabled: false }, {}, name)
    expect(retimed.body).toMatchObject({ ...time, job: name, builtIn: true, enabled: false })
    const deleted = await server.call(`DELETE ${at(name)}`)
    expect([deleted.status, deleted.body.code]).toEqual([409, 'schedule-built-in'])
    // A start of the server leaves what operators set.
    await install()
    expect((await server.call(`GET ${at(name)}`)).body).toMatchObject({ ...time, enabled: false })
  })

  test('is listed page by page, without what its jobs carry', async () => {
    await install()
    const path = '/v1/jobs/schedules'
    const names = await readPages(server, path, { limit: 3, idOf: ({ name }) => name! })
    expect(names).toEqual(server.jobs.schedules.map(({ name }) => name).sort())
    expect(names).toContain('jobs.reconcile')
    const { body } = await server.call(`GET ${path}`)
    for (const item of body.items) expect(Object.keys(item)).not.toContain('payload')
    await refusesGarbage(server, path)
  })

  test('makes its job now when asked to, even turned off', async () => {
    await put({ ...SCHEDULE, enabled: false })
    const { status, body, headers } = await server.call(`POST ${at()}/run`)
    expect([status, headers.get('location')]).toEqual([202, `/v1/jobs/${body.id}`])
    expect(body).toMatchObject({
      name: 'grants.end-expired',
      queue: 'maintenance',
      state: 'ready',
      exclusiveKey: NAME,
      organization: null,
    })
    expect((await server.call(`GET /v1/jobs/${body.id}`)).status).toBe(200)
    expect((await server.call(`POST ${at('none')}/run`)).status).toBe(404)
  })

  test('does not catch up with what passed while it was off or had another time', async () => {
    await put({ ...SCHEDULE, cron: '* * * * *', misfire: 'all', enabled: false })
    await server.sql`update job_schedules set seen_until = now() - interval '1 hour'`
    await put({ ...SCHEDULE, cron: '* * * * *', misfire: 'all' })
    await tick('one')
    const made = await server.sql`select 1 from job_slots`
    expect(made.length).toBeLessThan(2)
  })
})

const tick = (holder: string) =>
  runSchedules({
    sql: server.sql,
    log: silentLog,
    holder,
    handlers: server.jobs.handlers,
    wake: () => {},
  })

test('two schedulers on one database make one job of each time', async () => {
  await put({ ...SCHEDULE, cron: '* * * * *', misfire: 'all' })
  for (let round = 0; round < 4; round++) {
    // Each round, both believe that ten more minutes have passed, and that they lead.
    await server.sql`update job_schedules set seen_until = date_trunc('minute', now()) - interval '10 minutes'`
    await server.sql`truncate leases`
    await Promise.all([tick('one'), server.sql`truncate leases`.then(() => tick('two'))])
  }
  const slots = await server.sql`select slot, job_id from job_slots`
  const made = await server.sql`select id from jobs where name = 'grants.end-expired'`
  expect(slots.length).toBeGreaterThanOrEqual(10)
  expect(new Set(slots.map(({ slot }) => slot)).size).toBe(slots.length)
  expect(made.map(({ id }) => id).sort()).toEqual(slots.map(({ jobId }) => jobId).sort())
})
