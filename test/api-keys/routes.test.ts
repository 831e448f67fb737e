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

const create = (body: object, headers = {}) =>
  server.call(`POST ${path}/api-keys`, { name: 'ci', ...body }, { headers })
const as = async (user: string, what: string, body?: unknown) =>
  server.call(what, body, { key: await issuer.tokenOf(user) })
const ask = (key: string, permission = 'scenario:read') =>
  server.call(
    'POST /check',
    { organization: organization.slug, subject: 'user:alice', permission },
    { key },
  )
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe('a key', () => {
  test('is shown once with its secret, and is a subject of its own', async () => {
    const { status, body, headers } = await create({ roles: ['manager'] })
    expect([status, headers.get('etag')]).toEqual([201, '"1"'])
    const { secret, ...shown } = body
    expect(secret).toMatch(/^lk_[0-9a-z]{26}_[\w-]{43}$/)
    expect(shown).toMatchObject({ name: 'ci', roles: ['manager'], permissions: [], member: null })
    expect((await server.call(`GET ${path}/api-keys/${body.id}`)).body).toEqual(shown)
    expect((await server.call(`GET ${path}/api-keys`)).body.items).toEqual([shown])
    expect((await ask(secret)).body.allowed).toBe(true)
    const itself = await server.call('POST /check', {
      organization: organization.slug,
      subject: `key:${body.id}`,
      permission: 'scenario:share',
    })
    expect(itself.body.allowed).toBe(true)
  })

  test('is stored as a hash, and its secret is in no event', async () => {
    const { body } = await create({ roles: ['viewer'] })
    const rotated = await server.call(`POST ${path}/api-keys/${body.id}/rotate`, {})
    const rows = await server.sql`
      select to_jsonb(k)::text as text from api_keys k
      union all select body from audit_events union all select answer::text from idempotency_keys`
    for (const secret of [body.secret, rotated.body.secret])
      expect(rows.filter(({ text }) => text?.includes(secret))).toEqual([])
  })

  test('does what it was given and nothing else', async () => {
    const { secret } = (await create({ permissions: ['decision:check', 'team:read'] })).body
    expect((await ask(secret)).status).toBe(200)
    expect((await server.call(`GET ${path}/teams`, undefined, { key: secret })).status).toBe(200)
    const refused = await server.call(`GET ${path}/members`, undefined, { key: secret })
    expect([refused.status, refused.body.permission]).toEqual([403, 'org:read'])
  })

  test('is not shown again for the same Idempotency-Key', async () => {
    const headers = { 'idempotency-key': 'k1' }
    const first = await create({ roles: ['viewer'] }, headers)
    const second = await create({ roles: ['viewer'] }, headers)
    const { secret, ...shown } = first.body
    expect(secret).toBeTruthy()
    expect([second.status, second.body]).toEqual([201, shown])
    const other = await create({ roles: ['admin'] }, headers)
    expect([other.status, other.body.code]).toEqual([422, 'idempotency-key-reused'])
    expect((await server.call(`GET ${path}/api-keys`)).body.items).toHaveLength(1)
  })

  test.each([
    ['nothing to hold', {}, 400, 'invalid-request', ''],
    ['no name', { name: ' ', roles: ['viewer'] }, 400, 'invalid-request', '/name'],
    ['an unknown role', { roles: ['viewer', 'viewr'] }, 422, 'role-unknown', '/roles/1'],
    ['a role of workspaces', { roles: ['user'] }, 422, 'role-unknown', '/roles/0'],
    ['a role of the platform', { roles: ['super_admin'] }, 422, 'role-unknown', '/roles/0'],
    [
      'an unknown permission',
      { permissions: ['scenario:raed'] },
      422,
      'permission-unknown',
      '/permissions/0',
    ],
    [
      'a permission of the platform',
      { permissions: ['system:admin'] },
      422,
      'permission-too-wide',
      '/permission',
    ],
    [
      'an end in the past',
      { roles: ['viewer'], expiresAt: '2001-01-01T00:00:00Z' },
      422,
      'expiry-past',
      '/expiresAt',
    ],
    ['a member', { roles: ['viewer'], member: 'user:alice' }, 400, 'invalid-request', '/member'],
    ['a secret', { roles: ['viewer'], secret: 'x' }, 400, 'invalid-request', '/secret'],
    ['restricted', { personal: true, restricted: false }, 400, 'invalid-request', '/restricted'],
  ])('refuses %s', async (_, body, status, code, pointer) => {
    const answer = await create(body)
    expect([answer.status, answer.body.code, answer.body.errors[0].pointer]).toEqual([
      status,
      code,
      pointer,
    ])
  })

  test('of another organization, or none, is not found', async () => {
    const other = await server.newOrganization()
    const theirs = await server.call(`POST ${other.path}/api-keys`, {
      name: 'k',
      roles: ['viewer'],
    })
    for (const id of [theirs.body.id, `key_${'0'.repeat(26)}`])
      for (const what of [`GET ${path}/api-keys/${id}`, `DELETE ${path}/api-keys/${id}`]) {
        const { status, body } = await server.call(what)
        expect([what, status, body.code]).toEqual([what, 404, 'api-key-not-found'])
      }
    const rotate = await server.call(`POST ${path}/api-keys/${theirs.body.id}/rotate`, {})
    expect(rotate.body.code).toBe('api-key-not-found')
    expect((await server.call(`GET ${path}/api-keys/x`)).body.errors[0].pointer).toBe('/id')
  })

  test('that is revoked is refused at once, and stays revoked', async () => {
    const { id, secret } = (await create({ roles: ['admin'] })).body
    expect((await ask(secret)).status).toBe(200)
    expect((await server.call(`DELETE ${path}/api-keys/${id}`)).status).toBe(204)
    const refused = await ask(secret)
    expect([refused.status, refused.body.code]).toEqual([401, 'unauthenticated'])
    const rotated = await server.call(`POST ${path}/api-keys/${id}/rotate`, {})
    expect([rotated.status, rotated.body.code]).toEqual([409, 'api-key-revoked'])
    expect((await server.call(`GET ${path}/api-keys/${id}`)).body.revokedAt).toBeTruthy()
  })

  test('is refused from the instant of its end', async () => {
    const expiresAt = new Date(Date.now() + 500).toISOString()
    const { secret } = (await create({ roles: ['admin'], expiresAt })).body
    expect((await ask(secret)).status).toBe(200)
    await wait(600)
    expect((await ask(secret)).status).toBe(401)
  })

  test('is rotated: the old secret ends at once, or after the overlap', async () => {
    const { id, secret } = (await create({ roles: ['admin'] })).body
    const rotate = (body: object) => server.call(`POST ${path}/api-keys/${id}/rotate`, body)
    const second = (await rotate({})).body.secret
    expect([(await ask(secret)).status, (await ask(second)).status]).toEqual([401, 200])
    const third = (await rotate({ overlapSeconds: 1 })).body.secret
    expect([(await ask(second)).status, (await ask(third)).status]).toEqual([200, 200])
    await wait(1100)
    expect([(await ask(second)).status, (await ask(third)).status]).toEqual([401, 200])
    for (const overlapSeconds of [-1, 604_801, 1.5, '1'])
      expect((await rotate({ overlapSeconds })).body.errors[0].pointer).toBe('/overlapSeconds')
  })

  test('is not changed against an older version', async () => {
    const { id } = (await create({ roles: ['viewer'] })).body
    const headers = { 'if-match': '"1"' }
    const rotate = () => server.call(`POST ${path}/api-keys/${id}/rotate`, {}, { headers })
    expect((await rotate()).status).toBe(200)
    const removal = await server.call(`DELETE ${path}/api-keys/${id}`, undefined, { headers })
    for (const stale of [await rotate(), removal])
      expect([stale.status, stale.body.code]).toEqual([412, 'version-stale'])
  })

  test('can be presented in X-API-Key, and not with one letter changed', async () => {
    const { secret } = (await create({ roles: ['admin'] })).body
    const list = (headers: Record<string, string>) =>
      server.call(`GET ${path}/teams`, undefined, { key: null, headers })
    expect((await list({ 'x-api-key': secret })).status).toBe(200)
    const last = secret.at(-1) === 'A' ? 'B' : 'A'
    for (const wrong of [`${secret.slice(0, -1)}${last}`, secret.slice(0, -1), `${secret}A`, ''])
      expect((await list({ 'x-api-key': wrong })).status).toBe(401)
    for (const authorization of [`Basic ${secret}`, secret, 'Bearer', `Bearer ${'x'.repeat(9000)}`])
      expect((await list({ authorization, 'x-api-key': secret })).status).toBe(401)
  })
})

describe('a personal key', () => {
  const personal = async (user: string, body: object = {}) =>
    as(user, `POST ${path}/api-keys`, { name: 'mine', personal: true, ...body })

  beforeEach(async () => {
    await server.call(`PUT ${path}/members/bob`, { roles: ['admin'] })
  })

  test('is its member, and holds what the member holds, now and later', async () => {
    const { body } = await personal('bob')
    expect(body).toMatchObject({ member: 'user:bob', roles: [], permissions: [] })
    const key = body.secret
    const team = (slug: string) => server.call(`PUT ${path}/teams/${slug}`, {}, { key })
    expect((await team('one')).status).toBe(201)
    const [event] = await server.sql`
      select actor, api_key_id from audit_events where log = ${organization.id} and event = 'team.created'`
    expect(event).toEqual({ actor: 'user:bob', apiKeyId: body.id })
    await server.call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
    const refused = await team('two')
    expect([refused.status, refused.body.permission]).toEqual([403, 'team:manage'])
  })

  test('that is restricted holds what both it and its member hold', async () => {
    const { body } = await personal('bob', { permissions: ['team:read', 'team:manage'] })
    const key = body.secret
    expect((await server.call(`GET ${path}/teams`, undefined, { key })).status).toBe(200)
    expect((await server.call(`GET ${path}/members`, undefined, { key })).status).toBe(403)
    await server.call(`PUT ${path}/members/bob`, { roles: ['member'] })
    expect((await server.call(`GET ${path}/teams`, undefined, { key })).status).toBe(200)
    expect((await server.call(`PUT ${path}/teams/x`, {}, { key })).status).toBe(403)
  })

  test('that is restricted gives no more than it holds, whatever its member holds', async () => {
    const { secret: key } = (await personal('bob', { permissions: ['role:assign', 'team:read'] }))
      .body
    const give = (permission: string) =>
      server.call(`POST ${path}/grants`, { subject: 'user:alice', permission }, { key })
    expect((await give('team:read')).status).toBe(201)
    expect((await give('team:manage')).body.code).toBe('above-ceiling')
  })

  test('that is restricted gets no secret of a freer one, but may renew itself', async () => {
    const free = (await personal('bob')).body
    const held = ['apikey:manage', 'apikey:read']
    const bound = (await personal('bob', { permissions: held })).body
    const rotate = (id: string, key: string) =>
      server.call(`POST ${path}/api-keys/${id}/rotate`, {}, { key })
    const refused = await rotate(free.id, bound.secret)
    expect([refused.status, refused.body.code]).toEqual([403, 'person-required'])
    const made = await server.call(
      `POST ${path}/api-keys`,
      { name: 'x', personal: true },
      { key: bound.secret },
    )
    expect([made.status, made.body.code]).toEqual([403, 'person-required'])
    const renewed = await rotate(bound.id, bound.secret)
    expect(renewed.status).toBe(200)
    expect((await rotate(bound.id, free.secret)).status).toBe(200)
  })

  test('is made and renewed by its member only', async () => {
    const byKey = await create({ personal: true })
    expect([byKey.status, byKey.body.code]).toEqual([403, 'person-required'])
    const { id } = (await personal('bob')).body
    const byOwner = await as('alice', `POST ${path}/api-keys/${id}/rotate`, {})
    expect([byOwner.status, byOwner.body.code]).toEqual([403, 'person-required'])
    expect((await as('alice', `DELETE ${path}/api-keys/${id}`)).status).toBe(204)
  })

  test('acts inside its organization only', async () => {
    const { secret: key } = (await personal('bob')).body
    const other = await server.newOrganization()
    await server.call(`PUT ${other.path}/members/bob`, { roles: ['admin'] })
    expect((await server.call(`GET ${other.path}`, undefined, { key })).status).toBe(404)
    const founded = await server.call('POST /v1/organizations', { name: 'Mine' }, { key })
    expect([founded.status, founded.body.permission]).toEqual([403, 'org:create'])
  })

  test('of a suspended member is refused, until the member is let in again', async () => {
    const { secret: key } = (await personal('bob')).body
    const list = () => server.call(`GET ${path}/members`, undefined, { key })
    expect((await list()).status).toBe(200)
    await server.call(`PATCH ${path}/members/bob`, { status: 'suspended' })
    expect((await list()).status).toBe(403)
    await server.call(`PATCH ${path}/members/bob`, { status: 'active' })
    expect((await list()).status).toBe(200)
  })

  test('ends with its member, also where the member returns', async () => {
    const { id, secret: key } = (await personal('bob')).body
    const list = () => server.call(`GET ${path}/members`, undefined, { key })
    expect((await list()).status).toBe(200)
    await server.call(`DELETE ${path}/members/bob`)
    expect((await list()).status).toBe(401)
    await server.call(`PUT ${path}/members/bob`, { roles: ['admin'] })
    expect((await list()).status).toBe(401)
    expect((await server.call(`GET ${path}/api-keys/${id}`)).status).toBe(404)
  })

  test('lets its member leave, if it is not restricted', async () => {
    const bound = (await personal('bob', { permissions: ['team:read'] })).body.secret
    const free = (await personal('bob')).body.secret
    const leave = (key: string) => server.call(`POST ${path}/leave`, undefined, { key })
    expect([(await leave(bound)).status, (await leave(free)).status]).toEqual([404, 204])
    expect((await leave(free)).status).toBe(401)
  })
})

describe('the list', () => {
  test('comes in pages, nothing missing and nothing twice', async () => {
    const made = []
    for (let index = 0; index < 5; index++)
      made.push((await create({ name: `k${index}`, roles: ['viewer'] })).body.id)
    for (const limit of [1, 2, 5, 200])
      expect(await readPages(server, `${path}/api-keys`, { limit, idOf: ({ id }) => id! })).toEqual(
        made.toSorted(),
      )
  })

  test('refuses cursors and limits that are none', () => refusesGarbage(server, `${path}/api-keys`))
})
