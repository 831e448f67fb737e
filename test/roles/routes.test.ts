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
})

const OWN = 'resource.owner == subject.id'
const put = (name: string, body: object = {}, headers = {}) =>
  server.call(`PUT ${path}/roles/${name}`, { permissions: [], ...body }, { headers })
const get = (name: string) => server.call(`GET ${path}/roles/${name}`)
const remove = (name: string) => server.call(`DELETE ${path}/roles/${name}`)
const copy = (name: string, body: object) => server.call(`POST ${path}/roles/${name}/copy`, body)
const may = async (permission: string, more: object = {}) =>
  (
    await server.call('POST /check', {
      organization: organization.slug,
      subject: 'user:bob',
      permission,
      ...more,
    })
  ).body.allowed

describe('a role', () => {
  test('is created and replaced by PUT, and read with an ETag', async () => {
    const permissions = [
      'scenario:read',
      { permission: 'scenario:update', condition: OWN },
      { permission: 'scenario:create', condition: null },
    ]
    const made = await put('lead', { permissions, inherits: ['viewer'], description: 'leads' })
    expect([made.status, made.headers.get('etag')]).toEqual([201, '"1"'])
    expect(made.body).toMatchObject({
      name: 'lead',
      scope: 'organization',
      builtIn: false,
      description: 'leads',
      permissions: [
        'scenario:create',
        'scenario:read',
        { permission: 'scenario:update', condition: OWN },
      ],
      inherits: ['viewer'],
      version: 1,
    })
    expect((await get('lead')).body).toEqual(made.body)
    const replaced = await put('lead', { permissions: ['scenario:share'] })
    expect([replaced.status, replaced.body]).toMatchObject([
      200,
      { permissions: ['scenario:share'], inherits: [], description: '', version: 2 },
    ])
  })

  test('that is edited changes what its holders may, at once', async () => {
    await put('lead', { permissions: ['scenario:read'] })
    await server.call(`PUT ${path}/members/bob`, { roles: ['lead'] })
    expect(await may('scenario:delete')).toBe(false)
    await put('lead', { permissions: ['scenario:delete'] })
    expect([await may('scenario:delete'), await may('scenario:read')]).toEqual([true, false])
    await put('base', { permissions: ['scenario:execute'] })
    await put('lead', { inherits: ['base'] })
    expect([await may('scenario:delete'), await may('scenario:execute')]).toEqual([false, true])
    await put('base', { permissions: [] })
    expect(await may('scenario:execute')).toBe(false)
  })

  test.each(['Lead', 'le%20ad', 'é', '-a', '__proto__', 'toString', 'a%00', 'a'.repeat(65)])(
    'is not called %s',
    async (name) => {
      for (const answer of [await put(name), await get(name), await remove(name)])
        expect([answer.status, answer.body.errors[0].pointer]).toEqual([400, '/name'])
    },
  )

  test('can be called constructor, and is one only then', async () => {
    expect((await get('constructor')).body.code).toBe('role-not-found')
    expect((await put('constructor', { permissions: ['scenario:read'] })).status).toBe(201)
    expect((await get('constructor')).body.permissions).toEqual(['scenario:read'])
  })

  test('of another organization, or none, is not found', async () => {
    const other = await server.newOrganization()
    await server.call(`PUT ${other.path}/roles/lead`, { permissions: [] })
    for (const answer of [
      await get('lead'),
      await remove('lead'),
      await copy('lead', { name: 'x' }),
    ])
      expect([answer.status, answer.body.code]).toEqual([404, 'role-not-found'])
    const inherits = await put('mine', { inherits: ['lead'] })
    expect([inherits.status, inherits.body.code]).toEqual([422, 'role-unknown'])
  })

  test.each([
    [
      'an unknown permission',
      { permissions: ['scenario:read', 'scenario:raed'] },
      'permission-unknown',
      '/permissions/1',
      'scenario:read',
    ],
    [
      'constructor',
      { permissions: ['constructor:name'] },
      'permission-unknown',
      '/permissions/0',
      '',
    ],
    [
      '__proto__',
      { permissions: ['__proto__:toString'] },
      'permission-unknown',
      '/permissions/0',
      '',
    ],
    [
      'a permission twice',
      { permissions: ['scenario:read', { permission: 'scenario:read' }] },
      'permission-twice',
      '/permissions/1',
      '',
    ],
    [
      'an unknown parent',
      { inherits: ['viewer', 'manger'] },
      'role-unknown',
      '/inherits/1',
      'manager',
    ],
    [
      'a parent of workspaces',
      { inherits: ['workspace_admin'] },
      'role-unknown',
      '/inherits/0',
      'role of workspaces',
    ],
    ['owner as parent', { inherits: ['owner'] }, 'owner-not-inheritable', '/inherits', ''],
    [
      'a permission of the platform',
      { permissions: ['system:admin'] },
      'permission-too-wide',
      '/permissions',
      '',
    ],
    [
      'a permission wider than a workspace',
      { scope: 'workspace', permissions: ['org:read'] },
      'permission-too-wide',
      '/permissions',
      '',
    ],
    [
      'a role wider than a workspace',
      { scope: 'workspace', inherits: ['manager'] },
      'role-too-wide',
      '/inherits',
      '',
    ],
    [
      'a condition that does not parse',
      { permissions: [{ permission: 'scenario:read', condition: 'subject.' }] },
      'condition-invalid',
      '/permissions/0/condition',
      '',
    ],
    ['itself as parent', { inherits: ['lead'] }, 'inheritance-cycle', undefined, ''],
  ])('refuses %s', async (_, body, code, pointer, hint) => {
    await put('lead', 'scope' in body ? { scope: body.scope } : {})
    const answer = await put('lead', body)
    const fresh = await put('fresh', body)
    expect([answer.status, answer.body.code, answer.body.errors?.[0].pointer]).toEqual([
      422,
      code,
      pointer,
    ])
    expect(answer.body.detail).toContain(hint)
    if (code !== 'inheritance-cycle') expect([fresh.status, fresh.body.code]).toEqual([422, code])
    expect((await get('lead')).body.version).toBe(1)
  })

  test.each([
    ['a key without action', { permissions: ['scenario'] }, '/permissions/0'],
    ['a star', { permissions: ['scenario:*'] }, '/permissions/0'],
    ['501 permissions', { permissions: Array(501).fill('scenario:read') }, '/permissions'],
    ['51 parents', { inherits: Array(51).fill('viewer') }, '/inherits'],
    ['the scope platform', { scope: 'platform' }, '/scope'],
    ['a long description', { description: 'x'.repeat(501) }, '/description'],
    [
      'U+0000 in a condition',
      { permissions: [{ permission: 'scenario:read', condition: '"\u0000" == ""' }] },
      '/permissions/0',
    ],
    ['holdsEveryPermission', { holdsEveryPermission: true }, '/holdsEveryPermission'],
    ['builtIn', { builtIn: true }, '/builtIn'],
  ])('refuses %s as malformed', async (_, body, pointer) => {
    const { status, body: problem } = await put('lead', body)
    expect([status, problem.code]).toEqual([400, 'invalid-request'])
    expect(problem.errors[0].pointer.startsWith(pointer)).toBe(true)
  })

  test('that is built in is read and copied, and otherwise untouchable', async () => {
    for (const name of ['owner', 'admin', 'viewer', 'guest', 'workspace_admin', 'moderator']) {
      expect((await get(name)).body.builtIn).toBe(true)
      for (const answer of [
        await put(name),
        await remove(name),
        await server.call(`DELETE ${path}/roles/${name}?replacement=viewer`),
      ])
        expect([answer.status, answer.body.code]).toEqual([409, 'role-built-in'])
    }
    for (const name of ['super_admin', 'operator', 'support']) {
      expect((await get(name)).status).toBe(404)
      for (const answer of [await put(name), await copy('viewer', { name })])
        expect([answer.status, answer.body.code]).toEqual([409, 'role-name-reserved'])
    }
  })

  test('keeps its scope', async () => {
    await put('lead', { scope: 'workspace' })
    expect((await put('lead')).body.scope).toBe('workspace')
    const { status, body } = await put('lead', { scope: 'organization' })
    expect([status, body.code]).toEqual([409, 'role-scope-fixed'])
  })

  test('is not changed against an older version, nor made again where it is gone', async () => {
    await put('lead')
    const first = { 'if-match': '"1"' }
    expect((await put('lead', {}, first)).body.version).toBe(2)
    const deletion = await server.call(`DELETE ${path}/roles/lead`, undefined, { headers: first })
    for (const stale of [await put('lead', {}, first), deletion, await put('gone', {}, first)])
      expect([stale.status, stale.body.code]).toEqual([412, 'version-stale'])
    expect((await get('gone')).status).toBe(404)
  })
})

describe('inheritance', () => {
  test('goes through ten links and not eleven, wherever the chain grows', async () => {
    for (let link = 0; link <= 10; link++) {
      const inherits = link > 0 ? [`r${link - 1}`] : []
      const permissions = link === 0 ? ['scenario:delete'] : []
      expect([link, (await put(`r${link}`, { permissions, inherits })).status]).toEqual([link, 201])
    }
    await put('below')
    for (const answer of [
      await put('r11', { inherits: ['r10'] }),
      await put('r0', { permissions: ['scenario:delete'], inherits: ['below'] }),
    ])
      expect([answer.status, answer.body.code]).toEqual([422, 'inheritance-too-deep'])
    await server.call(`PUT ${path}/members/bob`, { roles: ['r10'] })
    expect(await may('scenario:delete')).toBe(true)
  })

  test('has no cycles, however long', async () => {
    await put('a')
    await put('b', { inherits: ['a'] })
    await put('c', { inherits: ['b'] })
    for (const inherits of [['a'], ['c'], ['b']]) {
      const { status, body } = await put('a', { inherits })
      expect([status, body.code]).toEqual([422, 'inheritance-cycle'])
    }
    expect((await get('a')).body.inherits).toEqual([])
  })

  test('of a name in two scopes means the one of the role’s own', async () => {
    await put('space', { scope: 'workspace', inherits: ['admin'] })
    await put('whole', { inherits: ['admin'] })
    await server.call(`POST ${path}/workspaces`, { name: 'Lab', slug: 'lab' })
    await server.call(`PUT ${path}/members/bob`, { roles: [] })
    await server.call(`PUT ${path}/workspaces/lab/members/bob`, { roles: ['space'] })
    const lab = { workspace: 'lab' }
    expect([await may('model:deploy', lab), await may('scenario:delete', lab)]).toEqual([
      true,
      false,
    ])
    await server.call(`DELETE ${path}/workspaces/lab/members/bob`)
    await server.call(`PUT ${path}/members/bob`, { roles: ['whole'] })
    expect([await may('model:deploy', lab), await may('scenario:delete', lab)]).toEqual([
      false,
      true,
    ])
  })
})

describe('deleting', () => {
  test('a role in use needs a replacement, which its holders get', async () => {
    await put('old', { permissions: ['scenario:read'] })
    await put('heir', { inherits: ['old'] })
    await server.call(`PUT ${path}/members/bob`, { roles: ['old'] })
    const inUse = await remove('old')
    expect([inUse.status, inUse.body.code]).toEqual([409, 'role-in-use'])
    await put('fresh', { permissions: ['scenario:delete'] })
    expect((await remove('old?replacement=fresh')).status).toBe(204)
    expect((await get('old')).status).toBe(404)
    expect((await get('heir')).body.inherits).toEqual(['fresh'])
    expect((await server.call(`GET ${path}/members/bob`)).body.roles).toEqual(['fresh'])
    expect([await may('scenario:delete'), await may('scenario:read')]).toEqual([true, false])
  })

  test('leaves one grant where the replacement was held already', async () => {
    await put('old')
    await put('fresh')
    await server.call(`PUT ${path}/members/bob`, { roles: ['old', 'fresh'] })
    expect((await remove('old?replacement=fresh')).status).toBe(204)
    expect((await server.call(`GET ${path}/members/bob`)).body.roles).toEqual(['fresh'])
  })

  test('keeps place, condition, end and effect of what is moved', async () => {
    await put('old', { permissions: ['scenario:read'] })
    await put('fresh', { permissions: ['scenario:read'] })
    await server.call(`PUT ${path}/members/bob`, { roles: [] })
    const grant = {
      subject: 'user:bob',
      role: 'old',
      resource: 'scenario:1',
      condition: OWN,
      expiresAt: '2090-01-01T00:00:00.000Z',
      effect: 'deny',
      reason: 'because',
    }
    const { body: before } = await server.call(`POST ${path}/grants`, grant)
    await remove('old?replacement=fresh')
    const { body: after } = await server.call(`GET ${path}/grants/${before.id}`)
    expect(after).toEqual({ ...before, role: 'fresh' })
  })

  test.each([
    ['itself', 'old', 422, 'replacement-same'],
    ['an unknown role', 'fersh', 422, 'role-unknown'],
    ['a role of workspaces', 'workspace_admin', 422, 'role-unknown'],
    ['a name that is none', 'A%20b', 400, 'invalid-request'],
  ])('replaces no role by %s', async (_, replacement, status, code) => {
    await put('old')
    await put('fresh')
    const answer = await remove(`old?replacement=${replacement}`)
    expect([answer.status, answer.body.code, answer.body.errors[0].pointer]).toEqual([
      status,
      code,
      '/replacement',
    ])
  })

  test('replaces no role by owner: ownership is a flag', async () => {
    await put('old')
    await server.call(`PUT ${path}/members/bob`, { roles: ['old'] })
    const { status, body } = await remove('old?replacement=owner')
    expect([status, body.code]).toEqual([422, 'ownership-not-grantable'])
    expect((await server.call(`GET ${path}/members/bob`)).body.roles).toEqual(['old'])
  })

  test('a role for whole organizations is not replaced in cycles', async () => {
    await put('old')
    await put('heir', { inherits: ['old'] })
    const { status, body } = await remove('old?replacement=heir')
    expect([status, body.code]).toEqual([422, 'inheritance-cycle'])
  })
})

describe('copying', () => {
  test('a custom role keeps permissions, conditions, parents, scope', async () => {
    const permissions = [{ permission: 'scenario:update', condition: OWN }]
    await put('lead', { permissions, inherits: ['viewer'], description: 'leads' })
    const { status, body } = await copy('lead', { name: 'chief' })
    expect([status, body]).toMatchObject([
      201,
      { name: 'chief', permissions, inherits: ['viewer'], description: 'leads', builtIn: false },
    ])
    expect((await copy('lead', { name: 'x', description: 'other' })).body.description).toBe('other')
    await put('lead')
    expect((await get('chief')).body.permissions).toEqual(permissions)
  })

  test('built-in roles gives the same rights under another name', async () => {
    const { body: owner } = await copy('owner', { name: 'deputy' })
    expect(owner.holdsEveryPermission).toBe(false)
    expect(owner.permissions.length).toBeGreaterThan(60)
    expect(owner.permissions.some((key: string) => key.startsWith('system:'))).toBe(false)
    const { body: space } = await copy('workspace_admin', { name: 'head' })
    expect([space.scope, space.inherits]).toEqual(['workspace', ['admin']])
  })

  test('overwrites no role, and needs a name', async () => {
    await put('lead', { permissions: ['scenario:read'] })
    for (const answer of [
      await copy('viewer', { name: 'lead' }),
      await copy('lead', { name: 'lead' }),
    ])
      expect([answer.status, answer.body.code]).toEqual([409, 'role-exists'])
    expect((await get('lead')).body.permissions).toEqual(['scenario:read'])
    expect((await copy('lead', { name: 'admin' })).body.code).toBe('role-built-in')
    expect((await copy('lead', {})).body.errors[0].pointer).toBe('/name')
  })

  test('happens once for one Idempotency-Key', async () => {
    const headers = { 'idempotency-key': 'c1' }
    const once = () => server.call(`POST ${path}/roles/viewer/copy`, { name: 'seer' }, { headers })
    const [first, second] = [await once(), await once()]
    expect([second.status, second.body]).toEqual([201, first.body])
  })
})

describe('reading', () => {
  test('the history tells who did what, in pages', async () => {
    await put('lead', { permissions: ['scenario:read'] })
    await put('lead', { permissions: ['scenario:update'] })
    await remove('lead')
    await put('lead')
    const { body } = await server.call(`GET ${path}/roles/lead/history`)
    expect(body.items.map(({ event }: { event: string }) => event)).toEqual([
      'role.created',
      'role.updated',
      'role.deleted',
      'role.created',
    ])
    expect(body.items[1]).toMatchObject({
      before: { permissions: ['scenario:read'] },
      after: { permissions: ['scenario:update'] },
    })
    const events = await readPages(server, `${path}/roles/lead/history`, {
      limit: 3,
      idOf: ({ event, at }) => `${event} ${at} ${Math.random()}`,
    })
    expect(events).toHaveLength(4)
    expect((await server.call(`GET ${path}/roles/none/history`)).body.items).toEqual([])
  })

  test('the list shows both scopes, in pages, and no platform role', async () => {
    for (const name of ['lead', 'constructor', 'a.b', 'a-b', 'a_b']) await put(name)
    await put('space', { scope: 'workspace' })
    const idOf = ({ name, scope }: Record<string, string>) => `${name} ${scope}`
    const all = await readPages(server, `${path}/roles`, { limit: 200, idOf })
    expect(all).toContain('admin organization')
    expect(all).toContain('admin workspace')
    expect(all.filter((each) => each.endsWith('platform'))).toEqual([])
    for (const limit of [1, 3, 5])
      expect(await readPages(server, `${path}/roles`, { limit, idOf })).toEqual(all)
    const spaces = await readPages(server, `${path}/roles?scope=workspace`, { limit: 4, idOf })
    expect(spaces).toEqual(all.filter((each) => each.endsWith(' workspace')))
    expect(spaces).toContain('space workspace')
  })

  test('refuses cursors and limits that are none', async () => {
    await refusesGarbage(server, `${path}/roles`)
    await refusesGarbage(server, `${path}/roles/lead/history`)
  })
})
