import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { prune } from '../../src/jobs/upkeep.ts'
import { type Issuer, startIssuer } from '../support/issuer.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let issuer: Issuer
let server: TestServer
let other: TestServer
/** Where the next caller is. */
let address: string | undefined
beforeAll(async () => {
  issuer = await startIssuer()
  const options = {
    jwt: issuer.settings,
    peerAddress: () => address,
    resolveTxt: async () => [],
  }
  server = await startTestServer(options)
  other = await startTestServer({ ...options, database: server.database })
})
afterAll(async () => {
  await server.drop()
  await issuer.stop()
})

const guess = () => `${Math.random().toString(36).slice(2)}${'A'.repeat(43)}`.slice(0, 43)
const decline = (node = server) =>
  node.call('POST /v1/invitations/decline', { token: guess() }, { key: null })
let people = 0
const newPerson = async (sub = `zoe${people++}`) =>
  issuer.tokenOf(sub, { email: `${sub}@example.com`, email_verified: true })
const accept = async (key: string, node = server) =>
  node.call('POST /v1/invitations/accept', { token: guess() }, { key })
const join = async (key: string) =>
  server.call('POST /v1/domains/join', { organization: 'nowhere' }, { key })
/** Tries so often, and answers the statuses with how often each came. */
const statusesOf = async (times: number, attempt: () => Promise<{ status: number }>) => {
  const counts: Record<number, number> = {}
  for (let n = 0; n < times; n++) {
    const { status } = await attempt()
    counts[status] = (counts[status] ?? 0) + 1
  }
  return counts
}

describe('what is tried too often', () => {
  test('is refused as problem+json that says when to try again, in words and in headers', async () => {
    address = '198.51.100.1'
    const first = await decline()
    expect([first.status, first.headers.get('ratelimit-policy')]).toEqual([
      404,
      '"invitation-decline";q=20;w=60',
    ])
    expect(first.headers.get('ratelimit')).toMatch(/^"invitation-decline";r=19;t=(60|59)$/)
    expect(await statusesOf(19, decline)).toEqual({ 404: 19 })
    const refused = await decline()
    const seconds = Number(refused.headers.get('retry-after'))
    expect([refused.status, refused.body]).toMatchObject([
      429,
      { status: 429, code: 'rate-limited', title: 'Too many requests' },
    ])
    expect(refused.headers.get('content-type')).toBe('application/problem+json')
    expect(refused.headers.get('x-request-id')).toBeTruthy()
    expect(refused.headers.get('ratelimit-policy')).toBe('"invitation-decline";q=20;w=60')
    expect(refused.headers.get('ratelimit')).toBe(`"invitation-decline";r=0;t=${seconds}`)
    expect(seconds).toBeGreaterThan(0)
    expect(seconds).toBeLessThanOrEqual(60)
    expect(refused.body.detail).toContain(`in ${seconds} seconds`)
  })

  test('is counted for all nodes together', async () => {
    address = '198.51.100.2'
    expect(await statusesOf(10, () => decline(server))).toEqual({ 404: 10 })
    expect(await statusesOf(12, () => decline(other))).toEqual({ 404: 10, 429: 2 })
    expect((await decline(server)).status).toBe(429)
  })

  test('is let through again when the window is over, and counted anew', async () => {
    address = '198.51.100.3'
    await statusesOf(25, decline)
    await server.sql`update rate_limits set ends_at = ends_at - interval '30 seconds'`
    const half = await decline()
    expect([half.status, Number(half.headers.get('retry-after')) <= 30]).toEqual([429, true])
    await server.sql`update rate_limits set ends_at = ends_at - interval '30 seconds'`
    const anew = await decline()
    expect(anew.headers.get('ratelimit')).toMatch(/r=19;t=(60|59)$/)
  })

  test('costs nothing where the body is malformed', async () => {
    address = '198.51.100.4'
    for (let n = 0; n < 25; n++)
      expect(
        (await server.call('POST /v1/invitations/decline', { token: 'x' }, { key: null })).status,
      ).toBe(400)
    expect((await decline()).headers.get('ratelimit')).toContain('r=19;')
  })
})

describe('a caller without an account', () => {
  test('is counted by network: neither another address of it nor another way to write it is another', async () => {
    address = '2001:db8:1:2::1'
    await statusesOf(20, decline)
    for (const same of ['2001:db8:1:2:ffff::9', '2001:0DB8:0001:0002::1']) {
      address = same
      expect([same, (await decline()).status]).toEqual([same, 429])
    }
    address = '2001:db8:1:3::1'
    expect((await decline()).status).toBe(404)
    address = '198.51.100.5'
    await statusesOf(20, decline)
    address = '::ffff:198.51.100.5'
    expect((await decline()).status).toBe(429)
    address = '198.51.100.6'
    expect((await decline()).status).toBe(404)
  })

  test('whose address nobody knows is counted with all of these, up to more', async () => {
    address = undefined
    const answer = await decline()
    expect(answer.headers.get('ratelimit-policy')).toBe('"invitation-decline";q=600;w=60')
    await server.sql`update rate_limits set used = 600 where used < 3 and ends_at > now()`
    expect((await decline()).status).toBe(429)
    address = 'no address'
    expect((await decline()).status).toBe(429)
    await server.sql`delete from rate_limits`
  })

  test('cannot choose an address by a header', async () => {
    address = '198.51.100.7'
    await statusesOf(20, decline)
    const headers = { 'x-forwarded-for': '192.0.2.99', forwarded: 'for=192.0.2.99' }
    const body = { token: guess() }
    const answer = await server.call('POST /v1/invitations/decline', body, { key: null, headers })
    expect(answer.status).toBe(429)
  })
})

describe('a person', () => {
  test('accepts twenty times a minute, wherever they are, and takes nothing from others', async () => {
    const [eve, bob] = [await newPerson('eve'), await newPerson('bob')]
    let n = 0
    const answers = await statusesOf(23, () => {
      address = `198.51.100.${100 + n++}`
      return accept(eve)
    })
    expect(answers).toEqual({ 404: 20, 429: 3 })
    // Another token of the same person is the same person.
    expect((await accept(await newPerson('eve'), other)).status).toBe(429)
    const free = await accept(bob)
    expect([free.status, free.headers.get('ratelimit-policy')]).toEqual([
      404,
      '"invitation-accept";q=20;w=60',
    ])
  })

  test('joins by domain ten times a minute, which has nothing to do with accepting', async () => {
    const key = await newPerson()
    await statusesOf(20, () => accept(key))
    expect(await statusesOf(12, () => join(key))).toEqual({ 404: 10, 429: 2 })
  })
})

describe('an organization', () => {
  test('has its domains looked for ten times a minute, whoever asks and whichever', async () => {
    const [mine, theirs] = [await server.newOrganization(), await server.newOrganization()]
    const keys = [await mine.keyFor({ roles: ['admin'] }), server.adminKey]
    let n = 0
    const verify = (path: string, domain: string) =>
      server.call(`POST ${path}/domains/${domain}/verify`, undefined, { key: keys[n++ % 2]! })
    for (const domain of ['a.example', 'b.example'])
      await server.call(`POST ${mine.path}/domains`, { domain })
    expect(await statusesOf(6, () => verify(mine.path, 'a.example'))).toEqual({ 409: 6 })
    expect(await statusesOf(6, () => verify(mine.path, 'b.example'))).toEqual({ 409: 4, 429: 2 })
    n = 1
    expect((await verify(theirs.path, 'a.example')).status).toBe(404)
    // Who may not, uses up nothing.
    const viewer = await theirs.keyFor({ roles: ['viewer'] })
    for (let m = 0; m < 12; m++) {
      const what = `POST ${theirs.path}/domains/a.example/verify`
      expect((await server.call(what, undefined, { key: viewer })).status).toBe(403)
    }
    n = 1
    expect((await verify(theirs.path, 'a.example')).headers.get('ratelimit')).toContain('r=8;')
  })

  test('sends 120 invitations a minute, by all ways together', async () => {
    const { path } = await server.newOrganization()
    await server.call(`POST ${path}/workspaces`, { name: 'Lab', slug: 'lab' })
    const send = [
      () => server.call(`POST ${path}/invitations`, { email: 'one@example.com' }),
      () => server.call(`POST ${path}/invitations/bulk`, { csv: 'email\ntwo@example.com' }),
      () =>
        server.call(`POST ${path}/workspaces/lab/invitations`, {
          ...{ email: 'three@example.com', roles: ['guest'] },
        }),
      () => server.call(`POST ${path}/invitations/inv_${guess().slice(0, 26)}/resend`),
    ]
    for (const [index, attempt] of send.entries())
      expect((await attempt()).headers.get('ratelimit')).toContain(
        `"invitation-send";r=${119 - index};`,
      )
    expect((await send[0]!()).headers.get('ratelimit-policy')).toBe('"invitation-send";q=120;w=60')
    await server.sql`update rate_limits set used = 120 where used = 5`
    for (const attempt of send) expect((await attempt()).status).toBe(429)
    const elsewhere = await server.newOrganization()
    const free = await server.call(`POST ${elsewhere.path}/invitations`, { email: 'a@example.com' })
    expect(free.status).toBe(201)
  })

  test('sends one invitation again five times an hour, from the workspace, too', async () => {
    const { path } = await server.newOrganization()
    await server.call(`POST ${path}/workspaces`, { name: 'Lab', slug: 'lab' })
    const whole = `${path}/invitations`
    const ofLab = `${path}/workspaces/lab/invitations`
    const one = await server.call(`POST ${whole}`, { email: 'one@example.com' })
    const two = await server.call(`POST ${ofLab}`, { email: 'two@example.com', roles: ['guest'] })
    for (const at of [`${whole}/${one.body.id}`, `${ofLab}/${two.body.id}`]) {
      const first = await server.call(`POST ${at}/resend`)
      expect([first.status, first.headers.get('ratelimit-policy')]).toEqual([
        200,
        '"invitation-resend";q=5;w=3600, "invitation-send";q=120;w=60',
      ])
      const resend = () => server.call(`POST ${at}/resend`)
      expect(await statusesOf(6, resend)).toEqual({ 200: 4, 429: 2 })
      const { headers } = await resend()
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(3500)
      expect(headers.get('ratelimit')).toMatch(/^"invitation-resend";r=0;t=\d+, "invitation-send";/)
    }
    const other = await server.call(`POST ${whole}/${two.body.id}/resend`)
    expect(other.status).toBe(200)
  })
})

describe('the counters', () => {
  test('tell of nobody, and go when they are over', async () => {
    await server.sql`delete from rate_limits`
    address = '198.51.100.77'
    await decline()
    await accept(await newPerson('mallory'))
    const rows = await server.sql<{ key: Uint8Array; row: string }[]>`
      select key, to_jsonb(r)::text as row from rate_limits r`
    expect(rows).toHaveLength(2)
    for (const { key, row } of rows) {
      expect(key).toHaveLength(32)
      expect(row).not.toMatch(/198\.51|mallory|example\.com|invitation/)
    }
    // Nor can a hash be matched with one that anybody can compute.
    const guessed = await server.sql`
      select 1 from rate_limits where key in (sha256('198.51.100.77'), sha256('user:mallory'))`
    expect(guessed).toHaveLength(0)
    await server.sql`update rate_limits set ends_at = now() - interval '1 second' where key = ${rows[0]!.key}`
    expect(await prune(server.context)).toMatchObject({ rateLimits: 1 })
    expect(await server.sql`select 1 from rate_limits`).toHaveLength(1)
  })

  test('have quotas that a server can be started with', async () => {
    const quotas = { 'invitation-decline': 2 }
    const strict = await startTestServer({
      ...{ database: server.database, peerAddress: () => '198.51.100.88', quotas },
    })
    expect(await statusesOf(4, () => decline(strict))).toEqual({ 404: 2, 429: 2 })
  })

  test('are documented where they count', async () => {
    const { body } = await server.call('GET /openapi.json')
    const limited = Object.entries(body.paths as Record<string, Record<string, unknown>>)
      .flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
      )
      .filter(({ operation }) => (operation as { responses: object }).responses['429' as never])
      .map(
        ({ method, path }) => `${method} ${path.replace('/v1/organizations/{organization}', '…')}`,
      )
    expect(limited.toSorted()).toEqual([
      'post /v1/domains/join',
      'post /v1/invitations/accept',
      'post /v1/invitations/decline',
      'post …/domains/{domain}/verify',
      'post …/invitations',
      'post …/invitations/bulk',
      'post …/invitations/{invitation}/resend',
      'post …/publisher/verify',
      'post …/workspaces/{workspace}/invitations',
      'post …/workspaces/{workspace}/invitations/{invitation}/resend',
    ])
    expect(body.components.responses.RateLimited).toBeTruthy()
  })
})
