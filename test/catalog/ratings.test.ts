import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Issuer, startIssuer } from '../support/issuer.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { putInstallation, putTemplate } from './listing.ts'

let issuer: Issuer
let server: TestServer
let publisher: Awaited<ReturnType<TestServer['newOrganization']>>
let reader: Awaited<ReturnType<TestServer['newOrganization']>>
let key: string
let template: Awaited<ReturnType<typeof putTemplate>>

beforeAll(async () => {
  issuer = await startIssuer()
  server = await startTestServer({ jwt: issuer.settings })
})
afterAll(async () => {
  await server.drop()
  await issuer.stop()
})
beforeEach(async () => {
  ;[publisher, reader] = [await server.newOrganization(), await server.newOrganization()]
  key = await reader.keyFor({ permissions: ['template:read', 'template:rate'] })
  template = await putTemplate(server, publisher.id)
})

type Options = { key?: string }
const rate = (body: unknown, options: Options = { key }) =>
  server.call(`PUT /v1/templates/${template.id}/rating`, body, options)
const unrate = () => server.call(`DELETE /v1/templates/${template.id}/rating`, undefined, { key })
const list = (query = '', options: Options = { key }) =>
  server.call(`GET /v1/templates/${template.id}/ratings${query}`, undefined, options)
const sumOf = async () => {
  const [row] =
    await server.sql`select rating_sum as sum, rating_count as count, rating_score as score,
      (select coalesce(sum(stars), 0)::int from ratings where template_id = ${template.id} and hidden_at is null) as rows_sum,
      (select count(*)::int from ratings where template_id = ${template.id} and hidden_at is null) as rows_count
    from templates where id = ${template.id}`
  return row!
}

describe('a rating', () => {
  test('is given, edited and taken back by whoever has it installed, or had', async () => {
    await putInstallation(server, reader.id, template, 'removed')
    const given = await rate({ stars: 5, body: 'Works.' })
    expect([given.status, given.body]).toMatchObject([
      200,
      { count: 1, own: { stars: 5, body: 'Works.', version: '1.0.0' } },
    ])
    // Drawn to the mean of all, as one rating says little.
    expect(given.body.score).toBeCloseTo((10 * 3.5 + 5) / 11, 1)
    expect((await rate({ stars: 2 })).body).toMatchObject({
      count: 1,
      own: { stars: 2, body: null },
    })
    expect(await sumOf()).toMatchObject({ sum: 2, count: 1 })
    const { body } = await unrate()
    expect(body).toEqual({ score: 0, count: 0, own: null })
    const again = await unrate()
    expect([again.status, again.body.code]).toEqual([404, 'rating-not-found'])
    const events = await server.sql`select event, organization_id from audit_events
      where resource = ${`template:${template.id}`} order by id`
    expect(events).toEqual(
      ['rating.updated', 'rating.updated', 'rating.deleted'].map((event) => ({
        event,
        organizationId: reader.id,
      })),
    )
  })

  test.each([
    ['NaN', '{"stars":NaN}'],
    ['0', { stars: 0 }],
    ['6', { stars: 6 }],
    ['4.5', { stars: 4.5 }],
    ['4.999', { stars: 4.999 }],
    ['"5"', { stars: '5' }],
    ['null', { stars: null }],
    ['-1', { stars: -1 }],
    ['1e400', '{"stars":1e400}'],
    ['nothing', {}],
    ['true', { stars: true }],
    ['a list', { stars: [5] }],
    ['another’s name', { stars: 5, subject: 'user:bob' }],
    ['a long text', { stars: 5, body: 'x'.repeat(2001) }],
  ])('of %s is refused, and counts nowhere', async (_, body) => {
    await putInstallation(server, reader.id, template)
    expect((await rate(body)).status).toBe(400)
    expect(await sumOf()).toMatchObject({ sum: 0, count: 0, rowsCount: 0 })
  })

  test('is not given by the publisher, nor where it was never installed, pending or refused', async () => {
    const refused = async (options?: Options) => {
      const { status, body } = await rate({ stars: 5 }, options)
      return [status, body.code]
    }
    expect(await refused()).toEqual([403, 'not-installed'])
    await putInstallation(server, reader.id, template, 'pending')
    await putInstallation(server, reader.id, template, 'refused')
    expect(await refused()).toEqual([403, 'not-installed'])
    await putInstallation(server, publisher.id, template)
    const own = await publisher.keyFor({ permissions: ['template:rate'] })
    expect(await refused({ key: own })).toEqual([403, 'own-rating'])
    const other = await reader.keyFor({ permissions: ['template:read'] })
    expect(await refused({ key: other })).toEqual([403, 'forbidden'])
    expect(await sumOf()).toMatchObject({ count: 0, rowsCount: 0 })
    await server.sql`update templates set listing = 'taken_down' where id = ${template.id}`
    expect(await refused()).toEqual([410, 'template-withdrawn'])
  })

  test('of people who belong to the publisher is refused whatever organization they ask for', async () => {
    await putInstallation(server, reader.id, template)
    // Alice owns both organizations, Zoe that of the reader only.
    await server.call(`PUT ${reader.path}/members/zoe`, { roles: ['admin'] })
    const at = `PUT /v1/templates/${template.id}/rating?organization=${reader.id}`
    const alice = await server.call(at, { stars: 5 }, { key: await issuer.tokenOf('alice') })
    expect([alice.status, alice.body.code]).toEqual([403, 'own-rating'])
    const zoe = await server.call(at, { stars: 5 }, { key: await issuer.tokenOf('zoe') })
    expect([zoe.status, zoe.body.count]).toEqual([200, 1])
  })

  test('stays one a person, whatever organization it was given for', async () => {
    const other = await server.newOrganization()
    await putInstallation(server, reader.id, template)
    await putInstallation(server, other.id, template)
    const at = (organization: string) =>
      `/v1/templates/${template.id}/rating?organization=${organization}`
    expect((await server.call(`PUT ${at(reader.id)}`, { stars: 4 })).status).toBe(200)
    const second = await server.call(`PUT ${at(other.id)}`, { stars: 1 })
    expect([second.status, second.body.code]).toEqual([409, 'rated-elsewhere'])
    expect((await server.call(`DELETE ${at(other.id)}`)).status).toBe(404)
    expect(await sumOf()).toMatchObject({ sum: 4, count: 1 })
  })

  test('that was hidden neither counts nor shows, and is not made anew', async () => {
    await putInstallation(server, reader.id, template)
    await rate({ stars: 1, body: 'rude' })
    const { subject } = (await list()).body.items[0]
    const path = `/v1/marketplace/moderation/ratings/${template.id}/${encodeURIComponent(subject)}/hide`
    expect((await server.call(`POST ${path}`, { reasonCode: 'spam' })).status).toBe(204)
    expect([(await list()).body.items, await sumOf()]).toMatchObject([[], { sum: 0, count: 0 }])
    const deleted = await unrate()
    expect([deleted.status, deleted.body.code]).toEqual([409, 'rating-hidden'])
    await rate({ stars: 5 })
    expect([(await list()).body.items, await sumOf()]).toMatchObject([[], { sum: 0, count: 0 }])
  })

  test('of eighty at once: sum and count are exact, and so after as many edits', async () => {
    const keys: string[] = []
    for (let turn = 0; turn < 8; turn++) {
      const organization = await server.newOrganization()
      await putInstallation(server, organization.id, template)
      for (let each = 0; each < 10; each++)
        keys.push(await organization.keyFor({ permissions: ['template:rate'] }))
    }
    const starsOf = (at: number, shift: number) => 1 + ((at + shift) % 5)
    for (const shift of [0, 2]) {
      const answers = await Promise.all(
        keys.map((each, at) => rate({ stars: starsOf(at, shift) }, { key: each })),
      )
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
      const sum = keys.reduce((before, _, at) => before + starsOf(at, shift), 0)
      const stored = await sumOf()
      expect(stored).toMatchObject({ sum, count: 80, rowsSum: sum, rowsCount: 80 })
      expect(stored.score).toBeCloseTo((10 * 3.5 + sum) / 90, 4)
    }
  })
})

describe('ratings', () => {
  test('are listed newest first, page by page, also where many are of one instant', async () => {
    const { sql } = server
    const at = ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00.123456Z', '2026-01-03T00:00:00Z']
    for (let n = 0; n < 30; n++)
      await sql`insert into ratings (template_id, subject, organization_id, version_id, stars, body, updated_at)
        values (${template.id}, ${`user:u${n}`}, ${reader.id}, ${template.versionId}, ${1 + (n % 5)}, ${`n${n}`},
          ${at[n % 3]!}::text::timestamptz)`
    for (const limit of [1, 3, 7, 10, 30]) {
      const seen: string[] = []
      let times: string[] = []
      for (let cursor: string | null = ''; cursor !== null; ) {
        const { status, body } = await list(`?limit=${limit}${cursor && `&cursor=${cursor}`}`)
        expect(status).toBe(200)
        seen.push(...body.items.map((item: { body: string }) => item.body))
        times = [...times, ...body.items.map((item: { updatedAt: string }) => item.updatedAt)]
        cursor = body.nextCursor
      }
      expect([limit, seen.length, new Set(seen).size]).toEqual([limit, 30, 30])
      expect(times).toEqual(times.toSorted().reverse())
    }
    for (const cursor of ['!!', 'AA', btoa('["2026-02-31T00:00:00.000000Z",0]'), btoa('[1,2]')])
      expect((await list(`?cursor=${encodeURIComponent(cursor)}`)).status).toBe(400)
  })

  test('name nobody but oneself, except to moderators', async () => {
    await putInstallation(server, reader.id, template)
    await rate({ stars: 3 })
    const stranger = await (await server.newOrganization()).keyFor({
      permissions: ['template:read'],
    })
    const [own] = (await list()).body.items
    const [foreign] = (await list('', { key: stranger })).body.items
    const [shown] = (
      await server.call(`GET /v1/templates/${template.id}/ratings?organization=${reader.id}`)
    ).body.items
    expect(own).toMatchObject({ isOwn: true, subject: expect.stringMatching(/^key:key_/) })
    expect(foreign).toMatchObject({ isOwn: false, subject: null, stars: 3 })
    expect(shown).toMatchObject({ isOwn: false, subject: own.subject })
  })
})

describe('a report', () => {
  test('reaches the moderators once a person, and tells the publisher nothing', async () => {
    const report = () =>
      server.call(
        `POST /v1/templates/${template.id}/reports`,
        { reasonCode: 'malware', note: 'It sends my data elsewhere.' },
        { key },
      )
    const first = await report()
    expect([first.status, first.body.state]).toEqual([201, 'open'])
    expect((await report()).status).toBe(409)
    const { body } = await server.call('GET /v1/marketplace/moderation/cases?kind=report&limit=200')
    expect(body.items.map(({ id }: { id: string }) => id)).toContain(first.body.id)
    const hidden = await putTemplate(server, publisher.id, {
      visibility: 'private',
      listing: 'draft',
    })
    const none = await server.call(
      `POST /v1/templates/${hidden.id}/reports`,
      { reasonCode: 'spam', note: 'x' },
      { key },
    )
    expect([none.status, none.body.code]).toEqual([404, 'template-not-found'])
  })
})
