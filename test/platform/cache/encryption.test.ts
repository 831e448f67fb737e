import { randomBytes } from 'node:crypto'
import { createClient } from 'redis'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createCacheKeys } from '../../../src/platform/cache/keyring.ts'
import type { NamespaceName } from '../../../src/platform/cache/namespaces.ts'
import { DATA_KEY, startCacheNode } from '../../support/cache-node.ts'
import { type CacheServers, startCacheServers } from '../../support/cache-stores.ts'
import { openTestDatabase, type TestDatabase } from '../../support/database.ts'

let servers: CacheServers | undefined
let skip: string | undefined
let database: TestDatabase
/** Somebody who has the Redis, but not the key. */
let thief: ReturnType<typeof open> extends Promise<infer Client> ? Client : never
const open = async (url: string) => {
  const { RESP_TYPES } = await import('redis')
  const client = createClient({ url }).withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
  await client.connect()
  return client
}

beforeAll(async () => {
  database = await openTestDatabase()
  const started = await startCacheServers()
  if ('skip' in started) skip = started.skip
  else {
    servers = started
    thief = await open(started.redis.url)
  }
})
afterAll(async () => {
  thief?.destroy()
  await servers?.stop()
  await database.drop()
})
// There is no Redis to steal from; in CI a skip is a failure.
beforeEach(async (context) => {
  if (skip) context.skip(skip)
  await thief.flushAll()
})

const [OLD_KEY, NEW_KEY] = [DATA_KEY, 'f1'.repeat(32)]

const newNode = async (dataKey = OLD_KEY, previousDataKey?: string) =>
  startCacheNode({
    store: servers!.open('redis'),
    keys: await createCacheKeys({ dataKey, previousDataKey }),
  })
/** Asks a node that has nothing in memory; who loads is told by the value. */
const read = async (
  node: Awaited<ReturnType<typeof newNode>>,
  question: { organizationId?: string; key?: string; revision?: number; name?: NamespaceName } = {},
  value: unknown = 'from the source',
) => {
  const { organizationId = 'org_a', key = 'key', revision = 1, name = 'membership' } = question
  const asked = { sql: database.sql, organizationId, key, revision }
  const answer = await node.caches.namespace(name).get(asked, async () => ({ value, revision }))
  await node.caches.settled()
  return answer
}
const tampered = (node: Awaited<ReturnType<typeof newNode>>) =>
  node.lines.filter(({ fields }) => fields.event === 'cache-tampering')

test('nothing of a value or a key can be read in the store', async () => {
  await read(await newNode(), { key: 'user:alice@example.com' }, { secret: 'alice is an owner' })
  const keys = await thief.keys('*')
  expect(keys).toHaveLength(1)
  const [key] = keys.map(String)
  expect(key).toMatch(/^v1:test:org_a:membership:1p0\.0-0:[\w-]{43}$/)
  const bytes = String(await thief.get(key!))
  expect(`${key} ${bytes}`).not.toMatch(/alice|secret|owner/)
})

test('two organizations with equal keys have values of their own', async () => {
  const [here, there] = [await newNode(), await newNode()]
  await read(here, { organizationId: 'org_a' }, 'a')
  await read(here, { organizationId: 'org_b' }, 'b')
  expect((await read(there, { organizationId: 'org_a' })).value).toBe('a')
  expect((await read(there, { organizationId: 'org_b' })).value).toBe('b')
})

test.each([
  ['key:1p0.0-0:x', 'key'],
  ['*', 'key'],
  ['a\nb', 'a'],
  ['["a","tag"]', 'a'],
  ['tag', 't["a","tag"]'],
  ['ключ', 'kключ'],
  ['\u0000', ''],
])('a hostile key %j is only itself, not %j', async (hostile, other) => {
  const [here, there] = [await newNode(), await newNode()]
  await read(here, { key: hostile }, 'hostile')
  expect(await read(there, { key: other }, 'other')).toMatchObject({
    value: 'other',
    tier: 'source',
  })
  expect(await read(there, { key: hostile })).toMatchObject({ value: 'hostile', tier: 'remote' })
})

test('a value that is moved by hand to another organization, key, revision or namespace is refused', async () => {
  await read(await newNode(), { organizationId: 'org_a' }, 'an owner of a')
  const [from] = (await thief.keys('*')).map(String)
  const value = (await thief.get(from!))!
  const targets = [
    { organizationId: 'org_b' },
    { key: 'other' },
    { revision: 2 },
    { name: 'role' as const },
  ]
  for (const target of targets) {
    await thief.flushAll()
    await read(await newNode(), target, 'none')
    const [to] = (await thief.keys('*')).map(String)
    expect(to).not.toBe(from)
    await thief.set(to!, value)
    const node = await newNode()
    expect(await read(node, target)).toMatchObject({ value: 'from the source', tier: 'source' })
    expect(tampered(node)).toHaveLength(1)
  }
})

test('a value with any byte altered, or cut short, is a miss and leaves a line in the log', async () => {
  await read(await newNode(), {}, { roles: ['viewer'] })
  const [key] = (await thief.keys('*')).map(String)
  const value = (await thief.get(key!)) as unknown as Buffer
  const node = await newNode()
  const altered = [...value.keys()].map((at) => {
    const copy = Buffer.from(value)
    copy[at]! ^= 1
    return copy
  })
  const cut = [0, 1, 9, 21, value.length - 1].map((length) => value.subarray(0, length))
  let count = 0
  for (const bytes of [...altered, ...cut, randomBytes(100)]) {
    await thief.set(key!, bytes)
    const asked = { sql: database.sql, organizationId: 'org_a', revision: 1, key: 'key' }
    expect(await node.caches.entry('membership', asked)).toBeUndefined()
    count++
  }
  expect(
    node.caches.statistics().find(({ namespace }) => namespace === 'membership'),
  ).toMatchObject({
    tampered: count,
  })
  // One line a minute says how many.
  expect(tampered(node)).toHaveLength(1)
  expect(await read(node)).toMatchObject({ value: 'from the source' })
})

test('after a rotation old values open, and new ones are sealed with the new key', async () => {
  await read(await newNode(OLD_KEY), {}, 'sealed before')
  const rotated = await newNode(NEW_KEY, OLD_KEY)
  expect(await read(rotated)).toMatchObject({ value: 'sealed before', tier: 'remote' })
  await read(rotated, { key: 'new' }, 'sealed after')
  expect(tampered(rotated)).toHaveLength(0)
  const later = await newNode(NEW_KEY)
  expect(await read(later, { key: 'new' })).toMatchObject({ value: 'sealed after', tier: 'remote' })
  expect(await read(later)).toMatchObject({ value: 'from the source' })
  const stranger = await newNode('ee'.repeat(32))
  expect(await read(stranger, { key: 'new' })).toMatchObject({ tier: 'source' })
  expect(tampered(stranger)).toHaveLength(1)
})

test('large values are compressed, those that may hold secrets are not', async () => {
  const large = { text: 'all the same '.repeat(1000) }
  const sizes: Record<string, number> = {}
  for (const name of ['membership', 'api-key'] as const) {
    await thief.flushAll()
    await read(await newNode(), { name }, large)
    const [key] = (await thief.keys('*')).map(String)
    sizes[name] = await thief.strLen(key!)
    expect(await read(await newNode(), { name })).toMatchObject({ value: large, tier: 'remote' })
  }
  expect(sizes.membership).toBeLessThan(1000)
  expect(sizes['api-key']).toBeGreaterThan(13_000)
})

test('what a node over REST wrote, a node over TCP can read', async () => {
  const keys = await createCacheKeys({ dataKey: OLD_KEY })
  const rest = await startCacheNode({ store: servers!.open('upstash'), keys })
  await read(rest, {}, 'over REST')
  const tcp = await newNode()
  expect(await read(tcp)).toMatchObject({ value: 'over REST', tier: 'remote' })
  // The other way it is a miss, and no alarm: JSON has lost bytes.
  await read(tcp, { key: 'tcp' }, 'over TCP')
  expect(await read(rest, { key: 'tcp' })).toMatchObject({ value: 'from the source' })
  expect([...tampered(rest), ...tampered(tcp)]).toHaveLength(0)
})
