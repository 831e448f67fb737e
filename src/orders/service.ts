import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import {
  changeOrganization,
  changePlatform,
  inOrganization,
  inPlatform,
} from '../platform/db/transaction.ts'
import { newId } from '../platform/id.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { requireVisible } from '../templates/service.ts'
import { PaymentError, type PaymentProvider } from './payment.ts'
import * as repository from './repository.ts'
import type { CreateOrder, ListOrders, Order, RequestRefund } from './schema.ts'

export { openPayments } from './open.ts'
export { manualPayments, type PaymentProvider } from './payment.ts'
export { getPrices, putPrices } from './prices.ts'
export { orderViolations } from './violations.ts'

type OneOrder = { order: string }

/** The organization's orders, the newest first. */
export const listOrders = (context: Context, { limit, cursor, ...filter }: ListOrders) =>
  inOrganization(context, async (tx, organizationId) => {
    const { status = null, template = null } = filter
    const range = { organizationId, status, template, after: positionOf(cursor), limit: limit + 1 }
    return toPage(await repository.listOrders(tx, range), limit, ({ id }) => id)
  })

export const getOrder = (context: Context, { order }: OneOrder): Promise<Order> =>
  inOrganization(context, async (tx, organizationId) =>
    required(await repository.findOrder(tx, organizationId, order)),
  )

const required = <Found>(found: Found | undefined): Found => {
  if (!found) throw new Problem('not-found', 'order-not-found', 'There is no such order.')
  return found
}

/**
 * Orders a template for the organization, at the price and under the license of this moment; who repeats it with the same
 * Idempotency-Key has one order. The payment begins after the order is kept: where the provider does not answer, the order stands,
 * and asking again goes on with it.
 * @throws Problem 422 for a currency it has no price in; 409 for what is one's own, free, or bought already; 503 where the provider
 * does not answer
 */
export const createOrder = async (
  payments: PaymentProvider,
  context: Context,
  { template: id, currency }: CreateOrder,
): Promise<Order> => {
  const { id: orderId } = await changeOrganization(context, async (tx, organizationId) => {
    const template = await requireVisible(tx, { organizationId, template: id })
    await refuseNeedless(tx, organizationId, template)
    const price = await requirePrice(tx, id, currency)
    const order = { id: newId('ord'), organizationId, orderedBy: context.actor.subject }
    const { amountMinor, id: priceId } = price
    const { license, name: templateName } = template
    const copied = { amountMinor, currency, license, templateName, provider: payments.name }
    await repository.insertOrder(tx, { ...order, templateId: id, priceId, ...copied })
    const stored = required(await repository.findOrder(tx, organizationId, order.id))
    await recordChange(tx, context, {
      event: 'order.created',
      resource: `order:${order.id}`,
      after: stored,
    })
    return stored
  })
  await beginPayment(payments, context, orderId)
  return getOrder(context, { order: orderId })
}

const refuseNeedless = async (
  tx: Transaction,
  organizationId: string,
  template: { id: string; organizationId: string; pricing: string; isEntitled: boolean },
) => {
  if (template.organizationId === organizationId)
    throw new Problem('conflict', 'own-template', 'The template is the organization’s own.')
  if (template.pricing === 'free')
    throw new Problem('conflict', 'template-free', 'The template costs nothing.')
  const live = await repository.findLive(tx, organizationId, template.id)
  if (live && !live.isOver)
    throw new Problem('conflict', 'bought-already', 'The organization has the template already.')
}

const requirePrice = async (tx: Transaction, templateId: string, currency: string) => {
  const prices = await repository.listPrices(tx, templateId)
  const price = prices.find((each) => each.currency === currency)
  if (price) return price
  const offered = prices.map((each) => each.currency).join(', ')
  throw unprocessable('currency-unavailable', '/currency', `must be one of ${offered}`)
}

const beginPayment = async (payments: PaymentProvider, context: Context, orderId: string) => {
  const order = await getOrder(context, { order: orderId })
  if (order.status !== 'pending' || order.checkoutUrl !== null) return
  const { id, amountMinor, currency, template } = order
  try {
    const paying = { id, amountMinor, currency, templateName: template.name }
    const checkout = await payments.checkout(paying)
    await inPlatform(context.sql, (tx) => repository.setCheckout(tx, { id, ...checkout }))
  } catch (error) {
    if (!(error instanceof PaymentError)) throw error
    context.log.warn({ err: error, orderId }, 'a payment could not begin')
    throw new Problem(
      'unavailable',
      'payment-provider-unavailable',
      'The payment cannot begin now; the order is kept, ask again with the same Idempotency-Key.',
      { order: orderId },
    )
  }
}

/** Gives up an order that is not paid. Refunds are something else: they give money back. */
export const cancelOrder = (context: Context, { order: id }: OneOrder): Promise<Order> =>
  changePlatform(context, async (tx) => {
    const { organizationId } = context
    const before = required(await repository.lockOrder(tx, id))
    if (before.organizationId !== organizationId) required(undefined)
    if (before.status !== 'pending')
      throw new Problem(
        'conflict',
        'order-not-pending',
        `An order that is ${before.status} cannot be canceled.`,
      )
    await repository.setStatus(tx, id, 'canceled')
    const after = required(await repository.findOrder(tx, organizationId, id))
    await recordChange(tx, context, {
      event: 'order.canceled',
      resource: `order:${id}`,
      before: { status: before.status },
      after: { status: after.status },
    })
    return after
  })

/** Asks for the money back; an operator decides. Until then everything stays as it is. */
export const requestRefund = (
  context: Context,
  { order: id, reasonCode }: OneOrder & RequestRefund,
): Promise<Order> =>
  changeOrganization(context, async (tx, organizationId) => {
    const before = required(await repository.findOrder(tx, organizationId, id))
    if (before.status !== 'paid')
      throw new Problem(
        'conflict',
        'order-not-paid',
        `An order that is ${before.status} has nothing to refund.`,
      )
    await repository.requestRefund(tx, { organizationId, id, reasonCode })
    const after = required(await repository.findOrder(tx, organizationId, id))
    await recordChange(tx, context, {
      event: 'order.refund-requested',
      resource: `order:${id}`,
      after: { reasonCode },
    })
    return after
  })
