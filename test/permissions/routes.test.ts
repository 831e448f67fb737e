import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readPages, refusesGarbage } from '../support/paging.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())

const unique = () => `t${Math.random().toString(36).slice(2, 10)}`
const register = (body: object, headers = {}) =>
  server.call('POST /v1/permissions', body, { headers })
const putType = (type: string, body: object = { strict: false }) =>
  server.call(`PUT /v1/resource-types/${encodeURIComponent(type)}`, body)

describe('a permission', () => {
  test('is registered with its type, and can be held and asked at once', async () => {
    const type = unique()
    const made = await register({ key: `${type}:a:b`, scope: 'workspace', description: 'does' })
    expect([made.status, made.body]).toEqual([
      201,
      {
        key: `${type}:a:b`,
        resourceType: type,
        scope: 'workspace',
        pack: 'custom',
        description: 'does',
      },
    ])
    const { path, slug } = await server.newOrganization()
    await server.call(`PUT ${path}/members/bob`, { roles: [] })
    const grant = { subject: 'user:bob', permission: `${type}:a:b`, resource: `${type}:1` }
    expect((await server.call(`POST ${path}/grants`, grant)).status).toBe(201)
    const asked = await server.call('POST /check', { organization: slug, ...grant })
    expect(asked.body.allowed).toBe(true)
    const types = await server.call('GET /v1/resource-types?limit=200')
    expect(types.body.items).toContainEqual({ type, strict: false, description: '' })
  })

  test('is registered once', async () => {
    const permission = { key: `${unique()}:read`, scope: 'workspace' }
    await register(permission)
    for (const twin of [permission, { ...permission, scope: 'platform' }]) {
      const { status, body } = await register(twin)
      expect([status, body.code]).toEqual([409, 'permission-exists'])
    }
    expect((await register({ key: 'scenario:read', scope: 'platform' })).status).toBe(409)
  })

  test('is registered once for one Idempotency-Key', async () => {
    const permission = { key: `${unique()}:read`, scope: 'workspace' }
    const headers = { 'idempotency-key': unique() }
    const [first, second] = [
      await register(permission, headers),
      await register(permission, headers),
    ]
    expect([second.status, second.body]).toEqual([201, first.body])
  })

  test.each([
    ['no action', { key: 'scenario' }, '/key'],
    ['no type', { key: ':read' }, '/key'],
    ['a star', { key: 'scenario:*' }, '/key'],
    ['a blank', { key: 'scenario:re ad' }, '/key'],
    ['a slash', { key: 'scenario:a/b' }, '/key'],
    ['a comma', { key: 'scenario:a,b' }, '/key'],
    ['U+0000', { key: 'scenario:a\u0000' }, '/key'],
    ['half a pair', { key: 'scenario:\ud800' }, '/key'],
    ['201 bytes', { key: `x:${'é'.repeat(100)}` }, '/key'],
    ['a long action', { key: `x:${'a'.repeat(129)}` }, '/key'],
    ['an unknown scope', { key: 'x:y', scope: 'galaxy' }, '/scope'],
    ['a pack', { key: 'x:y', pack: 'custom' }, '/pack'],
    ['a long description', { key: 'x:y', description: 'd'.repeat(501) }, '/description'],
  ])('with %s is refused', async (_, body, pointer) => {
    const answer = await register({ scope: 'workspace', ...body })
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([400, pointer])
  })

  test.each(['constructor', '__proto__', 'toString', 'hasOwnProperty', 'é', '日本'])(
    'can be of the type %s, and is unknown until then',
    async (type) => {
      const { path, slug } = await server.newOrganization()
      const question = {
        organization: slug,
        subject: 'user:alice',
        permission: `${type}:valueOf`,
        resource: `${type}:constructor`,
      }
      const unknown = await server.call('POST /check', question)
      expect([unknown.status, unknown.body.code]).toEqual([422, 'permission-unknown'])
      const resource = await server.call(`PUT ${path}/resources/${encodeURIComponent(type)}/1`, {})
      expect([resource.status, resource.body.code]).toEqual([422, 'resource-type-unknown'])
      await register({ key: `${type}:valueOf`, scope: 'workspace' })
      expect((await server.call('POST /check', question)).body).toMatchObject({ allowed: true })
      const eve = await server.call('POST /check', { ...question, subject: 'user:eve' })
      expect(eve.body).toMatchObject({ allowed: false, code: 'not-a-member' })
    },
  )

  test('belongs to the platform: no organization registers one', async () => {
    const { keyFor } = await server.newOrganization()
    const key = await keyFor({ roles: ['admin'] })
    for (const [what, body] of [
      ['POST /v1/permissions', { key: 'x:y', scope: 'workspace' }],
      ['PUT /v1/resource-types/x', { strict: true }],
    ] as const) {
      const answer = await server.call(what, body, { key })
      expect([answer.status, answer.body.permission]).toEqual([403, 'permission:manage'])
    }
    expect((await server.call('GET /v1/permissions', undefined, { key })).status).toBe(200)
  })
})

describe('a resource type', () => {
  test('is made strict, which denies what is not registered, and loose again', async () => {
    const type = unique()
    await register({ key: `${type}:open`, scope: 'workspace' })
    const { path, slug } = await server.newOrganization()
    const question = {
      organization: slug,
      subject: 'user:alice',
      permission: `${type}:open`,
      resource: `${type}:1`,
    }
    const code = async () => (await server.call('POST /check', question)).body.code
    expect(await code()).toBe('role')
    const strict = await putType(type, { strict: true, description: 'vaults' })
    expect(strict.body).toEqual({ type, strict: true, description: 'vaults' })
    expect(await code()).toBe('unknown-resource')
    await server.call(`PUT ${path}/resources/${type}/1`, {})
    expect(await code()).toBe('role')
    expect((await putType(type, { strict: false })).body.description).toBe('vaults')
  })

  test.each(['a b', 'a:b', 'a/b', '*', 'a,b', 'x'.repeat(65), '\u0000'])(
    'is not called %j',
    async (type) => {
      const { status, body } = await putType(type)
      expect([status, body.errors[0].pointer]).toEqual([400, '/type'])
    },
  )

  test('says whether it is strict', async () => {
    for (const body of [{}, { strict: 'yes' }]) {
      const { status, body: problem } = await putType('x', body)
      expect([status, problem.errors[0].pointer]).toEqual([400, '/strict'])
    }
  })
})

describe('the lists', () => {
  test('come in pages, nothing missing and nothing twice', async () => {
    const keys = await readPages(server, '/v1/permissions', { limit: 200, idOf: ({ key }) => key! })
    expect(keys.length).toBeGreaterThan(100)
    for (const limit of [7, 50])
      expect(
        await readPages(server, '/v1/permissions', { limit, idOf: ({ key }) => key! }),
      ).toEqual(keys)
    const types = await readPages(server, '/v1/resource-types', {
      limit: 3,
      idOf: ({ type }) => type!,
    })
    expect(types).toContain('scenario')
  })

  test('are narrowed by type and pack', async () => {
    const idOf = ({ key }: Record<string, string>) => key!
    const scenario = await readPages(server, '/v1/permissions?type=scenario', { limit: 3, idOf })
    expect(scenario).toHaveLength(8)
    expect(scenario.every((key) => key.startsWith('scenario:'))).toBe(true)
    const { body } = await server.call('GET /v1/permissions?type=constructor2&pack=custom')
    expect(body.items).toEqual([])
    const builder = await server.call('GET /v1/permissions?pack=scenario-builder&limit=200')
    expect(builder.body.items).toHaveLength(28)
    expect((await server.call('GET /v1/permissions?pack=%00')).body.errors[0].pointer).toBe('/pack')
  })

  test('refuse cursors and limits that are none', async () => {
    await refusesGarbage(server, '/v1/permissions')
    await refusesGarbage(server, '/v1/resource-types')
  })
})
