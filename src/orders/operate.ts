import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import { changePlatform, inPlatform } from '../platform/db/transaction.ts'
import { newId } from '../platform/id.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { PaymentError, type PaymentProvider } from './payment.ts'
import * as repository from './repository.ts'
import type {
  CreateEntitlement,
  Entitlement,
  ListEntitlements,
  MarkPaid,
  Order,
  Refund,
} from './schema.ts'
import { settlePaid, settleRefunded } from './settle.ts'

type OneOrder = { order: string }

const required = (found: repository.StoredOrder | undefined) => {
  if (!found) throw new Problem('not-found', 'order-not-found', 'There is no such order.')
  return found
}

const shown = ({
  organizationId: _,
  templateId: __,
  providerRef: ___,
  paymentRef: ____,
  ...order
}: repository.StoredOrder): Order => order

/** An invoice was paid: an operator has seen the money. Only for payment by hand; a provider tells by itself. */
export const markPaid = (
  payments: PaymentProvider,
  context: Context,
  { order: id, reference }: OneOrder & MarkPaid,
): Promise<Order> =>
  changePlatform(context, async (tx) => {
    const order = required(await repository.lockOrder(tx, id))
    if (payments.name !== 'manual' || order.provider !== 'manual')
      throw new Problem(
        'conflict',
        'provider-settles',
        'The payment provider tells of this order by itself.',
      )
    const { amountMinor, currency } = order
    const outcome = await settlePaid({ amountMinor, currency, paymentRef: reference })(
      tx,
      context,
      order,
    )
    if (outcome !== 'paid')
      throw new Problem('conflict', 'order-not-pending', `The order is ${order.status}.`)
    return shown(required(await repository.lockOrder(tx, id)))
  })

/**
 * Gives money back. Where a provider does it, the order changes when the provider says that it is done.
 * @throws Problem 409 where so much was not paid; 503 where the provider does not answer
 */
export const refundOrder = async (
  payments: PaymentProvider,
  context: Context,
  { order: id, amountMinor, reasonCode }: OneOrder & Refund,
): Promise<Order> => {
  const order = await inPlatform(context.sql, async (tx) =>
    required(await repository.lockOrder(tx, id)),
  )
  const { currency, paymentRef, status, refundedMinor } = order
  if (!['paid', 'disputed'].includes(status) || order.provider !== payments.name)
    throw new Problem(
      'conflict',
      'order-not-paid',
      `An order that is ${status} has nothing to refund.`,
    )
  if (refundedMinor + amountMinor > order.amountMinor)
    throw unprocessable(
      'refund-too-large',
      '/amountMinor',
      `must be at most ${order.amountMinor - refundedMinor}`,
    )
  // The same sum on top of what was given back is the same refund, however often it is asked for.
  const refundId = `${id}-${refundedMinor}-${amountMinor}`
  const { isSettled } = await payments
    .refund({ refundId, paymentRef, amountMinor, currency })
    .catch((error: unknown) => {
      if (!(error instanceof PaymentError)) throw error
      context.log.warn({ err: error, orderId: id }, 'a refund could not begin')
      throw new Problem(
        'unavailable',
        'payment-provider-unavailable',
        'The provider does not take the refund now.',
      )
    })
  return changePlatform(context, async (tx) => {
    const locked = required(await repository.lockOrder(tx, id))
    const refund = { amountMinor: refundedMinor + amountMinor, currency }
    if (isSettled) await settleRefunded(refund)(tx, context, locked)
    const told = {
      event: 'order.refund-ordered',
      resource: `order:${id}`,
      after: { amountMinor, currency, reasonCode, isSettled },
    }
    await recordChange(tx, { ...context, organizationId: locked.organizationId }, told)
    await recordChange(tx, context, told)
    return shown(required(await repository.lockOrder(tx, id)))
  })
}

/** What an organization may download, live and ended. */
export const listEntitlements = (context: Context, { limit, cursor, template }: ListEntitlements) =>
  inPlatform(context.sql, async (tx) => {
    const { organizationId } = context
    const filter = { organizationId, template: template ?? null }
    const range = { ...filter, after: positionOf(cursor), limit: limit + 1 }
    return toPage(await repository.listEntitlements(tx, range), limit, ({ id }) => id)
  })

const requireEntitlement = (found: Awaited<ReturnType<typeof repository.findEntitlement>>) => {
  if (!found)
    throw new Problem('not-found', 'entitlement-not-found', 'There is no such entitlement.')
  const { organizationId, ...entitlement } = found
  return { organizationId, entitlement: entitlement as Entitlement }
}

/** Gives an organization a template without a purchase. */
export const createEntitlement = (
  context: Context,
  { organization, template: templateId, expiresAt = null, reason }: CreateEntitlement,
): Promise<Entitlement> =>
  changePlatform(context, async (tx) => {
    const found = await repository.findOrganization(tx, organization)
    if (!found)
      throw unprocessable('organization-unknown', '/organization', 'There is no such organization.')
    const template = await repository.findTemplate(tx, templateId)
    if (!template)
      throw unprocessable('template-unknown', '/template', 'There is no such template.')
    const live = await repository.findLive(tx, found.id, templateId)
    if (live && !live.isOver)
      throw new Problem('conflict', 'bought-already', 'The organization has the template already.')
    if (live) await repository.revokeEntitlement(tx, live.id, 'expired')
    const id = newId('ent')
    await repository.insertEntitlement(tx, {
      ...{ id, organizationId: found.id, templateId, source: 'grant', orderId: null },
      ...{ license: template.license, reason, expiresAt },
    })
    const { entitlement } = requireEntitlement(await repository.findEntitlement(tx, id))
    const told = {
      event: 'entitlement.created',
      resource: `entitlement:${id}`,
      after: entitlement,
      reason,
    }
    await recordChange(tx, { ...context, organizationId: found.id }, told)
    await recordChange(tx, context, told)
    return entitlement
  })

/** Takes what was given, or bought, back: nothing more is downloaded. */
export const revokeEntitlement = (context: Context, { entitlement: id }: { entitlement: string }) =>
  changePlatform(context, async (tx) => {
    const { organizationId, entitlement } = requireEntitlement(
      await repository.findEntitlement(tx, id),
    )
    if (entitlement.revokedAt !== null)
      throw new Problem('conflict', 'entitlement-revoked', 'It is revoked already.')
    await repository.revokeEntitlement(tx, id, 'revoked')
    const told = {
      event: 'entitlement.revoked',
      resource: `entitlement:${id}`,
      before: entitlement,
    }
    await recordChange(tx, { ...context, organizationId }, told)
    await recordChange(tx, context, told)
  })
