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
  path = `${organization.path}/webhooks`
})

const URL = 'https://hooks.example.com/latchkey'
const create = (body: object = {}, options = {}) =>
  server.call(`POST ${path}`, { url: URL, ...body }, options)
const made = async (body: object = {}) => (await create(body)).body
const patch = (id: string, body: object, options = {}) =>
  server.call(`PATCH ${path}/${id}`, body, options)
const eventsOf = async () => {
  const rows = await server.sql`
    select event, body from audit_events where log = ${organization.id} and event like 'webhook.%' order by id`
  return rows.map(({ event, body }) => ({ event, ...JSON.parse(body) }))
}

describe('a webhook', () => {
  test('is shown once with its secret', async () => {
    const { status, body, headers } = await create({ description: 'CI', events: ['grant.*'] })
    expect([status, headers.get('etag')]).toEqual([201, '"1"'])
    const { secret, ...shown } = body
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    expect(shown).toEqual({
      id: expect.stringMatching(/^whk_[0-9a-z]{26}$/),
      url: URL,
      description: 'CI',
      events: ['grant.*'],
      enabled: true,
      disabledReason: null,
      failingSince: null,
      pausedUntil: null,
      overlapUntil: null,
      createdBy: expect.stringMatching(/^key:/),
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
      version: 1,
    })
    const read = await server.call(`GET ${path}/${body.id}`)
    expect([read.status, read.body, read.headers.get('etag')]).toEqual([200, shown, '"1"'])
    expect((await server.call(`GET ${path}`)).body).toEqual({ items: [shown], nextCursor: null })
  })

  test('listens to everything unless told otherwise, and to nothing twice', async () => {
    expect((await made()).events).toEqual(['*'])
    const { events } = await made({ events: ['team.*', 'grant.created', 'team.*'] })
    expect(events).toEqual(['grant.created', 'team.*'])
  })

  test('keeps its secrets out of the database, the log and repeated answers', async () => {
    const headers = { 'idempotency-key': `w-${organization.id}` }
    const first = await create({}, { headers })
    const { secret, ...shown } = first.body
    expect((await create({}, { headers })).body).toEqual(shown)
    expect((await server.call(`GET ${path}`)).body.items).toHaveLength(1)
    const rotated = await server.call(`POST ${path}/${shown.id}/rotate`, {})
    await server.call(`POST ${path}/${shown.id}/test`)
    const rows = await server.sql`
      select to_jsonb(w)::text as text from webhooks w union all select body from audit_events
      union all select answer::text from idempotency_keys union all select to_jsonb(j)::text from jobs j
      union all select to_jsonb(d)::text from webhook_deliveries d`
    for (const each of [secret, rotated.body.secret])
      for (const text of [each, each.slice('whsec_'.length)])
        expect(rows.filter((row) => row.text?.includes(text))).toEqual([])
  })

  test.each([
    ['no URL', { url: undefined }, 400, 'invalid-request', '/url'],
    ['an empty URL', { url: '' }, 400, 'invalid-request', '/url'],
    ['no events', { events: [] }, 400, 'invalid-request', '/events'],
    ['an event that is none', { events: ['Grant!'] }, 400, 'invalid-request', '/events/0'],
    ['an unknown event', { events: ['*', 'grant.craeted'] }, 422, 'event-unknown', '/events/1'],
    ['an unknown noun', { events: ['grants.*'] }, 422, 'event-unknown', '/events/0'],
    [
      'a long description',
      { description: 'x'.repeat(501) },
      400,
      'invalid-request',
      '/description',
    ],
    ['a secret of its own', { secret: 'whsec_x' }, 400, 'invalid-request', '/secret'],
    ['no TLS', { url: 'http://hooks.example.com/' }, 422, 'url-not-public', '/url'],
    ['loopback', { url: 'https://127.0.0.1/' }, 422, 'url-not-public', '/url'],
    ['loopback as a number', { url: 'https://2130706433/' }, 422, 'url-not-public', '/url'],
    ['loopback of IPv6', { url: 'https://[::1]/' }, 422, 'url-not-public', '/url'],
    ['metadata', { url: 'https://169.254.169.254/' }, 422, 'url-not-public', '/url'],
    ['this machine', { url: 'https://localhost/' }, 422, 'url-not-public', '/url'],
    ['a password', { url: 'https://a:b@hooks.example.com' }, 422, 'url-not-public', '/url'],
    ['a fragment', { url: 'https://hooks.example.com/#a' }, 422, 'url-not-public', '/url'],
    ['a port of mail', { url: 'https://hooks.example.com:25/' }, 422, 'url-not-public', '/url'],
  ])('with %s is refused', async (_, body, status, code, pointer) => {
    const answer = await create(body)
    expect([answer.status, answer.body.code, answer.body.errors[0].pointer]).toEqual([
      status,
      code,
      pointer,
    ])
    expect((await server.call(`GET ${path}`)).body.items).toEqual([])
  })

  test('names what was meant', async () => {
    const { body } = await create({ events: ['grant.craeted'] })
    expect(body.detail).toContain('Did you mean grant.created')
  })

  test('is hidden from every other organization, like one that never was', async () => {
    const { id } = await made()
    const { id: delivery } = (await server.call(`POST ${path}/${id}/test`)).body
    const other = await server.newOrganization()
    const none = `whk_${'0'.repeat(26)}`
    for (const [home, webhook] of [
      [other.path, id],
      [organization.path, none],
    ])
      for (const [what, body] of [
        ['GET', undefined],
        ['PATCH', { enabled: false }],
        ['DELETE', undefined],
        ['POST rotate', {}],
        ['POST test', undefined],
        ['POST replay', { since: '2026-01-01T00:00:00Z' }],
        ['GET deliveries', undefined],
        [`GET deliveries/${delivery}`, undefined],
        [`POST deliveries/${delivery}/replay`, undefined],
      ] as const) {
        const [method, rest] = what.split(' ')
        const answer = await server.call(
          `${method} ${home}/webhooks/${webhook}${rest ? `/${rest}` : ''}`,
          body,
        )
        expect([what, answer.status, answer.body.code]).toEqual([what, 404, 'webhook-not-found'])
      }
    const second = await made()
    const crossed = `${path}/${second.id}/deliveries/${delivery}`
    for (const what of [`GET ${crossed}`, `POST ${crossed}/replay`]) {
      const answer = await server.call(what)
      expect([what, answer.status, answer.body.code]).toEqual([what, 404, 'delivery-not-found'])
    }
    expect((await server.call(`GET ${path}/x`)).body.errors[0].pointer).toBe('/webhook')
    expect((await server.call(`GET ${path}/${id}/deliveries/x`)).body.errors[0].pointer).toBe(
      '/delivery',
    )
  })

  test('is edited, and not against an older version', async () => {
    const webhook = await made()
    const headers = { 'if-match': '"1"' }
    const { status, body } = await patch(webhook.id, { description: 'new' }, { headers })
    expect([status, body.version, body.description]).toEqual([200, 2, 'new'])
    const rotate = `POST ${path}/${webhook.id}/rotate`
    for (const stale of [
      await patch(webhook.id, { description: 'newer' }, { headers }),
      await server.call(rotate, {}, { headers }),
      await server.call(`DELETE ${path}/${webhook.id}`, undefined, { headers }),
    ])
      expect([stale.status, stale.body.code]).toEqual([412, 'version-stale'])
    expect((await patch(webhook.id, {})).body.version).toBe(2)
    const moved = await patch(webhook.id, { url: 'https://[fd00::1]/' })
    expect([moved.status, moved.body.code]).toEqual([422, 'url-not-public'])
    const renamed = await patch(webhook.id, { events: ['team.creatde'] })
    expect([renamed.status, renamed.body.code]).toEqual([422, 'event-unknown'])
  })

  test('begins anew when it is enabled or led elsewhere, and only then', async () => {
    const { id } = await made()
    const stop =
      () => server.sql`update webhooks set enabled = false, disabled_reason = 'gone', failures = 9,
      failing_since = now(), broken_until = now() + interval '1 hour' where id = ${id}`
    await stop()
    const stopped = { enabled: false, disabledReason: 'gone', pausedUntil: expect.any(String) }
    expect((await patch(id, { description: 'x' })).body).toMatchObject(stopped)
    expect((await patch(id, { url: URL })).body).toMatchObject(stopped)
    const fresh = { failingSince: null, pausedUntil: null }
    expect((await patch(id, { url: `${URL}/2` })).body).toMatchObject({ enabled: false, ...fresh })
    await stop()
    const enabled = { enabled: true, disabledReason: null, ...fresh }
    expect((await patch(id, { enabled: true })).body).toMatchObject(enabled)
    expect((await patch(id, { enabled: false })).body).toMatchObject({ disabledReason: null })
  })

  test('that is disabled is neither tested nor replayed', async () => {
    const { id } = await made()
    const { id: delivery } = (await server.call(`POST ${path}/${id}/test`)).body
    await patch(id, { enabled: false })
    for (const [what, body] of [
      ['test', undefined],
      ['replay', { since: '2026-01-01T00:00:00Z' }],
      [`deliveries/${delivery}/replay`, undefined],
    ] as const) {
      const answer = await server.call(`POST ${path}/${id}/${what}`, body)
      expect([what, answer.status, answer.body.code]).toEqual([what, 409, 'webhook-disabled'])
    }
  })

  test('leaves an event of each change', async () => {
    const { id } = await made()
    await patch(id, { enabled: false })
    await patch(id, { enabled: true })
    await server.call(`POST ${path}/${id}/rotate`, { overlapSeconds: 60 })
    const { body: sent } = await server.call(`POST ${path}/${id}/test`)
    await server.call(`POST ${path}/${id}/deliveries/${sent.id}/replay`)
    const since = '2026-01-01T00:00:00.000Z'
    await server.call(`POST ${path}/${id}/replay`, { since })
    await server.call(`DELETE ${path}/${id}`)
    const events = await eventsOf()
    expect(events.map(({ event, resource }) => [event, resource])).toEqual(
      [
        ...['webhook.created', 'webhook.updated', 'webhook.updated', 'webhook.secret-rotated'],
        ...['webhook.tested', 'webhook.replayed', 'webhook.replayed', 'webhook.deleted'],
      ].map((event) => [event, `webhook:${id}`]),
    )
    expect(events[1]).toMatchObject({ before: { enabled: true }, after: { enabled: false } })
    expect(events[5]!.after).toEqual({ delivery: sent.id })
    expect(events[6]!.after).toEqual({ since, state: 'failed', count: 0 })
  })

  test.each([
    ['a longer overlap than a week', 'rotate', { overlapSeconds: 604_801 }, '/overlapSeconds'],
    ['an overlap of less than nothing', 'rotate', { overlapSeconds: -1 }, '/overlapSeconds'],
    ['no beginning', 'replay', {}, '/since'],
    ['a beginning that is no time', 'replay', { since: 'yesterday' }, '/since'],
    ['a state that is none', 'replay', { since: '2026-01-01T00:00:00Z', state: 'x' }, '/state'],
  ])('refuses %s', async (_, what, body, pointer) => {
    const { id } = await made()
    const answer = await server.call(`POST ${path}/${id}/${what}`, body)
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([400, pointer])
  })
})

describe('the limit', () => {
  test('is the one of the plan, also when all come at once', async () => {
    expect((await server.call(`PUT ${organization.path}/plan`, { plan: 'pro' })).status).toBe(200)
    await server.sql`
      insert into webhooks (id, organization_id, url, events, secret, created_by)
      select 'whk_' || lpad(n::text, 24, '0') || '00', ${organization.id}, ${URL}, '{*}', 'v1.x', 'user:alice'
      from generate_series(1, 97) n`
    const answers = await Promise.all(Array.from({ length: 8 }, () => create()))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([
      ...[201, 201, 201],
      ...[409, 409, 409, 409, 409],
    ])
    const refused = answers.find(({ status }) => status === 409)!
    expect([refused.body.code, refused.body.limit]).toEqual([
      'limit-reached',
      { key: 'maxWebhooks', value: 100, used: 100 },
    ])
    await server.sql`delete from webhooks where organization_id = ${organization.id}`
  })
})

describe('who may', () => {
  const keyOf = (...permissions: string[]) => organization.keyFor({ permissions })

  test('read, see neither what was sent nor a way to change it', async () => {
    const { id } = await made()
    const { id: delivery } = (await server.call(`POST ${path}/${id}/test`)).body
    const reader = { key: await keyOf('webhook:read') }
    for (const what of ['', `/${id}`, `/${id}/deliveries`])
      expect((await server.call(`GET ${path}${what}`, undefined, reader)).status).toBe(200)
    const { body: list } = await server.call(`GET ${path}/${id}/deliveries`, undefined, reader)
    expect(Object.keys(list.items[0])).not.toContain('body')
    const whole = await server.call(`GET ${path}/${id}/deliveries/${delivery}`, undefined, reader)
    expect([whole.status, whole.body.permission]).toEqual([403, 'audit:read'])
    for (const what of [`POST ${path}/${id}/test`, `DELETE ${path}/${id}`]) {
      const refused = await server.call(what, undefined, reader)
      expect([refused.status, refused.body.permission]).toEqual([403, 'webhook:manage'])
    }
    const auditor = { key: await keyOf('webhook:read', 'audit:read') }
    const read = await server.call(`GET ${path}/${id}/deliveries/${delivery}`, undefined, auditor)
    expect(JSON.parse(read.body.body).type).toBe('latchkey.webhook.test')
  })

  test('manage, but not read the log, cannot have it sent to themselves', async () => {
    const { id } = await made({ events: ['team.created'] })
    await patch(id, { enabled: false })
    const key = await keyOf('webhook:read', 'webhook:manage')
    const attempts: [string, { status: number; body: Record<string, unknown> }][] = [
      ['/url', await create({ url: 'https://evil.example.com/' }, { key })],
      ['/url', await patch(id, { url: 'https://evil.example.com/' }, { key })],
      ['/events', await patch(id, { events: ['*'] }, { key })],
      ['/enabled', await patch(id, { enabled: true }, { key })],
      ['/url', await patch(id, { url: 'https://evil.example.com/', enabled: false }, { key })],
    ]
    for (const [pointer, { status, body }] of attempts)
      expect([status, body.code, body.permission, body.errors]).toEqual([
        403,
        'above-ceiling',
        'audit:read',
        [{ pointer, detail: expect.any(String) }],
      ])
    const { body } = await server.call(`GET ${path}`)
    expect(body.items).toMatchObject([{ id, url: URL, events: ['team.created'], enabled: false }])
    // What gives nothing they may do.
    expect((await patch(id, { description: 'x' }, { key })).status).toBe(200)
    expect((await patch(id, { enabled: false }, { key })).status).toBe(200)
    expect((await server.call(`POST ${path}/${id}/rotate`, {}, { key })).status).toBe(200)
    expect((await server.call(`DELETE ${path}/${id}`, undefined, { key })).status).toBe(204)
  })

  test('read the log of a workspace only, cannot have that of the organization sent', async () => {
    const workspace = `${organization.path}/workspaces`
    await server.call(`POST ${workspace}`, { name: 'Lab', slug: 'lab' })
    const key = await keyOf('webhook:manage')
    const { body: keys } = await server.call(`GET ${organization.path}/api-keys`)
    const subject = `key:${keys.items.at(-1).id}`
    const grant = { subject, permission: 'audit:read', workspace: 'lab' }
    expect((await server.call(`POST ${organization.path}/grants`, grant)).status).toBe(201)
    const refused = await create({}, { key })
    expect([refused.status, refused.body.permission]).toEqual([403, 'audit:read'])
    expect((await create({}, { key: await keyOf('webhook:manage', 'audit:read') })).status).toBe(
      201,
    )
  })
})

describe('the lists', () => {
  test('come in pages, nothing missing and nothing twice', async () => {
    const webhooks: string[] = []
    for (let count = 0; count < 5; count++) webhooks.push((await made()).id)
    const deliveries: string[] = []
    for (let count = 0; count < 5; count++)
      deliveries.push((await server.call(`POST ${path}/${webhooks[0]}/test`)).body.id)
    const all = { idOf: ({ id }: Record<string, string>) => id! }
    for (const limit of [1, 2, 5, 200]) {
      expect(await readPages(server, path, { limit, ...all })).toEqual(webhooks.toSorted())
      const tests = `${path}/${webhooks[0]}/deliveries?event=webhook.test&state=pending`
      expect(await readPages(server, tests, { limit, ...all })).toEqual(
        deliveries.toSorted().toReversed(),
      )
    }
  })

  test('refuse cursors and limits that are none', async () => {
    const { id } = await made()
    await refusesGarbage(server, path)
    await refusesGarbage(server, `${path}/${id}/deliveries`)
  })
})
