import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let organization: Awaited<ReturnType<TestServer['newOrganization']>>

beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())
beforeEach(async () => {
  organization = await server.newOrganization()
  await server.call(`POST ${organization.path}/workspaces`, { name: 'Lab', slug: 'lab' })
  await server.call(`PUT ${organization.path}/members/bob`, { roles: ['viewer'] })
})

const ask = (question: object, key?: string) =>
  server.call('POST /check', { organization: organization.slug, ...question }, key ? { key } : {})
const decide = async (subject: string, permission: string, more: object = {}) =>
  (await ask({ subject, permission, ...more })).body
const grant = (body: object) => server.call(`POST ${organization.path}/grants`, body)

describe('a decision', () => {
  test('has the documented members, and its revision in the head too', async () => {
    const answer = await ask({
      subject: 'user:bob',
      permission: 'scenario:read',
      resource: 'scenario:1',
    })
    expect(answer.status).toBe(200)
    expect(answer.body).toEqual({
      allowed: true,
      reason: `granted by role viewer in organization ${organization.slug}`,
      code: 'role',
      revision: answer.revision,
    })
  })

  test.each([
    ['by its id', (o: { id: string }) => o.id],
    ['by its slug', (o: { slug: string }) => o.slug],
  ])('is asked of an organization %s', async (_, reference) => {
    const question = {
      organization: reference(organization),
      subject: 'user:alice',
      permission: 'scenario:read',
    }
    expect((await server.call('POST /check', question)).body.allowed).toBe(true)
  })

  test('knows every code', async () => {
    await grant({ subject: 'user:bob', permission: 'scenario:execute', resource: 'scenario:1' })
    await grant({
      subject: 'user:bob',
      permission: 'scenario:read',
      resource: 'scenario:9',
      effect: 'deny',
    })
    await grant({
      subject: 'user:bob',
      permission: 'scenario:delete',
      condition: 'context.mfa == true',
    })
    await server.call(`PUT ${organization.path}/members/sue`, {
      roles: ['viewer'],
      status: 'suspended',
    })
    const type = `vault-${organization.slug}`
    await server.call(`PUT /v1/resource-types/${type}`, { strict: true })
    await server.call('POST /v1/permissions', { key: `${type}:open`, scope: 'workspace' })
    await grant({ subject: 'user:bob', permission: `${type}:open` })
    const codes = await Promise.all([
      decide('user:bob', 'scenario:read'),
      decide('user:bob', 'scenario:execute', { resource: 'scenario:1' }),
      decide('user:bob', 'scenario:read', { resource: 'scenario:9' }),
      decide('user:bob', 'scenario:create'),
      decide('user:eve', 'scenario:read'),
      decide('user:sue', 'scenario:read'),
      decide('user:bob', 'scenario:delete'),
      decide('user:bob', `${type}:open`, { resource: `${type}:1` }),
    ])
    expect(codes.map(({ code, allowed }) => [code, allowed])).toEqual([
      ['role', true],
      ['grant', true],
      ['denied', false],
      ['no-match', false],
      ['not-a-member', false],
      ['suspended', false],
      ['condition', false],
      ['unknown-resource', false],
    ])
  })

  test('of a workspace permission is asked where the resource is registered, whatever the caller names', async () => {
    await server.call(`POST ${organization.path}/workspaces`, { name: 'Two', slug: 'two' })
    await server.call(`PUT ${organization.path}/members/dan`, { roles: [] })
    await server.call(`PUT ${organization.path}/workspaces/lab/members/dan`, { roles: ['admin'] })
    await server.call(`PUT ${organization.path}/resources/model/m1`, { workspace: 'lab' })
    const model = { resource: 'model:m1' }
    expect((await decide('user:dan', 'model:deploy', model)).allowed).toBe(true)
    expect((await decide('user:dan', 'model:deploy', { ...model, workspace: 'two' })).allowed).toBe(
      true,
    )
    expect((await decide('user:dan', 'model:deploy', { resource: 'model:m2' })).allowed).toBe(false)
    expect(
      (await decide('user:dan', 'model:deploy', { resource: 'model:m2', workspace: 'lab' }))
        .allowed,
    ).toBe(true)
    await server.call(`PUT ${organization.path}/resources/model/m1`, { workspace: 'two' })
    expect((await decide('user:dan', 'model:deploy', { ...model, workspace: 'lab' })).allowed).toBe(
      false,
    )
  })

  test('moves with a resource: a role on it holds where it is now', async () => {
    await server.call(`POST ${organization.path}/workspaces`, { name: 'Two', slug: 'two' })
    await server.call(`PUT ${organization.path}/resources/model/m1`, { workspace: 'lab' })
    expect((await grant({ subject: 'user:bob', role: 'admin', resource: 'model:m1' })).status).toBe(
      201,
    )
    const question = { resource: 'model:m1' }
    expect((await decide('user:bob', 'model:deploy', question)).reason).toBe(
      'granted by role admin on model:m1',
    )
    await server.call(`PUT ${organization.path}/resources/model/m1`, { workspace: 'two' })
    expect((await decide('user:bob', 'model:deploy', question)).allowed).toBe(true)
    await server.call(`DELETE ${organization.path}/resources/model/m1`)
    await server.call(`PUT ${organization.path}/resources/model/m1`, { workspace: 'two' })
    expect((await decide('user:bob', 'model:deploy', question)).allowed).toBe(false)
  })

  test('gives the owner of a fresh organization no platform permission, also when asked inside it', async () => {
    const { body } = await server.call('GET /v1/permissions?limit=200')
    const keys = (body.items as { key: string; scope: string }[]).filter(
      ({ scope }) => scope === 'platform',
    )
    expect(keys.length).toBeGreaterThan(10)
    for (const { key } of keys)
      expect([key, (await decide('user:alice', key)).allowed]).toEqual([key, false])
    const held = (body.items as { key: string; scope: string }[]).filter(
      ({ scope }) => scope !== 'platform',
    )
    for (const { key } of held)
      expect([key, (await decide('user:alice', key)).allowed]).toEqual([key, true])
  })

  test('lets neither teams nor roles ask', async () => {
    for (const subject of ['team:eng', 'role:organization.owner', 'role:platform.super_admin'])
      expect(await decide(subject, 'scenario:read')).toMatchObject({
        allowed: false,
        code: 'no-match',
      })
  })

  test('takes ids of any characters as they are', async () => {
    for (const id of [
      '*',
      'a,b',
      'a/b',
      'a:b:c',
      '%2F',
      '😀',
      'role:x',
      'a b',
      "'",
      '__proto__',
      'constructor',
    ]) {
      expect(
        (
          await grant({
            subject: 'user:bob',
            permission: 'scenario:execute',
            resource: `scenario:${id}`,
          })
        ).status,
      ).toBe(201)
      expect([
        id,
        (await decide('user:bob', 'scenario:execute', { resource: `scenario:${id}` })).allowed,
      ]).toEqual([id, true])
    }
    for (const id of ['x', '**', 'a', 'b', 'A,b', 'toString'])
      expect([
        id,
        (await decide('user:bob', 'scenario:execute', { resource: `scenario:${id}` })).allowed,
      ]).toEqual([id, false])
  })

  test('ends at the instant of expiresAt, without a job and without a new revision', async () => {
    const expiresAt = new Date(Date.now() + 700).toISOString()
    await grant({ subject: 'user:bob', permission: 'scenario:execute', expiresAt })
    const before = await decide('user:bob', 'scenario:execute')
    await new Promise((resolve) => setTimeout(resolve, 800))
    const after = await decide('user:bob', 'scenario:execute')
    expect([before.allowed, after.allowed]).toEqual([true, false])
    expect(after.revision).toBe(before.revision)
  })

  test('reads attributes of members and resources, and the context, in conditions', async () => {
    await server.call(`PATCH ${organization.path}/members/bob`, { attributes: { level: 5 } })
    await server.call(`PUT ${organization.path}/resources/scenario/own`, {
      owner: 'bob',
      attributes: { stage: 'test' },
    })
    const condition =
      'subject.level > 3 && resource.owner == subject.id && resource.stage == "test" && context.ip == "::1"'
    expect(
      (await grant({ subject: 'user:bob', permission: 'scenario:update', condition })).status,
    ).toBe(201)
    const question = { resource: 'scenario:own' }
    expect(
      (await decide('user:bob', 'scenario:update', { ...question, context: { ip: '::1' } }))
        .allowed,
    ).toBe(true)
    expect(
      (await decide('user:bob', 'scenario:update', { ...question, context: { ip: '::2' } })).code,
    ).toBe('condition')
    await server.call(`PATCH ${organization.path}/members/bob`, { attributes: { level: 2 } })
    expect(
      (await decide('user:bob', 'scenario:update', { ...question, context: { ip: '::1' } }))
        .allowed,
    ).toBe(false)
  })

  test('is the same after rows come in another order', async () => {
    const rows = [
      { subject: 'user:bob', permission: 'scenario:read', resource: 'scenario:7', effect: 'deny' },
      { subject: 'user:bob', permission: 'scenario:read', resource: 'scenario:7' },
    ]
    const [first, second] = [await server.newOrganization(), await server.newOrganization()]
    for (const [{ path, slug }, order] of [
      [first, rows],
      [second, [...rows].reverse()],
    ] as const) {
      await server.call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
      for (const row of order) await server.call(`POST ${path}/grants`, row)
      const question = {
        organization: slug,
        subject: 'user:bob',
        permission: 'scenario:read',
        resource: 'scenario:7',
      }
      expect((await server.call('POST /check', question)).body).toMatchObject({
        allowed: false,
        code: 'denied',
      })
    }
  })
})

describe('a suspended organization', () => {
  test('denies everybody, and closes its keys; the platform opens it again', async () => {
    const key = await organization.keyFor({ permissions: ['decision:check'] })
    await server.call(`POST ${organization.path}/suspend`, { reason: 'abuse' })
    expect(await decide('user:alice', 'scenario:read')).toMatchObject({
      allowed: false,
      code: 'suspended',
    })
    expect((await ask({ subject: 'user:alice', permission: 'scenario:read' }, key)).status).toBe(
      403,
    )
    expect((await grant({ subject: 'user:bob', permission: 'scenario:read' })).body.code).toBe(
      'organization-suspended',
    )
    await server.call(`POST ${organization.path}/reactivate`)
    expect((await decide('user:alice', 'scenario:read')).allowed).toBe(true)
  })

  test('read only: decides as before and takes no change', async () => {
    await server.call(`POST ${organization.path}/suspend`, { reason: 'unpaid', level: 'read_only' })
    expect((await decide('user:alice', 'scenario:read')).allowed).toBe(true)
    expect((await grant({ subject: 'user:bob', permission: 'scenario:read' })).body.code).toBe(
      'organization-read-only',
    )
  })
})

describe('explain', () => {
  test('needs its own permission, and tells line, chain, conditions and nearest misses', async () => {
    const key = await organization.keyFor({ permissions: ['decision:check'] })
    const question = { subject: 'user:bob', permission: 'scenario:read', explain: true }
    expect(await ask(question, key)).toMatchObject({
      status: 403,
      body: { permission: 'decision:explain' },
    })
    const allowed = await ask(question)
    expect(allowed.body.trace.line).toEqual([
      'p',
      'role:organization.viewer',
      '*',
      'scenario:*',
      'read',
      'true',
      'allow',
    ])
    expect(allowed.body.trace.chain).toEqual([
      `g, user:bob, role:organization.viewer, /${organization.id}/*`,
    ])
    const denied = await ask({ ...question, permission: 'scenario:execute' })
    expect(denied.body.trace.line).toBeNull()
    expect(denied.body.trace.nearestMisses).toContain(
      `p, user:bob, /${organization.id}/*, scenario:*, execute, true, allow`,
    )
    await grant({ subject: 'user:bob', permission: 'scenario:execute', condition: 'context.mfa' })
    const failing = await ask({ ...question, permission: 'scenario:execute' })
    expect(failing.body.trace.conditions).toEqual([{ condition: 'context.mfa', holds: null }])
  })

  test('of what is decided before any line has an empty trace', async () => {
    const answer = await ask({ subject: 'user:eve', permission: 'scenario:read', explain: true })
    expect(answer.body).toMatchObject({ code: 'not-a-member', trace: { line: null, chain: [] } })
  })
})

describe('bad questions', () => {
  test.each([
    [
      'an unknown permission',
      { permission: 'scenario:exeute' },
      422,
      'permission-unknown',
      '/permission',
    ],
    ['an unknown workspace', { workspace: 'lap' }, 422, 'workspace-unknown', '/workspace'],
    [
      'a resource of another type',
      { resource: 'model:1' },
      422,
      'permission-of-another-type',
      '/resource',
    ],
    ['a subject without a type', { subject: 'alice' }, 400, 'invalid-request', '/subject'],
    [
      'a permission without an action',
      { permission: 'scenario' },
      400,
      'invalid-request',
      '/permission',
    ],
    [
      'an over-long id',
      { resource: `scenario:${'x'.repeat(600)}` },
      400,
      'invalid-request',
      '/resource',
    ],
    ['an id with U+0000', { resource: 'scenario:a\u0000b' }, 400, 'invalid-request', '/resource'],
    ['half a surrogate', { subject: 'user:\ud800' }, 400, 'invalid-request', '/subject'],
    ['a list as context', { context: [] }, 400, 'invalid-request', '/context'],
    ['an unknown member', { color: 'red' }, 400, 'invalid-request', '/color'],
    ['an unknown consistency', { consistency: 'eventual' }, 400, 'invalid-request', '/consistency'],
    [
      'a token that is none',
      { consistency: { atLeast: 'x' } },
      400,
      'invalid-request',
      '/consistency/atLeast',
    ],
  ])('%s', async (_, change, status, code, pointer) => {
    const answer = await ask({ subject: 'user:bob', permission: 'scenario:read', ...change })
    expect(answer).toMatchObject({ status, body: { code, errors: [{ pointer }] } })
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(JSON.stringify(answer.body)).not.toContain('xxxxxx')
  })

  test('suggest the nearest names', async () => {
    const answer = await ask({ subject: 'user:bob', permission: 'scenario:exeute' })
    expect(answer.body.detail).toContain('Did you mean scenario:execute')
  })

  test('a body over 1 MiB is 413', async () => {
    const answer = await ask({
      subject: 'user:bob',
      permission: 'scenario:read',
      context: { pad: 'x'.repeat(1_100_000) },
    })
    expect([answer.status, answer.body.code]).toEqual([413, 'body-too-large'])
  })

  test('a token of another organization, or of the future, is refused and never answered', async () => {
    const other = await server.newOrganization()
    const { revision } = await server.call(`PATCH ${other.path}`, { slug: `${other.slug}x` })
    const question = { subject: 'user:bob', permission: 'scenario:read' }
    expect((await ask({ ...question, consistency: { atLeast: revision } })).status).toBe(400)
    const ahead = `${organization.id}.zzzz.1`
    expect((await ask({ ...question, consistency: { atLeast: ahead } })).body.code).toBe(
      'revision-unreached',
    )
  })
})

describe('a batch', () => {
  test('answers in order, takes what is left out from defaults, and keeps one bad check in its place', async () => {
    const answer = await server.call('POST /check/batch', {
      defaults: {
        organization: organization.slug,
        subject: 'user:bob',
        permission: 'scenario:read',
      },
      checks: [
        {},
        { subject: 'user:eve' },
        { permission: 'scenario:exeute' },
        { permission: 'scenario:execute' },
        'nonsense',
        { organization: 'nowhere' },
        { subject: 'user:alice', permission: 'scenario:delete' },
      ],
    })
    expect(answer.status).toBe(200)
    expect(
      answer.body.results.map(
        (each: { allowed?: boolean; error?: { code: string; status: number } }) =>
          each.allowed ?? [each.error?.status, each.error?.code],
      ),
    ).toEqual([
      true,
      false,
      [422, 'permission-unknown'],
      false,
      [400, 'invalid-request'],
      [404, 'organization-not-found'],
      true,
    ])
    expect(answer.body.revision).toBe(answer.revision)
  })

  test('holds 1,000 checks at most', async () => {
    const check = {
      organization: organization.slug,
      subject: 'user:bob',
      permission: 'scenario:read',
    }
    const full = await server.call('POST /check/batch', { checks: Array(1000).fill(check) })
    expect([full.status, full.body.results.length]).toEqual([200, 1000])
    const over = await server.call('POST /check/batch', { checks: Array(1001).fill(check) })
    expect([over.status, over.body.errors[0].pointer]).toEqual([400, '/checks'])
    const none = await server.call('POST /check/batch', { checks: [] })
    expect(none.body).toEqual({ results: [], revision: null })
  })
})

test('a body without a length is read no further than its bound', async () => {
  let sent = 0
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      sent += 65_536
      controller.enqueue(new Uint8Array(65_536).fill(32))
    },
  })
  const response = await server.fetch(
    new Request('http://localhost/check', {
      method: 'POST',
      headers: { authorization: `Bearer ${server.adminKey}`, 'content-type': 'application/json' },
      body: endless,
      duplex: 'half',
    } as RequestInit),
  )
  expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
    413,
    'body-too-large',
  ])
  expect(sent).toBeLessThan(3 * 1024 * 1024)
})
