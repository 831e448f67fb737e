import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from 'redis'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openCache } from '../../src/platform/cache/open.ts'
import { silentLog } from '../../src/platform/log.ts'
import { type CacheServers, startCacheServers } from '../support/cache-stores.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

// Two nodes over one database and one Redis, of which one hears nothing of changes. What the other one has verified must not
// let anybody in here: a row that was kept would count as long as this node takes its revision for the current one.

let skip: string | undefined
let servers: CacheServers | undefined
let here: TestServer
let deaf: TestServer
const started = async (): Promise<TestServer[]> => {
  const cache = () =>
    openCache({
      ...{ store: servers!.open('redis'), environment: 'keys', log: silentLog },
      ...{ dataKey: '08'.repeat(32), bytesMax: 16_000_000, timeoutMs: 2000 },
    })
  const first = await startTestServer({ cache: await cache() })
  const { database } = first
  return [first, await startTestServer({ database, stalenessMs: 600_000, cache: await cache() })]
}
beforeAll(async () => {
  const found = await startCacheServers()
  if ('skip' in found) {
    skip = found.skip
    return
  }
  servers = found
  ;[here, deaf] = (await started()) as [TestServer, TestServer]
})
afterAll(async () => {
  await here?.drop()
  await servers?.stop()
})
// There is no Redis to share; in CI a skip is a failure.
beforeEach((context) => {
  if (skip) context.skip(skip)
})

/** A key of an organization whose policy the deaf node holds, and takes for current from now on. */
const prepare = async (more: object = {}) => {
  const { path, keyFor } = await here.newOrganization()
  const known = await keyFor({ roles: ['admin'] })
  const { body } = await here.call(`POST ${path}/api-keys`, {
    ...{ name: 'asked', permissions: ['org:read'] },
    ...more,
  })
  const status = async (node: TestServer, key: string) =>
    (await node.call(`GET ${path}`, undefined, { key })).status
  expect(await status(deaf, known)).toBe(200)
  expect(await status(here, body.secret)).toBe(200)
  return { path, id: body.id as string, secret: body.secret as string, status }
}

test('a key that was revoked elsewhere is refused by a node that has not met it', async () => {
  const { path, id, secret, status } = await prepare()
  await here.call(`DELETE ${path}/api-keys/${id}`)
  expect([await status(here, secret), await status(deaf, secret)]).toEqual([401, 401])
})

test('so is a secret that was exchanged elsewhere, and the new one is let in', async () => {
  const { path, id, secret, status } = await prepare()
  const { body } = await here.call(`POST ${path}/api-keys/${id}/rotate`, { overlapSeconds: 0 })
  expect([await status(here, secret), await status(deaf, secret)]).toEqual([401, 401])
  expect([await status(here, body.secret), await status(deaf, body.secret)]).toEqual([200, 200])
})

test('so is a key that has ended', async () => {
  const expiresAt = new Date(Date.now() + 1500).toISOString()
  const { secret, status } = await prepare({ expiresAt })
  await sleep(Date.parse(expiresAt) - Date.now() + 5)
  expect([await status(here, secret), await status(deaf, secret)]).toEqual([401, 401])
})

test('nothing of a key is in the Redis', async () => {
  const { status } = await prepare()
  await status(here, 'lk_00000000000000000000000000_nobody-s')
  await here.cache.caches.settled()
  const client = createClient({ url: servers!.redis.url })
  await client.connect()
  expect((await client.keys('*')).filter((key) => key.includes(':api-key:'))).toEqual([])
  client.destroy()
})
