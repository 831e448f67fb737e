import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type Sql } from '../../src/platform/db/connect.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let pool: Sql
let other: TestServer
let address = ''
beforeAll(async () => {
  const options = { peerAddress: () => address }
  server = await startTestServer(options)
  pool = connect(server.database.target, { connectionsMax: 10 })
  other = await startTestServer({ ...options, database: { ...server.database, sql: pool } })
})
afterAll(async () => {
  await pool.end()
  await server.drop()
})

const decline = (node: TestServer) =>
  node.call('POST /v1/invitations/decline', { token: 'A'.repeat(43) }, { key: null })

test('of a hundred attempts at once on two nodes exactly twenty are let through, ten times', async () => {
  for (let round = 0; round < 10; round++) {
    address = `203.0.113.${round}`
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) => decline([server, other][index % 2]!)),
    )
    const statuses = answers.map(({ status }) => status).sort()
    expect(statuses).toEqual([...Array(20).fill(404), ...Array(80).fill(429)])
    const left = answers
      .filter(({ status }) => status === 404)
      .map(({ headers }) => Number(/r=(\d+)/.exec(headers.get('ratelimit')!)![1]))
    expect(left.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index))
  }
})

test('what cannot be counted is not let through: 503, and nothing has happened', async () => {
  const { path, id } = await server.newOrganization()
  await pool.begin(async (tx) => {
    await tx`lock table rate_limits in access exclusive mode`
    const answer = await server.call(`POST ${path}/invitations`, { email: 'late@example.com' })
    expect([answer.status, answer.body.code]).toEqual([503, 'database-unavailable'])
    expect(answer.headers.get('retry-after')).toBeTruthy()
  })
  const [row] = await server.sql`
    select count(*)::int as invited from invitations where organization_id = ${id}`
  expect(row!.invited).toBe(0)
})

test('no request may read or write the counters by itself', async () => {
  const { id } = await server.newOrganization()
  await decline(server)
  for (const statement of [
    'select * from rate_limits',
    'update rate_limits set used = 1',
    'delete from rate_limits',
    "insert into rate_limits (key, used, ends_at) values (sha256('x'), 1, now())",
  ]) {
    const refused = pool.begin(async (tx) => {
      await tx`select set_config('role', 'latchkey_app', true), set_config('latchkey.organization', ${id}, true)`
      await tx.unsafe(statement)
    })
    await expect(refused).rejects.toMatchObject({ code: '42501' })
  }
})
