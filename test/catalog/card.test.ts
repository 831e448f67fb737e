import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newId } from '../../src/platform/id.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { putInstallation, putTemplate } from './listing.ts'

let server: TestServer
let publisher: Awaited<ReturnType<TestServer['newOrganization']>>
let reader: Awaited<ReturnType<TestServer['newOrganization']>>
let key: string
let publisherKey: string

beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())
beforeEach(async () => {
  ;[publisher, reader] = [await server.newOrganization(), await server.newOrganization()]
  key = await reader.keyFor({ permissions: ['template:read', 'template:rate'] })
  publisherKey = await publisher.keyFor({ permissions: ['template:read', 'template:rate'] })
})

const get = (path: string, options: object = { key }) =>
  server.call(`GET /v1/templates/${path}`, undefined, options)
const codeOf = ({ status, body }: Awaited<ReturnType<typeof get>>) => [status, body.code]

describe('a card', () => {
  test('shows all of a template but its definition, by id and by name', async () => {
    const base = await putTemplate(server, publisher.id)
    const { id } = await putTemplate(server, publisher.id, {
      name: 'Nightly report',
      description: 'Sends <b>a</b> <scr<i>ipt>report</script>.\n\n```\n<b>code</b>\n```',
      derivedFrom: base.versionId,
      definition: '{"marker":"in the definition"}',
      versions: [
        { version: [1, 0, 0] },
        { version: [1, 10, 0] },
        { version: [2, 0, 0], status: 'blocked' },
      ],
    })
    const { status, body, headers } = await get(id)
    expect([status, body]).toMatchObject([
      200,
      {
        ...{
          id,
          name: 'Nightly report',
          latest: '1.10.0',
          capabilities: ['integration:slack', 'code'],
        },
        ...{ derivedFrom: { template: base.id, version: '1.0.0' }, derived: 0, entitlement: null },
        publisher: { handle: expect.any(String), verified: false },
        versions: [
          { version: '2.0.0', status: 'blocked' },
          { version: '1.10.0' },
          { version: '1.0.0' },
        ],
      },
    ])
    expect(body.description).toBe('Sends a report.\n\n```\n<b>code</b>\n```')
    expect(JSON.stringify(body)).not.toContain('in the definition')
    const named = await get(`by-name/${body.publisher.handle}/${body.slug}`)
    expect(named.body).toEqual(body)
    const again = await get(id, { key, headers: { 'if-none-match': headers.get('etag')! } })
    expect([again.status, again.body]).toEqual([304, ''])
    expect((await get(base.id)).body.derived).toBe(1)
  })

  test('is of what the organization may see, and nothing else', async () => {
    const put = (visibility: string, listing: string) =>
      putTemplate(server, publisher.id, { visibility, listing })
    const hidden = [await put('private', 'draft'), await put('public', 'draft')]
    hidden.push(await put('public', 'in_review'), await put('public', 'rejected'))
    for (const { id } of [...hidden, { id: `tpl_${'0'.repeat(26)}` }]) {
      expect(codeOf(await get(id))).toEqual([404, 'template-not-found'])
      for (const what of ['/versions', '/versions/1.0.0', '/versions/latest/content', '/ratings'])
        expect(codeOf(await get(`${id}${what}`))).toEqual([404, 'template-not-found'])
    }
    for (const { id } of hidden) expect((await get(id, { key: publisherKey })).status).toBe(200)
    const unlisted = await put('unlisted', 'draft')
    const { body } = await get(unlisted.id)
    expect(body.id).toBe(unlisted.id)
    // By its id only.
    const name = `by-name/${body.publisher.handle}/${body.slug}`
    expect(codeOf(await get(name))).toEqual([404, 'template-not-found'])
    expect((await get(name, { key: publisherKey })).status).toBe(200)
    const down = await put('public', 'taken_down')
    expect(codeOf(await get(down.id))).toEqual([410, 'template-withdrawn'])
    const delisted = await put('public', 'delisted')
    expect(codeOf(await get(delisted.id))).toEqual([404, 'template-not-found'])
    await putInstallation(server, reader.id, delisted)
    expect((await get(delisted.id)).status).toBe(200)
  })

  test('counts a view once a day and organization, and none of the publisher’s', async () => {
    const { id } = await putTemplate(server, publisher.id)
    for (let turn = 0; turn < 5; turn++) await get(id)
    await get(id, { key: publisherKey })
    const days =
      await server.sql`select views, downloads from template_days where template_id = ${id}`
    expect(days).toEqual([{ views: 1, downloads: 0 }])
  })

  test('is asked for an organization: a key’s own, or one that is named and known', async () => {
    const { id } = await putTemplate(server, publisher.id)
    expect((await server.call(`GET /v1/templates/${id}`)).status).toBe(400)
    expect((await server.call(`GET /v1/templates/${id}?organization=${reader.slug}`)).status).toBe(
      200,
    )
    const foreign = await get(`${id}?organization=${publisher.id}`)
    expect(codeOf(foreign)).toEqual([404, 'organization-not-found'])
    const twice = await get(`${id}?organization=${reader.id}&organization=${reader.id}`)
    expect(codeOf(twice)).toEqual([400, 'invalid-request'])
  })

  test('shows what was bought, advised and made of it', async () => {
    const template = await putTemplate(server, publisher.id, {
      prices: [{ currency: 'EUR', amountMinor: 900 }],
    })
    const { sql } = server
    await sql`insert into entitlements ${sql({
      ...{ id: newId('ent'), organizationId: reader.id, templateId: template.id },
      ...{ source: 'grant', license: 'MIT' },
    })}`
    const advisory = {
      affectedRange: '<2',
      severity: 'high',
      summary: 'Leaks.',
      publishedBy: 'user:a',
    }
    await sql`insert into advisories ${sql({ id: newId('adv'), templateId: template.id, ...advisory })}`
    const old = { id: newId('adv'), templateId: template.id, ...advisory, withdrawnAt: new Date() }
    await sql`insert into advisories ${sql(old)}`
    const { body } = await get(template.id)
    expect(body).toMatchObject({
      prices: [{ currency: 'EUR', amountMinor: 900 }],
      entitlement: { source: 'grant', license: 'MIT', expiresAt: null, isSuspended: false },
      advisories: [{ severity: 'high', affectedRange: '<2' }],
    })
    expect(body.advisories).toHaveLength(1)
  })
})

describe('versions', () => {
  test('are those that others may have, by number, range and name, without the definition', async () => {
    const { id } = await putTemplate(server, publisher.id, {
      definition: '{"marker":"in the definition"}',
      versions: [
        { version: [1, 0, 0] },
        { version: [1, 2, 0] },
        { version: [1, 3, 0], isApproved: false },
        { version: [1, 4, 0], status: 'draft', isApproved: false },
        { version: [2, 0, 0], status: 'yanked' },
      ],
    })
    const { body } = await get(`${id}/versions`)
    expect(body.items.map(({ version }: { version: string }) => version)).toEqual([
      ...['2.0.0', '1.2.0', '1.0.0'],
    ])
    expect(JSON.stringify(body)).not.toContain('in the definition')
    const first = await get(`${id}/versions?limit=2`)
    const second = await get(`${id}/versions?limit=2&cursor=${first.body.nextCursor}`)
    expect([first.body.items.length, second.body.items[0].version, second.body.nextCursor]).toEqual(
      [...[2, '1.0.0', null]],
    )
    const named = async (wanted: string) => (await get(`${id}/versions/${wanted}`)).body.version
    expect([await named('latest'), await named('^1.0.0'), await named('2.0.0')]).toEqual([
      ...['1.2.0', '1.2.0', '2.0.0'],
    ])
    for (const hidden of ['1.3.0', '1.4.0', '9.9.9', '>3'])
      expect(codeOf(await get(`${id}/versions/${encodeURIComponent(hidden)}`))).toEqual([
        ...[404, 'version-not-found'],
      ])
    const own = await get(`${id}/versions`, { key: publisherKey })
    expect(own.body.items).toHaveLength(4)
  })

  test('are told apart', async () => {
    const { id } = await putTemplate(server, publisher.id, {
      versions: [{ version: [1, 0, 0] }, { version: [1, 1, 0] }],
    })
    const { sql } = server
    const input = (name: string, label = 'x') => ({ name, type: 'text', label, isRequired: true })
    await sql`alter table template_versions disable trigger guard_version`
    await sql`update template_versions set inputs = ${sql.json([input('a'), input('b')])} where template_id = ${id} and minor = 0`
    await sql`update template_versions set inputs = ${sql.json([input('b', 'y'), input('c')])}, changelog = 'Better.',
      capabilities = '["code","host:example.com"]' where template_id = ${id} and minor = 1`
    await sql`alter table template_versions enable trigger guard_version`
    const { body } = await get(`${id}/versions/latest/difference?from=1.0.0`)
    expect(body).toMatchObject({
      ...{ from: '1.0.0', to: '1.1.0', changelog: 'Better.' },
      capabilities: { added: ['host:example.com'], removed: ['integration:slack'] },
      inputs: {
        added: [{ name: 'c' }],
        removed: [{ name: 'a' }],
        changed: [{ name: 'b', label: 'y' }],
      },
    })
    expect((await get(`${id}/versions/latest/difference`)).status).toBe(400)
  })
})

describe('content', () => {
  test('comes with its hash, and as a copy of one’s own', async () => {
    const { id } = await putTemplate(server, publisher.id, { definition: '{"nodes":[{"id":"a"}]}' })
    const { status, body, headers } = await get(`${id}/versions/latest/content`)
    expect([status, body]).toMatchObject([
      200,
      { definition: { nodes: [{ id: 'a' }] }, license: 'MIT' },
    ])
    expect(headers.get('etag')).toBe(`"${body.integrity}"`)
    expect(body.integrity).toMatch(/^sha256-/)
    body.definition.nodes.length = 0
    expect((await get(`${id}/versions/1.0.0/content`)).body.definition.nodes).toHaveLength(1)
    const headersAgain = { 'if-none-match': `W/"x", "${body.integrity}"` }
    expect((await get(`${id}/versions/1.0.0/content`, { key, headers: headersAgain })).status).toBe(
      304,
    )
  })

  test('of a hundred downloads counts one, and moves no time', async () => {
    const { id } = await putTemplate(server, publisher.id)
    const before =
      await server.sql`select content_updated_at, updated_at from templates where id = ${id}`
    const asked = Array.from({ length: 100 }, () => get(`${id}/versions/latest/content`))
    const answers = await Promise.all(asked)
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    await get(`${id}/versions/latest/content`, { key: publisherKey })
    const [day] =
      await server.sql`select downloads, views from template_days where template_id = ${id}`
    expect(day).toEqual({ downloads: 1, views: 0 })
    const after =
      await server.sql`select content_updated_at, updated_at from templates where id = ${id}`
    expect(after).toEqual(before)
  })

  test('is for nobody else: strangers, members, buyers and those who got their money back', async () => {
    const paid = await putTemplate(server, publisher.id, {
      prices: [{ currency: 'EUR', amountMinor: 900 }],
    })
    const own = await putTemplate(server, publisher.id, { visibility: 'private', listing: 'draft' })
    const readers = await server.newOrganization()
    const people = {
      stranger: await readers.keyFor({ permissions: ['template:rate'] }),
      reader: await readers.keyFor({ permissions: ['template:read'] }),
      buyer: key,
      member: publisherKey,
    }
    const { sql } = server
    const [entitlement] = await sql`insert into entitlements ${sql({
      ...{ id: newId('ent'), organizationId: reader.id, templateId: paid.id },
      ...{ source: 'grant', license: 'MIT' },
    })} returning id`
    const number = async (id: string) =>
      (await sql`select number from templates where id = ${id}`)[0]!.number
    const routes = async (person: keyof typeof people, id: string) => {
      const given = { key: people[person] }
      const at = (path: string) => server.call(`GET ${path}`, undefined, given)
      const n8n = `/n8n/${people[person]}/workflows/templates/${await number(id)}`
      return [
        (await at(`/v1/templates/${id}/versions/latest/content`)).status,
        (await at(`/v1/templates/${id}/versions/1.0.0/content`)).status,
        (await server.call(`GET ${n8n}`, undefined, { key: null })).status,
      ]
    }
    // Keys that may do more than read are none to n8n: 404 for those of the buyer and the publisher.
    expect(await routes('stranger', paid.id)).toEqual([403, 403, 404])
    expect(await routes('reader', paid.id)).toEqual([402, 402, 402])
    expect(await routes('buyer', paid.id)).toEqual([200, 200, 404])
    expect(await routes('member', paid.id)).toEqual([200, 200, 404])
    expect(await routes('reader', own.id)).toEqual([404, 404, 404])
    expect(await routes('buyer', own.id)).toEqual([404, 404, 404])
    expect(await routes('member', own.id)).toEqual([200, 200, 404])
    const only = await reader.keyFor({ permissions: ['template:read'] })
    const imported = () =>
      number(paid.id).then((n) =>
        server.call(`GET /n8n/${only}/workflows/templates/${n}`, undefined, { key: null }),
      )
    expect((await imported()).status).toBe(200)
    await sql`update entitlements set revoked_at = now(), revoke_reason = 'refunded' where id = ${entitlement!.id}`
    expect(await routes('buyer', paid.id)).toEqual([402, 402, 404])
    expect((await imported()).status).toBe(402)
    const refused = await get(`${paid.id}/versions/latest/content`)
    expect(refused.body).toMatchObject({
      code: 'purchase-required',
      prices: [{ currency: 'EUR', amountMinor: 900 }],
    })
    for (const person of ['reader', 'buyer'] as const)
      for (const path of ['', '/versions', '/versions/1.0.0', '/ratings'])
        expect(
          JSON.stringify((await get(`${paid.id}${path}`, { key: people[person] })).body),
        ).not.toContain('"definition"')
  })

  test('of what was withdrawn is gone, but stays for those who have it where it was only yanked', async () => {
    const yanked = await putTemplate(server, publisher.id, {
      versions: [{ version: [1, 0, 0], status: 'yanked' }],
    })
    const blocked = await putTemplate(server, publisher.id)
    await server.sql`update template_versions set status = 'blocked', status_reason = 'malware' where id = ${blocked.versionId}`
    const down = await putTemplate(server, publisher.id, { listing: 'taken_down' })
    const content = (id: string) => get(`${id}/versions/1.0.0/content`)
    expect(codeOf(await content(yanked.id))).toEqual([410, 'version-yanked'])
    expect(codeOf(await content(blocked.id))).toEqual([410, 'template-withdrawn'])
    expect(codeOf(await content(down.id))).toEqual([410, 'template-withdrawn'])
    for (const template of [yanked, blocked, down])
      await putInstallation(server, reader.id, template)
    expect((await content(yanked.id)).status).toBe(200)
    expect(codeOf(await content(blocked.id))).toEqual([410, 'template-withdrawn'])
    expect(codeOf(await content(down.id))).toEqual([410, 'template-withdrawn'])
  })
})
