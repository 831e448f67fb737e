import { copyFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createClient } from 'redis'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openRevisionLine } from '../../../src/platform/cache/revision-line.ts'
import { startCacheNode } from '../../support/cache-node.ts'
import { type CacheServers, startCacheServers } from '../../support/cache-stores.ts'
import { openTestDatabase, type TestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'

let servers: CacheServers
let skip: string | undefined
let database: TestDatabase

beforeAll(async () => {
  database = await openTestDatabase()
  const started = await startCacheServers(['maxmemory 4mb', 'maxmemory-policy allkeys-lru'])
  if ('skip' in started) skip = started.skip
  else servers = started
})
afterAll(async () => {
  await servers?.stop()
  await database.drop()
})
// There is no Redis to break; in CI a skip is a failure.
beforeEach((context) => {
  if (skip) context.skip(skip)
})

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
let environments = 0
const open = async (kind: 'redis' | 'upstash' = 'redis', environment = `f${environments++}`) => {
  const node = await startCacheNode({
    store: servers.open(kind),
    ...{ environment, timeoutMs: 50, openMs: 3000 },
  })
  await until(() =>
    node.store.ping().then(
      () => true,
      () => false,
    ),
  )
  return node
}
type Node = Awaited<ReturnType<typeof open>>

/** Asks for a key that is not in memory; answers how long it took, in milliseconds. */
let keys = 0
const askAnew = async ({ caches }: Node, key = `key ${keys++}`) => {
  const question = { sql: database.sql, organizationId: 'org_a', revision: 1, key }
  const startedAtMs = performance.now()
  const answer = await caches
    .namespace('membership')
    .get(question, async () => ({ value: `right ${key}`, revision: 1 }))
  expect(answer.value).toBe(`right ${key}`)
  return { tookMs: performance.now() - startedAtMs, tier: answer.tier }
}
const shared = async (one: Node, other: Node) => {
  const key = `shared ${keys++}`
  await askAnew(one, key)
  await one.caches.settled()
  return (await askAnew(other, key)).tier
}

describe.each(['redis', 'upstash'] as const)('over %s', (kind) => {
  test('a frozen Redis costs one request its deadline, then none anything', async () => {
    const node = await open(kind)
    await askAnew(node)
    await node.caches.settled()
    await servers.redis.signal('SIGSTOP')
    try {
      // A timer beside it tells how late timers are on this machine.
      const timer = sleep(50).then(() => performance.now())
      const startedAtMs = performance.now()
      const first = await askAnew(node)
      const lateMs = (await timer) - startedAtMs - 50
      const waitedFor = node.store.breaker.report().timeouts
      const later: number[] = []
      for (let turn = 0; turn < 200; turn++) {
        later.push((await askAnew(node)).tookMs)
        await sleep(2)
      }
      expect(first.tookMs).toBeGreaterThan(45)
      // How much exactly is the bench's to say; a driver alone would wait for seconds.
      expect(first.tookMs - lateMs).toBeLessThan(200)
      later.sort((a, b) => a - b)
      expect(later[100]).toBeLessThan(45)
      // None of them waited for the store: counted, since how long they took is the machine's business, too.
      expect(node.store.breaker.report().timeouts - waitedFor).toBeLessThanOrEqual(3)
      expect(node.store.breaker.report()).toMatchObject({ state: 'open' })
      expect(node.caches.health()).toMatchObject({ isDegraded: true })
      // What takes something away is never quiet about it.
      await expect(node.store.delete(['x'])).rejects.toThrow('away')
      await expect(node.store.raise([{ key: 'x', number: 1 }], 1000)).rejects.toThrow('away')
      await expect(node.store.publish('x', 'y')).rejects.toThrow('away')
    } finally {
      await servers.redis.signal('SIGCONT')
    }
    node.store.breaker.reset()
    await until(async () => (await shared(node, await open(kind, 'other'))) !== undefined)
  })

  test('a killed Redis costs little, and is used again when it is back', async () => {
    const environment = `k${environments++}`
    const [here, there] = [await open(kind, environment), await open(kind, environment)]
    expect(await shared(here, there)).toBe('remote')
    const restarting = servers.redis.restart('SIGKILL', 300)
    await sleep(50)
    const times: number[] = []
    for (let turn = 0; turn < 50; turn++) times.push((await askAnew(here)).tookMs)
    // Counted, not timed: how long they took is the machine's business, too.
    expect(here.store.breaker.report().timeouts).toBeLessThanOrEqual(5)
    expect(times.sort((a, b) => a - b)[25]).toBeLessThan(45)
    await restarting
    // By itself: the breaker may be open for ten seconds.
    await until(async () => (await shared(here, there)) === 'remote', 25_000)
    expect(here.store.breaker.report().errors).toBeGreaterThan(0)
  })
})

test('a short pause is over as soon as it is over, and opens nothing', async () => {
  const node = await open()
  await servers.redis.signal('SIGSTOP')
  setTimeout(() => void servers.redis.signal('SIGCONT'), 90)
  await askAnew(node)
  expect(node.store.breaker.report()).toMatchObject({ state: 'closed', isSuspect: true })
  await until(() => !node.store.breaker.report().isSuspect, 2_000)
  expect(node.store.breaker.report()).toMatchObject({ state: 'closed', failures: 0 })
})

test('a flushed Redis makes misses, nothing else', async () => {
  const environment = `l${environments++}`
  const [here, there] = [await open('redis', environment), await open('redis', environment)]
  await askAnew(here, 'flushed')
  await here.caches.settled()
  const admin = await createClient({ url: servers.redis.url }).connect()
  await admin.flushAll()
  admin.destroy()
  expect((await askAnew(there, 'flushed')).tier).toBe('source')
  expect((await askAnew(here, 'flushed')).tier).toBe('memory')
})

test('an evicting Redis makes misses, nothing else', async () => {
  const environment = `e${environments++}`
  const [here, there] = [await open('redis', environment), await open('redis', environment)]
  const question = (key: string) => {
    return { sql: database.sql, organizationId: 'org_a', revision: 1, key }
  }
  // More than its 4 MB, and random, so that it cannot be compressed.
  const value = (key: string) => ({
    key,
    text: Array.from({ length: 4000 }, () => Math.random().toString(36)).join(''),
  })
  for (let turn = 0; turn < 150; turn++)
    await here.caches
      .namespace('membership')
      .get(question(`e ${turn}`), async () => ({ value: value(`e ${turn}`), revision: 1 }))
  await here.caches.settled()
  const tiers = { memory: 0, remote: 0, source: 0 }
  for (let turn = 0; turn < 150; turn++) {
    const load = async () => ({ value: value(`e ${turn}`), revision: 1 })
    const answer = await there.caches.namespace('membership').get(question(`e ${turn}`), load)
    expect(answer.value.key).toBe(`e ${turn}`)
    tiers[answer.tier]++
  }
  expect(tiers.source).toBeGreaterThan(0)
  expect(here.store.breaker.report().state).toBe('closed')
})

test('a Redis restored from an old dump brings back no revoked membership', async () => {
  const environment = `d${environments++}`
  const [writer, reader] = [await open('redis', environment), await open('redis', environment)]
  const ask = (revision: number) => {
    return { sql: database.sql, organizationId: 'org_a', revision, key: 'member' }
  }
  const load = (value: string, revision: number) => async () => ({ value, revision })
  const line = openRevisionLine({ store: writer.store, environment })
  await line.publish('org_a', 1)
  await writer.caches.namespace('membership').get(ask(1), load('member', 1))
  await writer.caches.settled()
  const admin = await createClient({ url: servers.redis.url }).connect()
  await admin.sendCommand(['SAVE'])
  const dump = join(servers.redis.folder, 'dump.rdb')
  await copyFile(dump, `${dump}.old`)
  admin.destroy()

  await line.publish('org_a', 2)
  await reader.caches.namespace('membership').get(ask(2), load('revoked', 2))
  await reader.caches.settled()
  // It dies without saving, and comes back with what it held before the revoke.
  const restarting = servers.redis.restart('SIGKILL', 100)
  await copyFile(`${dump}.old`, dump)
  await restarting
  expect(await readdir(servers.redis.folder)).toContain('dump.rdb')
  for (const { store } of [writer, reader]) {
    await until(() => {
      store.breaker.reset()
      return store.ping().then(
        () => true,
        () => false,
      )
    })
  }
  // The number is gone with its second, so that the database is asked; a node that has seen 2 stays there.
  await sleep(1_000)
  expect(await line.read(['org_a'])).toEqual([null])
  expect(await reader.caches.namespace('membership').get(ask(1), load('wrong', 1))).toMatchObject({
    value: 'revoked',
  })
  const fresh = await open('redis', environment)
  expect(await fresh.caches.namespace('membership').get(ask(2), load('revoked', 2))).toMatchObject({
    value: 'revoked',
    tier: 'source',
  })
})
