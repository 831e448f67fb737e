import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect, type Sql } from '../../src/platform/db/connect.ts'
import type { SeenStatement } from '../../src/platform/db/observe.ts'
import { silentLog } from '../../src/platform/log.ts'
import { createSqlParser } from '../../src/platform/node/sql-parser.ts'
import { createRecorder, createWorkloadWriter } from '../../src/workload/service.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let watched: Sql
let seen: SeenStatement[]
/** Far from what any other statement takes, on a machine that is busy, too. */
const SLOW_MS = 1000
const recorder = createRecorder(SLOW_MS)
const writer = createWorkloadWriter(recorder, {
  parser: createSqlParser(),
  log: silentLog,
  now: () => new Date(),
})

beforeAll(async () => {
  server = await startTestServer()
  seen = []
  watched = connect(server.database.target, {
    connectionsMax: 2,
    onStatement: (statement) => {
      seen.push(statement)
      recorder.seen(statement)
    },
  })
})
afterAll(async () => {
  await watched.end()
  await server.drop()
})

/** How transactions begin and end is the driver's business. */
const BRACKETS = /^(?:begin|commit|rollback|savepoint)/
const taken = () =>
  seen
    .splice(0)
    .filter(({ text }) => !BRACKETS.test(text))
    .map(({ text, rows }) => [text.trim(), rows])

describe('statements of a pool', () => {
  test('are seen with their rows and never with their values', async () => {
    await watched`select slug from categories where slug = ${'sales'}`
    await watched.begin(async (tx) => {
      await tx`create temporary table numbers on commit drop as select 1 as n`
      await tx`insert into numbers select * from generate_series(1, ${7}::int)`
      await tx.savepoint(async (inner) => inner`delete from numbers where n > ${5}`)
    })
    expect(taken()).toEqual([
      ['select slug from categories where slug = $1', 1],
      ['create temporary table numbers on commit drop as select 1 as n', 1],
      ['insert into numbers select * from generate_series(1, $1::int)', 7],
      ['delete from numbers where n > $1', 2],
    ])
  })

  test('are seen where they fail, and fail as ever', async () => {
    await expect(watched`select ${1}::int / 0`).rejects.toMatchObject({ code: '22012' })
    expect(taken()).toEqual([['select $1::int / 0', 0]])
  })

  test('parts of statements are none', async () => {
    const part = watched`slug = ${'data'}`
    await watched`select slug from categories where ${part}`
    expect(taken()).toEqual([['select slug from categories where slug = $1', 1]])
  })

  test('wait for none but themselves: what is sent ahead of its turn is not slow', async () => {
    await watched.begin(async (tx) => {
      await Promise.all([tx`select pg_sleep(0.6)`.execute(), tx`select 1 as quick`.execute()])
    })
    const quick = seen.find(({ text }) => text.includes('quick'))!
    const slept = seen.find(({ text }) => text.includes('pg_sleep'))!
    expect(slept.durationMs).toBeGreaterThan(550)
    expect(quick.durationMs).toBeLessThan(slept.durationMs / 2)
    seen.length = 0
  })
})

describe('the workload', () => {
  beforeAll(async () => {
    recorder.take()
    for (let n = 0; n < 5; n++) await watched`select name from categories where slug = ${'sales'}`
    await watched`select   name from categories where slug = ${'it'} -- another text, the same query`
    await watched`select pg_sleep(${1.1})`
    await watched`set application_name = 'somebody'`
    await writer.flush(server.sql)
  })

  const list = async (query = '') =>
    (await server.call(`GET /v1/optimizer/queries${query}`)).body.items

  test('is ranked by the time it took, with shares that add up', async () => {
    const items = await list()
    expect(items[0].query).toBe('select pg_sleep($1)')
    expect(items[0].slow).toBe(1)
    expect(items[0].meanMs).toBeGreaterThan(SLOW_MS)
    const sum = items.reduce((all: number, { share }: { share: number }) => all + share, 0)
    expect(sum).toBeCloseTo(1, 6)
    expect(items.map(({ query }: { query: string }) => query)).not.toContainEqual(
      expect.stringContaining('application_name'),
    )
  })

  test('tells queries apart by what they ask, not by how they are written', async () => {
    const [most] = await list('?sort=calls')
    expect([most.query, most.calls]).toEqual(['select name from categories where slug = $1', 6])
    expect(most.slow).toBe(0)
  })

  test('goes on where it stood', async () => {
    for (let n = 0; n < 4; n++) await watched`select name from categories where slug = ${'sales'}`
    await writer.flush(server.sql)
    const [most] = await list('?sort=calls')
    expect(most.calls).toBe(10)
    const one = await server.call(`GET /v1/optimizer/queries/${most.fingerprint}`)
    const hours = one.body.hours.reduce(
      (all: number, { calls }: { calls: number }) => all + calls,
      0,
    )
    expect([one.status, one.body.calls, hours]).toEqual([200, 10, 10])
  })

  test('is paged', async () => {
    const all = await list('?sort=mean')
    const first = (await server.call('GET /v1/optimizer/queries?sort=mean&limit=1')).body
    const second = (
      await server.call(`GET /v1/optimizer/queries?sort=mean&limit=1&cursor=${first.nextCursor}`)
    ).body
    expect([...first.items, ...second.items].map(({ fingerprint }) => fingerprint)).toEqual(
      all.slice(0, 2).map(({ fingerprint }: { fingerprint: string }) => fingerprint),
    )
  })

  test('has a log of what took long', async () => {
    const { body } = await server.call('GET /v1/optimizer/slow-queries')
    expect(body.items.map(({ query }: { query: string }) => query)).toEqual(['select pg_sleep($1)'])
    expect(body.items[0].durationMs).toBeGreaterThan(SLOW_MS)
  })

  test.each([
    ['/v1/optimizer/queries?sort=best', 400],
    ['/v1/optimizer/queries?hours=0', 400],
    ['/v1/optimizer/queries?source=me', 400],
    ['/v1/optimizer/queries/xyz', 400],
    ['/v1/optimizer/queries/0123456789abcdef', 404],
    ['/v1/optimizer/slow-queries?cursor=eHl6', 400],
  ])('refuses %s', async (path, status) => {
    expect((await server.call(`GET ${path}`)).status).toBe(status)
  })

  test('is for operators only', async () => {
    const { keyFor } = await server.newOrganization()
    const key = await keyFor({ roles: ['admin'] })
    for (const path of ['queries', 'queries/0123456789abcdef', 'slow-queries'])
      expect((await server.call(`GET /v1/optimizer/${path}`, undefined, { key })).status).toBe(403)
  })
})
