import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Context } from '../../src/platform/context.ts'
import { searchSubjects } from '../../src/search/service.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())

/** How often a page was in memory, and how often it was put together. */
const counted = ({ cache } = server) => {
  const { memoryHits, loads, unkept } = cache.caches
    .statistics()
    .find(({ namespace }) => namespace === 'decision')!
  return { hits: memoryHits, loads, unkept }
}
/** What some work adds to the counts. */
const counting = async (work: () => Promise<unknown>, node = server) => {
  const before = counted(node)
  await work()
  const after = counted(node)
  return { hits: after.hits - before.hits, loads: after.loads - before.loads }
}
const [HIT, LOAD] = [
  { hits: 1, loads: 0 },
  { hits: 0, loads: 1 },
]

/** An organization in which bob views a scenario and carol is nobody yet, and how to search it. */
const prepare = async (node = server) => {
  const { path, id, slug, keyFor } = await node.newOrganization()
  await node.call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
  await node.call(`PUT ${path}/members/carol`, { roles: [] })
  await node.call(`PUT ${path}/resources/scenario/s1`, {})
  const grant = (body: object) => node.call(`POST ${path}/grants`, body)
  const search = (what: string, body: object, key?: string) =>
    node.call(`POST ${path}/search/${what}`, body, key === undefined ? {} : { key })
  const subjects = async (body: object = {}) => {
    const answer = await search('subjects', { permission: 'scenario:read', ...body })
    expect(answer.status).toBe(200)
    return (answer.body.items as { subject: string }[])
      .map(({ subject }) => subject)
      .filter((subject) => subject.startsWith('user:'))
  }
  const resources = async (subject: string, permission = 'scenario:read') => {
    const answer = await search('resources', { subject, permission })
    expect(answer.status).toBe(200)
    return (answer.body.items as { resource: string }[]).map(({ resource }) => resource)
  }
  return { path, id, slug, keyFor, grant, search, subjects, resources }
}

const EVERYBODY = ['user:alice', 'user:bob']

describe('a page that was asked for before', () => {
  test('is kept, and says the same with the same revision', async () => {
    const { search } = await prepare()
    for (const [what, body] of [
      ['subjects', { permission: 'scenario:read' }],
      ['resources', { subject: 'user:bob', permission: 'scenario:read' }],
    ] as const) {
      const first = await search(what, body)
      let second = first
      expect(await counting(async () => (second = await search(what, body)))).toEqual(HIT)
      expect(second.body).toEqual(first.body)
    }
  })

  test('of permissions is not: it is in memory already', async () => {
    const { search } = await prepare()
    const ask = () => search('permissions', { subject: 'user:bob' })
    expect(await counting(async () => [await ask(), await ask()])).toEqual({ hits: 0, loads: 0 })
  })

  test.each([
    ['permission', { permission: 'scenario:update' }],
    ['resource', { resource: 'scenario:s1' }],
    ['workspace', { workspace: 'lab' }],
    ['limit', { limit: 1 }],
  ])('is another one with another %s', async (_, other) => {
    const { path, search } = await prepare()
    await server.call(`POST ${path}/workspaces`, { name: 'Lab', slug: 'lab' })
    const ask = (body: object) =>
      search('subjects', { permission: 'scenario:read', limit: 2, ...body })
    await ask({})
    expect(await counting(() => ask(other))).toEqual(LOAD)
    expect(await counting(() => ask({}))).toEqual(HIT)
  })

  test('is another one behind another cursor, and of another kind', async () => {
    const { search } = await prepare()
    const ask = (cursor?: string) =>
      search('subjects', { permission: 'scenario:read', limit: 1, ...(cursor ? { cursor } : {}) })
    const { body: first } = await ask()
    const { body: second } = await ask(first.nextCursor)
    expect(second.items).not.toEqual(first.items)
    expect((await ask(first.nextCursor)).body).toEqual(second)
    expect((await ask()).body).toEqual(first)
    const about = { subject: 'user:bob', permission: 'scenario:read' }
    expect(await counting(() => search('resources', about))).toEqual(LOAD)
  })

  test('is another one in another organization', async () => {
    const [here, there] = [await prepare(), await prepare()]
    await there.grant({ subject: 'user:mallory', permission: 'scenario:read' })
    await server.call(`PUT ${there.path}/members/mallory`, { roles: ['viewer'] })
    expect(await there.subjects()).toContain('user:mallory')
    expect(await here.subjects()).toEqual(EVERYBODY)
    expect(await there.subjects()).toContain('user:mallory')
  })

  test('lets nobody in who may not ask', async () => {
    const { search, subjects, keyFor } = await prepare()
    await subjects()
    const stranger = await keyFor({ permissions: ['org:read'] })
    const asked = await search('subjects', { permission: 'scenario:read' }, stranger)
    expect([asked.status, asked.body.permission]).toEqual([403, 'decision:check'])
    const other = await (await server.newOrganization()).keyFor({ roles: ['admin'] })
    expect((await search('subjects', { permission: 'scenario:read' }, other)).status).toBe(404)
  })
})

describe('between two equal questions', () => {
  test.each<[string, (path: string) => Promise<unknown>]>([
    ['a role taken', (path) => server.call(`PUT ${path}/members/bob`, { roles: [] })],
    ['a suspension', (path) => server.call(`PATCH ${path}/members/bob`, { status: 'suspended' })],
    ['a removal', (path) => server.call(`DELETE ${path}/members/bob`)],
    [
      'a denial',
      (path) =>
        server.call(`POST ${path}/grants`, {
          subject: 'user:bob',
          permission: 'scenario:read',
          effect: 'deny',
        }),
    ],
  ])('%s is seen', async (_, change) => {
    const { path, subjects, resources } = await prepare()
    expect([await subjects(), await resources('user:bob')]).toEqual([EVERYBODY, ['scenario:s1']])
    await change(path)
    expect([await subjects(), await resources('user:bob')]).toEqual([['user:alice'], []])
  })

  test('the edit of a role is seen, and of a resource', async () => {
    const { path, grant, subjects, resources } = await prepare()
    await server.call(`PUT ${path}/roles/reader`, { permissions: ['scenario:read'] })
    await grant({ subject: 'user:carol', role: 'reader' })
    expect(await subjects()).toEqual([...EVERYBODY, 'user:carol'])
    await server.call(`PUT ${path}/roles/reader`, { permissions: ['scenario:update'] })
    expect(await subjects()).toEqual(EVERYBODY)
    await server.call(`PUT ${path}/resources/scenario/s2`, {})
    expect(await resources('user:bob')).toEqual(['scenario:s1', 'scenario:s2'])
    await server.call(`DELETE ${path}/resources/scenario/s2`)
    expect(await resources('user:bob')).toEqual(['scenario:s1'])
  })

  test('a change on another node is seen at once, whatever this node has heard', async () => {
    const deaf = await startTestServer({ database: server.database, stalenessMs: 600_000 })
    const { path, subjects } = await prepare()
    const there = () =>
      deaf
        .call(`POST ${path}/search/subjects`, { permission: 'scenario:read' })
        .then(({ body }) =>
          body.items
            .map(({ subject }: { subject: string }) => subject)
            .filter((subject: string) => subject.startsWith('user:')),
        )
    expect([await there(), await subjects()]).toEqual([EVERYBODY, EVERYBODY])
    expect(await counting(there, deaf)).toEqual(HIT)
    await server.call(`PUT ${path}/members/bob`, { roles: [] })
    expect(await there()).toEqual(['user:alice'])
  })

  test('the end of a grant is seen to the moment', async () => {
    const { grant, subjects, resources } = await prepare()
    const expiresAt = new Date(Date.now() + 2500).toISOString()
    await grant({ subject: 'user:carol', permission: 'scenario:read', expiresAt })
    await grant({
      ...{ subject: 'user:carol', permission: 'scenario:update', resource: 'scenario:s1' },
      expiresAt,
    })
    expect(await subjects()).toContain('user:carol')
    expect(await resources('user:carol', 'scenario:update')).toEqual(['scenario:s1'])
    expect(await counting(() => subjects())).toEqual(HIT)
    await sleep(Date.parse(expiresAt) - Date.now() + 5)
    expect(await subjects()).toEqual(EVERYBODY)
    expect(await resources('user:carol', 'scenario:update')).toEqual([])
  })

  test('the end of a membership is seen to the moment', async () => {
    const { path, subjects, resources } = await prepare()
    const expiresAt = new Date(Date.now() + 2500).toISOString()
    await server.call(`PUT ${path}/members/dora`, { roles: ['viewer'], expiresAt })
    expect(await subjects()).toContain('user:dora')
    expect(await resources('user:dora')).toEqual(['scenario:s1'])
    expect(await counting(() => subjects())).toEqual(HIT)
    await sleep(Date.parse(expiresAt) - Date.now() + 5)
    expect(await subjects()).toEqual(EVERYBODY)
    expect(await resources('user:dora')).toEqual([])
  })
})

describe('a condition', () => {
  const conditional = async (condition: string) => {
    const prepared = await prepare()
    await prepared.grant({ subject: 'user:carol', permission: 'scenario:read', condition })
    await prepared.subjects()
    return { ...prepared, again: await counting(() => prepared.subjects()) }
  }

  test('that looks at the clock is asked every time', async () => {
    const until = new Date(Date.now() + 1200).toISOString()
    const { subjects, again } = await conditional(`now < timestamp("${until}")`)
    expect(again).toEqual(LOAD)
    expect(await subjects()).toContain('user:carol')
    await sleep(Date.parse(until) - Date.now() + 5)
    expect(await subjects()).toEqual(EVERYBODY)
  })

  test.each([
    ['looks at the clock and fails', `now < timestamp(subject.name)`, LOAD],
    ['reads what callers say', 'context.address == "192.0.2.1"', LOAD],
    ['is decided before it comes to the clock', 'subject.id == "carol" || now.getHours() > 3', HIT],
    ['reads what is stored', 'subject.id == "carol"', HIT],
  ])(
    'that %s is asked again only where something else could come of it',
    async (_, condition, expected) => {
      expect((await conditional(condition)).again).toEqual(expected)
    },
  )
})

test('a page during which the policy moved on is not kept, and names the revision it has surely seen', async () => {
  const { path, id, subjects, search } = await prepare()
  const { body: before } = await search('subjects', { permission: 'scenario:read' })
  const own = { permission: 'scenario:update', limit: 50 }
  let isFirst = true
  const begin = async (...given: [never]) => {
    if (isFirst) await server.call(`PUT ${path}/members/bob`, { roles: [] })
    isFirst = false
    return server.sql.begin(...given)
  }
  const sql = new Proxy(server.sql, {
    get: (target, name) => (name === 'begin' ? begin : Reflect.get(target, name)),
  })
  const actor = { subject: 'user:alice', apiKeyId: null, organizationId: null, restrictedTo: null }
  const caches = server.cache.caches
  const context: Context = { ...server.context, sql, actor, caches, organizationId: id }
  const unkept = counted().unkept
  const moved = await searchSubjects(server.policies, context, own)
  expect(moved.revision).toBe(before.revision)
  expect(counted().unkept).toBe(unkept + 1)
  expect(await counting(() => search('subjects', own))).toEqual(LOAD)
  expect(await subjects()).toEqual(['user:alice'])
})

test('slices keep pages, too', async () => {
  const sliced = await startTestServer({ database: server.database, slices: 'always' })
  const node = { ...sliced, call: callingAs(sliced) }
  const { path, subjects, resources } = await prepare(node)
  expect([await subjects(), await resources('user:bob')]).toEqual([EVERYBODY, ['scenario:s1']])
  const again = async () => [await subjects(), await resources('user:bob')]
  expect(await counting(again, node)).toEqual({ hits: 2, loads: 0 })
  await server.call(`PUT ${path}/members/bob`, { roles: [] })
  expect(await again()).toEqual([['user:alice'], []])
})

const callingAs =
  (node: TestServer): TestServer['call'] =>
  (what, body, options = {}) =>
    node.call(what, body, { key: server.adminKey, ...options })

describe('operators', () => {
  test.each([
    ['the namespace', '/v1/cache/namespaces/decision/clear'],
    ['the organization', '/v1/cache/organizations/<id>/clear'],
  ])('clear %s', async (_, path) => {
    const { id, subjects } = await prepare()
    await subjects()
    expect((await server.call(`POST ${path.replace('<id>', id)}`)).status).toBe(200)
    expect(await counting(() => subjects())).toEqual(LOAD)
    expect(await counting(() => subjects())).toEqual(HIT)
  })

  test('shorten how long pages are kept', async () => {
    const { ttlMs } = server.cache.caches.settings('decision')
    await server.call('PATCH /v1/cache/namespaces/decision', { ttlMs: 1 })
    const { subjects } = await prepare()
    await subjects()
    await sleep(5)
    expect(await counting(() => subjects())).toEqual(LOAD)
    await server.call('PATCH /v1/cache/namespaces/decision', { ttlMs })
    await subjects()
    expect(await counting(() => subjects())).toEqual(HIT)
  })
})
