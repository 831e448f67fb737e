import type { Queryable } from '../platform/db/connect.ts'
import type { Entitlement, Order, Price } from './schema.ts'

const ORDER = (tx: Queryable) => tx`
  id, json_build_object('id', template_id, 'name', template_name) as template, status, amount_minor::float8 as amount_minor, currency,
  refunded_minor::float8 as refunded_minor, license, provider, case when status = 'pending' then checkout_url end as checkout_url,
  ordered_by, refund_requested_at, refund_reason_code, created_at, updated_at, paid_at`

export const listPrices = (tx: Queryable, templateId: string) => tx<(Price & { id: string })[]>`
  select id, currency, amount_minor::float8 as amount_minor from prices
  where template_id = ${templateId} and retired_at is null order by currency`

/** Prices end, they are never edited: an order names the one it was made at. */
export const retirePrices = (tx: Queryable, templateId: string, ids: string[]) => tx`
  update prices set retired_at = now() where template_id = ${templateId} and id = any(${ids}::text[])`

export const insertPrice = (
  tx: Queryable,
  price: { id: string; templateId: string; currency: string; amountMinor: number },
) => tx`insert into prices ${tx(price)}`

export const setPricing = (tx: Queryable, templateId: string, pricing: string) => tx`
  update templates set pricing = ${pricing}, version = version + 1, updated_at = now() where id = ${templateId}`

export const findOwnTemplate = async (tx: Queryable, organizationId: string, id: string) => {
  const [found] = await tx<{ id: string; version: number; pricing: 'free' | 'paid' }[]>`
    select id, version, pricing from templates where id = ${id} and organization_id = ${organizationId}`
  return found
}

export const insertOrder = (
  tx: Queryable,
  order: {
    id: string
    organizationId: string
    orderedBy: string
    templateId: string
    priceId: string
    amountMinor: number
    currency: string
    license: string
    templateName: string
    provider: string
  },
) => tx`insert into orders ${tx(order)}`

export const findOrder = async (tx: Queryable, organizationId: string, id: string) => {
  const [found] = await tx<Order[]>`
    select ${ORDER(tx)} from orders where organization_id = ${organizationId} and id = ${id}`
  return found
}

export const listOrders = (
  tx: Queryable,
  filter: {
    organizationId: string
    status: string | null
    template: string | null
    after: string
    limit: number
  },
) => tx<Order[]>`
  select ${ORDER(tx)} from orders
  where organization_id = ${filter.organizationId} and (${filter.after} = '' or id < ${filter.after})
    and (${filter.status}::text is null or status = ${filter.status})
    and (${filter.template}::text is null or template_id = ${filter.template})
  order by id desc limit ${filter.limit}`

/** An order with what only the server sees of it. */
export type StoredOrder = Order & {
  organizationId: string
  templateId: string
  providerRef: string | null
  paymentRef: string | null
}

const STORED = (tx: Queryable) => tx`
  ${ORDER(tx)}, organization_id, template_id, provider_ref, payment_ref`

/** Takes an order, so that what happens to it happens one after the other. */
export const lockOrder = async (tx: Queryable, id: string) => {
  const [found] = await tx<StoredOrder[]>`
    select ${STORED(tx)} from orders where id = ${id} for update`
  return found
}

export const lockOrderOfPayment = async (tx: Queryable, provider: string, paymentRef: string) => {
  const [found] = await tx<StoredOrder[]>`
    select ${STORED(tx)} from orders where provider = ${provider} and payment_ref = ${paymentRef} for update`
  return found
}

/** What an order entitles to. */
export type PaidOrder = Pick<StoredOrder, 'id' | 'organizationId' | 'templateId' | 'license'>

/** The first order of a template that is paid and whose entitlement, if it had one, has only given way to a dispute. */
export const findPaid = async (
  tx: Queryable,
  { organizationId, templateId }: Omit<PaidOrder, 'id' | 'license'>,
) => {
  const [found] = await tx<PaidOrder[]>`
    select id, organization_id, template_id, license from orders o
    where organization_id = ${organizationId} and template_id = ${templateId} and status = 'paid' and not exists (
      select from entitlements e where e.order_id = o.id and e.revoked_at is not null and e.revoke_reason <> 'disputed')
    order by id limit 1`
  return found
}

export const setCheckout = (
  tx: Queryable,
  order: { id: string; reference: string; url: string | null },
) => tx`
  update orders set provider_ref = ${order.reference}, checkout_url = ${order.url}, updated_at = now() where id = ${order.id}`

export const setStatus = (tx: Queryable, id: string, status: string) => tx`
  update orders set status = ${status}, updated_at = now() where id = ${id}`

export const setPaid = (tx: Queryable, id: string, paymentRef: string | null) => tx`
  update orders set status = 'paid', payment_ref = ${paymentRef}, paid_at = now(), updated_at = now() where id = ${id}`

export const setRefunded = (
  tx: Queryable,
  order: { id: string; refundedMinor: number; status: string },
) => tx`
  update orders set refunded_minor = ${order.refundedMinor}, status = ${order.status}, updated_at = now() where id = ${order.id}`

export const requestRefund = (
  tx: Queryable,
  order: { organizationId: string; id: string; reasonCode: string },
) => tx`
  update orders set refund_requested_at = now(), refund_reason_code = ${order.reasonCode}, updated_at = now()
  where organization_id = ${order.organizationId} and id = ${order.id}`

/** @returns whether the event was not there before */
export const insertEvent = async (
  tx: Queryable,
  event: { provider: string; eventId: string; kind: string },
) => {
  const [inserted] = await tx`
    insert into payment_events ${tx({ ...event, outcome: 'received' })} on conflict do nothing returning 1 as inserted`
  return inserted !== undefined
}

export const setOutcome = (
  tx: Queryable,
  event: { provider: string; eventId: string; orderId: string | null; outcome: string },
) => tx`
  update payment_events set order_id = ${event.orderId}, outcome = ${event.outcome}
  where provider = ${event.provider} and event_id = ${event.eventId}`

const ENTITLEMENT = (tx: Queryable) => tx`
  e.id, json_build_object('id', t.id, 'name', t.name) as template, e.source, e.order_id as "order", e.license, e.reason, e.expires_at,
  e.suspended_at, e.revoked_at, e.revoke_reason, e.created_at`

export const insertEntitlement = (
  tx: Queryable,
  entitlement: {
    id: string
    organizationId: string
    templateId: string
    source: string
    orderId: string | null
    license: string
    reason: string | null
    expiresAt: string | null
  },
) => tx`insert into entitlements ${tx(entitlement)}`

export const findEntitlement = async (tx: Queryable, id: string) => {
  const [found] = await tx<(Entitlement & { organizationId: string })[]>`
    select ${ENTITLEMENT(tx)}, e.organization_id from entitlements e join templates t on t.id = e.template_id where e.id = ${id}`
  return found
}

/** What an organization has of a template that is neither revoked nor over. */
export const findLive = async (tx: Queryable, organizationId: string, templateId: string) => {
  const [found] = await tx<{ id: string; source: string; isOver: boolean; isSuspended: boolean }[]>`
    select id, source, coalesce(expires_at <= now(), false) as is_over, suspended_at is not null as is_suspended
    from entitlements
    where organization_id = ${organizationId} and template_id = ${templateId} and revoked_at is null`
  return found
}

export const listEntitlements = (
  tx: Queryable,
  filter: { organizationId: string; template: string | null; after: string; limit: number },
) => tx<Entitlement[]>`
  select ${ENTITLEMENT(tx)} from entitlements e join templates t on t.id = e.template_id
  where e.organization_id = ${filter.organizationId} and e.id > ${filter.after}
    and (${filter.template}::text is null or e.template_id = ${filter.template})
  order by e.id limit ${filter.limit}`

export const revokeEntitlement = (tx: Queryable, id: string, reason: string) => tx`
  update entitlements set revoked_at = now(), revoke_reason = ${reason} where id = ${id} and revoked_at is null`

/** @returns whether there was one that was not revoked */
export const revokeOfOrder = async (tx: Queryable, orderId: string, reason: string) => {
  const [revoked] = await tx`
    update entitlements set revoked_at = now(), revoke_reason = ${reason}
    where order_id = ${orderId} and revoked_at is null returning 1 as revoked`
  return revoked !== undefined
}

/** Kept from downloading while a payment is disputed. */
export const suspendOfOrder = (tx: Queryable, orderId: string, isSuspended: boolean) => tx`
  update entitlements set suspended_at = case when ${isSuspended} then now() end where order_id = ${orderId} and revoked_at is null`

export const findOrganization = async (tx: Queryable, reference: string) => {
  const [found] = await tx<{ id: string }[]>`
    select id from organizations where id = ${reference} or slug = ${reference}`
  return found
}

export const findTemplate = async (tx: Queryable, id: string) => {
  const [found] = await tx<{ id: string; license: string; organizationId: string }[]>`
    select id, license, organization_id from templates where id = ${id}`
  return found
}
