import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parseRange } from '../../src/platform/address-range.ts'
import { newId } from '../../src/platform/id.ts'
import { type Issuer, startIssuer } from '../support/issuer.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let issuer: Issuer
let server: TestServer
let organization: Awaited<ReturnType<TestServer['newOrganization']>>
beforeAll(async () => {
  issuer = await startIssuer()
  server = await startTestServer({
    jwt: issuer.settings,
    // What is at the other end of the connection; the real connection has a test of its own.
    peerAddress: (c) => c.req.header('test-peer'),
  })
})
afterAll(async () => {
  await server.drop()
  await issuer.stop()
})
beforeEach(async () => {
  organization = await server.newOrganization()
})

const OFFICE = '203.0.113.7'
const ELSEWHERE = '198.51.100.9'
const at = (peer: string | undefined): { headers: Record<string, string> } => ({
  headers: peer === undefined ? {} : { 'test-peer': peer },
})
const secure = (body: unknown) => server.call(`PATCH ${organization.path}/security`, body)
const seconds = () => Math.floor(Date.now() / 1000)
const question = (more: object = {}) => ({
  organization: organization.slug,
  subject: 'user:alice',
  permission: 'scenario:read',
  ...more,
})
const check = (more: object = {}, options = {}) =>
  server.call('POST /check', question(more), options)

describe('the list of addresses', () => {
  test('keeps people and keys out of the management API, wherever it is asked', async () => {
    const key = await organization.keyFor({ roles: ['admin'] })
    const alice = await issuer.tokenOf('alice')
    await secure({ ipAllowList: ['203.0.113.0/24', '2001:db8::/32'] })
    for (const caller of [key, alice])
      for (const what of [
        `GET ${organization.path}`,
        `GET ${organization.path}/members`,
        `PATCH ${organization.path}/settings`,
        `POST ${organization.path}/grants`,
        `POST ${organization.path}/leave`,
        `GET ${organization.path}/export`,
      ]) {
        const body = what.startsWith('GET') ? undefined : {}
        for (const peer of [
          ELSEWHERE,
          '2001:db9::1',
          '::ffff:198.51.100.9',
          'nonsense',
          undefined,
        ]) {
          const answer = await server.call(what, body, { key: caller, ...at(peer) })
          expect([what, peer, answer.status, answer.body.code]).toEqual([
            what,
            peer,
            403,
            'address-not-allowed',
          ])
        }
      }
    for (const peer of [OFFICE, '::ffff:203.0.113.7', '2001:db8:1::5'])
      for (const caller of [key, alice])
        expect(
          (await server.call(`GET ${organization.path}`, undefined, { key: caller, ...at(peer) }))
            .status,
        ).toBe(200)
  })

  test('is changed by whoever asks at any moment, also when what is known has to be looked up again', async () => {
    // Embedded storage has one connection: what asked over another inside the change would wait for itself.
    const always = await startTestServer({ stalenessMs: 0 })
    const { path } = await always.newOrganization()
    const { status } = await always.call(`PATCH ${path}/security`, {
      ipAllowList: ['203.0.113.0/24'],
    })
    await always.drop()
    expect(status).toBe(200)
  })

  test('keeps keys and people from asking: /check, batches, AuthZEN', async () => {
    const key = await organization.keyFor({ roles: ['admin'] })
    await secure({ ipAllowList: ['203.0.113.0/24'] })
    const inside = { context: { ip: OFFICE } }
    const evaluation = {
      subject: { type: 'user', id: 'alice' },
      action: { name: 'read' },
      resource: { type: 'scenario', id: '1' },
      context: { ip: OFFICE },
    }
    const ask = (peer: string) =>
      Promise.all([
        check(inside, { key, ...at(peer) }),
        server.call('POST /access/v1/evaluation', evaluation, { key, ...at(peer) }),
      ])
    for (const { status, body } of await ask(ELSEWHERE))
      expect([status, body.code]).toEqual([403, 'address-not-allowed'])
    const [checked, evaluated] = await ask(OFFICE)
    expect([checked.body.allowed, evaluated.body.decision]).toEqual([true, true])
    const batch = { checks: [question(inside)] }
    const refused = await server.call('POST /check/batch', batch, { key, ...at(ELSEWHERE) })
    expect(refused.body.results[0].error).toMatchObject({
      status: 403,
      code: 'address-not-allowed',
    })
  })

  test('turns an allow into a deny where the end user is elsewhere, or nobody says where', async () => {
    await secure({ ipAllowList: ['203.0.113.0/24', '2001:db8::/32'] })
    const asked = async (context: unknown, more: object = {}) => {
      const { body } = await check(context === undefined ? more : { context, ...more })
      return [body.allowed, body.code]
    }
    expect(await asked({ ip: OFFICE })).toEqual([true, 'role'])
    expect(await asked({ ip: '::ffff:203.0.113.7' })).toEqual([true, 'role'])
    expect(await asked({ ip: '2001:DB8::1' })).toEqual([true, 'role'])
    for (const ip of [ELSEWHERE, '203.0.114.7', '', ' 203.0.113.7', '203.0.113.7/24', 'x', 7, null])
      expect([ip, ...(await asked({ ip }))]).toEqual([ip, false, 'condition'])
    expect(await asked(undefined)).toEqual([false, 'condition'])
    expect(await asked({ IP: OFFICE })).toEqual([false, 'condition'])
    expect(await asked({ ip: [OFFICE] })).toEqual([false, 'condition'])
    // Another reason to refuse stays the reason.
    expect(await asked(undefined, { subject: 'user:stranger' })).toEqual([false, 'not-a-member'])
    const { body } = await check({ explain: true })
    expect(body.reason).toContain('context.ip')
  })

  test('counts for keys and services where the address is told, and is not demanded of them', async () => {
    const made = await server.call(`POST ${organization.path}/api-keys`, {
      name: 'k',
      roles: ['viewer'],
    })
    await server.call(`PUT ${organization.path}/members/service:ci`, { roles: ['viewer'] })
    await secure({ ipAllowList: ['203.0.113.0/24'] })
    for (const subject of [`key:${made.body.id}`, 'service:ci']) {
      expect((await check({ subject })).body.allowed).toBe(true)
      const elsewhere = await check({ subject, context: { ip: ELSEWHERE } })
      expect([elsewhere.body.allowed, elsewhere.body.code]).toEqual([false, 'condition'])
    }
  })

  test('is the same in a batch and in AuthZEN as in a single question', async () => {
    await secure({ ipAllowList: ['203.0.113.0/24'] })
    const { body } = await server.call('POST /check/batch', {
      defaults: { context: { ip: OFFICE } },
      checks: [question(), question({ context: { ip: ELSEWHERE } })],
    })
    expect(body.results.map(({ allowed }: { allowed: boolean }) => allowed)).toEqual([true, false])
    const evaluation = (context: object) =>
      server.call(`POST /${organization.slug}/access/v1/evaluation`, {
        subject: { type: 'user', id: 'alice' },
        action: { name: 'read' },
        resource: { type: 'scenario', id: '1' },
        context,
      })
    expect((await evaluation({ ip: OFFICE })).body.decision).toBe(true)
    expect((await evaluation({ ip: ELSEWHERE })).body.decision).toBe(false)
    expect((await evaluation({})).body.decision).toBe(false)
  })

  test('is the business of no other organization, and ends with the next change', async () => {
    const other = await server.newOrganization()
    await secure({ ipAllowList: ['203.0.113.0/24'] })
    expect((await check({ organization: other.slug })).body.allowed).toBe(true)
    expect((await check()).body.allowed).toBe(false)
    const { revision } = await secure({ ipAllowList: [] })
    const answer = await check({ consistency: { atLeast: revision } })
    expect(answer.body.allowed).toBe(true)
  })

  test('keeps no operator out, from wherever, as caller and as subject', async () => {
    await secure({ ipAllowList: ['203.0.113.0/24'] })
    const { status } = await server.call(
      `GET ${organization.path}/members`,
      undefined,
      at(ELSEWHERE),
    )
    expect(status).toBe(200)
    const [{ id }] = (await server.sql`
      select id from api_keys where organization_id is null limit 1`) as unknown as [{ id: string }]
    expect((await check({ subject: `key:${id}`, context: { ip: ELSEWHERE } })).body.allowed).toBe(
      true,
    )
  })

  test('does not empty searches, which are about nobody’s address', async () => {
    await secure({ ipAllowList: ['203.0.113.0/24'] })
    const { body } = await server.call(`POST ${organization.path}/search/subjects`, {
      permission: 'scenario:read',
    })
    expect(body.items.map(({ subject }: { subject: string }) => subject)).toContain('user:alice')
  })

  test('does not stop jobs that run in a person’s name', async () => {
    await secure({ ipAllowList: ['203.0.113.0/24'], requireMfa: true, confirmLockout: true })
    const context = {
      ...server.context,
      access: server.access,
      organizationId: organization.id,
      actor: { subject: 'user:alice', apiKeyId: null, organizationId: null, restrictedTo: null },
    }
    const place = { organizationId: organization.id }
    expect(await server.access.permits(context, 'org:read', place)).toBe(true)
  })
})

describe('a second factor', () => {
  const tokenWith = (claims: object) => issuer.tokenOf('alice', claims as never)
  const read = async (claims: object) => {
    const key = await tokenWith(claims)
    const { status, body } = await server.call(`GET ${organization.path}`, undefined, { key })
    return [status, body.code ?? null]
  }
  test.each([
    ['says so', { amr: ['pwd', 'mfa'] }],
    ['used a password and a code', { amr: ['pwd', 'otp'] }],
    ['used a PIN and a hardware key', { amr: ['pin', 'hwk'] }],
    ['used a face and a card', { amr: ['face', 'sc'] }],
    ['comes by REFEDS', { acr: 'https://refeds.org/profile/mfa' }],
    ['has NIST level 2', { acr: 'http://idmanagement.gov/ns/assurance/aal/2' }],
  ])('is there where the token %s', async (_, claims) => {
    await secure({ requireMfa: true })
    expect(await read(claims)).toEqual([200, null])
  })
  test.each([
    ['says nothing', {}],
    ['used a password', { amr: ['pwd'] }],
    ['used two things of one kind', { amr: ['pwd', 'pin', 'kba'] }],
    ['names methods nobody knows', { amr: ['constructor', '__proto__', 'toString', 'x'] }],
    ['has a text for a list', { amr: 'mfa' }],
    ['has no texts in its list', { amr: [['mfa'], { mfa: true }, 1] }],
    ['has another context', { acr: '2' }],
    ['has a list of contexts', { acr: ['https://refeds.org/profile/mfa'] }],
  ])('is missing where the token %s', async (_, claims) => {
    await secure({ requireMfa: true })
    expect(await read(claims)).toEqual([403, 'mfa-required'])
    await secure({ requireMfa: false })
    expect(await read(claims)).toEqual([200, null])
  })

  test('is asked of people who ask /check, and of no key', async () => {
    await secure({ requireMfa: true })
    const refused = await check({}, { key: await tokenWith({ amr: ['pwd'] }) })
    expect([refused.status, refused.body.code]).toEqual([403, 'mfa-required'])
    expect((await check({}, { key: await tokenWith({ amr: ['mfa'] }) })).status).toBe(200)
    expect((await check({}, { key: await organization.keyFor({ roles: ['admin'] }) })).status).toBe(
      200,
    )
  })

  test('is asked of an operator, too, for what the organization and not the platform gave', async () => {
    await server.sql`insert into grants (id, subject, role_home, role_scope, role_name, granted_by)
      values (${newId('grt')}, 'user:ops', 'platform', 'platform', 'support', 'service:test')`
    await server.call(`PUT ${organization.path}/members/ops`, { roles: ['admin'] })
    await secure({ requireMfa: true })
    const key = await issuer.tokenOf('ops', { amr: ['pwd'] } as never)
    expect((await server.call(`GET ${organization.path}`, undefined, { key })).status).toBe(200)
    const change = await server.call(`PATCH ${organization.path}`, { name: 'X' }, { key })
    expect([change.status, change.body.permission]).toEqual([403, 'org:update'])
    const withMfa = await issuer.tokenOf('ops', { amr: ['mfa'] } as never)
    expect(
      (await server.call(`PATCH ${organization.path}`, { name: 'X' }, { key: withMfa })).status,
    ).toBe(200)
  })
})

describe('the age of a sign-in', () => {
  const read = async (claims: object) => {
    const key = await issuer.tokenOf('alice', claims as never)
    const { status, body } = await server.call(`GET ${organization.path}`, undefined, { key })
    return [status, body.code ?? null]
  }
  test('is a day where nothing is set', async () => {
    expect(await read({ auth_time: seconds() - 86_300 })).toEqual([200, null])
    expect(await read({ auth_time: seconds() - 86_500 })).toEqual([403, 'session-expired'])
    expect(await read({ iat: seconds() - 86_500 })).toEqual([403, 'session-expired'])
    expect(await read({ iat: undefined })).toEqual([200, null])
  })
  test('is what the organization has chosen; a new token does not make an old sign-in new', async () => {
    await secure({ sessionTimeoutSeconds: 600 })
    expect(await read({ auth_time: seconds() - 500 })).toEqual([200, null])
    expect(await read({ auth_time: seconds() - 700, iat: seconds() })).toEqual([
      403,
      'session-expired',
    ])
    expect(await read({ iat: seconds() - 700 })).toEqual([403, 'session-expired'])
    expect(await read({ iat: undefined })).toEqual([403, 'session-expired'])
    expect(await read({ iat: undefined, auth_time: 'now' })).toEqual([403, 'session-expired'])
    await secure({ sessionTimeoutSeconds: null })
    expect(await read({ auth_time: seconds() - 700 })).toEqual([200, null])
  })
  test('grows while a token that is remembered stays the same', async () => {
    let nowMs = Date.now()
    const node = await startTestServer({
      jwt: issuer.settings,
      database: server.database,
      now: () => new Date(nowMs),
      stalenessMs: 60_000,
    })
    await node.call(`PATCH ${organization.path}/security`, { sessionTimeoutSeconds: 600 })
    const key = await issuer.tokenOf('alice')
    const status = async () =>
      (await node.call(`GET ${organization.path}`, undefined, { key })).status
    expect(await status()).toBe(200)
    nowMs += 601_000
    expect(await status()).toBe(403)
  })
})

describe('whoever would keep themselves out', () => {
  const secureAs = async (claims: object, peer: string, body: object) =>
    server.call(`PATCH ${organization.path}/security`, body, {
      key: await issuer.tokenOf('alice', claims as never),
      ...at(peer),
    })
  test.each([
    ['by their address', {}, { ipAllowList: ['10.0.0.0/8'] }, 'ipAllowList'],
    ['by their single factor', { amr: ['pwd'] }, { requireMfa: true }, 'requireMfa'],
    [
      'by the age of their session',
      { auth_time: seconds() - 4000 },
      { sessionTimeoutSeconds: 3600 },
      'sessionTimeoutSeconds',
    ],
  ])('%s is asked twice', async (_, claims, body, setting) => {
    const answer = await secureAs(claims, OFFICE, body)
    expect([answer.status, answer.body.code, answer.body.setting]).toEqual([
      409,
      'would-lock-out',
      setting,
    ])
    const { body: unchanged } = await server.call(`GET ${organization.path}/security`)
    expect(unchanged.version).toBe(1)
    const confirmed = await secureAs(claims, OFFICE, { ...body, confirmLockout: true })
    expect([confirmed.status, 'confirmLockout' in confirmed.body]).toEqual([200, false])
    expect((await secureAs(claims, OFFICE, {})).status).toBe(403)
  })
  test('is not asked where the change does not touch them, nor where they are an operator', async () => {
    expect((await secureAs({}, OFFICE, { ipAllowList: ['203.0.113.7'] })).status).toBe(200)
    expect((await secureAs({ amr: ['mfa'] }, OFFICE, { requireMfa: true })).status).toBe(200)
    expect((await secure({ ipAllowList: ['10.0.0.1'] })).status).toBe(200)
  })
})

describe('proxies', () => {
  test('that are not trusted say nothing; those that are name the client', async () => {
    const node = await startTestServer({
      jwt: issuer.settings,
      database: server.database,
      peerAddress: (c) => c.req.header('test-peer'),
      trustedProxies: [parseRange('10.0.0.0/8')!],
    })
    await secure({ ipAllowList: [OFFICE] })
    const key = await organization.keyFor({ roles: ['admin'] })
    const status = async (headers: Record<string, string>) =>
      (await node.call(`GET ${organization.path}`, undefined, { key, headers })).status
    expect(await status({ 'test-peer': '10.0.0.5', 'x-forwarded-for': OFFICE })).toBe(200)
    expect(await status({ 'test-peer': '10.0.0.5', forwarded: `for=${OFFICE}` })).toBe(200)
    expect(await status({ 'test-peer': ELSEWHERE, 'x-forwarded-for': OFFICE })).toBe(403)
    expect(
      await status({ 'test-peer': '10.0.0.5', 'x-forwarded-for': `${OFFICE}, ${ELSEWHERE}` }),
    ).toBe(403)
    expect(
      await status({
        'test-peer': '10.0.0.5',
        'x-forwarded-for': ELSEWHERE,
        forwarded: `for=${OFFICE}`,
      }),
    ).toBe(403)
    // The server of the other tests trusts nobody.
    const direct = await server.call(`GET ${organization.path}`, undefined, {
      key,
      headers: { 'test-peer': '10.0.0.5', 'x-forwarded-for': OFFICE },
    })
    expect(direct.status).toBe(403)
  })
})
