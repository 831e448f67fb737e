import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type Sql } from '../../src/platform/db/connect.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

/** One database, two nodes that tell each other nothing: what one changes, the other finds out within its bound. */
const STALENESS_MS = 200
/** Rounds of a revoke after another, and of one that races with checks; the long form has more (npm run chaos). */
const [ROUNDS, RACES] = process.env.LATCHKEY_LONG === 'on' ? [50, 200] : [20, 60]

let writer: TestServer
let reader: TestServer
let pool: Sql

beforeAll(async () => {
  writer = await startTestServer()
  pool = connect(writer.database.target, { connectionsMax: 10 })
  reader = await startTestServer({
    database: { ...writer.database, sql: pool },
    stalenessMs: STALENESS_MS,
  })
})
afterAll(async () => {
  await pool.end()
  await writer.drop()
})

const prepared = async () => {
  const organization = await writer.newOrganization()
  await writer.call(`PUT ${organization.path}/members/bob`, { roles: ['viewer'] })
  const question = {
    organization: organization.slug,
    subject: 'user:bob',
    permission: 'scenario:read',
  }
  const asked = async (server: TestServer, more: object = {}) =>
    (await server.call('POST /check', { ...question, ...more })).body.allowed
  return { ...organization, asked }
}

test('the node that revoked denies at once, without being told what to wait for', async () => {
  const { path, asked } = await prepared()
  for (let round = 0; round < ROUNDS; round++) {
    await writer.call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
    expect(await asked(writer)).toBe(true)
    await writer.call(`PUT ${path}/members/bob`, { roles: [] })
    expect(await asked(writer)).toBe(false)
  }
})

test('another node never allows after it was shown the revoke’s token, nor with full consistency', async () => {
  const { path, asked } = await prepared()
  for (let round = 0; round < ROUNDS; round++) {
    await writer.call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
    expect(await asked(reader, { consistency: 'full' })).toBe(true)
    const { revision } = await writer.call(`PUT ${path}/members/bob`, { roles: [] })
    const consistency = round % 2 === 0 ? 'full' : { atLeast: revision }
    expect(await asked(reader, { consistency })).toBe(false)
    expect(await asked(reader)).toBe(false)
  }
})

test('another node denies within the bound, while it is asked all the time', async () => {
  const { path, asked } = await prepared()
  for (let round = 0; round < 5; round++) {
    await writer.call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
    expect(await asked(reader, { consistency: 'full' })).toBe(true)
    await writer.call(`PUT ${path}/members/bob`, { roles: [] })
    const until = Date.now() + STALENESS_MS
    while (Date.now() <= until) await asked(reader)
    expect(await asked(reader)).toBe(false)
  }
})

test('what is typed by hand into the database is found within the bound, too', async () => {
  const { id, asked } = await prepared()
  expect(await asked(reader)).toBe(true)
  await writer.sql`delete from grants where organization_id = ${id} and subject = 'user:bob'`
  await new Promise((resolve) => setTimeout(resolve, STALENESS_MS + 20))
  expect(await asked(reader)).toBe(false)
  await writer.sql`update organizations set status = 'suspended' where id = ${id}`
  await new Promise((resolve) => setTimeout(resolve, STALENESS_MS + 20))
  const answer = await reader.call('POST /check', {
    organization: id,
    subject: 'user:alice',
    permission: 'scenario:read',
  })
  expect(answer.body.code).toBe('suspended')
})

test('a commit that comes late, out of the order of its transaction, is not skipped', async () => {
  const { id, path, asked } = await prepared()
  expect(await asked(reader)).toBe(true)
  let commit = () => {}
  const held = new Promise<void>((resolve) => {
    commit = resolve
  })
  // An old transaction takes its number now and commits last; meanwhile others come and are read.
  const late = writer.sql.begin(async (tx) => {
    await tx`select pg_current_xact_id()`
    await held
    await tx`delete from grants where organization_id = ${id} and subject = 'user:bob'`
  })
  for (let round = 0; round < 4; round++) {
    await writer.call(`PUT ${path}/teams/t${round}`, {})
    await new Promise((resolve) => setTimeout(resolve, STALENESS_MS + 20))
    expect(await asked(reader)).toBe(true)
  }
  commit()
  await late
  await new Promise((resolve) => setTimeout(resolve, STALENESS_MS + 20))
  expect(await asked(reader)).toBe(false)
})

test('a change of the platform reaches every organization', async () => {
  const { asked, slug } = await prepared()
  expect(await asked(reader)).toBe(true)
  const key = `late${Date.now()}:open`
  await writer.call('POST /v1/permissions', { key, scope: 'workspace' })
  await new Promise((resolve) => setTimeout(resolve, STALENESS_MS + 20))
  const answer = await reader.call('POST /check', {
    organization: slug,
    subject: 'user:alice',
    permission: key,
  })
  expect(answer.body).toMatchObject({ allowed: true, code: 'role' })
})

test('a revoked key is refused at once where it was revoked, and elsewhere within the bound', async () => {
  const { path, slug, keyFor } = await prepared()
  const key = await keyFor({ permissions: ['decision:check', 'apikey:read'] })
  const question = { organization: slug, subject: 'user:bob', permission: 'scenario:read' }
  const statusAt = async (server: TestServer) =>
    (await server.call('POST /check', question, { key })).status
  expect([await statusAt(writer), await statusAt(reader)]).toEqual([200, 200])
  const { body } = await writer.call(`GET ${path}/api-keys`)
  await writer.call(`DELETE ${path}/api-keys/${body.items[0].id}`)
  expect(await statusAt(writer)).toBe(401)
  await new Promise((resolve) => setTimeout(resolve, STALENESS_MS + 20))
  expect(await statusAt(reader)).toBe(401)
})

test(`revokes racing checks on the same node: never an allow after the answer (${RACES} revokes, ${10 * RACES} checks)`, async () => {
  const { path, asked } = await prepared()
  let stale = 0
  for (let round = 0; round < RACES; round++) {
    await writer.call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
    const load = Array.from({ length: 10 }, () => asked(writer))
    await writer.call(`PUT ${path}/members/bob`, { roles: [] })
    if (await asked(writer)) stale++
    await Promise.all(load)
  }
  expect(stale).toBe(0)
})

test('a change on one node right after the platform changed on another is tried again, not failed', async () => {
  const { path } = await prepared()
  for (let round = 0; round < 20; round++) {
    await reader.call(`PUT ${path}/members/carol`, { roles: [] })
    const key = `wand:wave${round}`
    expect((await writer.call('POST /v1/permissions', { key, scope: 'workspace' })).status).toBe(
      201,
    )
    const { status } = await reader.call(`PUT ${path}/members/carol`, { roles: ['viewer'] })
    expect([round, status]).toEqual([round, 200])
  }
})

test('while a change is being read, nobody is answered from before it', async () => {
  const { path, asked } = await prepared()
  expect(await asked(writer)).toBe(true)
  await writer.call(`PUT ${path}/members/bob`, { roles: [] })
  // The log of changes cannot be read for a while: whoever asks first waits for it, and so must whoever asks next.
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const holding = pool.begin(async (tx) => {
    await tx`lock table policy_changes in access exclusive mode`
    await held
  })
  await new Promise((resolve) => setTimeout(resolve, 20))
  const first = asked(writer)
  await new Promise((resolve) => setTimeout(resolve, 100))
  const second = asked(writer)
  await new Promise((resolve) => setTimeout(resolve, 50))
  release()
  await holding
  expect([await first, await second]).toEqual([false, false])
})
