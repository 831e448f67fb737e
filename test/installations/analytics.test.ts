import { afterAll, beforeAll, expect, test } from 'vitest'
import { putListed } from '../support/listed.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())

test('analytics count organizations a day, ratings and what was paid less what was given back', async () => {
  const [publisher, buyer, stranger] = [
    await server.newOrganization(),
    await server.newOrganization(),
    await server.newOrganization(),
  ]
  const [one, other] = [
    await putListed(server, publisher.id),
    await putListed(server, publisher.id),
  ]
  const day = (templateId: string, at: string, more: object) => server.sql`
    insert into template_days ${server.sql({ templateId, day: at, ...more })}`
  await day(one.id, '2026-01-05', { views: 3, installs: 2, updates: 1 })
  await day(one.id, '2026-01-31', { views: 4, downloads: 5 })
  await day(other.id, '2026-01-31', { views: 10, removals: 1 })
  await server.sql`insert into ratings (template_id, subject, organization_id, version_id, stars, created_at) values
    (${one.id}, 'user:a', ${buyer.id}, ${one.versionId}, 5, '2026-01-31T23:59:59Z'),
    (${one.id}, 'user:b', ${buyer.id}, ${one.versionId}, 4, '2026-01-31T10:00:00Z')`
  await server.sql`insert into ratings (template_id, subject, organization_id, version_id, stars, created_at, hidden_at)
    values (${one.id}, 'user:c', ${buyer.id}, ${one.versionId}, 1, '2026-01-31T10:00:00Z', now())`
  const [price] = await server.sql`insert into prices (id, template_id, currency, amount_minor)
    values ('prc_01h455vb4pex5vsknk084sn02q', ${one.id}, 'EUR', 1000) returning id`
  for (const [id, refunded] of [
    ['ord_01h455vb4pex5vsknk084sn02q', 0],
    ['ord_01h455vb4pex5vsknk084sn02r', 400],
  ] as const)
    await server.sql`insert into orders ${server.sql({
      ...{
        id,
        organizationId: buyer.id,
        orderedBy: 'user:a',
        templateId: one.id,
        priceId: price!.id,
      },
      ...{
        amountMinor: 1000,
        currency: 'EUR',
        license: 'MIT',
        templateName: 'x',
        provider: 'manual',
      },
      ...{ status: 'paid', refundedMinor: refunded, paidAt: new Date('2026-02-02T00:00:00Z') },
    })}`

  const ask = async (path: string, options = {}) =>
    server.call(`GET ${path}?from=2026-01-01&to=2026-02-28&bucket=month`, undefined, options)
  const nothing = { views: 0, downloads: 0, installs: 0, updates: 0, removals: 0, ratings: 0 }
  const { body } = await ask(`${publisher.path}/templates/${one.id}/analytics`)
  expect(body.points).toEqual([
    {
      ...{ ...nothing, at: '2026-01-01', views: 7, downloads: 5, installs: 2, updates: 1 },
      ...{ ratings: 2, averageStars: 4.5, revenue: [] },
    },
    {
      ...{ ...nothing, at: '2026-02-01', averageStars: null },
      revenue: [{ currency: 'EUR', orders: 2, amountMinor: 1600 }],
    },
  ])
  const all = await ask(`${publisher.path}/publisher/analytics`)
  expect(all.body.points[0]).toMatchObject({ views: 17, removals: 1 })

  // Nobody else's business, and nothing that is no range.
  expect((await ask(`${stranger.path}/templates/${one.id}/analytics`)).status).toBe(404)
  const key = await publisher.keyFor({ roles: ['manager'] })
  const refused = await ask(`${publisher.path}/publisher/analytics`, { key })
  expect([refused.status, refused.body.permission]).toEqual([403, 'marketplace:analytics'])
  const wrong = async (query: string) =>
    (await server.call(`GET ${publisher.path}/publisher/analytics?${query}`)).body.code
  expect(await wrong('from=2026-02-01&to=2026-01-01')).toBe('range-backwards')
  expect(await wrong('from=2020-02-01&to=2026-01-01')).toBe('range-too-long')
  expect(await wrong('from=2026-02-31x')).toBe('invalid-request')
})
