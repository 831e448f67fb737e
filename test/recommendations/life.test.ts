import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startWorkers, type Workers } from '../../src/platform/jobs/workers.ts'
import { silentLog } from '../../src/platform/log.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { until } from '../support/until.ts'

let server: TestServer
let workers: Workers
const RECOMMENDATIONS = '/v1/optimizer/recommendations'

beforeAll(async () => {
  server = await startTestServer()
  await server.sql`create table parcels as
    select i as id, i % 5000 as customer, 's' || i % 5 as status, repeat('x', 80) as note from generate_series(1, 60000) i`
  await server.sql`create index parcels_by_status on parcels (status)`
  await server.sql`create index parcels_by_status_too on parcels (status)`
  await server.sql`analyze parcels`
  await server.sql`grant select on parcels to latchkey_platform`
  workers = await startWorkers({
    ...server.jobs.runOptions(server.sql),
    ...{ log: silentLog, version: 'test', queues: ['maintenance', 'analytics'], pollMs: 100 },
  })
  server.jobs.onWake((queues) => workers.wake(queues))
}, 60_000)
afterAll(async () => {
  await workers.stop(0)
  await server.drop()
})

const QUERY = 'select * from parcels where customer = $1'
const done = async (ask: object) => {
  const { status, body } = await server.call(`POST ${RECOMMENDATIONS}`, ask)
  expect(status).toBe(202)
  const read = async () => (await server.call(`GET /v1/optimizer/runs/${body.id}`)).body
  await until(async () => ['done', 'failed'].includes((await read()).status), 60_000)
  return read()
}
const listed = async (query = '') =>
  (await server.call(`GET ${RECOMMENDATIONS}${query}`)).body.items

describe('advice', () => {
  test('is asked for, given, applied, and then there is none', async () => {
    const run = await done({ queries: [{ query: QUERY, calls: 1000 }] })
    expect([run.status, run.how, run.error]).toEqual(['done', 'shadow', null])
    expect(run.costAfter).toBeLessThan(run.costBefore / 10)
    expect(run.queries).toMatchObject([{ calls: 1000, passedOver: null }])
    const [advised] = await listed('?kind=create&status=proposed')
    expect(advised).toMatchObject({ schema: 'public', table: 'parcels', runId: run.id })
    expect(advised.statement).toMatch(
      /^create index (?:concurrently )?adv_parcels_\w{8} on public\.parcels \(customer\)$/,
    )
    expect(advised.queries).toMatchObject([{ calls: 1000 }])

    const approved = await server.call(`POST ${RECOMMENDATIONS}/${advised.id}/approve`)
    expect([approved.status, approved.body.status]).toEqual([202, 'approved'])
    const statusOf = async () =>
      (await server.call(`GET ${RECOMMENDATIONS}/${advised.id}`)).body.status
    await until(async () => (await statusOf()) === 'active')
    const again = await done({ queries: [{ query: QUERY, calls: 1000 }] })
    expect([again.status, await listed('?kind=create&status=proposed')]).toEqual(['done', []])
    expect(again.costBefore).toBe(again.costAfter)
  })

  test('is against what is there twice, too, and remembers a refusal', async () => {
    const [twice] = await listed('?kind=drop&status=proposed')
    expect(twice).toMatchObject({ code: 'duplicate', table: 'parcels' })
    const refused = await server.call(`POST ${RECOMMENDATIONS}/${twice.id}/dismiss`, {
      reason: 'We are about to need it.',
    })
    expect([refused.status, refused.body.status]).toEqual([200, 'dismissed'])
    const { status, body } = await server.call(`POST ${RECOMMENDATIONS}/${twice.id}/dismiss`, {})
    expect([status, body.code]).toEqual([409, 'recommendation-state'])
    await done({ queries: [{ query: QUERY }] })
    expect(await listed('?kind=drop&status=proposed')).toEqual([])
  })

  test('passes over what it may not look at, and says why', async () => {
    await server.sql`create function chr(text) returns text language sql as 'select $1'`
    const queries = [
      { query: `select chr('a')` },
      { query: 'select pg_sleep(10)' },
      { query: 'drop table parcels' },
      { query: 'select 1; select 2' },
      { query: 'select * from no_such_table where id = 1' },
    ]
    const run = await done({ queries })
    expect(run.status).toBe('done')
    for (const { passedOver } of run.queries) expect(passedOver).toMatch(/\w/)
    expect(run.queries).toHaveLength(5)
    expect(JSON.stringify(run.queries)).toContain('The database has a function chr of its own.')
  })

  test.each([
    [{ queries: [] }],
    [{ queries: [{ query: '' }] }],
    [{ queries: [{ query: 'select 1', calls: 0 }] }],
    [{ budgetBytes: 1 }],
    [{ hours: 0 }],
  ])('is not asked for with %j', async (ask) => {
    expect((await server.call(`POST ${RECOMMENDATIONS}`, ask)).status).toBe(400)
  })

  test('is for operators who may', async () => {
    const { keyFor } = await server.newOrganization()
    const key = await keyFor({ roles: ['admin'] })
    const [one] = await listed()
    for (const what of [
      `POST ${RECOMMENDATIONS}`,
      `GET ${RECOMMENDATIONS}`,
      `GET ${RECOMMENDATIONS}/${one.id}`,
      `POST ${RECOMMENDATIONS}/${one.id}/approve`,
      `POST ${RECOMMENDATIONS}/${one.id}/dismiss`,
      'GET /v1/optimizer/runs',
    ])
      expect(
        (await server.call(what, what.startsWith('POST') ? {} : undefined, { key })).status,
      ).toBe(403)
  })

  test('is paged, runs as well', async () => {
    const first = (await server.call('GET /v1/optimizer/runs?limit=1')).body
    const second = (await server.call(`GET /v1/optimizer/runs?limit=1&cursor=${first.nextCursor}`))
      .body
    expect(first.items[0].id > second.items[0].id).toBe(true)
    expect(
      (await server.call('GET /v1/optimizer/runs/run_00000000000000000000000000')).status,
    ).toBe(404)
  })
})
