import { afterAll, beforeAll, expect, test } from 'vitest'
import { createFirstOperatorKey } from '../../src/api-keys/service.ts'
import { connect } from '../../src/platform/db/connect.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())

test('nodes that start at once on an empty database make one first key together', async () => {
  await server.sql`delete from api_keys where organization_id is null`
  const pool = connect(server.database.target, { connectionsMax: 8 })
  const context = { ...server.context, sql: pool }
  const first = { name: 'first administrator', role: 'super_admin' } as const
  const made = await Promise.all(
    Array.from({ length: 8 }, () => createFirstOperatorKey({ ...context }, first)),
  )
  await pool.end()
  expect(made.filter(Boolean)).toHaveLength(1)
  const [{ count } = { count: 0 }] = await server.sql<{ count: number }[]>`
    select count(*) as count from api_keys where organization_id is null`
  expect(count).toBe(1)
  const key = made.find(Boolean)!.token
  expect((await server.call('GET /v1/permissions', undefined, { key })).status).toBe(200)
})
