import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())

test.each([
  ['many values', Array.from({ length: 20_000 }, (_, index) => index)],
  ['a long text', 'x'.repeat(500_000)],
  ['deep nesting', JSON.parse(`${'[1,'.repeat(500)}1${']'.repeat(500)}`)],
])('defaults with %s are repeated only so often', async (name, value) => {
  const { slug } = await server.newOrganization()
  const batch = (length: number) =>
    server.call('POST /check/batch', {
      defaults: { organization: slug, subject: 'user:alice', context: { value } },
      checks: Array.from({ length }, () => ({ permission: 'scenario:read' })),
    })
  const few = await batch(40)
  expect([few.status, few.body.results?.[39]?.allowed]).toEqual([200, true])
  const many = await batch(1000)
  if (name !== 'deep nesting')
    expect([many.status, many.body.code]).toEqual([400, 'defaults-too-large'])
  else expect(many.status).toBe(200)
})

test('a thousand questions with small defaults are answered', async () => {
  const { slug } = await server.newOrganization()
  const context = { ip: '203.0.113.7', roles: ['a', 'b'], token: 'x'.repeat(2000) }
  const { status, body } = await server.call('POST /check/batch', {
    defaults: { organization: slug, subject: 'user:alice', context },
    checks: Array.from({ length: 1000 }, () => ({ permission: 'scenario:read' })),
  })
  expect([status, body.results.length]).toEqual([200, 1000])
})

test('a default that no question can hold is refused in each place, quickly', async () => {
  const { slug } = await server.newOrganization()
  const startedAt = Date.now()
  const { status, body } = await server.call('POST /check/batch', {
    defaults: { organization: slug, subject: `user:${'é'.repeat(20_000)}` },
    checks: Array.from({ length: 1000 }, () => ({ permission: 'scenario:read' })),
  })
  expect([status, body.results[999].error.status]).toEqual([200, 400])
  expect(Date.now() - startedAt).toBeLessThan(5000)
})
