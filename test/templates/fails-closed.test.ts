import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'
import { givenPublisher } from './given.ts'

const scanner = vi.hoisted(() => ({ isBroken: false }))
vi.mock('@secretlint/secretlint-rule-preset-recommend', () => ({
  rules: [
    {
      meta: { id: 'a-rule' },
      create: () => ({
        file: () => {
          if (scanner.isBroken) throw new Error('broken')
        },
      }),
    },
  ],
}))

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())

test('where secrets cannot be looked for, nothing is made and nothing is submitted', async () => {
  const mine = await givenPublisher(server)
  const { at } = await mine.make()
  await mine.must(`PUT ${at}/visibility`, { visibility: 'public' })
  scanner.isBroken = true
  const made = await mine.make()
  expect([made.status, made.body.code]).toEqual([503, 'scan-unavailable'])
  const version = await server.call(`POST ${at}/versions`, { version: '1.0.0', definition: {} })
  expect(version.status).toBe(503)
  const submitted = await server.call(`POST ${at}/versions/0.1.0/submit`, {})
  expect([submitted.status, submitted.body.code]).toEqual([422, 'checks-failed'])
  const [secrets] = submitted.body.checks.filter(({ name }: { name: string }) => name === 'secrets')
  expect(secrets.result).toBe('failed')
  expect((await mine.must(`GET ${at}/versions/0.1.0`)).status).toBe('draft')
  expect((await server.call(`POST ${at}/versions/0.1.0/publish`)).status).toBe(422)
  scanner.isBroken = false
  expect((await server.call(`POST ${at}/versions/0.1.0/submit`, {})).status).toBe(201)
})
