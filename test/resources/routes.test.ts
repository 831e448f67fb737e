import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readPages, refusesGarbage } from '../support/paging.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let organization: Awaited<ReturnType<TestServer['newOrganization']>>
let path: string

beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())
beforeEach(async () => {
  organization = await server.newOrganization()
  path = organization.path
  await server.call(`POST ${path}/workspaces`, { name: 'Lab', slug: 'lab' })
})

const at = (id: string, type = 'scenario') => `${path}/resources/${type}/${encodeURIComponent(id)}`
const put = (id: string, body: unknown = {}, headers = {}) =>
  server.call(`PUT ${at(id)}`, body, { headers })
const get = (id: string) => server.call(`GET ${at(id)}`)

describe('a resource', () => {
  test('is registered and changed by PUT, which leaves what is not named', async () => {
    const made = await put('1', { workspace: 'lab', owner: 'alice', attributes: { a: 1 } })
    expect([made.status, made.headers.get('etag')]).toEqual([201, '"1"'])
    expect(made.body).toMatchObject({
      type: 'scenario',
      id: '1',
      workspace: 'lab',
      owner: 'alice',
      attributes: { a: 1 },
      suspendedBecause: null,
    })
    const changed = await put('1', { owner: 'bob' })
    expect([changed.status, changed.body]).toMatchObject([
      200,
      { owner: 'bob', workspace: 'lab', attributes: { a: 1 }, version: 2 },
    ])
    expect((await get('1')).body).toEqual(changed.body)
    const cleared = await put('1', { owner: null, workspace: null, attributes: {} })
    expect(cleared.body).toMatchObject({ owner: null, workspace: null, attributes: {} })
  })

  test.each([
    '*',
    'a/b',
    'a:b:c',
    ',',
    '😀',
    'a b',
    "'; drop table x",
    '__proto__',
    'constructor',
    'é',
  ])('can be called %s', async (id) => {
    expect((await put(id, { owner: id })).status).toBe(201)
    expect((await get(id)).body).toMatchObject({ id, owner: id })
    expect((await server.call(`DELETE ${at(id)}`)).status).toBe(204)
    const gone = await get(id)
    expect([gone.status, gone.body.code]).toEqual([404, 'resource-not-found'])
  })

  test('is told apart from one whose name differs in nothing but its form', async () => {
    await put('é'.normalize('NFC'))
    expect((await put('é'.normalize('NFD'))).status).toBe(201)
    expect((await put('A')).status).toBe(201)
    expect((await put('a')).status).toBe(201)
  })

  test.each([
    ['an unknown workspace', { workspace: 'lav' }, 422, 'workspace-unknown', '/workspace'],
    [
      'a workspace that can be none',
      { workspace: 'a\u0000' },
      400,
      'invalid-request',
      '/workspace',
    ],
    ['an empty owner', { owner: '' }, 400, 'invalid-request', '/owner'],
    ['U+0000 in an owner', { owner: 'a\u0000' }, 400, 'invalid-request', '/owner'],
    ['501 bytes of an owner', { owner: 'x'.repeat(501) }, 400, 'invalid-request', '/owner'],
    [
      'U+0000 in attributes',
      { attributes: { a: { b: '\u0000' } } },
      400,
      'invalid-request',
      '/attributes',
    ],
    [
      'half a pair in attributes',
      { attributes: { '\ud800': 1 } },
      400,
      'invalid-request',
      '/attributes',
    ],
    [
      'deep attributes',
      { attributes: { a: JSON.parse('['.repeat(30) + ']'.repeat(30)) } },
      400,
      'invalid-request',
      '/attributes',
    ],
    ['suspendedBecause', { suspendedBecause: null }, 400, 'invalid-request', '/suspendedBecause'],
  ])('refuses %s', async (_, body, status, code, pointer) => {
    const answer = await put('1', body)
    expect([answer.status, answer.body.code, answer.body.errors[0].pointer]).toEqual([
      status,
      code,
      pointer,
    ])
  })

  test('is of a type that is registered, and learns of the nearest', async () => {
    const { status, body } = await server.call(`PUT ${at('1', 'scenaro')}`, {})
    expect([status, body.code, body.errors[0].pointer]).toEqual([
      422,
      'resource-type-unknown',
      '/type',
    ])
    expect(body.detail).toContain('Did you mean scenario?')
    for (const [type, id, pointer] of [
      ['a*', '1', '/type'],
      ['scenario', '\u0000', '/id'],
      ['scenario', 'x'.repeat(501), '/id'],
    ] as const) {
      const answer = await server.call(`PUT ${at(id, encodeURIComponent(type))}`, {})
      expect([answer.status, answer.body.errors[0].pointer]).toEqual([400, pointer])
    }
  })

  test('of another organization is not found', async () => {
    const other = await server.newOrganization()
    await server.call(`PUT ${other.path}/resources/scenario/1`, { owner: 'eve' })
    for (const answer of [await get('1'), await server.call(`DELETE ${at('1')}`)])
      expect([answer.status, answer.body.code]).toEqual([404, 'resource-not-found'])
    expect((await put('1')).body.owner).toBe(null)
  })

  test('is not changed against an older version, nor made again where it is gone', async () => {
    await put('1')
    const first = { 'if-match': '"1"' }
    expect((await put('1', { owner: 'a' }, first)).status).toBe(200)
    const deletion = await server.call(`DELETE ${at('1')}`, undefined, { headers: first })
    for (const stale of [await put('1', {}, first), deletion, await put('gone', {}, first)])
      expect([stale.status, stale.body.code]).toEqual([412, 'version-stale'])
    expect((await get('gone')).status).toBe(404)
  })

  test('that ends takes its grants along, so that an id used again inherits nothing', async () => {
    await server.call(`PUT ${path}/members/bob`, { roles: [] })
    await put('1')
    const grant = { subject: 'user:bob', permission: 'scenario:delete', resource: 'scenario:1' }
    await server.call(`POST ${path}/grants`, grant)
    const ask = async () =>
      (await server.call('POST /check', { organization: organization.slug, ...grant })).body.allowed
    expect(await ask()).toBe(true)
    await server.call(`DELETE ${at('1')}`)
    expect(await ask()).toBe(false)
    await put('1')
    expect(await ask()).toBe(false)
    expect((await server.call(`GET ${path}/grants?resource=scenario:1`)).body.items).toEqual([])
  })

  test('that moves to another workspace is theirs from then on, and takes along what was given on it', async () => {
    await server.call(`POST ${path}/workspaces`, { name: 'Two', slug: 'two' })
    const members = [
      ['bob', 'lab'],
      ['carol', 'two'],
    ]
    for (const [user, workspace] of members) {
      await server.call(`PUT ${path}/members/${user}`, { roles: [] })
      await server.call(`PUT ${path}/workspaces/${workspace}/members/${user}`, { roles: ['admin'] })
    }
    await server.call(`PUT ${path}/members/dan`, { roles: [] })
    const resource = 'model:m1'
    const at = `${path}/resources/model/m1`
    await server.call(`PUT ${at}`, { workspace: 'lab', owner: 'bob', attributes: { a: 1 } })
    const grant = { subject: 'user:dan', permission: 'model:deploy', resource }
    const denial = { ...grant, subject: 'user:carol', permission: 'model:read', effect: 'deny' }
    for (const each of [grant, denial])
      expect((await server.call(`POST ${path}/grants`, each)).status).toBe(201)
    const may = async (name: string, more = {}) => {
      const asked = { permission: 'model:deploy', resource, ...more }
      const question = { organization: organization.slug, subject: `user:${name}`, ...asked }
      return (await server.call('POST /check', question)).body.allowed
    }
    const all = async () => [await may('bob'), await may('carol'), await may('dan')]
    expect(await all()).toEqual([true, false, true])
    const moved = await server.call(`PUT ${at}`, { workspace: 'two' })
    expect([moved.status, moved.body]).toMatchObject([
      200,
      { workspace: 'two', owner: 'bob', attributes: { a: 1 }, version: 2 },
    ])
    expect(await all()).toEqual([false, true, true])
    // Whoever names the workspace it has left is not believed.
    expect(await may('bob', { workspace: 'lab' })).toBe(false)
    // The same once more, written with the place where it is now: one of the two is enough.
    expect((await server.call(`POST ${path}/grants`, grant)).status).toBe(201)
    const asked = await server.call(`DELETE ${path}/workspaces/lab`)
    expect(asked.body.ends).toEqual({ resources: 0, grants: 1, members: 1, invitations: 0 })
    expect((await server.call(`DELETE ${path}/workspaces/lab?confirm=Lab`)).status).toBe(204)
    expect((await server.call(`GET ${at}`)).body.workspace).toBe('two')
    const lost = await server.call(`PUT ${at}`, { workspace: 'lab' })
    expect([lost.status, lost.body.code]).toEqual([422, 'workspace-unknown'])
    expect(await all()).toEqual([false, true, true])
    expect(await may('carol', { permission: 'model:read' })).toBe(false)
    const { body } = await server.call(`GET ${path}/grants?resource=${resource}`)
    expect(body.items).toMatchObject([{ workspace: 'two' }, { workspace: 'two' }])
  })

  test('belongs to whom its owner names, in conditions', async () => {
    await server.call(`PUT ${path}/members/bob`, { roles: [] })
    await server.call(`PUT ${path}/workspaces/lab/members/bob`, { roles: ['user'] })
    await server.call(`PUT ${path}/resources/conversation/c1`, { workspace: 'lab', owner: 'bob' })
    const ask = async () =>
      (
        await server.call('POST /check', {
          organization: organization.slug,
          subject: 'user:bob',
          permission: 'conversation:update',
          resource: 'conversation:c1',
        })
      ).body.allowed
    expect(await ask()).toBe(true)
    await server.call(`PUT ${path}/resources/conversation/c1`, { owner: 'alice' })
    expect(await ask()).toBe(false)
  })
})

describe('the list', () => {
  test('comes in pages, nothing missing and nothing twice', async () => {
    const ids = ['1', '10', '9', 'A', 'a', 'é', '😀', 'a/b', 'constructor']
    for (const id of ids) await put(id)
    await server.call(`PUT ${path}/resources/connection/1`, {})
    for (const limit of [1, 2, 4, 9, 200]) {
      const found = await readPages(server, `${path}/resources/scenario`, {
        limit,
        idOf: ({ id }) => id!,
      })
      expect(found.toSorted()).toEqual(ids.toSorted())
    }
  })

  test('is narrowed by workspace and owner', async () => {
    await put('1', { workspace: 'lab', owner: 'bob' })
    await put('2', { workspace: 'lab' })
    await put('3', { owner: 'bob' })
    const ids = async (query: string) =>
      (await server.call(`GET ${path}/resources/scenario?${query}`)).body.items.map(
        ({ id }: { id: string }) => id,
      )
    expect(await ids('workspace=lab')).toEqual(['1', '2'])
    expect(await ids('owner=bob')).toEqual(['1', '3'])
    expect(await ids('owner=bob&workspace=lab')).toEqual(['1'])
    const unknown = await server.call(`GET ${path}/resources/scenario?workspace=lav`)
    expect([unknown.status, unknown.body.code]).toEqual([422, 'workspace-unknown'])
    expect((await server.call(`GET ${path}/resources/constructor`)).body.items).toEqual([])
  })

  test('refuses cursors and limits that are none', () =>
    refusesGarbage(server, `${path}/resources/scenario`))
})
