import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Listening, startListening } from '../authzen/fixtures.ts'
import { runLine } from './console.ts'

let server: Listening
let organization: Awaited<ReturnType<Listening['newOrganization']>>

/** The table as casbin-pg-adapter makes it, in the server's own database. */
beforeAll(async () => {
  server = await startListening()
  await server.sql`create table casbin (id serial primary key, ptype text not null, rule jsonb, unique (rule))`
})
afterAll(() => server.drop())
beforeEach(async () => {
  await server.sql`delete from casbin`
  organization = await server.newOrganization()
})

const stored = async (...rows: [ptype: string, ...rule: string[]][]) => {
  for (const [ptype, ...rule] of rows)
    await server.sql`insert into casbin (ptype, rule) values (${ptype}, ${server.sql.json(rule)})`
}
const importTable = () =>
  runLine(
    [
      ...['import', '--organization', organization.slug, '--register'],
      ...['--casbin-table', (server.database.target as { url: string }).url],
    ],
    { LATCHKEY_URL: server.url, LATCHKEY_KEY: server.adminKey },
  )
const allowed = async (subject: string, permission: string, resource?: string) => {
  const question = { organization: organization.slug, subject, permission, resource }
  return (await server.call('POST /check', question)).body.allowed
}

test('imports a table of casbin-pg-adapter, and a comma in a value stays a comma', async () => {
  await stored(
    ['p', 'role:reader', '/acme/*', 'doc:*', 'read', 'allow'],
    ['g', 'user:bob', 'role:reader', '/acme/*'],
    ['p', 'user:bob', '/acme/*', 'doc:1, read, allow', 'read', 'deny'],
  )
  const { code, err } = await importTable()
  expect([code, err.match(/latchkey:.*/)?.[0]]).toEqual([0, undefined])
  expect(await allowed('user:bob', 'doc:read', 'doc:2')).toBe(true)
  expect(await allowed('user:bob', 'doc:read', 'doc:1, read, allow')).toBe(false)
})

test('imports nothing when one row does not fit, and names it', async () => {
  await stored(['g', 'user:bob', 'role:reader', '/acme/*'], ['p', 'user:bob', '/acme/*', 'doc:1'])
  const { code, err } = await importTable()
  expect([code, err]).toEqual([1, expect.stringMatching(/nothing was imported:\n\s+line \d+: /)])
  const { body } = await server.call(`GET ${organization.path}/members`)
  expect(body.items).toHaveLength(1)
})
