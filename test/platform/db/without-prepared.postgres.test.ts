import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type Sql } from '../../../src/platform/db/connect.ts'
import { openTestDatabase, type TestDatabase } from '../../support/database.ts'
import { startTestServer, type TestServer } from '../../support/server.ts'

// Poolers that give out connections by the transaction, and are too old to know prepared statements.

let database: TestDatabase
let pool: Sql
let server: TestServer

beforeAll(async () => {
  database = await openTestDatabase()
  const { url } = database.target as { url: string }
  pool = connect({ url: `${url}?prepare=false` }, { connectionsMax: 1 })
  server = await startTestServer({ database: { ...database, sql: pool } })
})
afterAll(async () => {
  await pool.end({ timeout: 1 })
  await database.drop()
})

test('with ?prepare=false nothing is prepared by name, and everything works as before', async () => {
  const { path, slug } = await server.newOrganization()
  await server.call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
  const question = { organization: slug, subject: 'user:bob', permission: 'scenario:read' }
  expect((await server.call('POST /check', question)).body.allowed).toBe(true)
  await server.call(`PUT ${path}/members/bob`, { roles: [] })
  expect((await server.call('POST /check', question)).body.allowed).toBe(false)
  expect((await server.call(`GET ${path}/members`)).body.items).toHaveLength(2)
  const [prepared] = await pool`select count(*) as count from pg_prepared_statements`
  expect(prepared).toEqual({ count: 0 })
})
