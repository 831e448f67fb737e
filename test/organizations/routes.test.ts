import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { slugOf } from '../../src/organizations/service.ts'
import { type Issuer, startIssuer } from '../support/issuer.ts'
import { readPages, refusesGarbage } from '../support/paging.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let issuer: Issuer
let organization: Awaited<ReturnType<TestServer['newOrganization']>>

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
})

const unique = () => `s${Date.now().toString(36)}${Math.random().toString(36).slice(2, 8)}`
const create = (body: object, options?: Parameters<TestServer['call']>[2]) =>
  server.call('POST /v1/organizations', body, options)
const as = async (user: string, what: string, body?: unknown) =>
  server.call(what, body, { key: await issuer.tokenOf(user) })

describe('creating', () => {
  test('answers the organization as it can be read afterwards, with its ETag', async () => {
    const slug = unique()
    const created = await create({ name: '  Acme  ', slug, description: 'd', owner: 'zoe' })
    expect(created.status).toBe(201)
    expect(created.body).toMatchObject({
      slug,
      name: 'Acme',
      description: 'd',
      status: 'active',
      logo: null,
      deleteAfter: null,
      version: 1,
    })
    expect(created.body.id).toMatch(/^org_[0-9a-z]{26}$/)
    expect(created.headers.get('etag')).toBe('"1"')
    for (const reference of [slug, created.body.id]) {
      const { body } = await server.call(`GET /v1/organizations/${reference}`)
      expect(body).toEqual(created.body)
    }
    const owner = await server.call(`GET /v1/organizations/${slug}/members/zoe`)
    expect(owner.body).toMatchObject({ subject: 'user:zoe', roles: ['owner'], status: 'active' })
  })

  test.each(['plan', 'status', 'id', 'ownerId', 'revision', 'limits', 'constructor', '__proto__'])(
    'refuses the member %s: what is not offered cannot be set',
    async (member) => {
      const body = `{"name":"Acme","owner":"user:zoe","${member}":"custom"}`
      const refused = await server.call('POST /v1/organizations', body)
      expect([refused.status, refused.body.code]).toEqual([400, 'invalid-request'])
      const edited = await server.call(`PATCH ${organization.path}`, `{"${member}":"custom"}`)
      expect([edited.status, edited.body.code]).toEqual([400, 'invalid-request'])
    },
  )

  test('makes a slug of the name where it can, and asks for one where it cannot', async () => {
    const name = `Ünïversal ${unique()} & Co.`
    expect((await create({ name, owner: 'zoe' })).body.slug).toBe(slugOf(name))
    expect(slugOf(name)).toMatch(/^universal-s[a-z0-9]+-co$/)
    for (const unreadable of ['日本', '---', '!']) {
      const { status, body } = await create({ name: unreadable, owner: 'zoe' })
      expect([status, body.code, body.errors[0].pointer]).toEqual([422, 'slug-needed', '/slug'])
    }
    expect((await create({ name: '日本', slug: unique(), owner: 'zoe' })).status).toBe(201)
  })

  test.each(['v1', 'metrics', 'healthz', 'check', 'access', 'console', 'docs', 'guide', 'n8n'])(
    'keeps the slug %s for a path of ours, also where it comes from the name',
    async (slug) => {
      for (const body of [{ name: 'X', slug }, { name: slug }]) {
        const { status, body: problem } = await create({ ...body, owner: 'zoe' })
        expect([status, problem.code, problem.errors[0].pointer]).toEqual([
          409,
          'slug-unavailable',
          '/slug',
        ])
      }
    },
  )

  test.each(['', '-a', 'a-', 'A', 'a_b', 'a.b', 'xn--abc', 'a'.repeat(64), 'a\u0000', 'é'])(
    'refuses %j as a slug',
    async (slug) => {
      const { status, body } = await create({ name: 'X', slug, owner: 'zoe' })
      expect([status, body.errors[0].pointer]).toEqual([400, '/slug'])
    },
  )

  test('takes names like constructor for slugs, once each', async () => {
    for (const slug of ['constructor', 'tostring', 'hasownproperty']) {
      expect((await server.call(`GET /v1/organizations/${slug}`)).status).toBe(404)
      expect((await create({ name: slug, slug, owner: 'zoe' })).status).toBe(201)
      expect((await create({ name: slug, slug, owner: 'zoe' })).body.code).toBe('slug-unavailable')
      expect((await server.call(`GET /v1/organizations/${slug}`)).body.slug).toBe(slug)
    }
  })

  test.each([
    ['no name', {}, '/name'],
    ['an empty name', { name: '  ' }, '/name'],
    ['a long name', { name: 'x'.repeat(121) }, '/name'],
    ['half a surrogate pair', { name: '\ud800' }, '/name'],
    ['a long description', { name: 'x', description: 'd'.repeat(2001) }, '/description'],
    ['U+0000', { name: 'x', description: 'a\u0000b' }, '/description'],
    ['a team as owner', { name: 'x', owner: 'team:eng' }, '/owner'],
  ])('refuses %s', async (_, body, pointer) => {
    const { status, body: problem } = await create(body)
    expect([status, problem.errors[0].pointer]).toEqual([400, pointer])
  })

  test('asks an API key whom it is to belong to', async () => {
    const { status, body } = await create({ name: unique() })
    expect([status, body.code, body.errors[0].pointer]).toEqual([422, 'owner-needed', '/owner'])
  })

  test('is not for the keys of an organization', async () => {
    const key = await organization.keyFor({ roles: ['admin'] })
    for (const body of [{ name: 'x' }, { name: 'x', owner: 'alice' }]) {
      const { status, body: problem } = await create(body, { key })
      expect([status, problem.code, problem.permission]).toEqual([403, 'forbidden', 'org:create'])
    }
  })

  test('with an Idempotency-Key happens once, and the key is of one request', async () => {
    const headers = { 'idempotency-key': unique() }
    const body = { name: unique(), owner: 'zoe' }
    const first = await create(body, { headers })
    const second = await create(body, { headers })
    expect([first.status, second.status]).toEqual([201, 201])
    expect(second.body).toEqual(first.body)
    expect(second.revision).toBe(first.revision)
    const other = await create({ ...body, description: 'other' }, { headers })
    expect([other.status, other.body.code]).toEqual([422, 'idempotency-key-reused'])
    const elsewhere = { headers, ...{ key: await issuer.tokenOf('zoe') } }
    expect((await create({ name: unique() }, elsewhere)).status).toBe(201)
  })

  test('with a refused request takes no Idempotency-Key', async () => {
    const headers = { 'idempotency-key': unique() }
    expect((await create({ name: '日本', owner: 'zoe' }, { headers })).status).toBe(422)
    const mended = { name: '日本', slug: unique(), owner: 'zoe' }
    expect((await create(mended, { headers })).status).toBe(201)
  })

  test.each(['a b', 'x'.repeat(256)])('refuses %j as an Idempotency-Key', async (key) => {
    const request = { headers: { 'idempotency-key': key } }
    const { status, body } = await create({ name: unique(), owner: 'zoe' }, request)
    expect([status, body.code]).toEqual([400, 'idempotency-key-invalid'])
  })
})

describe('editing', () => {
  test('leaves what is not named', async () => {
    const logo = 'https://example.com/logo.svg'
    const { path } = organization
    const described = await server.call(`PATCH ${path}`, { description: 'all of us', logo })
    const renamed = await server.call(`PATCH ${path}`, { name: 'Renamed' })
    expect(renamed.body).toMatchObject({
      name: 'Renamed',
      description: 'all of us',
      logo,
      slug: organization.slug,
      version: described.body.version + 1,
    })
    expect((await server.call(`PATCH ${path}`, { logo: null })).body.logo).toBe(null)
    const before = (await server.call(`GET ${path}`)).body
    expect((await server.call(`PATCH ${path}`, {})).body).toEqual(before)
  })

  test('of an older version is refused, of the present one made', async () => {
    const { path } = organization
    const { headers } = await server.call(`GET ${path}`)
    const ifMatch = { 'if-match': headers.get('etag')! }
    expect((await server.call(`PATCH ${path}`, { name: 'B' }, { headers: ifMatch })).status).toBe(
      200,
    )
    const stale = await server.call(`PATCH ${path}`, { name: 'C' }, { headers: ifMatch })
    expect([stale.status, stale.body.code]).toEqual([412, 'version-stale'])
    const deletion = await server.call(`DELETE ${path}`, undefined, { headers: ifMatch })
    expect(deletion.status).toBe(412)
    for (const header of ['"abc"', '1', 'W/', '"1", "2"']) {
      const none = await server.call(
        `PATCH ${path}`,
        { name: 'C' },
        { headers: { 'if-match': header } },
      )
      expect([header, none.status]).toEqual([header, 412])
    }
    const any = await server.call(`PATCH ${path}`, { name: 'D' }, { headers: { 'if-match': '*' } })
    expect(any.status).toBe(200)
  })

  test.each([
    ['an address that is not https', { logo: 'http://example.com/x.png' }, '/logo'],
    ['an address with U+0000', { logo: 'https://example.com/\u0000' }, '/logo'],
    ['null as a name', { name: null }, '/name'],
    ['null as a slug', { slug: null }, '/slug'],
  ])('refuses %s', async (_, patch, pointer) => {
    const { status, body } = await server.call(`PATCH ${organization.path}`, patch)
    expect([status, body.errors[0].pointer]).toEqual([400, pointer])
  })

  test('of the slug keeps the old one for this organization', async () => {
    const slug = unique()
    expect((await server.call(`PATCH ${organization.path}`, { slug })).body.slug).toBe(slug)
    expect((await server.call(`GET ${organization.path}`)).status).toBe(404)
    const path = `/v1/organizations/${slug}`
    expect((await server.call(`GET ${path}`)).body.id).toBe(organization.id)
    const taken = await create({ name: 'Squatter', slug: organization.slug, owner: 'zoe' })
    expect([taken.status, taken.body.code]).toEqual([409, 'slug-unavailable'])
    const other = await server.newOrganization()
    const moved = await server.call(`PATCH ${other.path}`, { slug: organization.slug })
    expect([moved.status, moved.body.code]).toEqual([409, 'slug-unavailable'])
    const back = await server.call(`PATCH ${path}`, { slug: organization.slug })
    expect([back.status, back.body.slug]).toEqual([200, organization.slug])
  })

  test('of the slug changes neither who is asked nor what is decided', async () => {
    const ask = async (reference: string) =>
      server.call('POST /check', {
        organization: reference,
        subject: 'user:alice',
        permission: 'scenario:read',
      })
    expect((await ask(organization.slug)).body.allowed).toBe(true)
    const slug = unique()
    await server.call(`PATCH ${organization.path}`, { slug })
    expect((await ask(slug)).body.allowed).toBe(true)
    expect((await ask(organization.slug)).status).toBe(404)
    expect((await ask(organization.id)).body.allowed).toBe(true)
  })
})

describe('deleting', () => {
  test('denies at once, keeps slug and rows, and is taken back by an owner', async () => {
    const { path, slug } = organization
    const deleted = await as('alice', `DELETE ${path}`)
    expect([deleted.status, deleted.body.status]).toEqual([200, 'pending_deletion'])
    const days = (Date.parse(deleted.body.deleteAfter) - Date.now()) / 86_400_000
    expect(Math.round(days)).toBe(30)
    const question = { organization: slug, subject: 'user:alice', permission: 'scenario:read' }
    const denied = await server.call('POST /check', question)
    expect(denied.body).toMatchObject({ allowed: false, code: 'suspended' })
    const squatter = await create({ name: 'x', slug, owner: 'zoe' })
    expect(squatter.body.code).toBe('slug-unavailable')
    const change = await as('alice', `PATCH ${path}`, { name: 'X' })
    expect([change.status, change.body.code]).toEqual([409, 'organization-suspended'])
    const restored = await as('alice', `POST ${path}/reactivate`)
    expect(restored.body).toMatchObject({ status: 'active', deleteAfter: null })
    expect((await server.call('POST /check', question)).body.allowed).toBe(true)
  })

  test('for good leaves a tombstone: the slug is not given away', async () => {
    await server.sql`delete from organizations where id = ${organization.id}`
    const { status, body } = await create({ name: 'x', slug: organization.slug, owner: 'zoe' })
    expect([status, body.code]).toEqual([409, 'slug-unavailable'])
    expect((await server.call(`GET ${organization.path}`)).status).toBe(404)
  })

  test('is for those who hold org:delete', async () => {
    await server.call(`PUT ${organization.path}/members/carol`, { roles: ['admin'] })
    const { status, body } = await as('carol', `DELETE ${organization.path}`)
    expect([status, body.permission]).toEqual([403, 'org:delete'])
  })
})

describe('a suspended organization', () => {
  const suspend = (body: object = { reason: 'abuse' }) =>
    server.call(`POST ${organization.path}/suspend`, body)

  test('refuses its own keys with a code that says why', async () => {
    const key = await organization.keyFor({ roles: ['admin'] })
    const question = {
      organization: organization.slug,
      subject: 'user:alice',
      permission: 'scenario:read',
    }
    await suspend()
    const answers = await Promise.all([
      server.call('POST /check', question, { key }),
      server.call(`GET ${organization.path}/members`, undefined, { key }),
      server.call(`POST ${organization.path}/grants`, {}, { key }),
      server.call(`POST /${organization.slug}/access/v1/evaluation`, {}, { key }),
    ])
    for (const { status, body } of answers)
      expect([status, body.code]).toEqual([403, 'organization-suspended'])
    expect((await server.call('POST /check', question)).body).toMatchObject({ code: 'suspended' })
    await server.call(`POST ${organization.path}/reactivate`)
    expect((await server.call('POST /check', question, { key })).body.allowed).toBe(true)
  })

  test('is read by its owner and by nobody else of its own, and changed by none of them', async () => {
    await server.call(`PUT ${organization.path}/members/carol`, { roles: ['admin'] })
    await suspend()
    expect((await as('alice', `GET ${organization.path}`)).body.status).toBe('suspended')
    const carol = await as('carol', `GET ${organization.path}`)
    expect([carol.status, carol.body.code]).toEqual([403, 'organization-suspended'])
    const change = await as('alice', `PUT ${organization.path}/members/zoe`, { roles: [] })
    expect([change.status, change.body.code]).toEqual([409, 'organization-suspended'])
    expect((await as('zoe', `GET ${organization.path}`)).status).toBe(404)
  })

  test('is opened by the platform, not by its owner', async () => {
    await suspend()
    const { status, body } = await as('alice', `POST ${organization.path}/reactivate`)
    expect([status, body.permission]).toEqual([403, 'org:suspend'])
    const opened = await server.call(`POST ${organization.path}/reactivate`)
    expect(opened.body).toMatchObject({ status: 'active', statusReason: null })
    expect((await as('alice', `PATCH ${organization.path}`, { name: 'X' })).status).toBe(200)
  })

  test('for unpaid bills decides, and refuses changes', async () => {
    const answer = await suspend({ level: 'read_only', reason: 'unpaid' })
    expect(answer.body).toMatchObject({ status: 'read_only', statusReason: 'unpaid' })
    const question = {
      organization: organization.slug,
      subject: 'user:alice',
      permission: 'scenario:read',
    }
    expect((await server.call('POST /check', question)).body.allowed).toBe(true)
    const change = await as('alice', `PATCH ${organization.path}`, { name: 'X' })
    expect([change.status, change.body.code]).toEqual([409, 'organization-read-only'])
  })

  test('can be suspended by operators only, and needs a reason', async () => {
    const owner = await as('alice', `POST ${organization.path}/suspend`, { reason: 'x' })
    expect([owner.status, owner.body.permission]).toEqual([403, 'org:suspend'])
    for (const [body, pointer] of [
      [{}, '/reason'],
      [{ reason: ' ' }, '/reason'],
      [{ reason: 'a\u0000' }, '/reason'],
      [{ reason: 'x', level: 'gone' }, '/level'],
    ] as const) {
      const refused = await suspend(body)
      expect([refused.status, refused.body.errors[0].pointer]).toEqual([400, pointer])
    }
  })
})

describe('a reference that cannot be one', () => {
  test.each(['a%00', '%00', 'a%2Fb', '%F0%9F%98%80', '%ED%A0%80', 'A', 'a b', 'x'.repeat(300)])(
    'is unknown: %s',
    async (reference) => {
      for (const what of [
        `GET /v1/organizations/${reference}`,
        `GET /v1/organizations/${reference}/members`,
      ]) {
        const { status, body } = await server.call(what)
        expect([what, status, body.code]).toEqual([what, 404, 'organization-not-found'])
      }
    },
  )
  test.each(['a\u0000', '', 'A', '\ud800', 'a b', 'x'.repeat(65)])(
    'is refused in a question: %j',
    async (reference) => {
      const question = { subject: 'user:alice', permission: 'scenario:read' }
      const body = { organization: reference, ...question }
      const { status, body: problem } = await server.call('POST /check', body)
      expect([status, problem.errors[0].pointer]).toEqual([400, '/organization'])
      const asked = { ...question, organization: organization.slug, workspace: reference }
      const workspace = await server.call('POST /check', asked)
      expect([workspace.status, workspace.body.errors[0].pointer]).toEqual([400, '/workspace'])
      const batch = await server.call('POST /check/batch', { checks: [body] })
      expect(batch.body.results[0].error.status).toBe(400)
    },
  )
  test('is unknown among workspaces, too', async () => {
    for (const reference of ['a%00', '__proto__', 'constructor', 'nowhere']) {
      const { status, body } = await server.call(`GET ${organization.path}/workspaces/${reference}`)
      expect([status, body.code]).toEqual([404, 'workspace-not-found'])
    }
  })
})

describe('the list', () => {
  test('shows a person their own, in pages', async () => {
    const owner = unique()
    const made = []
    for (let index = 0; index < 5; index++)
      made.push((await server.newOrganization(`user:${owner}`)).id)
    const key = await issuer.tokenOf(owner)
    const caller = {
      call: (what: string, body?: unknown) => server.call(what, body, { key }),
    }
    for (const limit of [1, 2, 5, 200]) {
      const ids = await readPages(caller, '/v1/organizations', { limit, idOf: ({ id }) => id! })
      expect(ids).toEqual([...made].sort())
    }
  })

  test('shows a key the organization it belongs to, and no other of its member', async () => {
    await server.newOrganization()
    const personal = await as('alice', `POST ${organization.path}/api-keys`, {
      name: 'mine',
      personal: true,
    })
    for (const key of [await organization.keyFor({ roles: ['viewer'] }), personal.body.secret]) {
      const { body } = await server.call('GET /v1/organizations', undefined, { key })
      expect(body.items.map(({ id }: { id: string }) => id)).toEqual([organization.id])
      expect(body.nextCursor).toBe(null)
    }
  })

  test('shows an operator all of them', async () => {
    const ids = await readPages(server, '/v1/organizations', { limit: 7, idOf: ({ id }) => id! })
    const rows = await server.sql`select id from organizations order by id`
    expect(ids).toEqual(rows.map(({ id }) => id))
  })

  test('refuses cursors and limits that are none', () =>
    refusesGarbage(server, '/v1/organizations'))
})
