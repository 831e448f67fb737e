import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { newId } from '../platform/id.ts'
import type { Money } from './payment.ts'
import * as repository from './repository.ts'

/**
 * What becomes of an order, each inside a change of the platform, of which there is one at a time: the one place that makes and
 * ends what a purchase entitles to. Each answers what happened, for the books.
 */
type Settling = (
  tx: Transaction,
  context: Context,
  order: repository.StoredOrder,
) => Promise<string>

/** Tells the organization's log. */
const tell = async (
  tx: Transaction,
  context: Context,
  { id, organizationId }: repository.StoredOrder,
  change: { event: string; after: object },
) => {
  const told = { resource: `order:${id}`, ...change }
  const { revision } = await recordChange(tx, { ...context, organizationId }, told)
  context.revision = revision
}

/**
 * Entitles by an order that is paid, unless another purchase does. What was given without one, is over or is disputed gives way.
 */
const entitle = async (
  tx: Transaction,
  { id, organizationId, templateId, license }: repository.PaidOrder,
) => {
  const live = await repository.findLive(tx, organizationId, templateId)
  if (live) {
    const { source, isOver, isSuspended } = live
    if (source === 'purchase' && !isOver && !isSuspended) return
    const reason = isOver ? 'expired' : isSuspended ? 'disputed' : 'purchased'
    await repository.revokeEntitlement(tx, live.id, reason)
  }
  await repository.insertEntitlement(tx, {
    ...{ id: newId('ent'), organizationId, templateId, source: 'purchase', orderId: id, license },
    ...{ reason: null, expiresAt: null },
  })
}

/** An order entitles no more. Who has paid for another of the same template keeps it by that one. */
const endEntitlement = async (tx: Transaction, order: repository.StoredOrder, reason: string) => {
  const ended = await repository.revokeOfOrder(tx, order.id, reason)
  const other = ended ? await repository.findPaid(tx, order) : undefined
  if (other) await entitle(tx, other)
}

/** An order entitles again, unless another does in its place. */
const restoreEntitlement = async (tx: Transaction, order: repository.StoredOrder) => {
  await repository.suspendOfOrder(tx, order.id, false)
  const paid = await repository.findPaid(tx, order)
  if (paid) await entitle(tx, paid)
}

const isEqual = (order: Money, paid: Money) =>
  order.amountMinor === paid.amountMinor && order.currency === paid.currency

/**
 * The money is there. Only the very amount in the very currency entitles; anything else is noted and entitles to nothing. Also after
 * it was canceled: the money has come.
 */
export const settlePaid =
  (paid: Money & { paymentRef: string | null }): Settling =>
  async (tx, context, order) => {
    if (order.status === 'paid' || order.status === 'refunded' || order.status === 'disputed')
      return 'settled-before'
    if (!isEqual(order, paid)) {
      await tell(tx, context, order, {
        event: 'order.mismatched',
        after: {
          ordered: { amountMinor: order.amountMinor, currency: order.currency },
          paid: { amountMinor: paid.amountMinor, currency: paid.currency },
        },
      })
      return 'amount-mismatched'
    }
    await repository.setPaid(tx, order.id, paid.paymentRef)
    await entitle(tx, order)
    await tell(tx, context, order, {
      event: 'order.paid',
      after: { amountMinor: order.amountMinor, currency: order.currency },
    })
    return 'paid'
  }

/** The payment did not come about. */
export const settleFailed =
  (status: 'failed' | 'canceled'): Settling =>
  async (tx, context, order) => {
    if (order.status !== 'pending') return 'settled-before'
    await repository.setStatus(tx, order.id, status)
    await tell(tx, context, order, {
      event: status === 'failed' ? 'order.failed' : 'order.canceled',
      after: { status },
    })
    return status
  }

/** Money went back, so much of it in all. All of it ends the entitlement; what is installed follows the license. */
export const settleRefunded =
  ({ amountMinor: refundedMinor, currency }: Money): Settling =>
  async (tx, context, order) => {
    if (currency !== order.currency || refundedMinor > order.amountMinor) return 'amount-mismatched'
    if (refundedMinor <= order.refundedMinor) return 'settled-before'
    const isWhole = refundedMinor === order.amountMinor
    const status = isWhole ? 'refunded' : order.status
    await repository.setRefunded(tx, { id: order.id, refundedMinor, status })
    if (isWhole) await endEntitlement(tx, order, 'refunded')
    await tell(tx, context, order, {
      event: 'order.refunded',
      after: { refundedMinor, currency, isWhole },
    })
    return isWhole ? 'refunded' : 'refunded-in-part'
  }

/** The payer's bank asks: until that is decided nothing is downloaded, unless it was paid for twice. */
export const settleDisputed: Settling = async (tx, context, order) => {
  if (order.status !== 'paid') return 'settled-before'
  await repository.setStatus(tx, order.id, 'disputed')
  if (await repository.findPaid(tx, order)) await endEntitlement(tx, order, 'disputed')
  else await repository.suspendOfOrder(tx, order.id, true)
  await tell(tx, context, order, { event: 'order.disputed', after: { status: 'disputed' } })
  return 'disputed'
}

/** A dispute is over: won, all is as before; lost, the money is gone and so is the entitlement. */
export const settleDispute =
  (isWon: boolean): Settling =>
  async (tx, context, order) => {
    if (order.status !== 'disputed') return 'settled-before'
    await repository.setStatus(tx, order.id, isWon ? 'paid' : 'refunded')
    if (isWon) await restoreEntitlement(tx, order)
    else await endEntitlement(tx, order, 'dispute-lost')
    await tell(tx, context, order, {
      event: isWon ? 'order.dispute-won' : 'order.dispute-lost',
      after: { status: isWon ? 'paid' : 'refunded' },
    })
    return isWon ? 'dispute-won' : 'dispute-lost'
  }
