import { expect, test } from 'vitest'
import { startTestServer } from '../support/server.ts'

test('embedded storage runs no query: it could not end it', async () => {
  const server = await startTestServer()
  const ask = { query: 'select 1', analyze: true }
  const { status, body } = await server.call('POST /v1/optimizer/plans', ask)
  expect([status, body.code]).toEqual([422, 'query-not-run'])
  expect(body.errors).toMatchObject([{ pointer: '/analyze' }])
  await server.drop()
})
