import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { peerAddress } from '../../src/node.ts'
import { type AddressRange, parseRange } from '../../src/platform/address-range.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let http: ReturnType<typeof serve>
let url: string
const trustedProxies: AddressRange[] = []

/** A real connection over the loopback interface: what is at its other end is 127.0.0.1. */
beforeAll(async () => {
  server = await startTestServer({ peerAddress, trustedProxies })
  http = serve({ fetch: server.fetch, port: 0, hostname: '127.0.0.1' })
  await once(http, 'listening')
  url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
})
afterAll(async () => {
  http.close()
  await server.drop()
})

test('the address of a real connection counts, and what headers say only behind a trusted proxy', async () => {
  const { path, keyFor, slug } = await server.newOrganization()
  const key = await keyFor({ roles: ['admin'] })
  const ask = async (headers: Record<string, string> = {}) => {
    const answers = [
      await fetch(url + path, { headers: { authorization: `Bearer ${key}`, ...headers } }),
      await fetch(`${url}/check`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${key}`,
          'content-type': 'application/json',
          ...headers,
        },
        body: JSON.stringify({
          organization: slug,
          subject: 'user:alice',
          permission: 'scenario:read',
        }),
      }),
    ]
    return answers.map(({ status }) => status)
  }
  const allow = (...ipAllowList: string[]) => server.call(`PATCH ${path}/security`, { ipAllowList })
  await allow('127.0.0.1')
  expect(await ask()).toEqual([200, 200])
  await allow('203.0.113.7')
  expect(await ask()).toEqual([403, 403])
  const said = { 'x-forwarded-for': '203.0.113.7' }
  expect(await ask(said)).toEqual([403, 403])
  trustedProxies.push(parseRange('127.0.0.0/8')!)
  expect(await ask(said)).toEqual([200, 200])
  expect(await ask({ 'x-forwarded-for': '203.0.113.7, 198.51.100.1' })).toEqual([403, 403])
  expect(await ask({ forwarded: 'for="203.0.113.7:4711";proto=https' })).toEqual([200, 200])
})
