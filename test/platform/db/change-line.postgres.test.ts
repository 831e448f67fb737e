import { afterAll, afterEach, beforeAll, test } from 'vitest'
import { type ChangeLine, openChangeLine } from '../../../src/platform/db/change-line.ts'
import { connect, type Sql } from '../../../src/platform/db/connect.ts'
import { silentLog } from '../../../src/platform/log.ts'
import { asAdministrator } from '../../support/database.ts'
import { startTestServer, type TestServer } from '../../support/server.ts'
import { until } from '../../support/until.ts'

// Two nodes that would look for changes every minute only: what they know sooner, they know from each other.

let writer: TestServer
let reader: TestServer
let pool: Sql
const lines: ChangeLine[] = []
const open = (node: TestServer, sql: Sql) => {
  const line = openChangeLine({ sql, target: writer.database.target, log: silentLog }, node.changes)
  node.changes.onCommit(line.announce)
  lines.push(line)
  return line
}

beforeAll(async () => {
  writer = await startTestServer({ stalenessMs: 60_000 })
  pool = connect(writer.database.target, { connectionsMax: 4 })
  reader = await startTestServer({
    database: { ...writer.database, sql: pool },
    stalenessMs: 60_000,
  })
  open(writer, writer.sql)
  open(reader, pool)
  await until(() => lines.every((line) => line.isOpen()))
})
afterEach(() => until(() => lines.every((line) => line.isOpen())))
afterAll(async () => {
  await Promise.all(lines.map((line) => line.stop()))
  await pool.end()
  await writer.drop()
})

const prepared = async () => {
  const organization = await writer.newOrganization()
  const question = {
    organization: organization.slug,
    subject: 'user:bob',
    permission: 'scenario:read',
  }
  const asked = async () => (await reader.call('POST /check', question)).body.allowed
  return { ...organization, asked }
}

test('a revoke is heard by the other node', async () => {
  const { path, asked } = await prepared()
  for (let round = 0; round < 20; round++) {
    await writer.call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
    await until(asked)
    await writer.call(`PUT ${path}/members/bob`, { roles: [] })
    await until(async () => !(await asked()))
  }
})

test('what is typed into the database is heard, too', async () => {
  const { path, id, asked } = await prepared()
  await writer.call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
  await until(asked)
  await writer.sql`delete from grants where organization_id = ${id} and subject = 'user:bob'`
  await until(async () => !(await asked()))
})

test('a change of the platform is heard', async () => {
  const { asked } = await prepared()
  await asked()
  await writer.call('POST /v1/permissions', {
    key: 'report:hear',
    scope: 'workspace',
  })
  await until(async () => {
    await asked()
    return reader.policies.peekPlatform()?.permissions.has('report:hear') === true
  })
})

const cut = () =>
  asAdministrator(
    (writer.database.target as { url: string }).url,
    `select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen latchkey_policy%'`,
  )

test('what is missed while the line is cut is found when it stands again', async () => {
  const { path, asked } = await prepared()
  for (let round = 0; round < 3; round++) {
    await writer.call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
    await until(asked)
    await cut()
    await writer.call(`PUT ${path}/members/bob`, { roles: [] })
    await until(async () => !(await asked()))
  }
})
