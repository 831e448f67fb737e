import * as v from 'valibot'
import { Reference, textUpTo } from '../permissions/schema.ts'
import { idOf } from '../platform/id.ts'
import { Page } from '../platform/page.ts'

/** One in the smallest unit of a currency: cents, yen. */
const AMOUNT_MINOR_MAX = 100_000_000_000

/** ISO 4217, in capitals. */
export const Currency = v.pipe(
  v.string(),
  v.regex(/^[A-Z]{3}$/, 'must be a currency like EUR'),
  v.check((code) => CURRENCIES.has(code), 'must be a currency of ISO 4217'),
)
const CURRENCIES = new Set(Intl.supportedValuesOf('currency'))

export const Price = v.strictObject({
  currency: Currency,
  amountMinor: v.pipe(
    v.number(),
    v.integer('must be a whole number of minor units'),
    v.minValue(1),
    v.maxValue(AMOUNT_MINOR_MAX),
  ),
})
export type Price = v.InferOutput<typeof Price>

/** All prices of a template, one a currency; none makes it free. */
export const PutPrices = v.strictObject({
  prices: v.pipe(
    v.array(Price),
    v.maxLength(20),
    v.check(
      (prices) => new Set(prices.map(({ currency }) => currency)).size === prices.length,
      'must name each currency once',
    ),
  ),
})
export type PutPrices = v.InferOutput<typeof PutPrices>
export const Prices = v.object({ pricing: v.picklist(['free', 'paid']), prices: v.array(Price) })
export type Prices = v.InferOutput<typeof Prices>
export const PricedTemplate = v.object({ template: idOf('tpl') })

export const ORDER_STATES = [
  'pending',
  'paid',
  'failed',
  'canceled',
  'refunded',
  'disputed',
] as const

export const Order = v.object({
  id: v.string(),
  template: v.object({ id: v.string(), name: v.string() }),
  status: v.picklist(ORDER_STATES),
  amountMinor: v.number(),
  currency: v.string(),
  refundedMinor: v.number(),
  /** As it was when bought: what may be done with what was installed. */
  license: v.string(),
  provider: v.string(),
  /** Where to pay; null where an invoice comes, or nothing is to be paid any more. */
  checkoutUrl: v.nullable(v.string()),
  orderedBy: v.string(),
  refundRequestedAt: v.nullable(v.string()),
  refundReasonCode: v.nullable(v.string()),
  createdAt: v.string(),
  updatedAt: v.string(),
  paidAt: v.nullable(v.string()),
})
export type Order = v.InferOutput<typeof Order>

export const OneOrder = v.object({ order: idOf('ord') })
export const CreateOrder = v.strictObject({ template: idOf('tpl'), currency: Currency })
export type CreateOrder = v.InferOutput<typeof CreateOrder>
export const ListOrders = v.strictObject({
  status: v.optional(v.picklist(ORDER_STATES)),
  template: v.optional(idOf('tpl')),
  ...Page,
})
export type ListOrders = v.InferOutput<typeof ListOrders>

const RefundReason = v.picklist(['not-as-described', 'broken', 'bought-twice', 'unused', 'other'])
export const RequestRefund = v.strictObject({ reasonCode: RefundReason })
export type RequestRefund = v.InferOutput<typeof RequestRefund>
export const Refund = v.strictObject({
  amountMinor: Price.entries.amountMinor,
  reasonCode: RefundReason,
})
export type Refund = v.InferOutput<typeof Refund>
export const MarkPaid = v.strictObject({
  /** Of the transfer, as the bank shows it. */
  reference: v.pipe(textUpTo(200), v.nonEmpty('must not be empty')),
})
export type MarkPaid = v.InferOutput<typeof MarkPaid>

export const Entitlement = v.object({
  id: v.string(),
  template: v.object({ id: v.string(), name: v.string() }),
  source: v.picklist(['purchase', 'grant', 'plan']),
  order: v.nullable(v.string()),
  license: v.string(),
  reason: v.nullable(v.string()),
  expiresAt: v.nullable(v.string()),
  /** While a payment is disputed. */
  suspendedAt: v.nullable(v.string()),
  revokedAt: v.nullable(v.string()),
  revokeReason: v.nullable(v.string()),
  createdAt: v.string(),
})
export type Entitlement = v.InferOutput<typeof Entitlement>
export const OneEntitlement = v.object({ entitlement: idOf('ent') })
export const ListEntitlements = v.strictObject({ template: v.optional(idOf('tpl')), ...Page })
export type ListEntitlements = v.InferOutput<typeof ListEntitlements>
export const CreateEntitlement = v.strictObject({
  organization: Reference,
  template: idOf('tpl'),
  expiresAt: v.optional(
    v.nullable(v.pipe(v.string(), v.isoTimestamp('must be a time like 2030-01-01T00:00:00Z'))),
  ),
  reason: v.pipe(textUpTo(280), v.nonEmpty('must not be empty')),
})
export type CreateEntitlement = v.InferOutput<typeof CreateEntitlement>

/** What a provider is answered. */
export const Received = v.object({ received: v.boolean(), duplicate: v.boolean() })
export type Received = v.InferOutput<typeof Received>
export const OneProvider = v.object({ provider: v.picklist(['stripe', 'manual']) })
