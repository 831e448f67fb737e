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
  await server.call(`PUT ${path}/members/bob`, { roles: [] })
  await server.call(`POST ${path}/workspaces`, { name: 'Lab', slug: 'lab' })
  await server.call(`PUT ${path}/teams/eng`, {})
})

const LATER = '2090-01-01T00:00:00.000Z'
const BOB = { subject: 'user:bob', permission: 'scenario:delete' }
const create = (body: object, headers = {}) => server.call(`POST ${path}/grants`, body, { headers })
const patch = (id: string, body: object, headers = {}) =>
  server.call(`PATCH ${path}/grants/${id}`, body, { headers })
const remove = (id: string) => server.call(`DELETE ${path}/grants/${id}`)
const may = async (more: object = {}) =>
  (await server.call('POST /check', { organization: organization.slug, ...BOB, ...more })).body
    .allowed

describe('a grant', () => {
  test('is created with every member, and read with an ETag', async () => {
    const grant = {
      subject: 'team:eng',
      role: 'moderator',
      workspace: 'lab',
      resource: 'conversation:a:b/c',
      effect: 'deny',
      condition: 'context.mfa == true',
      expiresAt: LATER,
      reason: 'asked for',
    }
    const created = await create(grant)
    expect([created.status, created.headers.get('etag')]).toEqual([201, '"1"'])
    expect(created.body).toMatchObject({ ...grant, permission: null, version: 1 })
    expect(created.body.id).toMatch(/^grt_[0-9a-z]{26}$/)
    const { body } = await server.call(`GET ${path}/grants/${created.body.id}`)
    expect(body).toEqual(created.body)
  })

  test('gives at once, and ends at once', async () => {
    const { body } = await create(BOB)
    expect(await may()).toBe(true)
    expect((await remove(body.id)).status).toBe(204)
    expect(await may()).toBe(false)
    const again = await remove(body.id)
    expect([again.status, again.body.code]).toEqual([404, 'grant-not-found'])
  })

  test('widens a role on one resource, and on no other', async () => {
    await server.call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
    await create({ ...BOB, permission: 'scenario:execute', resource: 'scenario:1' })
    const execute = (resource: string) => may({ permission: 'scenario:execute', resource })
    expect([await execute('scenario:1'), await execute('scenario:2')]).toEqual([true, false])
  })

  test('that denies wins over every allow, whichever came first', async () => {
    await create({ ...BOB, resource: 'scenario:1', effect: 'deny' })
    await create(BOB)
    await server.call(`PUT ${path}/members/bob`, { roles: ['admin'] })
    await create({ ...BOB, resource: 'scenario:1' })
    expect([await may({ resource: 'scenario:1' }), await may({ resource: 'scenario:2' })]).toEqual([
      false,
      true,
    ])
  })

  test('is given once; under another condition, place or effect it is another one', async () => {
    const variants = [
      BOB,
      { ...BOB, condition: 'context.a == 1' },
      { ...BOB, workspace: 'lab' },
      { ...BOB, resource: 'scenario:1' },
      { ...BOB, effect: 'deny' },
      { subject: 'user:bob', role: 'viewer' },
    ]
    for (const variant of variants) expect((await create(variant)).status).toBe(201)
    for (const variant of variants) {
      const twin = await create({ ...variant, reason: 'again', expiresAt: LATER })
      expect([twin.status, twin.body.code]).toEqual([409, 'grant-exists'])
    }
  })

  test('that is over makes room for the same one', async () => {
    const expiresAt = new Date(Date.now() + 300).toISOString()
    const first = await create({ ...BOB, expiresAt })
    await new Promise((resolve) => setTimeout(resolve, 400))
    expect(await may()).toBe(false)
    const second = await create(BOB)
    expect([second.status, await may()]).toEqual([201, true])
    expect((await server.call(`GET ${path}/grants/${first.body.id}`)).status).toBe(404)
  })

  test('changed into one that is there already is refused', async () => {
    await create(BOB)
    const { body } = await create({ ...BOB, condition: 'context.a == 1' })
    const twin = await patch(body.id, { condition: null })
    expect([twin.status, twin.body.code]).toEqual([409, 'grant-exists'])
  })

  test('is for a subject of any other type without membership', async () => {
    for (const subject of ['service:ci', 'identity:rick', 'constructor:__proto__', 'x:😀 y'])
      expect([subject, (await create({ ...BOB, subject })).status]).toEqual([subject, 201])
    expect(await may({ subject: 'constructor:__proto__' })).toBe(true)
    expect(await may({ subject: 'constructor:other' })).toBe(false)
  })

  test.each([
    ['a stranger', { subject: 'user:eve' }, 'member-unknown', '/subject', ''],
    ['an unknown team', { subject: 'team:emg' }, 'team-unknown', '/subject', 'Did you mean eng?'],
    ['an unknown key', { subject: `key:key_${'0'.repeat(26)}` }, 'api-key-unknown', '/subject', ''],
    ['a key of another form', { subject: 'key:x' }, 'api-key-unknown', '/subject', ''],
    ['a role', { subject: 'role:organization.viewer' }, 'subject-is-a-role', '/subject', ''],
    [
      'an unknown permission',
      { permission: 'scenario:delet' },
      'permission-unknown',
      '/permission',
      'scenario:delete',
    ],
    [
      'constructor',
      { permission: 'constructor:constructor' },
      'permission-unknown',
      '/permission',
      '',
    ],
    [
      'an unknown role',
      { permission: undefined, role: 'viewr' },
      'role-unknown',
      '/role',
      'Did you mean viewer?',
    ],
    [
      'a role of the platform',
      { permission: undefined, role: 'super_admin' },
      'role-unknown',
      '/role',
      '',
    ],
    ['ownership', { permission: undefined, role: 'owner' }, 'ownership-not-grantable', '/role', ''],
    [
      'a role of workspaces without one',
      { permission: undefined, role: 'user' },
      'role-unknown',
      '/role',
      'name the workspace',
    ],
    [
      'a permission of the platform',
      { permission: 'system:admin' },
      'permission-too-wide',
      '/permission',
      '',
    ],
    [
      'a permission wider than a workspace in one',
      { permission: 'org:read', workspace: 'lab' },
      'permission-too-wide',
      '/permission',
      '',
    ],
    [
      'an unknown workspace',
      { workspace: 'lav' },
      'workspace-unknown',
      '/workspace',
      'Did you mean lab?',
    ],
    [
      'a resource of an unknown type',
      { resource: 'scenaro:1' },
      'resource-type-unknown',
      '/resource',
      'Did you mean scenario?',
    ],
    [
      'a resource of another type',
      { resource: 'model:1' },
      'permission-of-another-type',
      '/permission',
      '',
    ],
    ['an end in the past', { expiresAt: '2001-01-01T00:00:00Z' }, 'expiry-past', '/expiresAt', ''],
    [
      'a condition that does not parse',
      { condition: 'context.' },
      'condition-invalid',
      '/condition',
      '',
    ],
  ])('refuses %s', async (_, change, code, pointer, hint) => {
    const { status, body } = await create({ ...BOB, ...change })
    expect([status, body.code, body.errors[0].pointer]).toEqual([422, code, pointer])
    expect(body.detail).toContain(hint)
    const { body: list } = await server.call(`GET ${path}/grants?subject=user:bob`)
    expect(list.items).toEqual([])
  })

  test.each([
    ['a role and a permission', { role: 'viewer' }, ''],
    ['neither', { permission: undefined }, ''],
    ['no subject', { subject: undefined }, '/subject'],
    ['a subject without type', { subject: 'bob' }, '/subject'],
    ['U+0000 in an id', { subject: 'user:a\u0000' }, '/subject'],
    ['U+0000 in a reason', { reason: 'a\u0000' }, '/reason'],
    ['half a pair in a reason', { reason: '\ud800' }, '/reason'],
    ['a long reason', { reason: 'x'.repeat(281) }, '/reason'],
    ['U+0000 in a condition', { condition: '"\u0000" == ""' }, '/condition'],
    ['an empty condition', { condition: '' }, '/condition'],
    ['another effect', { effect: 'maybe' }, '/effect'],
    ['a time of no calendar', { expiresAt: '2090-02-30T00:00:00Z' }, '/expiresAt'],
    ['a time zone of no place', { expiresAt: '2090-02-03T00:00:00+99:00' }, '/expiresAt'],
    ['a workspace that can be none', { workspace: 'a\u0000' }, '/workspace'],
    ['a resource without type', { resource: '1' }, '/resource'],
    ['grantedBy', { grantedBy: 'user:eve' }, '/grantedBy'],
    ['source', { source: 'member' }, '/source'],
  ])('refuses %s as malformed', async (_, change, pointer) => {
    const { status, body } = await create({ ...BOB, ...change })
    expect([status, body.code, body.errors[0].pointer]).toEqual([400, 'invalid-request', pointer])
  })

  test('is about a resource where it is registered, whatever is named', async () => {
    await server.call(`POST ${path}/workspaces`, { name: 'Two', slug: 'two' })
    await server.call(`PUT ${path}/resources/model/m1`, { workspace: 'lab' })
    const grant = { subject: 'user:bob', permission: 'model:deploy', resource: 'model:m1' }
    const differs = await create({ ...grant, workspace: 'two' })
    expect([differs.status, differs.body.code, differs.body.errors[0].pointer]).toEqual([
      422,
      'workspace-differs',
      '/workspace',
    ])
    expect((await create(grant)).body.workspace).toBe('lab')
  })

  test('of another organization, or none, is not found', async () => {
    const other = await server.newOrganization()
    const theirs = await server.call(`POST ${other.path}/grants`, { ...BOB, subject: 'user:alice' })
    for (const id of [theirs.body.id, `grt_${'0'.repeat(26)}`])
      for (const answer of [
        await server.call(`GET ${path}/grants/${id}`),
        await patch(id, {}),
        await remove(id),
      ])
        expect([answer.status, answer.body.code]).toEqual([404, 'grant-not-found'])
    for (const id of ['x', 'grt_', 'a%00', '__proto__'])
      expect((await remove(id)).body.errors[0].pointer).toBe('/id')
  })

  test('is changed in what is named, not against an older version', async () => {
    const { body } = await create({ ...BOB, expiresAt: LATER, reason: 'a' })
    const first = { 'if-match': '"1"' }
    const changed = await patch(body.id, { reason: 'b' }, first)
    expect(changed.body).toEqual({ ...body, reason: 'b', version: 2 })
    const deletion = { headers: first }
    for (const stale of [
      await patch(body.id, { reason: 'c' }, first),
      await server.call(`DELETE ${path}/grants/${body.id}`, undefined, deletion),
    ])
      expect([stale.status, stale.body.code]).toEqual([412, 'version-stale'])
    const cleared = await patch(body.id, { expiresAt: null, reason: null })
    expect(cleared.body).toMatchObject({ expiresAt: null, reason: null })
    const conditional = await patch(body.id, { condition: 'context.mfa == true' })
    expect(conditional.body.condition).toBe('context.mfa == true')
    expect([await may(), await may({ context: { mfa: true } })]).toEqual([false, true])
    for (const [change, status] of [
      [{ subject: 'user:alice' }, 400],
      [{ effect: 'deny' }, 400],
      [{ role: 'viewer' }, 400],
      [{ condition: 'context.' }, 422],
      [{ expiresAt: '2001-01-01T00:00:00Z' }, 422],
    ] as const)
      expect([change, (await patch(body.id, change)).status]).toEqual([change, status])
  })

  test('is created once for one Idempotency-Key', async () => {
    const headers = { 'idempotency-key': 'g1' }
    const [first, second] = [await create(BOB, headers), await create(BOB, headers)]
    expect([second.status, second.body, second.revision]).toEqual([201, first.body, first.revision])
    const other = await create({ ...BOB, permission: 'scenario:read' }, headers)
    expect([other.status, other.body.code]).toEqual([422, 'idempotency-key-reused'])
  })

  test('given to one person, or denied, changes nothing for another', async () => {
    await server.call(`PUT ${path}/members/dan`, { roles: ['admin'] })
    await server.call(`PUT ${path}/members/bob`, { roles: ['admin'] })
    await create({ ...BOB, effect: 'deny' })
    expect([await may(), await may({ subject: 'user:dan' })]).toEqual([false, true])
  })
})

describe('the list', () => {
  test('comes in pages, nothing missing and nothing twice', async () => {
    const made = []
    for (let index = 0; index < 7; index++)
      made.push((await create({ ...BOB, resource: `scenario:${index}` })).body.id)
    for (const limit of [1, 3, 7, 200])
      expect(
        await readPages(server, `${path}/grants?subject=user:bob`, {
          limit,
          idOf: ({ id }) => id!,
        }),
      ).toEqual(made.toSorted())
  })

  test('is narrowed by subject, resource, role and workspace', async () => {
    const ids = async (query: string) =>
      (await server.call(`GET ${path}/grants?${query}`)).body.items.map(
        ({ id }: { id: string }) => id,
      )
    const role = (await create({ subject: 'team:eng', role: 'viewer' })).body.id
    const odd = (await create({ ...BOB, resource: 'scenario:a:b/c' })).body.id
    const lab = (await create({ ...BOB, workspace: 'lab' })).body.id
    expect(await ids('subject=team:eng')).toEqual([role])
    expect(await ids('resource=scenario:a:b%2Fc')).toEqual([odd])
    expect(await ids('role=viewer')).toEqual([role])
    expect(await ids('workspace=lab')).toEqual([lab])
    expect(await ids('subject=user:bob&workspace=lab')).toEqual([lab])
    expect(await ids('subject=user:nobody')).toEqual([])
    const unknown = await server.call(`GET ${path}/grants?workspace=lav`)
    expect([unknown.status, unknown.body.code]).toEqual([422, 'workspace-unknown'])
    for (const [query, pointer] of [
      ['subject=bob', '/subject'],
      ['subject=user:%00', '/subject'],
      ['resource=%00', '/resource'],
      ['workspace=%00', '/workspace'],
      ['role=A', '/role'],
    ])
      expect((await server.call(`GET ${path}/grants?${query}`)).body.errors[0].pointer).toBe(
        pointer,
      )
  })

  test('refuses cursors and limits that are none', () => refusesGarbage(server, `${path}/grants`))
})
