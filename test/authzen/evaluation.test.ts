import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CallOptions, startTestServer, type TestServer } from '../support/server.ts'

const ALICE = { type: 'user', id: 'alice' }
const BOB = { type: 'user', id: 'bob' }
const READ = { name: 'read' }
const SCENARIO = { type: 'scenario', id: '1' }
const QUESTION = { subject: ALICE, action: READ, resource: SCENARIO }

let server: TestServer
let organization: Awaited<ReturnType<TestServer['newOrganization']>>
let key: string
beforeAll(async () => {
  server = await startTestServer()
  organization = await server.newOrganization('user:alice')
  key = await organization.keyFor({ permissions: ['decision:check'] })
  await must(`PUT ${organization.path}/members/bob`, { roles: [] })
})
afterAll(() => server.drop())

const must = async (what: string, body?: unknown) => {
  const answer = await server.call(what, body)
  expect([what, answer.status < 300, answer.body]).toEqual([what, true, answer.body])
  return answer
}
const grant = (body: object) =>
  must(`POST ${organization.path}/grants`, { subject: 'user:bob', ...body })
const ask = (body: unknown, options: CallOptions = {}) =>
  server.call('POST /access/v1/evaluation', body, { key, ...options })
const decisionOn = async (question: object) => {
  const { status, body } = await ask(question)
  expect(status).toBe(200)
  return body.decision
}

describe('the organization', () => {
  test('is that of the key, or the one the path names by id or slug', async () => {
    for (const path of ['', `/${organization.slug}`, `/${organization.id}`])
      for (const body of [QUESTION, { ...QUESTION, subject: BOB }]) {
        const answer = await server.call(`POST ${path}/access/v1/evaluation`, body, { key })
        expect([answer.status, answer.body]).toEqual([200, { decision: body === QUESTION }])
      }
  })

  test('must be named by an operator, and the answer says how', async () => {
    for (const api of ['evaluation', 'evaluations']) {
      const { status, body } = await server.call(`POST /access/v1/${api}`, QUESTION)
      expect([status, body.code]).toEqual([400, 'organization-needed'])
      expect(body.detail).toContain('/{organization}/access/v1/')
    }
    const named = await server.call(`POST /${organization.slug}/access/v1/evaluation`, QUESTION)
    expect([named.status, named.body]).toEqual([200, { decision: true }])
  })

  test('must be named by a person with a token, who asks as what they are there', async () => {
    const issuer = await startIssuer()
    const people = await startTestServer({ database: server.database, jwt: issuer.jwt })
    try {
      const asAlice = { key: await issuer.tokenOf('alice') }
      const bare = await people.call('POST /access/v1/evaluation', QUESTION, asAlice)
      expect([bare.status, bare.body.code]).toEqual([400, 'organization-needed'])
      const what = `POST /${organization.slug}/access/v1/evaluation`
      const owner = await people.call(what, QUESTION, asAlice)
      expect([owner.status, owner.body]).toEqual([200, { decision: true }])
      const stranger = await people.call(what, QUESTION, { key: await issuer.tokenOf('eve') })
      expect([stranger.status, stranger.body.code]).toEqual([404, 'organization-not-found'])
    } finally {
      issuer.close()
    }
  })

  test('of others cannot be told from one that does not exist', async () => {
    const foreign = await server.newOrganization('user:eve')
    const headers = { 'x-request-id': 'same' }
    const seen = new Set<string>()
    for (const name of [foreign.slug, foreign.id, 'nobody-has-this', 'Nobody', 'a%00', '%FF', '*'])
      for (const body of [QUESTION, { broken: true }]) {
        const answer = await server.call(`POST /${name}/access/v1/evaluation`, body, {
          key,
          headers,
        })
        seen.add(JSON.stringify([answer.status, answer.body, [...answer.headers]]))
      }
    expect([...seen]).toHaveLength(1)
    expect([...seen][0]).toContain('organization-not-found')
  })

  test('is asked about only with decision:check', async () => {
    const other = await organization.keyFor({ permissions: ['org:read'] })
    for (const path of ['', `/${organization.slug}`]) {
      const { status, body } = await server.call(`POST ${path}/access/v1/evaluation`, QUESTION, {
        key: other,
      })
      expect([status, body.permission]).toEqual([403, 'decision:check'])
    }
  })

  test.each(['access', 'v1', 'check', 'docs', 'healthz', 'readyz', 'metrics', 'console'])(
    'is never called %s',
    async (slug) => {
      const { status } = await server.call('POST /v1/organizations', {
        name: slug,
        slug,
        owner: 'user:alice',
      })
      expect(status).toBe(409)
    },
  )

  test.each(['openapi.json', '.well-known'])('cannot be called %s', async (slug) => {
    const body = { name: slug, slug, owner: 'user:alice' }
    expect((await server.call('POST /v1/organizations', body)).status).toBe(400)
  })
})

describe('the workspace', () => {
  test('is where the resource is registered, else the organization', async () => {
    const made = await must(`POST ${organization.path}/workspaces`, { name: 'One', slug: 'one' })
    await must(`PUT ${organization.path}/resources/connection/inside`, { workspace: 'one' })
    await grant({ permission: 'connection:read', workspace: 'one' })
    const about = (id: string, context?: object) =>
      decisionOn({ subject: BOB, action: READ, resource: { type: 'connection', id }, context })
    expect(await about('inside')).toBe(true)
    expect(await about('elsewhere')).toBe(false)
    const context = { workspace: 'one', workspaceId: made.body.id }
    expect(await about('elsewhere', context)).toBe(false)
  })
})

describe('the permission', () => {
  test('is type:name, and a colon in a type makes no other one of it', async () => {
    const about = (type: string, name: string) =>
      decisionOn({ subject: ALICE, action: { name }, resource: { type, id: '1' } })
    expect(await about('org', 'member:invite')).toBe(true)
    expect(await about('org:member', 'invite')).toBe(false)
    expect(await about('scenario', 'template:create')).toBe(true)
    expect(await about('scenario:template', 'create')).toBe(false)
  })

  test.each([
    ['an unknown action', { action: { name: 'fly' } }],
    ['an unknown type', { resource: { type: 'spaceship', id: '1' } }],
    ['a name of JavaScript', { resource: { type: '__proto__', id: 'constructor' } }],
    ['a very long name', { action: { name: 'x'.repeat(10_000) } }],
  ])('that nobody registered is denied: %s', async (_, change) => {
    const { status, body } = await ask({ ...QUESTION, ...change })
    expect([status, body]).toEqual([200, { decision: false }])
  })
})

describe('the subject', () => {
  test('is taken as it is; membership is asked of users only', async () => {
    await grant({ subject: 'identity:rick', permission: 'scenario:read' })
    await grant({ subject: 'identity:a:b', permission: 'scenario:read' })
    const about = (type: string, id: string) => decisionOn({ ...QUESTION, subject: { type, id } })
    expect(await about('identity', 'rick')).toBe(true)
    expect(await about('identity', 'morty')).toBe(false)
    expect(await about('identity', 'a:b')).toBe(true)
    expect(await about('identity:a', 'b')).toBe(false)
  })

  test('is never a role or a team, although both hold permissions', async () => {
    await must(`PUT ${organization.path}/teams/eng`, {})
    await grant({ subject: 'team:eng', permission: 'scenario:read' })
    const about = (type: string, id: string) => decisionOn({ ...QUESTION, subject: { type, id } })
    expect(await about('team', 'eng')).toBe(false)
    for (const id of ['owner', 'organization.owner', 'platform.super_admin'])
      expect(await about('role', id)).toBe(false)
  })
})

describe('what is unknown or closed is denied without a reason:', () => {
  const DENIED = '{"decision":false}'
  const textOf = async (question: object) => {
    const response = await server.app.request('/access/v1/evaluation', {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(question),
    })
    return response.text()
  }

  test('a user who is no member', async () => {
    expect(await textOf({ ...QUESTION, subject: { type: 'user', id: 'nobody' } })).toBe(DENIED)
  })

  test('a suspended member', async () => {
    const carol = { type: 'user', id: 'carol' }
    await must(`PUT ${organization.path}/members/carol`, { roles: ['admin'] })
    expect(await textOf({ ...QUESTION, subject: carol })).toBe('{"decision":true}')
    await must(`PATCH ${organization.path}/members/carol`, { status: 'suspended' })
    expect(await textOf({ ...QUESTION, subject: carol })).toBe(DENIED)
  })

  test('a resource of a strict type that nobody registered', async () => {
    await must('POST /v1/permissions', { key: 'vault:open', scope: 'workspace' })
    await must('PUT /v1/resource-types/vault', { strict: true })
    const about = (id: string) => ({
      subject: ALICE,
      action: { name: 'open' },
      resource: { type: 'vault', id },
    })
    await grant({ subject: 'user:alice', permission: 'vault:open' })
    await must(`PUT ${organization.path}/resources/vault/known`, {})
    expect(await textOf(about('known'))).toBe('{"decision":true}')
    expect(await textOf(about('unknown'))).toBe(DENIED)
  })

  test('anything in a suspended organization', async () => {
    const closed = await server.newOrganization('user:alice')
    await must(`POST ${closed.path}/suspend`, { reason: 'abuse' })
    const answer = await server.call(`POST /${closed.slug}/access/v1/evaluation`, QUESTION)
    expect([answer.status, answer.body]).toEqual([200, { decision: false }])
  })
})

describe('ids', () => {
  const IDS = ['*', 'a/b', 'a:b', 'a,b', 'ü 🚀', '%2A', '"', 'auth0|x@y.z', '__proto__', '{todoId}']

  test.each(IDS)('may hold any characters: %s', async (id) => {
    await grant({ permission: 'scenario:delete', resource: `scenario:${id}` })
    const about = (asked: string) =>
      decisionOn({
        subject: BOB,
        action: { name: 'delete' },
        resource: { type: 'scenario', id: asked },
      })
    expect(await about(id)).toBe(true)
    expect(await about(`${id}x`)).toBe(false)
    expect(await about(encodeURIComponent(`${id}%`))).toBe(false)
  })

  test.each(['*', '\u0000', '\ud800', 'x'.repeat(100_000)])(
    'that cannot be stored are denied',
    async (id) => {
      expect(await decisionOn({ ...QUESTION, subject: { type: 'user', id } })).toBe(false)
      expect(await decisionOn({ ...QUESTION, subject: { type: id, id: 'alice' } })).toBe(false)
    },
  )

  test.each([
    ['subject/id', { subject: { type: 'user', id: '' } }],
    ['subject/type', { subject: { type: '', id: 'alice' } }],
    ['action/name', { action: { name: '' } }],
    ['resource/type', { resource: { type: '', id: '1' } }],
    ['resource/id', { resource: { type: 'scenario', id: '' } }],
  ])('that are empty are missing: %s', async (pointer, change) => {
    const { status, body } = await ask({ ...QUESTION, ...change })
    expect([status, body.errors[0].pointer]).toEqual([400, `/${pointer}`])
  })
})

describe('the answer', () => {
  test('is the decision and nothing else, the same each time; the rest is in the headers', async () => {
    const { revision } = await grant({ permission: 'scenario:share' })
    const answers = [await ask(QUESTION), await ask(QUESTION), await ask(QUESTION)]
    for (const { body, headers } of answers) {
      expect(body).toEqual({ decision: true })
      expect(headers.get('content-type')).toBe('application/json')
      expect(headers.get('latchkey-revision')).toBe(revision)
    }
  })

  test('follows a change at once', async () => {
    const question = { subject: BOB, action: { name: 'execute' }, resource: SCENARIO }
    expect(await decisionOn(question)).toBe(false)
    const { body } = await grant({ permission: 'scenario:execute' })
    expect(await decisionOn(question)).toBe(true)
    await must(`DELETE ${organization.path}/grants/${body.id}`)
    expect(await decisionOn(question)).toBe(false)
  })
})

describe('a request is refused', () => {
  const SECRET = 'hunter2'

  test.each<[string, unknown]>([
    ['no JSON', `{"subject": "${SECRET}`],
    ['an empty body', ''],
    ['a list', [QUESTION]],
    ['a word', `"${SECRET}"`],
    ['null', 'null'],
    ['a subject that is a string', { ...QUESTION, subject: SECRET }],
    ['a subject that is a list', { ...QUESTION, subject: [SECRET] }],
    ['a subject that is null', { ...QUESTION, subject: null }],
    ['a subject without an id', { ...QUESTION, subject: { type: SECRET } }],
    ['an id that is a number', { ...QUESTION, subject: { type: SECRET, id: 7 } }],
    ['an action without a name', { ...QUESTION, action: { properties: { SECRET } } }],
    ['no resource', { subject: ALICE, action: READ }],
    ['properties that are a list', { ...QUESTION, subject: { ...ALICE, properties: [SECRET] } }],
    ['properties that are a word', { ...QUESTION, action: { ...READ, properties: SECRET } }],
    ['a context that is a word', { ...QUESTION, context: SECRET }],
    ['a context that is a list', { ...QUESTION, context: [] }],
  ])('for %s, and what was sent is not repeated', async (_, sent) => {
    const { status, body, headers } = await ask(sent)
    expect(status).toBe(400)
    expect(headers.get('content-type')).toBe('application/problem+json')
    expect(JSON.stringify(body)).not.toContain(SECRET)
  })

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', ''])(
    'for the content type %s',
    async (type) => {
      const { status } = await ask(QUESTION, { headers: { 'content-type': type } })
      expect(status).toBe(415)
    },
  )

  test.each(['application/json', 'application/json; charset=utf-8', 'Application/JSON'])(
    'but not for the content type %s',
    async (type) => {
      expect((await ask(QUESTION, { headers: { 'content-type': type } })).status).toBe(200)
    },
  )

  test('for more than a mebibyte', async () => {
    const { status } = await ask({ ...QUESTION, context: { text: 'x'.repeat(1024 * 1024) } })
    expect(status).toBe(413)
  })

  test.each(['GET', 'PUT', 'PATCH', 'DELETE'])('for the method %s', async (method) => {
    for (const path of ['/access/v1/evaluation', `/${organization.slug}/access/v1/evaluations`]) {
      const { status, headers } = await server.call(`${method} ${path}`, undefined, { key })
      expect([status, headers.get('allow')]).toEqual([405, 'POST'])
    }
  })

  test('without a key and with a wrong one', async () => {
    for (const wrong of [null, 'lk_wrong']) {
      const { status, headers } = await ask(QUESTION, { key: wrong })
      expect([status, headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="latchkey"'])
    }
  })

  test('at the searches, which are not offered', async () => {
    for (const kind of ['subject', 'resource', 'action'])
      expect((await server.call(`POST /access/v1/search/${kind}`, {}, { key })).status).toBe(404)
  })
})

test('X-Request-ID comes back with every answer', async () => {
  const single = 'POST /access/v1/evaluation'
  const headers = { 'x-request-id': 'r-42' }
  const answers = [
    await server.call(single, QUESTION, { key, headers }),
    await server.call('POST /access/v1/evaluations', QUESTION, { key, headers }),
    await server.call(single, '{', { key, headers }),
    await server.call(single, QUESTION, { headers }),
    await server.call(single, QUESTION, { key: null, headers }),
    await server.call('POST /unknown/access/v1/evaluation', QUESTION, { key, headers }),
    await server.call('POST /access/v1/elsewhere', QUESTION, { key, headers }),
    await server.call('GET /access/v1/evaluation', undefined, { key, headers }),
    await server.call(single, 'x'.repeat(1024 * 1024 + 1), { key, headers }),
    await server.call(single, QUESTION, {
      key,
      headers: { ...headers, 'content-type': 'text/plain' },
    }),
    await server.call('GET /.well-known/authzen-configuration', undefined, { headers }),
    await server.call('GET /.well-known/authzen-configuration/A', undefined, { headers }),
  ]
  expect(answers.map(({ status }) => status)).toEqual([
    200, 200, 400, 400, 401, 404, 404, 405, 413, 415, 200, 404,
  ])
  for (const answer of answers) expect(answer.headers.get('x-request-id')).toBe('r-42')
})

test('unknown members are passed over, wherever they are', async () => {
  const more = { more: { nested: true } }
  const { body } = await ask({
    ...more,
    subject: { ...ALICE, ...more },
    action: { ...READ, ...more },
    resource: { ...SCENARIO, ...more },
  })
  expect(body).toEqual({ decision: true })
})

test('null for an optional member means that it is absent', async () => {
  const properties = null
  const { status, body } = await ask({
    subject: { ...ALICE, properties },
    action: { ...READ, properties },
    resource: { ...SCENARIO, properties },
    context: null,
  })
  expect([status, body]).toEqual([200, { decision: true }])
})

describe('attributes', () => {
  const UPDATE = { name: 'update' }
  const connection = (id: string, properties?: object) => ({ type: 'connection', id, properties })
  const about = (question: object) =>
    decisionOn({ subject: BOB, action: UPDATE, resource: connection('stored'), ...question })

  beforeAll(async () => {
    await must(`PATCH ${organization.path}/members/bob`, {
      attributes: { level: 1, team: 'red' },
    })
    await must(`PUT ${organization.path}/resources/connection/stored`, {
      attributes: { status: 'draft' },
    })
    await grant({
      permission: 'connection:update',
      condition: 'resource.status == "draft" && subject.level < 3',
    })
    await grant({ permission: 'connection:delete', condition: 'subject.id == "alice"' })
    await grant({ permission: 'connection:share', condition: 'subject.role == "admin"' })
    await grant({ permission: 'connection:test', condition: 'action.soft && context.safe' })
  })

  test('of the request count over stored ones, one by one', async () => {
    expect(await about({})).toBe(true)
    expect(await about({ subject: { ...BOB, properties: { level: 9 } } })).toBe(false)
    expect(await about({ subject: { ...BOB, properties: { other: 9 } } })).toBe(true)
    expect(await about({ resource: connection('stored', { status: 'final' }) })).toBe(false)
    expect(await about({ resource: connection('stored', { color: 'red' }) })).toBe(true)
    expect(await about({ resource: connection('new', { status: 'draft' }) })).toBe(true)
    expect(await about({ resource: connection('new') })).toBe(false)
  })

  test('of the action and of the context are read, too', async () => {
    const test = (soft: boolean, safe: boolean) =>
      about({ action: { name: 'test', properties: { soft } }, context: { safe } })
    expect([await test(true, true), await test(false, true), await test(true, false)]).toEqual([
      ...[true, false, false],
    ])
  })

  test('beside properties are not read', async () => {
    const { body } = await ask({
      subject: { ...BOB, role: 'admin' },
      action: { name: 'share' },
      resource: { ...SCENARIO, type: 'connection' },
    })
    expect(body).toEqual({ decision: false })
  })

  test('never pose as id or type', async () => {
    const posing = { id: 'alice', type: 'user', name: 'x' }
    expect(
      await about({ action: { name: 'delete' }, subject: { ...BOB, properties: posing } }),
    ).toBe(false)
  })

  test('never come in by __proto__', async () => {
    const text = JSON.stringify({
      subject: { ...BOB, properties: { PROTO: { role: 'admin' }, constructor: 1 } },
      action: { name: 'share', properties: { PROTO: { soft: true } } },
      resource: connection('stored', { PROTO: { status: 'draft' } }),
    })
    const { status, body } = await ask(text.replaceAll('PROTO', '__proto__'))
    expect([status, body]).toEqual([200, { decision: false }])
    const whole = `{"__proto__": ${JSON.stringify(QUESTION)}}`
    expect((await ask(whole)).status).toBe(400)
  })

  test('nested ever so deep neither allow nor break anything', async () => {
    const deep = `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`
    const text = JSON.stringify({
      subject: { ...BOB, properties: { role: 'DEEP' } },
      action: { name: 'share' },
      resource: connection('stored'),
      context: 'DEEP',
    })
    const { status, body } = await ask(text.replaceAll('"DEEP"', deep))
    expect([status, body]).toEqual([200, { decision: false }])
  })

  test('that are to be stored cannot be said by the caller', async () => {
    const strict = await startTestServer({
      database: server.database,
      storedOnlyAttributes: ['subject.level', 'resource.status'],
    })
    const asked = async (subject: object, resource: object) => {
      const question = { subject, action: UPDATE, resource }
      const { body } = await strict.call('POST /access/v1/evaluation', question, { key })
      return body.decision
    }
    const stored = connection('stored')
    expect(await asked({ ...BOB, properties: { level: 9 } }, stored)).toBe(true)
    expect(await asked(BOB, connection('stored', { status: 'final' }))).toBe(true)
    expect(await asked(BOB, connection('new', { status: 'draft' }))).toBe(false)
  })
})

/** Somebody who signs tokens, and publishes the keys. */
const startIssuer = async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const keys = JSON.stringify({
    keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' }],
  })
  const listener = createServer((_, response) => {
    response.setHeader('content-type', 'application/json').end(keys)
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const jwksUrl = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/`
  const tokenOf = (subject: string) =>
    new SignJWT()
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .setSubject(subject)
      .setIssuer('issuer')
      .setAudience('latchkey')
      .setExpirationTime('1h')
      .sign(privateKey)
  const jwt = { issuer: 'issuer', audience: 'latchkey', jwksUrl }
  return { jwt, tokenOf, close: () => listener.close() }
}
