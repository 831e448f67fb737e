import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type Sql } from '../../src/platform/db/connect.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

/** A wire to the database that can be cut. */
const cuttable = async (url: string) => {
  const { hostname, port } = new URL(url)
  const sockets = new Set<Socket>()
  let cut = false
  const wire: Server = createServer((near) => {
    if (cut) return near.destroy()
    const far = connectTcp(Number(port), hostname)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    near.pipe(far).pipe(near)
  })
  await new Promise<void>((resolve) => wire.listen(0, '127.0.0.1', resolve))
  const through = new URL(url)
  through.hostname = '127.0.0.1'
  through.port = String((wire.address() as { port: number }).port)
  return {
    url: through.href,
    cut: () => {
      cut = true
      for (const socket of sockets) socket.destroy()
    },
    mend: () => {
      cut = false
    },
    close: () => wire.close(),
  }
}

let server: TestServer
let wire: Awaited<ReturnType<typeof cuttable>>
let pool: Sql
let direct: TestServer

beforeAll(async () => {
  direct = await startTestServer()
  wire = await cuttable((direct.database.target as { url: string }).url)
  pool = connect({ url: wire.url }, { connectionsMax: 4, connectTimeoutSeconds: 2 })
  server = await startTestServer({ database: { ...direct.database, sql: pool }, stalenessMs: 100 })
})
afterAll(async () => {
  wire.mend()
  await pool.end({ timeout: 1 })
  wire.close()
  await direct.drop()
})

test('with the database away: 503, never an old allow and never the driver’s words; and back without a restart', async () => {
  const { path, slug } = await server.newOrganization()
  const question = { organization: slug, subject: 'user:alice', permission: 'scenario:read' }
  const ask = () => server.call('POST /check', question)
  expect((await ask()).body.allowed).toBe(true)

  wire.cut()
  await new Promise((resolve) => setTimeout(resolve, 150))
  const away = await Promise.all([
    ask(),
    ask(),
    server.call('POST /check/batch', { checks: [question] }),
    server.call(`GET ${path}/members`),
    server.call(`PUT ${path}/members/bob`, { roles: ['viewer'] }),
    server.call('POST /check', { ...question, consistency: 'full' }),
  ])
  for (const answer of away) {
    expect([answer.status, answer.body.code]).toEqual([503, 'database-unavailable'])
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(answer.headers.get('retry-after')).toBeTruthy()
    expect(JSON.stringify(answer.body)).not.toMatch(/ECONN|127\.0\.0\.1|socket|postgres/i)
  }
  expect((await server.call('GET /healthz')).status).toBe(200)
  expect(await server.call('GET /readyz')).toMatchObject({
    status: 503,
    body: { status: 'unavailable' },
  })

  // Somebody revokes while this node is cut off.
  await direct.call(`POST ${path}/suspend`, { reason: 'abuse' })
  wire.mend()
  let back = await ask()
  for (let waited = 0; back.status === 503 && waited < 100; waited++) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    back = await ask()
  }
  expect(back).toMatchObject({ status: 200, body: { allowed: false, code: 'suspended' } })
  expect((await server.call('GET /readyz')).status).toBe(200)
})
