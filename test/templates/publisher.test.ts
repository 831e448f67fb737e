import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createResolveTxt } from '../../src/platform/node/dns.ts'
import { type DnsServer, startDns } from '../support/dns.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let dns: DnsServer
beforeAll(async () => {
  dns = await startDns()
  server = await startTestServer({ resolveTxt: createResolveTxt([dns.address]) })
})
afterAll(async () => {
  await server.drop()
  await dns.stop()
})

let made = 0
/** A handle like no other of these tests. */
const fresh = () => `h${(made++).toString().repeat(6)}-${Math.random().toString(36).slice(2, 12)}`
const given = async () => {
  const organization = await server.newOrganization()
  const { path } = organization
  return {
    ...organization,
    put: (body: object, options = {}) => server.call(`PUT ${path}/publisher`, body, options),
    verify: (domain: string) => server.call(`POST ${path}/publisher/verify`, { domain }),
    claim: async (domain: string) =>
      (await server.call(`POST ${path}/domains`, { domain })).body.record,
  }
}
/** A publisher whom people know by a handle. */
const known = async (handle: string) => {
  const other = await given()
  expect((await other.put({ handle })).status).toBe(200)
  await server.sql`update publishers set verified_at = now(), verified_by = 'moderator' where organization_id = ${other.id}`
  return other
}

describe('a handle', () => {
  test('is taken, read, and changed at the version that was read', async () => {
    const { put, path } = await given()
    expect((await server.call(`GET ${path}/publisher`)).body.code).toBe('publisher-not-found')
    const handle = fresh()
    const first = await put({ handle })
    expect([first.status, first.body.verifiedAt, first.headers.get('etag')]).toEqual([
      200,
      null,
      '"1"',
    ])
    const again = await put({ handle: fresh() }, { headers: { 'if-match': '"1"' } })
    expect([again.status, again.body.version]).toEqual([200, 2])
    expect((await put({ handle }, { headers: { 'if-match': '"1"' } })).status).toBe(412)
    const read = await server.call(`GET ${path}/publisher`)
    expect([read.body, read.headers.get('etag')]).toEqual([again.body, '"2"'])
  })

  test.each([
    { handle: 'Upper' },
    { handle: 'раураl' },
    { handle: 'a b' },
    { handle: '-a' },
    { handle: 'xn--pypal-4ve' },
    { handle: '' },
    { handle: 'fine', verifiedAt: '2026-01-01T00:00:00Z' },
    { handle: 'fine', status: 'active' },
    { handle: 'fine', verifiedBy: 'moderator' },
    {},
  ])('is refused as %j', async (body) => {
    expect((await (await given()).put(body)).status).toBe(400)
  })

  test('is one organization’s only', async () => {
    const [mine, theirs] = [await given(), await given()]
    const handle = fresh()
    await mine.put({ handle })
    const taken = await theirs.put({ handle })
    expect([taken.status, taken.body.code, taken.body.errors[0].pointer]).toEqual([
      409,
      'handle-taken',
      '/handle',
    ])
  })

  test('may not be taken for one that people know', async () => {
    const suffix = Math.random().toString(36).slice(2, 7)
    const handle = `fabrikam-${suffix}`
    await known(handle)
    const mine = await given()
    for (const alike of [
      `fabrikam${suffix}`,
      `fabrlkam-${suffix}`,
      `fabrik4m-${suffix}`,
      `fabrikarn-${suffix}`,
      `fabrikams-${suffix}`,
      `f-abrikam-${suffix}`,
    ]) {
      const refused = await mine.put({ handle: alike })
      expect([alike, refused.status, refused.body.code]).toEqual([alike, 409, 'handle-look-alike'])
      expect(refused.body.detail).toContain(handle)
    }
    // Nobody knows this one, so nobody is taken for it.
    await (await given()).put({ handle: `contoso-${suffix}` })
    expect((await mine.put({ handle: `contos0-${suffix}` })).status).toBe(200)
  })

  test('stays once something stands on the list under it', async () => {
    const { put, id, path } = await given()
    await put({ handle: fresh() })
    const { body } = await server.call(`POST ${path}/templates`, {
      slug: 'x',
      name: 'X',
      category: 'other',
      license: 'MIT',
      definition: {},
    })
    await server.call(`PUT ${path}/templates/${body.id}/visibility`, { visibility: 'public' })
    await server.call(`POST ${path}/templates/${body.id}/versions/0.1.0/publish`)
    await server.sql`update template_versions set approved_integrity = integrity where template_id = ${body.id}`
    await server.sql`update templates set listing = 'listed' where id = ${body.id}`
    const renamed = await put({ handle: fresh() })
    expect([renamed.status, renamed.body.code]).toEqual([409, 'handle-fixed'])
    const domain = `${path.slice(-14)}.example`
    const unclaimed = await put({ handle: 'anything', domain })
    expect(unclaimed.body.code).toBe('handle-fixed')
    await server.sql`update publishers set status = 'banned' where organization_id = ${id}`
    expect((await put({ handle: fresh() })).body.code).toBe('handle-fixed')
  })

  test('that a moderator has verified is proven anew when it is another', async () => {
    const mine = await known(fresh())
    const renamed = await mine.put({ handle: fresh() })
    expect([renamed.status, renamed.body.verifiedAt, renamed.body.verifiedBy]).toEqual([
      200,
      null,
      null,
    ])
  })

  test('needs the permission to publish, for reading, too', async () => {
    const { path, keyFor } = await given()
    const key = await keyFor({ permissions: ['template:create', 'template:read'] })
    for (const [what, body] of [
      [`GET ${path}/publisher`, undefined],
      [`PUT ${path}/publisher`, { handle: 'x' }],
      [`POST ${path}/publisher/verify`, { domain: 'a.example' }],
    ] as const)
      expect((await server.call(what, body, { key })).body.permission).toBe('marketplace:publish')
  })
})

describe('a publisher', () => {
  test('is proven by a domain that its organization has claimed, and by nothing a caller says', async () => {
    const { put, verify, claim, slug, path } = await given()
    const domain = `${slug}.example`
    expect((await verify(domain)).body.code).toBe('publisher-not-found')
    const handle = fresh()
    await put({ handle })
    for (const unclaimed of [await put({ handle, domain }), await verify(domain)])
      expect([unclaimed.status, unclaimed.body.code, unclaimed.body.errors[0].pointer]).toEqual([
        422,
        'domain-not-claimed',
        '/domain',
      ])
    const record = await claim(domain)
    const waiting = await verify(domain)
    expect([waiting.status, waiting.body.txtRecord, waiting.body.verifiedAt]).toEqual([
      200,
      record,
      null,
    ])
    expect((await put({ handle })).body.domain).toBe(domain)
    dns.put(record)
    const verified = await verify(domain)
    expect([verified.status, typeof verified.body.verifiedAt]).toEqual([200, 'string'])
    expect(verified.revision).toBeTruthy()
    expect((await server.call(`GET ${path}/publisher`)).body).toMatchObject({
      domain,
      verifiedBy: 'domain',
    })
    // Given up, the domain proves nothing any more.
    expect((await server.call(`DELETE ${path}/domains/${domain}`)).status).toBe(204)
    expect((await server.call(`GET ${path}/publisher`)).body).toMatchObject({
      domain: null,
      verifiedAt: null,
      verifiedBy: null,
    })
  })

  test('is not proven by a domain that another organization has proven', async () => {
    const [mine, theirs] = [await given(), await given()]
    const domain = `${theirs.slug}.example`
    await theirs.put({ handle: fresh() })
    dns.put(await theirs.claim(domain))
    expect(typeof (await theirs.verify(domain)).body.verifiedAt).toBe('string')
    await mine.put({ handle: fresh() })
    await mine.claim(domain)
    const taken = await mine.verify(domain)
    expect([taken.status, taken.body.verifiedAt]).toEqual([200, null])
    await mine.put({ handle: fresh(), domain })
    expect((await server.call(`GET ${mine.path}/publisher`)).body.verifiedAt).toBeNull()
  })

  test('proves a domain that was proven already without asking again, and forgets one that is taken away', async () => {
    const { put, verify, claim, slug, path } = await given()
    const domain = `${slug}.example`
    dns.put(await claim(domain))
    await server.call(`POST ${path}/domains/${domain}/verify`)
    const handle = fresh()
    const proven = await put({ handle, domain })
    expect([proven.status, typeof proven.body.verifiedAt]).toEqual([200, 'string'])
    expect((await verify(domain)).body.verifiedAt).toBe(proven.body.verifiedAt)
    expect((await put({ handle, domain: null })).body.verifiedAt).toBeNull()
  })
})
