import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Issuer, startIssuer } from '../support/issuer.ts'
import { readPages, refusesGarbage } from '../support/paging.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let issuer: Issuer
let organization: Awaited<ReturnType<TestServer['newOrganization']>>
let path: string

beforeAll(async () => {
  issuer = await startIssuer()
  server = await startTestServer({ jwt: issuer.settings })
})
afterAll(async () => {
  await server.drop()
  await issuer.stop()
})
beforeEach(async () => {
  organization = await server.newOrganization()
  path = organization.path
})

const { stringify } = JSON
const put = (user: string, body: unknown = { roles: [] }, headers = {}) =>
  server.call(`PUT ${path}/members/${user}`, body, { headers })
const patch = (user: string, body: unknown, headers = {}) =>
  server.call(`PATCH ${path}/members/${user}`, body, { headers })
const get = (user: string) => server.call(`GET ${path}/members/${user}`)
const as = async (user: string, what: string, body?: unknown) =>
  server.call(what, body, { key: await issuer.tokenOf(user) })
const decide = async (subject: string, permission: string, more: object = {}) =>
  (
    await server.call('POST /check', {
      organization: organization.slug,
      subject,
      permission,
      ...more,
    })
  ).body

describe('a member', () => {
  test('is made by PUT, set by PUT, and read with an ETag', async () => {
    const made = await put('bob', { roles: ['viewer'], attributes: { level: 3 } })
    expect([made.status, made.headers.get('etag')]).toEqual([201, '"1"'])
    expect(made.body).toMatchObject({
      subject: 'user:bob',
      roles: ['viewer'],
      status: 'active',
      attributes: { level: 3 },
      expiresAt: null,
      version: 1,
    })
    const set = await put('user%3Abob', { roles: ['member', 'auditor', 'member'] })
    expect([set.status, set.body.roles]).toEqual([200, ['auditor', 'member']])
    expect(set.body.attributes).toEqual({ level: 3 })
    expect((await get('bob')).body).toEqual(set.body)
    expect((await put('bob', { roles: [] })).body.roles).toEqual([])
  })

  test('is changed by PATCH in what is named only', async () => {
    const expiresAt = '2090-01-01T00:00:00.000Z'
    await put('bob', { roles: ['viewer'], attributes: { level: 3 }, expiresAt })
    expect((await patch('bob', { status: 'suspended' })).body).toMatchObject({
      roles: ['viewer'],
      status: 'suspended',
      attributes: { level: 3 },
      expiresAt,
    })
    expect((await patch('bob', { roles: ['member'] })).body).toMatchObject({
      roles: ['member'],
      status: 'suspended',
    })
    expect((await patch('bob', { expiresAt: null, attributes: {} })).body).toMatchObject({
      expiresAt: null,
      attributes: {},
      roles: ['member'],
    })
  })

  test('of another organization, or nobody, is not found', async () => {
    const other = await server.newOrganization()
    await server.call(`PUT ${other.path}/members/bob`, { roles: [] })
    for (const answer of [
      await get('bob'),
      await patch('bob', { roles: [] }),
      await server.call(`DELETE ${path}/members/bob`),
      await get('__proto__'),
      await get('constructor'),
    ])
      expect([answer.status, answer.body.code]).toEqual([404, 'member-not-found'])
  })

  test('can be a service or an identity, but no team, role or key', async () => {
    for (const user of ['service:ci', 'identity:a:b:c', 'user:😀', 'user:a b', 'a/b'])
      expect([user, (await put(encodeURIComponent(user))).status]).toEqual([user, 201])
    for (const user of ['team:eng', 'role:organization.admin', 'key:key_x']) {
      const { status, body } = await put(user)
      expect([status, body.errors[0].pointer]).toEqual([400, '/user'])
    }
    for (const user of ['a%00', '%00', 'x'.repeat(501)])
      expect([user, (await put(user)).status]).toEqual([user, 400])
  })

  test('has only roles that exist, and learns of the nearest ones, at their place', async () => {
    const { status, body } = await put('bob', { roles: ['member', 'viewr'] })
    expect([status, body.code, body.errors[0].pointer]).toEqual([422, 'role-unknown', '/roles/1'])
    expect(body.detail).toContain('Did you mean viewer?')
    await put('bob', { roles: ['member'] })
    const again = await patch('bob', { roles: ['member', 'wizard'] })
    expect(again.body.errors[0].pointer).toBe('/roles/1')
    for (const role of ['constructor', 'super_admin'])
      expect((await put('bob', { roles: [role] })).body.code).toBe('role-unknown')
    for (const role of ['__proto__', 'toString'])
      expect((await put('bob', { roles: [role] })).status).toBe(400)
    const workspace = await put('bob', { roles: ['user'] })
    expect(workspace.body.detail).toContain('role of workspaces')
  })

  test.each([
    ['an end in the past', { expiresAt: '2001-01-01T00:00:00Z' }, 422, 'expiry-past', '/expiresAt'],
    ['February 30', { expiresAt: '2090-02-30T00:00:00Z' }, 400, 'invalid-request', '/expiresAt'],
    ['the year 0', { expiresAt: '0000-01-01T00:00:00Z' }, 400, 'invalid-request', '/expiresAt'],
    ['a day without time', { expiresAt: '2090-01-01' }, 400, 'invalid-request', '/expiresAt'],
    ['an unknown status', { status: 'gone' }, 400, 'invalid-request', '/status'],
    ['a list as attributes', { attributes: [] }, 400, 'invalid-request', '/attributes'],
    ['U+0000 in a value', { attributes: { a: '\u0000' } }, 400, 'invalid-request', '/attributes'],
    ['U+0000 in a name', { attributes: { 'a\u0000': 1 } }, 400, 'invalid-request', '/attributes'],
    ['half a pair', { attributes: { a: ['\udc00'] } }, 400, 'invalid-request', '/attributes'],
    [
      '17,000 bytes',
      { attributes: { a: 'x'.repeat(17_000) } },
      400,
      'invalid-request',
      '/attributes',
    ],
    [
      '1,001 elements',
      { attributes: { a: Array(1001).fill(1) } },
      400,
      'invalid-request',
      '/attributes',
    ],
    ['isOwner', { isOwner: true }, 400, 'invalid-request', '/isOwner'],
    ['version', { version: 9 }, 400, 'invalid-request', '/version'],
  ])('refuses %s', async (_, body, status, code, pointer) => {
    const made = await put('bob', { roles: [], ...body })
    expect([made.status, made.body.code, made.body.errors[0].pointer]).toEqual([
      status,
      code,
      pointer,
    ])
    await put('bob')
    const changed = await patch('bob', body)
    expect([changed.status, changed.body.code]).toEqual([status, code])
  })

  test('refuses attributes that nest without end', async () => {
    const deep = `{"roles":[],"attributes":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`
    const { status, body } = await put('bob', deep)
    expect([status, body.errors[0].pointer]).toEqual([400, '/attributes'])
  })

  test('keeps attributes of any other text', async () => {
    const attributes = { 'a/b~c': '\\u0000', __proto_: '😀', constructor: { x: [1, null, 'é'] } }
    expect((await put('bob', { roles: [], attributes })).body.attributes).toEqual(attributes)
    const own = `{"roles":[],"attributes":{"__proto__":{"level":9}}}`
    expect(stringify((await put('bob', own)).body.attributes)).toBe('{"__proto__":{"level":9}}')
  })

  test('takes an end in any time zone and answers it in UTC', async () => {
    const { body } = await put('bob', { roles: [], expiresAt: '2090-06-01T02:00:00+02:00' })
    expect(body.expiresAt).toBe('2090-06-01T00:00:00.000Z')
  })

  test('is not changed against an older version, nor made again where it is gone', async () => {
    await put('bob')
    const first = { 'if-match': '"1"' }
    expect((await patch('bob', { roles: ['viewer'] }, first)).headers.get('etag')).toBe('"2"')
    for (const stale of [
      await patch('bob', { roles: [] }, first),
      await put('bob', { roles: [] }, first),
      await server.call(`DELETE ${path}/members/bob`, undefined, { headers: first }),
      await put('nobody', { roles: [] }, first),
    ])
      expect([stale.status, stale.body.code]).toEqual([412, 'version-stale'])
    const headers = { 'if-match': '"2"' }
    const removed = await server.call(`DELETE ${path}/members/bob`, undefined, { headers })
    expect(removed.status).toBe(204)
  })

  test('that changes, changes nobody else', async () => {
    await put('bob', { roles: ['viewer'] })
    await put('dan', { roles: ['viewer'] })
    await patch('bob', { roles: ['viewer', 'member'] })
    expect((await get('dan')).body.roles).toEqual(['viewer'])
    expect((await decide('user:dan', 'scenario:create')).allowed).toBe(false)
    expect((await decide('user:bob', 'scenario:create')).allowed).toBe(true)
  })
})

describe('the end of a membership', () => {
  test('ends grants, teams and workspaces in one transaction; who returns starts with nothing', async () => {
    await put('bob', { roles: ['viewer'] })
    await server.call(`POST ${path}/workspaces`, { name: 'Lab', slug: 'lab' })
    await server.call(`PUT ${path}/workspaces/lab/members/bob`, { roles: ['admin'] })
    await server.call(`PUT ${path}/teams/eng`, {})
    await server.call(`PUT ${path}/teams/eng/members/bob`)
    await server.call(`POST ${path}/grants`, { subject: 'user:bob', permission: 'scenario:delete' })
    const removed = await server.call(`DELETE ${path}/members/bob`)
    expect(removed.status).toBe(204)
    expect(await decide('user:bob', 'scenario:read')).toMatchObject({ code: 'not-a-member' })
    await put('bob', { roles: [] })
    for (const list of ['grants?subject=user:bob', 'teams/eng/members', 'workspaces/lab/members'])
      expect((await server.call(`GET ${path}/${list}`)).body.items).toEqual([])
    for (const permission of ['scenario:read', 'scenario:delete'])
      expect((await decide('user:bob', permission)).allowed).toBe(false)
  })

  test('comes by itself at the instant of its end', async () => {
    await put('bob', { roles: ['viewer'], expiresAt: new Date(Date.now() + 600).toISOString() })
    expect((await decide('user:bob', 'scenario:read')).allowed).toBe(true)
    await new Promise((resolve) => setTimeout(resolve, 700))
    expect(await decide('user:bob', 'scenario:read')).toMatchObject({ code: 'not-a-member' })
  })

  test('is not for the last active owner, in any way', async () => {
    await put('olga', { roles: ['owner'], status: 'suspended' })
    for (const answer of [
      await server.call(`DELETE ${path}/members/alice`),
      await put('alice', { roles: ['admin'] }),
      await patch('alice', { status: 'suspended' }),
      await as('alice', `POST ${path}/leave`),
    ])
      expect([answer.status, answer.body.code]).toEqual([409, 'last-owner'])
    const expires = await patch('alice', { expiresAt: '2090-01-01T00:00:00Z' })
    expect([expires.status, expires.body.code, expires.body.errors[0].pointer]).toEqual([
      422,
      'owner-expires',
      '/expiresAt',
    ])
    await put('bob', { roles: ['owner'] })
    expect((await as('alice', `POST ${path}/leave`)).status).toBe(204)
  })
})

describe('leaving', () => {
  test('is everybody’s own, also of those who hold nothing', async () => {
    await put('bob')
    expect((await as('bob', `POST ${path}/leave`)).status).toBe(204)
    expect((await get('bob')).status).toBe(404)
    expect((await as('bob', `POST ${path}/leave`)).status).toBe(404)
  })

  test('is not for keys of services, operators and strangers', async () => {
    const key = await organization.keyFor({ roles: ['admin'] })
    const byKey = await server.call(`POST ${path}/leave`, undefined, { key })
    expect([byKey.status, byKey.body.code]).toEqual([404, 'member-not-found'])
    expect((await server.call(`POST ${path}/leave`)).body.code).toBe('member-not-found')
    expect((await as('eve', `POST ${path}/leave`)).body.code).toBe('organization-not-found')
  })

  test('is refused while suspended: who may come back would leave the suspension behind', async () => {
    await put('bob', { roles: [], status: 'suspended' })
    const refused = await as('bob', `POST ${path}/leave`)
    expect([refused.status, refused.body.code]).toEqual([409, 'member-suspended'])
  })
})

describe('the list', () => {
  test('comes in pages, nothing missing and nothing twice', async () => {
    const users = ['bob', 'Bob', 'zoe', 'é', '😀', '10', '9', 'service:ci']
    for (const user of users) await put(encodeURIComponent(user), { roles: ['viewer'] })
    const expected = ['alice', ...users].map((user) => (user.includes(':') ? user : `user:${user}`))
    for (const limit of [1, 2, 4, 9, 200]) {
      const subjects = await readPages(server, `${path}/members`, {
        limit,
        idOf: ({ subject }) => subject!,
      })
      expect(subjects.toSorted()).toEqual(expected.toSorted())
    }
  })

  test('is narrowed by status and role', async () => {
    await put('bob', { roles: ['viewer'], status: 'suspended' })
    await put('dan', { roles: ['viewer', 'member'] })
    const list = async (query: string) =>
      (await server.call(`GET ${path}/members?${query}`)).body.items.map(
        ({ subject }: { subject: string }) => subject,
      )
    expect(await list('status=suspended')).toEqual(['user:bob'])
    expect(await list('role=viewer')).toEqual(['user:bob', 'user:dan'])
    expect(await list('role=viewer&status=active')).toEqual(['user:dan'])
    expect(await list('role=owner')).toEqual(['user:alice'])
    expect(await list('role=constructor')).toEqual([])
  })

  test('refuses cursors and limits that are none', () => refusesGarbage(server, `${path}/members`))

  test('shows no role that is over, and none that a grant gives under a condition', async () => {
    await put('bob')
    const grant = { subject: 'user:bob', role: 'viewer' }
    await server.call(`POST ${path}/grants`, { ...grant, condition: 'context.mfa == true' })
    expect((await get('bob')).body.roles).toEqual([])
    expect((await put('bob', { roles: ['viewer'] })).body.roles).toEqual(['viewer'])
    expect((await put('bob', { roles: [] })).body.roles).toEqual([])
    const { body } = await server.call(`GET ${path}/grants?subject=user:bob`)
    expect(body.items.map(({ condition }: { condition: string }) => condition)).toEqual([
      'context.mfa == true',
    ])
  })
})
