import { exportSPKI, importJWK, SignJWT, UnsecuredJWT } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Issuer, newSigner, startIssuer } from '../support/issuer.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let issuer: Issuer
let server: TestServer
const others: TestServer[] = []

beforeAll(async () => {
  issuer = await startIssuer()
  server = await startTestServer({ jwt: issuer.settings })
})
afterAll(async () => {
  await server.drop()
  await issuer.stop()
})
afterEach(() => {
  issuer.state.isDown = false
  others.splice(0)
})

const seconds = () => Math.floor(Date.now() / 1000)
const list = (key: string, node = server) => node.call('GET /v1/organizations', undefined, { key })
const unique = () => `j${Math.random().toString(36).slice(2, 10)}`

/** Another server on the same database, which has asked the issuer for nothing yet. */
const newNode = async (more: Partial<Parameters<typeof startTestServer>[0]> = {}) => {
  const node = await startTestServer({ jwt: issuer.settings, database: server.database, ...more })
  others.push(node)
  return node
}

describe('a token', () => {
  test('of the issuer is a person', async () => {
    const { status, body } = await list(await issuer.tokenOf('alice'))
    expect([status, body]).toEqual([200, { items: [], nextCursor: null }])
  })

  test.each([
    ['of another issuer', { iss: 'https://elsewhere.example' }],
    ['without issuer', { iss: undefined }],
    ['for another audience', { aud: 'somebody-else' }],
    ['without audience', { aud: undefined }],
    ['that is over', { exp: seconds() - 60 }],
    ['without an end', { exp: undefined }],
    ['that does not hold yet', { nbf: seconds() + 60 }],
    ['of nobody', { sub: undefined }],
    ['of an empty name', { sub: '' }],
    ['of a name with U+0000', { sub: 'a\u0000' }],
    ['of half a pair', { sub: '\ud800' }],
    ['of 401 characters', { sub: 'x'.repeat(401) }],
  ])('%s is refused', async (_, claims) => {
    const { status, body, headers } = await list(await issuer.tokenOf('alice', claims))
    expect([status, body.code]).toEqual([401, 'unauthenticated'])
    expect(headers.get('www-authenticate')).toContain('Bearer')
  })

  test('may be 30 seconds off in either direction', async () => {
    for (const claims of [{ exp: seconds() - 20 }, { nbf: seconds() + 20 }])
      expect((await list(await issuer.tokenOf('alice', claims))).status).toBe(200)
    for (const claims of [{ exp: seconds() - 40 }, { nbf: seconds() + 40 }])
      expect((await list(await issuer.tokenOf('alice', claims))).status).toBe(401)
  })

  test('is refused once it is over, also where it was good before', async () => {
    const token = await issuer.tokenOf('alice', { exp: seconds() - 28 })
    expect((await list(token)).status).toBe(200)
    await new Promise((resolve) => setTimeout(resolve, 2500))
    expect((await list(token)).status).toBe(401)
  })

  test('without signature is refused', async () => {
    const { issuer: iss, audience } = issuer.settings
    const token = new UnsecuredJWT({
      iss,
      aud: audience,
      sub: 'alice',
      exp: seconds() + 60,
    }).encode()
    expect((await list(token)).status).toBe(401)
    const [head, claims] = (await issuer.tokenOf('alice')).split('.')
    for (const cut of [`${head}.${claims}.`, `${head}.${claims}`, `${head}.${claims}.AAAA`, 'eyJ'])
      expect((await list(cut)).status).toBe(401)
  })

  test('signed with the public key as if it were a secret is refused', async () => {
    const rsa = await newSigner('rsa', 'RS256')
    issuer.state.keys = [issuer.signer.published, rsa.published]
    const node = await newNode()
    expect((await list(await issuer.tokenOf('alice', {}, rsa), node)).status).toBe(200)
    const { issuer: iss, audience } = issuer.settings
    const pem = await exportSPKI(await publicKeyOf(rsa.published))
    for (const secret of [pem, JSON.stringify(rsa.published)]) {
      const token = await new SignJWT({ iss, aud: audience, sub: 'alice', exp: seconds() + 60 })
        .setProtectedHeader({ alg: 'HS256', kid: 'rsa' })
        .sign(new TextEncoder().encode(secret))
      expect((await list(token, node)).status).toBe(401)
    }
  })

  test('whose claims were changed is refused', async () => {
    const [head, , signature] = (await issuer.tokenOf('alice')).split('.')
    const [, claims] = (await issuer.tokenOf('mallory')).split('.')
    expect((await list(`${head}.${claims}.${signature}`)).status).toBe(401)
  })

  test('signed by a stranger under a known name is refused', async () => {
    const stranger = await newSigner('first')
    expect((await list(await issuer.tokenOf('alice', {}, stranger))).status).toBe(401)
  })
})

const publicKeyOf = async (jwk: object) => (await importJWK(jwk as never, 'RS256')) as never

describe('the keys of the issuer', () => {
  test('are fetched again for an unknown one, but not more often than once a minute', async () => {
    const node = await newNode()
    expect((await list(await issuer.tokenOf('alice'), node)).status).toBe(200)
    const before = issuer.state.fetches
    for (let time = 0; time < 5; time++) {
      const unknown = await newSigner(`unknown-${time}`)
      expect((await list(await issuer.tokenOf('alice', {}, unknown), node)).status).toBe(401)
    }
    expect(issuer.state.fetches - before).toBeLessThanOrEqual(1)
  })

  test('that cannot be fetched make a 503, never a person and never a 401 that lies', async () => {
    issuer.state.isDown = true
    const node = await newNode()
    const { status, body, headers } = await list(await issuer.tokenOf('alice'), node)
    expect([status, body.code]).toEqual([503, 'issuer-unavailable'])
    expect(headers.get('retry-after')).toBeTruthy()
    const forged = await issuer.tokenOf('alice', {}, await newSigner('first'))
    expect((await list(forged, node)).status).toBe(503)
    issuer.state.isDown = false
    expect((await list(await issuer.tokenOf('alice'), node)).status).toBe(200)
    expect((await list(forged, node)).status).toBe(401)
  })

  test('that were fetched before serve on while the issuer is down', async () => {
    const node = await newNode()
    expect((await list(await issuer.tokenOf('alice'), node)).status).toBe(200)
    issuer.state.isDown = true
    expect((await list(await issuer.tokenOf('bob'), node)).status).toBe(200)
    expect((await list(await issuer.tokenOf('bob', { exp: 1 }), node)).status).toBe(401)
  })
})

describe('keys that another node has fetched', () => {
  test('serve while the issuer is down; a token of none of them is a 503', async () => {
    expect((await list(await issuer.tokenOf('alice'))).status).toBe(200)
    issuer.state.isDown = true
    const node = await newNode({ cache: server.cache })
    expect((await list(await issuer.tokenOf('bob'), node)).status).toBe(200)
    const unknown = await issuer.tokenOf('bob', {}, await newSigner('second'))
    const { status, body } = await list(unknown, node)
    expect([status, body.code]).toEqual([503, 'issuer-unavailable'])
    const forged = await issuer.tokenOf('bob', {}, await newSigner('first'))
    expect((await list(forged, node)).status).toBe(401)
  })
})

describe('a person', () => {
  test('founds an organization and owns it', async () => {
    const name = unique()
    const key = await issuer.tokenOf('frida')
    const founded = await server.call('POST /v1/organizations', { name }, { key })
    expect([founded.status, founded.body.slug]).toEqual([201, name])
    const member = await server.call(`GET /v1/organizations/${name}/members/frida`, undefined, {
      key,
    })
    expect(member.body).toMatchObject({ subject: 'user:frida', roles: ['owner'] })
    const own = await server.call(
      'POST /v1/organizations',
      { name: unique(), owner: 'frida' },
      { key },
    )
    expect(own.status).toBe(201)
    expect((await list(key)).body.items).toHaveLength(2)
  })

  test('names no other owner', async () => {
    const key = await issuer.tokenOf('frida')
    const body = { name: unique(), owner: 'gina' }
    const { status, body: problem } = await server.call('POST /v1/organizations', body, { key })
    expect([status, problem.permission]).toEqual([403, 'org:create'])
  })

  test('founds nothing where the operator keeps that to themselves', async () => {
    const node = await newNode({ selfServiceOrganizations: false })
    const key = await issuer.tokenOf('frida')
    const { status, body } = await node.call('POST /v1/organizations', { name: unique() }, { key })
    expect([status, body.permission]).toEqual([403, 'org:create'])
    const byOperator = { name: unique(), owner: 'frida' }
    expect((await node.call('POST /v1/organizations', byOperator)).status).toBe(201)
  })

  test('sees no organization of others, and is told nothing of them', async () => {
    const { path } = await server.newOrganization()
    const key = await issuer.tokenOf('eve')
    const hidden = await server.call(`GET ${path}`, undefined, { key })
    const none = await server.call('GET /v1/organizations/nowhere', undefined, { key })
    expect([hidden.status, hidden.body.detail]).toEqual([404, none.body.detail])
  })

  test('is refused while suspended, and from the end of the membership on', async () => {
    const { path } = await server.newOrganization()
    const key = await issuer.tokenOf('bob')
    const read = async () => (await server.call(`GET ${path}/members`, undefined, { key })).status
    expect(await read()).toBe(404)
    await server.call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
    expect(await read()).toBe(200)
    await server.call(`PATCH ${path}/members/bob`, { status: 'suspended' })
    expect(await read()).toBe(403)
    await server.call(`DELETE ${path}/members/bob`)
    expect(await read()).toBe(404)
  })

  test('asks only with the permission to ask', async () => {
    const { path, slug } = await server.newOrganization()
    await server.call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
    const question = { organization: slug, subject: 'user:bob', permission: 'scenario:read' }
    const ask = async (user: string) =>
      server.call('POST /check', question, { key: await issuer.tokenOf(user) })
    const refused = await ask('bob')
    expect([refused.status, refused.body.permission]).toEqual([403, 'decision:check'])
    expect((await ask('alice')).body.allowed).toBe(true)
    expect((await ask('eve')).status).toBe(404)
  })
})

test('a server without an issuer knows no tokens', async () => {
  const node = await startTestServer({ database: server.database })
  expect((await list(await issuer.tokenOf('alice'), node)).status).toBe(401)
})
