import { afterAll, beforeAll, expect, test } from 'vitest'
import { TABLES } from '../../src/archives/repository.ts'
import { furnish } from '../support/furnished.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

/** Rows of organizations that an archive leaves out, and why. */
const LEFT_OUT: Record<string, string> = {
  idempotency_keys:
    'what requests answered within the last day; every answer is read from its own table',
}

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())

type Line = { table?: string; row?: Record<string, unknown>; complete?: boolean; rows?: number }
const linesOf = (text: string): Line[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

test('knows every table that holds rows of organizations', async () => {
  const tables = await server.sql`
    select relname as name from pg_class where relrowsecurity and not relispartition and relnamespace = 'public'::regnamespace`
  const known = [...TABLES.map(({ name }) => name), ...Object.keys(LEFT_OUT)]
  expect(tables.map(({ name }) => name).toSorted()).toEqual(known.toSorted())
})

test('holds every row of the organization, none of another, and no secret', async () => {
  const [mine, theirs] = [await furnish(server), await furnish(server)]
  const answer = await server.call(`POST ${mine.path}/archive`)
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/x-ndjson'])
  expect(answer.revision).toBeTruthy()
  const lines = linesOf(answer.body)
  expect(lines.at(-1)).toEqual({ complete: true, rows: lines.length - 1 })
  expect(answer.body).not.toContain(theirs.id)
  expect(answer.body).not.toMatch(/secret_hash|token_hash|"secret"|whsec_|lk_[0-9a-z]{26}_/)
  const counts = Object.groupBy(lines.slice(0, -1), ({ table }) => table ?? '')
  for (const { name, owner, through } of TABLES) {
    const whose = through
      ? `in (select id from ${through} where organization_id = '${mine.id}')`
      : `= '${mine.id}'`
    const [row] = await server.sql.unsafe(
      `select count(*)::int as rows from ${name} where ${owner} ${whose}`,
    )
    expect([name, counts[name]?.length ?? 0]).toEqual([name, row!.rows])
  }
  const [event] =
    await server.sql`select actor from audit_events where log = ${mine.id} and event = 'organization.archived'`
  expect(event).toBeDefined()
})

test('is given of a suspended organization to its owner, too, and to nobody without the permission', async () => {
  const organization = await furnish(server)
  const viewer = await organization.keyFor({ roles: ['viewer'] })
  const refused = await server.call(`POST ${organization.path}/archive`, undefined, { key: viewer })
  expect([refused.status, refused.body.permission]).toEqual([403, 'audit:export'])
  await server.call(`POST ${organization.path}/suspend`, { reason: 'unpaid' })
  expect((await server.call(`POST ${organization.path}/archive`)).status).toBe(200)
})
