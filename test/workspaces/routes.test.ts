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

const create = (body: object, headers = {}) =>
  server.call(`POST ${path}/workspaces`, body, { headers })
const at = (what: string, rest = '', body?: unknown, headers = {}) =>
  server.call(`${what} ${path}/workspaces/${rest}`, body, { headers })
const may = async (subject: string, permission: string, more: object = {}) =>
  (
    await server.call('POST /check', {
      organization: organization.slug,
      subject,
      permission,
      ...more,
    })
  ).body.allowed

describe('a workspace', () => {
  test('is created and read by id and slug', async () => {
    const created = await create({ name: 'Übung 1' })
    expect([created.status, created.headers.get('etag')]).toEqual([201, '"1"'])
    expect(created.body).toMatchObject({ slug: 'ubung-1', name: 'Übung 1', version: 1 })
    for (const reference of [created.body.id, 'ubung-1'])
      expect((await at('GET', reference)).body).toEqual(created.body)
  })

  test('needs a slug where none can be made of its name', async () => {
    const { status, body } = await create({ name: '日本' })
    expect([status, body.code, body.errors[0].pointer]).toEqual([422, 'slug-needed', '/slug'])
    expect((await create({ name: '日本', slug: 'japan' })).status).toBe(201)
  })

  test('has a slug of its own in the organization', async () => {
    await create({ name: 'Lab', slug: 'lab' })
    const other = await server.newOrganization()
    const elsewhere = await server.call(`POST ${other.path}/workspaces`, { name: 'L', slug: 'lab' })
    expect(elsewhere.status).toBe(201)
    await create({ name: 'Two', slug: 'two' })
    for (const twin of [await create({ name: 'Lab' }), await at('PATCH', 'two', { slug: 'lab' })])
      expect([twin.status, twin.body.code, twin.body.errors[0].pointer]).toEqual([
        409,
        'workspace-exists',
        '/slug',
      ])
    expect((await at('GET', 'lab')).body.id).not.toBe(elsewhere.body.id)
    expect((await at('GET', elsewhere.body.id)).body.code).toBe('workspace-not-found')
  })

  test.each([
    ['no name', {}, '/name'],
    ['an empty name', { name: ' ' }, '/name'],
    ['a bad slug', { name: 'x', slug: 'A' }, '/slug'],
    ['an id', { name: 'x', id: 'wsp_1' }, '/id'],
  ])('refuses %s', async (_, body, pointer) => {
    const { status, body: problem } = await create(body)
    expect([status, problem.errors[0].pointer]).toEqual([400, pointer])
  })

  test('is edited by PATCH in what is named, not against an older version', async () => {
    await create({ name: 'Lab', slug: 'lab' })
    const first = { 'if-match': '"1"' }
    const renamed = await at('PATCH', 'lab', { name: 'Laboratory' }, first)
    expect(renamed.body).toMatchObject({ name: 'Laboratory', slug: 'lab', version: 2 })
    expect((await at('PATCH', 'lab', {})).body).toEqual(renamed.body)
    for (const stale of [
      await at('PATCH', 'lab', { name: 'B' }, first),
      await at('DELETE', 'lab', undefined, first),
    ])
      expect([stale.status, stale.body.code]).toEqual([412, 'version-stale'])
    expect((await at('PATCH', 'lab', { slug: 'new' })).body.slug).toBe('new')
    expect((await at('GET', 'lab')).status).toBe(404)
    expect((await at('GET', 'new')).body.id).toBe(renamed.body.id)
  })

  test('with anything in it is deleted only by its name, and takes it along', async () => {
    await create({ name: 'Lab & Co', slug: 'lab' })
    await server.call(`PUT ${path}/members/bob`, { roles: [] })
    await at('PUT', 'lab/members/bob', { roles: ['admin'] })
    await server.call(`PUT ${path}/resources/model/m1`, { workspace: 'lab' })
    for (const confirm of ['', '?confirm=lab', '?confirm=%00']) {
      const { status, body } = await at('DELETE', `lab${confirm}`)
      expect([status, body.code, body.ends]).toEqual([
        409,
        'confirmation-needed',
        { resources: 1, grants: 1, members: 1, invitations: 0 },
      ])
    }
    expect(await may('user:bob', 'model:deploy', { resource: 'model:m1' })).toBe(true)
    expect((await at('DELETE', `lab?confirm=${encodeURIComponent('Lab & Co')}`)).status).toBe(204)
    expect((await at('GET', 'lab')).status).toBe(404)
    expect((await server.call(`GET ${path}/resources/model/m1`)).status).toBe(404)
    expect(await may('user:bob', 'model:deploy', { resource: 'model:m1' })).toBe(false)
    await create({ name: 'Lab', slug: 'lab' })
    expect((await at('GET', 'lab/members')).body.items).toEqual([])
  })

  test('that is empty is deleted as it is', async () => {
    await create({ name: 'Lab', slug: 'lab' })
    expect((await at('DELETE', 'lab')).status).toBe(204)
    const again = await at('DELETE', 'lab')
    expect([again.status, again.body.code]).toEqual([404, 'workspace-not-found'])
  })

  test('is created once for one Idempotency-Key', async () => {
    const headers = { 'idempotency-key': 'w1' }
    const first = await create({ name: 'Lab' }, headers)
    const second = await create({ name: 'Lab' }, headers)
    expect([second.status, second.body]).toEqual([201, first.body])
    expect((await create({ name: 'Two' }, headers)).body.code).toBe('idempotency-key-reused')
    expect((await server.call(`GET ${path}/workspaces`)).body.items).toHaveLength(1)
    const other = await server.newOrganization()
    const elsewhere = await server.call(
      `POST ${other.path}/workspaces`,
      { name: 'Lab' },
      { headers },
    )
    expect([elsewhere.status, elsewhere.body.code]).toEqual([422, 'idempotency-key-reused'])
  })
})

describe('a member of a workspace', () => {
  beforeEach(async () => {
    await create({ name: 'Lab', slug: 'lab' })
    await server.call(`PUT ${path}/members/bob`, { roles: [] })
  })

  test('has exactly the roles that are set, there and nowhere else', async () => {
    await create({ name: 'Two', slug: 'two' })
    const set = await at('PUT', 'lab/members/bob', { roles: ['moderator', 'admin'] })
    expect([set.status, set.body]).toEqual([
      200,
      { subject: 'user:bob', roles: ['admin', 'moderator'] },
    ])
    expect(await may('user:bob', 'model:deploy', { workspace: 'lab' })).toBe(true)
    expect(await may('user:bob', 'model:deploy', { workspace: 'two' })).toBe(false)
    expect(await may('user:bob', 'model:deploy')).toBe(false)
    await at('PUT', 'lab/members/bob', { roles: ['guest'] })
    expect((await at('GET', 'lab/members')).body.items).toEqual([
      { subject: 'user:bob', roles: ['guest'] },
    ])
    expect(await may('user:bob', 'model:deploy', { workspace: 'lab' })).toBe(false)
    expect((await at('PUT', 'lab/members/bob', { roles: [] })).body.roles).toEqual([])
    const gone = await at('DELETE', 'lab/members/bob')
    expect([gone.status, gone.body.code]).toEqual([404, 'workspace-member-not-found'])
  })

  test('holds the workspace’s role where a name exists twice', async () => {
    await at('PUT', 'lab/members/bob', { roles: ['admin'] })
    const { body } = await server.call(`GET ${path}/grants?subject=user:bob`)
    expect(body.items[0]).toMatchObject({ role: 'admin', workspace: 'lab' })
    expect(await may('user:bob', 'model:deploy', { workspace: 'lab' })).toBe(true)
    expect(await may('user:bob', 'scenario:delete', { workspace: 'lab' })).toBe(false)
    await at('PUT', 'lab/members/bob', { roles: ['manager'] })
    expect(await may('user:bob', 'scenario:share', { workspace: 'lab' })).toBe(true)
    expect(await may('user:bob', 'scenario:share')).toBe(false)
  })

  test('is a member of the organization', async () => {
    const { status, body } = await at('PUT', 'lab/members/eve', { roles: ['guest'] })
    expect([status, body.code, body.errors[0].pointer]).toEqual([422, 'member-unknown', '/user'])
  })

  test('has roles that exist', async () => {
    const { status, body } = await at('PUT', 'lab/members/bob', { roles: ['guest', 'moderatr'] })
    expect([status, body.code, body.errors[0].pointer]).toEqual([422, 'role-unknown', '/roles/1'])
    expect(body.detail).toContain('Did you mean moderator?')
  })

  test('whose role is over is none, and gets it anew', async () => {
    const grant = { subject: 'user:bob', role: 'admin', workspace: 'lab' }
    const expiresAt = new Date(Date.now() + 400).toISOString()
    await server.call(`POST ${path}/grants`, { ...grant, expiresAt })
    expect((await at('GET', 'lab/members')).body.items).toHaveLength(1)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect((await at('GET', 'lab/members')).body.items).toEqual([])
    expect((await at('PUT', 'lab/members/bob', { roles: ['admin'] })).status).toBe(200)
    expect(await may('user:bob', 'model:deploy', { workspace: 'lab' })).toBe(true)
  })

  test('keeps what grants give on resources and under conditions', async () => {
    const grant = { subject: 'user:bob', role: 'moderator', workspace: 'lab' }
    await server.call(`POST ${path}/grants`, { ...grant, condition: 'context.mfa == true' })
    await server.call(`POST ${path}/grants`, { ...grant, resource: 'conversation:1' })
    await at('PUT', 'lab/members/bob', { roles: ['guest'] })
    await at('DELETE', 'lab/members/bob')
    const { body } = await server.call(`GET ${path}/grants?subject=user:bob`)
    expect(body.items).toHaveLength(2)
  })
})

describe('the lists', () => {
  test('come in pages, nothing missing and nothing twice', async () => {
    const slugs = ['b', 'a', 'a-b', 'a0', 'constructor']
    for (const slug of slugs) await create({ name: slug, slug })
    for (const limit of [1, 2, 5, 200]) {
      const found = await readPages(server, `${path}/workspaces`, {
        limit,
        idOf: ({ slug }) => slug!,
      })
      expect(found).toEqual(slugs.toSorted())
    }
    for (const user of ['c', 'b', 'a']) {
      await server.call(`PUT ${path}/members/${user}`, { roles: [] })
      await at('PUT', `a/members/${user}`, { roles: ['guest', 'user'] })
    }
    const members = await readPages(server, `${path}/workspaces/a/members`, {
      limit: 2,
      idOf: ({ subject }) => subject!,
    })
    expect(members).toEqual(['user:a', 'user:b', 'user:c'])
  })

  test('refuse cursors and limits that are none', async () => {
    await create({ name: 'Lab', slug: 'lab' })
    await refusesGarbage(server, `${path}/workspaces`)
    await refusesGarbage(server, `${path}/workspaces/lab/members`)
  })
})
