import type { PreparedMarket } from '../support/market.ts'

type Given = { path: string; market: PreparedMarket }
type Sample = (given: Given) => [what: string, body?: unknown]

const ORDERS = '/v1/organizations/:organization/orders'
const MODERATION = '/v1/marketplace/moderation'
const REFUND = { amountMinor: 100, reasonCode: 'broken' }

/** One request that changes something, per route of orders and entitlements. */
export const ORDER_CHANGES: Record<string, Sample> = {
  'PUT /v1/organizations/:organization/templates/:template/prices': ({ market }) => [
    `PUT ${market.publisher.path}/templates/${market.paid}/prices`,
    { prices: [{ currency: 'EUR', amountMinor: 200 }] },
  ],
  [`POST ${ORDERS}`]: ({ path, market }) => [
    `POST ${path}/orders`,
    { template: market.paid, currency: 'EUR' },
  ],
  [`POST ${ORDERS}/:order/cancel`]: ({ path, market: { orders } }) => [
    `POST ${path}/orders/${orders.pending[0]}/cancel`,
  ],
  [`POST ${ORDERS}/:order/request-refund`]: ({ path, market: { orders } }) => [
    `POST ${path}/orders/${orders.paid[0]}/request-refund`,
    { reasonCode: 'broken' },
  ],
  [`POST ${MODERATION}/orders/:order/mark-paid`]: ({ market: { orders } }) => [
    `POST ${MODERATION}/orders/${orders.pending[1]}/mark-paid`,
    { reference: `invoice ${Math.random()}` },
  ],
  [`POST ${MODERATION}/orders/:order/refund`]: ({ market: { orders } }) => [
    `POST ${MODERATION}/orders/${orders.paid[1]}/refund`,
    REFUND,
  ],
  [`POST ${MODERATION}/entitlements`]: ({ market }) => [
    `POST ${MODERATION}/entitlements`,
    { organization: market.publisher.slug, template: market.listed, reason: 'a test' },
  ],
  [`DELETE ${MODERATION}/entitlements/:entitlement`]: ({ market }) => [
    `DELETE ${MODERATION}/entitlements/${market.entitlement}`,
  ],
}
