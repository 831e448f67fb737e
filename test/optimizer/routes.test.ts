import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'
import { ATTACKS, HARMLESS } from './attacks.ts'
import { contentsOf } from './untouched.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
  await server.newOrganization()
})
afterAll(() => server.drop())

const explain = (query: string, more: object = {}) =>
  server.call('POST /v1/optimizer/plans', { query, ...more })
const stats = async () => (await server.call('GET /v1/optimizer/stats')).body
const lastEvent = async () => {
  const [event] = await server.sql<{ event: string; body: string }[]>`
    select event, body from audit_events where log = 'platform' order by id desc limit 1`
  return event!
}

describe('a plan', () => {
  test('names tables, indexes, cost and rows, and is in the log without its text', async () => {
    const { status, body } = await explain(`select name from organizations where id = 'org_hidden'`)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      ...{ cached: false, generic: false, analyzed: false, executionMs: null },
      tables: ['public.organizations'],
      indexes: ['organizations_pkey'],
      totalCost: expect.any(Number),
      estimatedRows: 1,
      plan: { 'Node Type': 'Index Scan' },
    })
    const { event, body: text } = await lastEvent()
    expect(event).toBe('optimizer.asked')
    expect(text).toContain(body.fingerprint)
    expect(text).not.toContain('org_hidden')
  })

  test.each(HARMLESS)('is made of %s', async (_, query) => {
    const { status, body } = await explain(query)
    expect([status, body.plan?.['Node Type']]).toEqual([200, expect.any(String)])
  })

  test('holds for any parameters where none are given', async () => {
    const query = 'select name from organizations where id = $1 and created_at > $2'
    const { body } = await explain(query)
    expect(body).toMatchObject({ generic: true, indexes: ['organizations_pkey'] })
    expect(JSON.stringify(body.plan)).toContain('$1')
  })

  test('holds for the parameters that are given, whatever is in them', async () => {
    const query = 'select name from organizations where id = $1 and name = $2'
    const parameters = [`org_1'; drop table grants; --`, `\\'); select 1; --`]
    const { status, body } = await explain(query, { parameters })
    expect([status, body.generic]).toEqual([200, false])
    expect(JSON.stringify(body.plan)).toContain(`org_1''; drop table grants; --`)
    const others = await explain('select from grants where id = $1 and $2 and $3 < 7.5', {
      parameters: [null, true, 1.5],
    })
    expect(others.status).toBe(200)
  })

  test.each([
    ['too few', 'select $1::int, $2::int', { parameters: [1] }],
    ['too many', 'select $1::int', { parameters: [1, 2] }],
    ['where there are none', 'select 1', { parameters: [1] }],
    ['none for a query that is run', 'select $1::int', { analyze: true }],
  ])('is refused with %s parameters', async (_, query, more) => {
    const { status, body } = await explain(query, more)
    expect([status, body.code]).toEqual([422, 'query-parameters'])
  })

  test('says how many rows a change concerns', async () => {
    const { body } = await explain(`delete from grants where id = 'grt_${'0'.repeat(26)}'`)
    expect(body).toMatchObject({ estimatedRows: 1, plan: { 'Node Type': 'ModifyTable' } })
  })

  test('is made for odd names', async () => {
    await server.sql.unsafe(`create table "O'dd ""x"";--" ("sélect $1" int primary key);
      grant select on "O'dd ""x"";--" to latchkey_platform`)
    const { status, body } = await explain(
      `select "sélect $1" from "O'dd ""x"";--" where "sélect $1" = 7`,
    )
    expect([status, body.tables]).toEqual([200, [`public.O'dd "x";--`]])
  })

  test.each([
    ['a table that is not there', 'select from nowhere', /"nowhere" does not exist/],
    ['another database', 'select from elsewhere.public.grants', /cross-database/],
    ['a table that is nobody’s business', 'select rolpassword from pg_authid', /permission denied/],
    ['a parameter that can be nothing', 'select $1 + $2', /is not unique|could not determine/],
    ['a value that does not fit', `select 'secret'::int`, /SQLSTATE 22P02/],
  ])('is refused by the database for %s', async (_, query, detail) => {
    const { status, body } = await explain(query)
    expect([status, body.code]).toEqual([422, 'query-failed'])
    expect(body.detail).toMatch(detail)
    expect(body.detail).not.toContain('secret')
  })

  test.each([
    ['no query', {}],
    ['an empty one', { query: '' }],
    ['an oversized one', { query: `select '${'x'.repeat(10_000)}'` }],
    ['one with U+0000', { query: 'select 1 \u0000; drop table grants' }],
    ['too many parameters', { query: 'select 1', parameters: Array(101).fill(1) }],
    ['a parameter that is an object', { query: 'select $1', parameters: [{}] }],
  ])('is refused for %s', async (_, body) => {
    const answer = await server.call('POST /v1/optimizer/plans', body)
    expect([answer.status, answer.body.code]).toEqual([400, 'invalid-request'])
  })

  test('is refused where a name could mean a function of somebody else', async () => {
    await server.sql`create function public.ceil(text) returns int language sql as 'select 1'`
    const { status, body } = await explain('select ceil(1.5)')
    expect([status, body.code]).toEqual([422, 'query-refused'])
    await server.sql`drop function public.ceil(text)`
    expect((await explain('select ceil(1.5)')).status).toBe(200)
  })
})

describe('nothing is ever written', () => {
  test('by what is refused, which stands in the log', async () => {
    const before = await contentsOf(server.sql)
    for (const [what, query, code] of ATTACKS)
      for (const analyze of [false, true]) {
        const answer = await explain(query, { analyze })
        expect([what, answer.status, answer.body.code]).toEqual([what, 422, code])
        expect(answer.headers.get('content-type')).toBe('application/problem+json')
      }
    expect(await contentsOf(server.sql)).toEqual(before)
    expect((await lastEvent()).event).toBe('optimizer.refused')
  })

  test('by what is explained', async () => {
    await server.sql`insert into cache_generations (name, generation) values ('x', 1)`
    const before = await contentsOf(server.sql)
    for (const [what, query] of HARMLESS)
      expect([what, (await explain(query, { fresh: true })).status]).toEqual([what, 200])
    expect(await contentsOf(server.sql)).toEqual(before)
  })
})

describe('a plan is kept', () => {
  test('for queries that differ in their constants only', async () => {
    const first = await explain(`select from organizations where name = 'a'`)
    const second = await explain(`SELECT FROM organizations WHERE name = 'b' -- again`)
    expect([first.body.cached, second.body.cached]).toEqual([false, true])
    expect(second.body).toEqual({ ...first.body, cached: true })
    expect(
      (await explain(`select from organizations where name = 'a'`, { fresh: true })).body.cached,
    ).toBe(false)
  })

  test('apart for constants and parameters of another kind', async () => {
    const query = 'select from organizations where revision = '
    expect((await explain(`${query}1`)).body.cached).toBe(false)
    expect((await explain(`${query}1.5`)).body.cached).toBe(false)
    expect((await explain(`${query}$1`)).body.cached).toBe(false)
    expect((await explain(`${query}$1`, { parameters: [1] })).body.cached).toBe(false)
    expect((await explain(`${query}$1`, { parameters: [2] })).body.cached).toBe(true)
    expect((await explain(`${query}$1`, { parameters: ['2'] })).body.cached).toBe(false)
  })

  const query = 'select from kept where a = 1'
  test.each([
    ['a table', 'create table other_table (a int)'],
    ['an index', 'create index kept_by_a on kept (a)'],
    ['a column', 'alter table kept add column c int'],
    ['a type', 'alter table kept alter column a type bigint'],
    ['a constraint', 'alter table kept add constraint a_is_small check (a < 9)'],
    ['a column that is never null', 'alter table kept alter column a set not null'],
    ['another view', 'create or replace view kept_view as select 2 as a'],
    ['a policy', 'create policy all_rows on kept using (a > 0)'],
    ['a statistic', 'create statistics kept_statistic on a, c from kept'],
    ['its statistics', 'analyze kept'],
    ['no index', 'drop index kept_by_a'],
  ])('until there is %s', async (what, change) => {
    if (what === 'a table')
      await server.sql.unsafe(
        `create table kept (a int) with (autovacuum_enabled = off); create view kept_view as select 1 as a;
        grant select on kept to latchkey_platform`,
      )
    await explain(query)
    expect((await explain(query)).body.cached).toBe(true)
    await server.sql.unsafe(change)
    expect((await explain(query)).body.cached).toBe(false)
  })

  test('that was asked for anew, too', async () => {
    await server.sql`create table for_anew (a int)`
    expect((await explain('select 43', { fresh: true })).body.cached).toBe(false)
    expect((await explain('select 44')).body.cached).toBe(true)
  })

  test('while other tables are analyzed', async () => {
    await server.sql`create table others as select n from generate_series(1, 100) n`
    await explain(query)
    await server.sql`analyze others`
    expect((await explain(query)).body.cached).toBe(true)
    await server.sql`analyze kept`
    expect((await explain(query)).body.cached).toBe(false)
  })

  test('until it is cleared, and counted', async () => {
    await explain('select 41')
    const before = await stats()
    expect((await explain('select 42')).body.cached).toBe(true)
    await explain('drop table grants')
    const after = await stats()
    expect(after).toMatchObject({
      total: before.total + 1,
      cached: before.cached + 1,
      refused: before.refused + 1,
      slowMs: 100,
      plansMax: 500,
      executions: { slow: 0 },
    })
    expect(after.averageMs).toBeGreaterThan(0)
    expect(after.plans).toBeGreaterThan(0)
    expect((await server.call('DELETE /v1/optimizer/plans')).status).toBe(204)
    expect((await lastEvent()).event).toBe('optimizer.cleared')
    expect((await stats()).plans).toBe(0)
    expect((await explain('select 42')).body.cached).toBe(false)
  })
})

test('a runtime without the parser says so', async () => {
  const other = await startTestServer({ database: server.database, sqlParser: undefined })
  const { status, body } = await other.call('POST /v1/optimizer/plans', { query: 'select 1' })
  expect([status, body.code]).toEqual([503, 'optimizer-unavailable'])
})
