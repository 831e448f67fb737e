import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openCache } from '../../src/platform/cache/open.ts'
import { silentLog } from '../../src/platform/log.ts'
import { type CacheServers, startCacheServers } from '../support/cache-stores.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

// What two roles give is kept: whatever is edited between two equal questions, the second answer is as true as the first.

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())

const counted = ({ cache } = server) => {
  const { memoryHits, remoteHits, loads } = cache.caches
    .statistics()
    .find(({ namespace }) => namespace === 'role')!
  return { memoryHits, remoteHits, loads }
}
const counting = async (work: () => Promise<unknown>, node = server) => {
  const before = counted(node)
  await work()
  const after = counted(node)
  return {
    memoryHits: after.memoryHits - before.memoryHits,
    remoteHits: after.remoteHits - before.remoteHits,
    loads: after.loads - before.loads,
  }
}
const NONE = { memoryHits: 0, remoteHits: 0, loads: 0 }
const [HIT, LOAD] = [
  { ...NONE, memoryHits: 1 },
  { ...NONE, loads: 1 },
]

/** An organization with two roles, of which one inherits a third. */
const prepare = async () => {
  const { path, id, keyFor } = await server.newOrganization()
  const put = async (name: string, body: object) => {
    const { status } = await server.call(`PUT ${path}/roles/${name}`, body)
    expect([200, 201]).toContain(status)
  }
  await put('base', { permissions: ['scenario:read'] })
  await put('left', { permissions: ['scenario:update'], inherits: ['base'] })
  await put('right', { permissions: ['scenario:update'] })
  const compare = async (node = server, what = 'left/compare/right') => {
    const { status, body } = await node.call(`GET ${path}/roles/${what}`, undefined, {
      key: server.adminKey,
    })
    expect(status).toBe(200)
    return body
  }
  return { path, id, keyFor, put, compare }
}

test('two roles that were compared before are not read again', async () => {
  const { compare } = await prepare()
  const first = await compare()
  expect(first).toMatchObject({ relation: 'right-within-left', onlyRight: [] })
  expect(await counting(async () => expect(await compare()).toEqual(first))).toEqual(HIT)
  // With another role, and the other way round, it is another answer.
  expect((await compare(server, 'left/compare/left')).relation).toBe('equal')
  expect((await compare(server, 'right/compare/left')).relation).toBe('left-within-right')
})

describe('between two equal questions', () => {
  const condition = 'resource.owner == subject.id'
  test.each<[string, string, object]>([
    ['a permission', 'right', { permissions: ['scenario:update', 'scenario:read'] }],
    ['what is inherited', 'base', { permissions: [] }],
    ['an inheritance', 'right', { permissions: ['scenario:update'], inherits: ['base'] }],
  ])('%s that is edited counts', async (_, name, body) => {
    const { put, compare } = await prepare()
    expect((await compare()).relation).toBe('right-within-left')
    await put(name, body)
    expect((await compare()).relation).toBe('equal')
  })

  test('a condition that is edited counts', async () => {
    const { put, compare } = await prepare()
    await compare()
    await put('right', { permissions: [{ permission: 'scenario:update', condition }] })
    expect(await compare()).toMatchObject({
      onlyRight: [{ permission: 'scenario:update', condition }],
      relation: 'neither',
    })
  })

  test('a description raises no revision, and is no part of what is kept', async () => {
    const { put, compare } = await prepare()
    const first = await compare()
    await put('right', { permissions: ['scenario:update'], description: 'says something else' })
    expect(await counting(compare)).toEqual(HIT)
    expect(JSON.stringify(first)).not.toContain('description')
  })

  test('a role that is deleted is not there, and one that was not there is', async () => {
    const { path, put, compare } = await prepare()
    await compare()
    await server.call(`DELETE ${path}/roles/right`)
    expect((await server.call(`GET ${path}/roles/left/compare/right`)).status).toBe(404)
    await put('right', { permissions: [] })
    expect((await compare()).onlyRight).toEqual([])
    expect((await compare()).onlyLeft).toHaveLength(2)
  })

  test('a permission that is registered counts for who holds everything', async () => {
    const { compare } = await prepare()
    const held = async () => (await compare(server, 'owner/compare/right')).onlyLeft
    const before = await held()
    await server.sql`insert into resource_types (type) values ('kept') on conflict do nothing`
    await server.sql`insert into permissions (key, scope, pack) values ('kept:look', 'workspace', 'test')`
    expect(await held()).toHaveLength(before.length + 1)
    await server.sql`delete from permissions where key = 'kept:look'`
    expect(await held()).toEqual(before)
  })
})

test('of equal names in two organizations each has its own', async () => {
  const [here, there] = [await prepare(), await prepare()]
  await there.put('right', { permissions: ['scenario:delete'] })
  expect((await there.compare()).relation).toBe('neither')
  expect((await here.compare()).relation).toBe('right-within-left')
})

test('who may not read roles is not told', async () => {
  const { path, keyFor, compare } = await prepare()
  await compare()
  const key = await keyFor({ permissions: ['org:read'] })
  const asked = await server.call(`GET ${path}/roles/left/compare/right`, undefined, { key })
  expect([asked.status, asked.body.permission]).toEqual([403, 'role:read'])
})

test.each([
  ['the namespace', '/v1/cache/namespaces/role/clear'],
  ['the organization', '/v1/cache/organizations/<id>/clear'],
])('operators clear %s', async (_, path) => {
  const { id, compare } = await prepare()
  await compare()
  expect((await server.call(`POST ${path.replace('<id>', id)}`)).status).toBe(200)
  expect(await counting(compare)).toEqual(LOAD)
  expect(await counting(compare)).toEqual(HIT)
})

describe('two nodes with one Redis', () => {
  let servers: CacheServers | undefined
  let skip: string | undefined
  let other: TestServer
  let first: TestServer
  beforeAll(async () => {
    const started = await startCacheServers()
    if ('skip' in started) {
      skip = started.skip
      return
    }
    servers = started
    const { database } = server
    // Told nothing, and looking for changes every ten minutes: only what they ask the database is new.
    first = await startTestServer({ database, stalenessMs: 600_000, cache: await shared() })
    other = await startTestServer({ database, stalenessMs: 600_000, cache: await shared() })
  })
  afterAll(() => servers?.stop())

  const shared = () =>
    openCache({
      ...{ store: servers!.open('redis'), environment: 'roles', log: silentLog },
      ...{ dataKey: '08'.repeat(32), bytesMax: 16_000_000, timeoutMs: 2000 },
    })

  test('read for each other, and never what an edit on another one has ended', async (context) => {
    // There is no Redis to share; in CI a skip is a failure.
    if (skip) return context.skip(skip)
    const { compare, put } = await prepare()
    const known = await compare(first)
    await first.cache.caches.settled()
    const reading = async () => expect(await compare(other)).toEqual(known)
    expect(await counting(reading, other)).toEqual({ ...NONE, remoteHits: 1 })
    await put('right', { permissions: [] })
    expect((await compare(other)).onlyLeft).toHaveLength(2)
    expect((await compare(first)).onlyLeft).toHaveLength(2)
  })
})
