import { afterAll, beforeAll, expect, test } from 'vitest'
import { putListed } from '../support/listed.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())

test('by invoice, an operator says that it was paid, and gives back at once', async () => {
  const [publisher, buyer] = [await server.newOrganization(), await server.newOrganization()]
  const { id: template } = await putListed(server, publisher.id)
  const prices = [{ currency: 'EUR', amountMinor: 990 }]
  await server.call(`PUT ${publisher.path}/templates/${template}/prices`, { prices })
  const ordered = await server.call(`POST ${buyer.path}/orders`, { template, currency: 'EUR' })
  expect([ordered.status, ordered.body.checkoutUrl]).toEqual([201, null])
  const order = `/v1/marketplace/moderation/orders/${ordered.body.id}`
  const entitled = async () =>
    (await server.call(`GET ${buyer.path}/entitlements`)).body.items.map(
      ({ revokeReason }: { revokeReason: string }) => revokeReason,
    )
  expect(await entitled()).toEqual([])
  const paid = await server.call(`POST ${order}/mark-paid`, { reference: 'invoice 7' })
  expect([paid.status, paid.body.status, await entitled()]).toEqual([200, 'paid', [null]])
  const again = await server.call(`POST ${order}/mark-paid`, { reference: 'invoice 7' })
  expect([again.status, again.body.code]).toEqual([409, 'order-not-pending'])
  const refund = { amountMinor: 990, reasonCode: 'unused' }
  const back = await server.call(`POST ${order}/refund`, refund)
  expect([back.status, back.body.status, await entitled()]).toEqual([200, 'refunded', ['refunded']])
})

test('what an operator gives ends when it is taken back, or by the clock', async () => {
  const [publisher, other] = [await server.newOrganization(), await server.newOrganization()]
  const { id: template } = await putListed(server, publisher.id)
  const gift = { organization: other.slug, template, reason: 'a friend of the house' }
  const given = await server.call('POST /v1/marketplace/moderation/entitlements', gift)
  expect([given.status, given.body.source]).toEqual([201, 'grant'])
  const twice = await server.call('POST /v1/marketplace/moderation/entitlements', gift)
  expect([twice.status, twice.body.code]).toEqual([409, 'bought-already'])
  const entitlement = `/v1/marketplace/moderation/entitlements/${given.body.id}`
  expect((await server.call(`DELETE ${entitlement}`)).status).toBe(204)
  expect((await server.call(`DELETE ${entitlement}`)).body.code).toBe('entitlement-revoked')
  const over = { ...gift, expiresAt: '2001-01-01T00:00:00Z' }
  expect((await server.call('POST /v1/marketplace/moderation/entitlements', over)).status).toBe(201)
  expect((await server.call('POST /v1/marketplace/moderation/entitlements', gift)).status).toBe(201)
})
