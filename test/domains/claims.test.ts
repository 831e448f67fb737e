import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readPages, refusesGarbage } from '../support/paging.ts'
import { startWithDns } from './fixtures.ts'

let world: Awaited<ReturnType<typeof startWithDns>>
let organization: Awaited<ReturnType<typeof world.server.newOrganization>>
beforeAll(async () => {
  world = await startWithDns()
})
afterAll(() => world.stop())
beforeEach(async () => {
  organization = await world.server.newOrganization()
})
afterEach(() => {
  Object.assign(world.dns.state, { rcode: undefined, isSilent: false })
})

const call = (...parameters: Parameters<typeof world.server.call>) =>
  world.server.call(...parameters)
const claim = (domain: string, path = organization.path) => call(`POST ${path}/domains`, { domain })
const verify = (domain: string, path = organization.path) =>
  call(`POST ${path}/domains/${domain}/verify`)

describe('a domain', () => {
  test('is claimed, proven by its TXT record, and given up', async () => {
    const domain = world.newDomain()
    const claimed = await claim(domain.toUpperCase())
    expect([claimed.status, claimed.body]).toMatchObject([
      201,
      { domain, state: 'pending', enrollment: 'manual', role: null, verifiedAt: null },
    ])
    const { record } = claimed.body
    expect(record).toEqual({
      type: 'TXT',
      name: `_latchkey.${domain}`,
      value: expect.stringMatching(/^latchkey-verification=[0-9a-f]{32}$/),
    })
    const early = await verify(domain)
    expect([early.status, early.body.code, early.body.record]).toEqual([
      409,
      'domain-unproven',
      record,
    ])
    world.dns.put(record, 'v=spf1 -all', 'something else')
    const verified = await verify(domain)
    expect([verified.status, verified.body.state, verified.body.failures]).toEqual([
      200,
      'verified',
      0,
    ])
    expect(verified.body.verifiedAt).toBeTruthy()
    const again = await verify(domain)
    expect(again.body.verifiedAt).toBe(verified.body.verifiedAt)
    expect((await call(`DELETE ${organization.path}/domains/${domain}`)).status).toBe(204)
    expect((await call(`GET ${organization.path}/domains/${domain}`)).body.code).toBe(
      'domain-not-found',
    )
    const events = await world.server.sql`
      select event from audit_events where log = ${organization.id} and event like 'domain.%' order by id`
    expect(events.map(({ event }) => event)).toEqual([
      'domain.created',
      'domain.verified',
      'domain.verified',
      'domain.deleted',
    ])
  })

  test('whose record is in parts is put together', async () => {
    const domain = world.newDomain()
    const { body } = await claim(domain)
    const { name, value } = body.record
    world.dns.records.set(name, [[value.slice(0, 9), value.slice(9)]])
    expect((await verify(domain)).status).toBe(200)
  })

  test.each([
    ['of another claim', (value: string) => value.replace(/.{32}$/, '0'.repeat(32))],
    ['with more in it', (value: string) => `${value}0`],
    ['of which a part is missing', (value: string) => value.slice(0, -1)],
    ['that is empty', () => ''],
  ])('is not proven by a record %s', async (_, change) => {
    const domain = world.newDomain()
    const { body } = await claim(domain)
    world.dns.put({ name: body.record.name, value: change(body.record.value) })
    expect((await verify(domain)).body.code).toBe('domain-unproven')
  })

  test('is not proven by the record of a name beside it', async () => {
    const domain = world.newDomain()
    const { body } = await claim(domain)
    for (const name of [domain, `www.${domain}`, `_latchkey.x.${domain}`, '_latchkey.example'])
      world.dns.put({ ...body.record, name })
    expect((await verify(domain)).body.code).toBe('domain-unproven')
  })

  test('claimed anew has another token: an old record proves nothing', async () => {
    const domain = world.newDomain()
    const { body } = await claim(domain)
    world.dns.put(body.record)
    await call(`DELETE ${organization.path}/domains/${domain}`)
    expect((await claim(domain)).body.record.value).not.toBe(body.record.value)
    expect((await verify(domain)).body.code).toBe('domain-unproven')
  })

  test.each([
    ['fails', { rcode: 2 }],
    ['refuses', { rcode: 5 }],
    ['is silent', { isSilent: true }],
  ])('is neither proven nor refused while the DNS %s', async (_, state) => {
    const domain = world.newDomain()
    const { body } = await claim(domain)
    world.dns.put(body.record)
    Object.assign(world.dns.state, state)
    const answer = await verify(domain)
    expect([answer.status, answer.body.code]).toEqual([503, 'dns-unavailable'])
    Object.assign(world.dns.state, { rcode: undefined, isSilent: false })
    expect((await verify(domain)).status).toBe(200)
  })

  test('that is internationalized is one domain in both its forms', async () => {
    const label = `b\u00fccher${Date.now().toString(36)}`
    const claimed = await claim(`${label}.example`)
    expect([claimed.status, claimed.body.domain]).toEqual([
      201,
      expect.stringMatching(/^xn--bcher.*\.example$/),
    ])
    expect((await claim(claimed.body.domain)).body.code).toBe('domain-exists')
    const path = `${organization.path}/domains/${encodeURIComponent(`${label}.example`)}`
    expect((await call(`GET ${path}`)).body.domain).toBe(claimed.body.domain)
  })

  test.each([
    ...['gmail.com', 'GMAIL.com', 'gmail.com.', 'outlook.com', 'web.de', 'qq.com', 'proton.me'],
    ...['co.uk', 'github.io', 'com.br', 'xn--55qx5d.cn'],
  ])('cannot be everybody’s: %s', async (domain) => {
    const { status, body } = await claim(domain)
    expect([status, body.code, body.errors[0].pointer]).toEqual([
      422,
      'domain-not-claimable',
      '/domain',
    ])
  })

  test.each([
    ...[
      '',
      'example',
      '.example',
      'a..example',
      '-a.example',
      'a-.example',
      'a b.example',
      'a_.b c',
    ],
    ...[
      'https://a.example',
      'a.example/x',
      'a.example:80',
      'bob@a.example',
      'a.example?x',
      '*.a.example',
    ],
    ...[
      '127.0.0.1',
      '2130706433',
      '0x7f.1',
      '[::1]',
      '1.2.3.4.',
      'a.example#x',
      'a\\b.example',
      'a\u0000.example',
    ],
    ...[
      `${'a'.repeat(64)}.example`,
      `${'a.'.repeat(130)}example`,
      'a.example\n',
      'a%2eexample',
      'a.1',
    ],
  ])('has the name of one: not %j', async (domain) => {
    const { status, body } = await claim(domain)
    expect([status, body.errors[0].pointer]).toEqual([400, '/domain'])
  })

  test('that is not proven blocks nobody and opens nothing', async () => {
    const domain = world.newDomain()
    const squatter = await world.server.newOrganization()
    await claim(domain, squatter.path)
    const { body } = await claim(domain)
    world.dns.put(body.record)
    expect((await verify(domain)).status).toBe(200)
    for (const enrollment of ['suggest', 'auto_join']) {
      const patched = await call(`PATCH ${squatter.path}/domains/${domain}`, { enrollment })
      expect([patched.status, patched.body.code]).toEqual([409, 'domain-unproven'])
    }
    const join = await call(
      'POST /v1/domains/join',
      { organization: squatter.slug },
      { key: await world.person('zoe', `zoe@${domain}`) },
    )
    expect(join.status).toBe(404)
  })

  test('that another organization has proven is told so only to who proves it, too', async () => {
    const { domain } = await world.newProven()
    expect((await claim(domain)).status).toBe(201)
    expect((await verify(domain)).body.code).toBe('domain-unproven')
    const { body } = await call(`GET ${organization.path}/domains/${domain}`)
    world.dns.put(body.record)
    const taken = await verify(domain)
    expect([taken.status, taken.body.code]).toEqual([409, 'domain-taken'])
    const unchanged = await call(`GET ${organization.path}/domains/${domain}`)
    expect(unchanged.body).toMatchObject({ state: 'pending' })
  })

  test('is managed with org:security:update, and read with org:read', async () => {
    const domain = world.newDomain()
    await claim(domain)
    const [manager, viewer] = [
      await organization.keyFor({ roles: ['manager'] }),
      await organization.keyFor({ roles: ['viewer'] }),
    ]
    const at = `${organization.path}/domains/${domain}`
    for (const what of [`POST ${organization.path}/domains`, `PATCH ${at}`, `DELETE ${at}`]) {
      const { status, body } = await call(what, {}, { key: manager })
      expect([what, status, body.permission]).toEqual([what, 403, 'org:security:update'])
    }
    expect((await call(`GET ${at}`, undefined, { key: viewer })).status).toBe(200)
  })

  test('is listed in pages, and a hundred are enough', async () => {
    const domains = Array.from({ length: 5 }, () => world.newDomain()).toSorted()
    for (const domain of domains) await claim(domain)
    const path = `${organization.path}/domains`
    for (const limit of [1, 2, 200])
      expect(await readPages(world.server, path, { limit, idOf: ({ domain }) => domain! })).toEqual(
        domains,
      )
    await refusesGarbage(world.server, path)
    await world.server.sql`
      insert into organization_domains (organization_id, domain, txt_token)
      select ${organization.id}, 'n' || n || '.example', repeat('0', 32) from generate_series(1, 95) n`
    const full = await claim(world.newDomain())
    expect([full.status, full.body.code]).toEqual([409, 'domains-limit'])
  })

  test('of a read-only organization can be given up, and nothing else', async () => {
    const domain = world.newDomain()
    const { body } = await claim(domain)
    world.dns.put(body.record)
    await call(`POST ${organization.path}/suspend`, { level: 'read_only', reason: 'unpaid' })
    for (const what of [
      [`POST ${organization.path}/domains`, { domain: world.newDomain() }],
      [`POST ${organization.path}/domains/${domain}/verify`],
      [`PATCH ${organization.path}/domains/${domain}`, { enrollment: 'manual' }],
    ] as [string, unknown?][])
      expect((await call(...what)).body.code).toBe('organization-read-only')
    expect((await call(`DELETE ${organization.path}/domains/${domain}`)).status).toBe(204)
  })
})

describe('a proof', () => {
  const run = () =>
    world.server.jobs.handlers.get('domains.recheck')!.run({
      context: world.server.context,
      signal: new AbortController().signal,
    } as never) as Promise<{ checked: number; lapsed: number }>
  const aDayLater = (domain: string) => world.server.sql`
    update organization_domains set checked_at = now() - interval '1 day' where domain = ${domain}`
  const stateOf = async (at: string) => {
    const { body } = await call(`GET ${at}`)
    return [body.state, body.enrollment, body.failures]
  }

  test('is looked for every day, and lapses when it is missing for the third time', async () => {
    const { at, domain, id, slug } = await world.newProven({ enrollment: 'auto_join' })
    const name = `_latchkey.${domain}`
    const record = world.dns.records.get(name)!
    world.dns.records.delete(name)
    await run()
    expect(await stateOf(at)).toEqual(['verified', 'auto_join', 0])
    for (const failures of [1, 2]) {
      await aDayLater(domain)
      await run()
      await run()
      expect(await stateOf(at)).toEqual(['verified', 'auto_join', failures])
    }
    world.dns.records.set(name, record)
    await aDayLater(domain)
    await run()
    expect(await stateOf(at)).toEqual(['verified', 'auto_join', 0])
    world.dns.records.delete(name)
    for (let day = 0; day < 3; day++) {
      await aDayLater(domain)
      await run()
    }
    expect(await stateOf(at)).toEqual(['lapsed', 'manual', 3])
    const join = { organization: slug }
    const key = await world.person('zoe', `zoe@${domain}`)
    expect((await call('POST /v1/domains/join', join, { key })).status).toBe(404)
    const events = await world.server
      .sql`select 1 from audit_events where log = ${id} and event = 'domain.lapsed'`
    expect(events).toHaveLength(1)
    // It stays lapsed until it is proven again; the way in has to be opened again, too.
    world.dns.records.set(name, record)
    await aDayLater(domain)
    await run()
    expect((await stateOf(at))[0]).toBe('lapsed')
    await call(`POST ${at}/verify`)
    expect(await stateOf(at)).toEqual(['verified', 'manual', 0])
  })

  test('that nobody can look up counts as missing; what is lapsed is free for others', async () => {
    const { at, domain } = await world.newProven()
    world.dns.state.rcode = 2
    for (let day = 0; day < 3; day++) {
      await aDayLater(domain)
      await run()
    }
    world.dns.state.rcode = undefined
    expect((await stateOf(at))[0]).toBe('lapsed')
    const { body } = await claim(domain)
    world.dns.put(body.record)
    expect((await verify(domain)).status).toBe(200)
    expect((await call(`POST ${at}/verify`)).body.code).toBe('domain-unproven')
  })
})
