import { afterAll, beforeAll, expect, test } from 'vitest'
import { silentLog } from '../../src/platform/log.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const lines: Record<string, unknown>[] = []
let server: TestServer

beforeAll(async () => {
  const info = (fields: object, message: string) => {
    lines.push({ message, ...fields })
  }
  server = await startTestServer({ log: { ...silentLog, info } })
})
afterAll(() => server.drop())

test('logs each request of the management API once, by its route, with its id and status', async () => {
  const { path, slug } = await server.newOrganization()
  lines.length = 0
  const headers = { 'x-request-id': 'req-7' }
  await server.call(`GET ${path}/members/nobody`, undefined, { headers })
  await server.call(`GET ${path}/members`, undefined, { headers, key: null })
  await server.call('POST /check', {
    organization: slug,
    subject: 'user:a',
    permission: 'org:read',
  })
  expect(lines).toMatchObject([
    {
      message: 'request',
      requestId: 'req-7',
      method: 'GET',
      route: '/v1/organizations/:organization/members/:user',
      status: 404,
    },
    { message: 'request', requestId: 'req-7', status: 401 },
  ])
  expect(JSON.stringify(lines)).not.toContain(slug)
})
