import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect, type Sql } from '../../src/platform/db/connect.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { HARMLESS } from './attacks.ts'
import { contentsOf } from './untouched.ts'

let server: TestServer
let other: Sql
beforeAll(async () => {
  server = await startTestServer()
  other = connect(server.database.target, { connectionsMax: 1 })
  await server.sql.unsafe(`
    create table pairs (id int primary key, a int not null, b int not null, filling text not null);
    insert into pairs select i, i % 100, i % 100, repeat('x', 200) from generate_series(1, 50000) i;
    grant select, update, delete on pairs to latchkey_platform`)
  await server.sql`analyze pairs`
})
afterAll(async () => {
  await other.end()
  await server.drop()
})

const run = (query: string, more: object = {}) =>
  server.call('POST /v1/optimizer/plans', { query, analyze: true, ...more })
const codesOf = (body: { findings: { code: string }[] }) => body.findings.map(({ code }) => code)

describe('a query that is run', () => {
  test('tells how long it took, each time anew', async () => {
    const before = (await server.call('GET /v1/optimizer/stats')).body.executions.count
    for (const _ of [1, 2]) {
      const { status, body } = await run('select count(*) from pairs where id < $1', {
        parameters: [100],
      })
      expect([status, body.analyzed, body.cached]).toEqual([200, true, false])
      expect(body.executionMs).toBeGreaterThan(0)
      expect(body.plan).toHaveProperty('Actual Rows', 1)
    }
    const { executions } = (await server.call('GET /v1/optimizer/stats')).body
    expect(executions.count).toBe(before + 2)
    expect(executions.averageMs).toBeGreaterThan(0)
  })

  test('shows an estimate that was bad', async () => {
    const { body } = await run('select from pairs where a = 7 and b = 7')
    expect(codesOf(body)).toContain('bad-estimate')
    expect(codesOf((await run('select from pairs where id = 7')).body)).not.toContain(
      'bad-estimate',
    )
  })

  test('shows a sort that took room on disk', async () => {
    const { body } = await run('select * from pairs order by filling, b desc, id')
    expect(codesOf(body)).toContain('sort-spills')
    const few = await run('select * from pairs where id < 9 order by filling')
    expect(codesOf(few.body)).not.toContain('sort-spills')
  })

  test('shows a filter that removed most rows', async () => {
    const { body } = await run('select from pairs where a * b = 49')
    expect(body.findings.map(({ detail }: { detail: string }) => detail)).toContainEqual(
      'Of 50,000 rows that are read the filter keeps 500 rows (measured).',
    )
  })

  test.each([
    ['DELETE', 'delete from pairs'],
    ['UPDATE', 'update pairs set a = 1'],
    ['DELETE in WITH', 'with gone as (delete from pairs returning id) select * from gone'],
    ['FOR UPDATE', 'select id from pairs for update'],
  ])('is never %s', async (_, query) => {
    const before = await contentsOf(server.sql)
    const { status, body } = await run(query)
    expect([status, body.code]).toEqual([422, 'query-not-run'])
    expect(await contentsOf(server.sql)).toEqual(before)
  })

  test('leaves nothing', async () => {
    const before = await contentsOf(server.sql)
    for (const [, query] of HARMLESS) expect([200, 422]).toContain((await run(query)).status)
    expect(await contentsOf(server.sql)).toEqual(before)
  })

  test('is ended after five seconds, and the next is answered', async () => {
    const startedAtMs = performance.now()
    const { status, body } = await run('select count(*) from pairs a, pairs b where a.a + b.b = 3')
    expect([status, body.code]).toEqual([422, 'query-timeout'])
    expect(performance.now() - startedAtMs).toBeLessThan(9000)
    expect((await run('select 1')).status).toBe(200)
    const [left] = await server.sql`
      select count(*) as left from pg_stat_activity where datname = current_database() and query ~ '^explain' and state <> 'idle'`
    expect(left).toEqual({ left: 0 })
  })
})

test('more than two at a time are sent away', async () => {
  const slow = 'select count(*) from pairs a, pairs b where a.a + b.b = 4'
  const answers = await Promise.all([run(slow), run(slow), run(slow), run(slow)])
  expect(answers.map(({ status }) => status).toSorted()).toEqual([422, 422, 429, 429])
  const busy = answers.find(({ status }) => status === 429)!
  expect([busy.body.code, busy.headers.get('retry-after')]).toEqual(['optimizer-busy', '5'])
  expect((await run('select 1')).status).toBe(200)
})

describe('a table that somebody changes', () => {
  test.each([
    ['to read it', 'select a from pairs where id = $1'],
    ['to change it', 'update pairs set a = 1 where id = $1'],
  ])('is not waited for %s', async (_, query) => {
    await other.begin(async (tx) => {
      await tx`lock table pairs in access exclusive mode`
      const startedAtMs = performance.now()
      const { status, body } = await server.call('POST /v1/optimizer/plans', { query })
      expect([status, body.code]).toEqual([503, 'query-locked'])
      expect(performance.now() - startedAtMs).toBeLessThan(4000)
    })
    const { status } = await server.call('POST /v1/optimizer/plans', { query })
    expect(status).toBe(200)
  })

  test('is not held for others, and no statement is left prepared', async () => {
    for (const query of ['select a from pairs', 'select a from pairs where a = no_such_column'])
      await server.call('POST /v1/optimizer/plans', { query, fresh: true })
    await other.begin(async (tx) => {
      await tx`set local lock_timeout = '500ms'`
      await tx`lock table pairs in access exclusive mode`
    })
    expect(await server.sql`select name from pg_prepared_statements where name ~ '^plan_'`).toEqual(
      [],
    )
  })
})
