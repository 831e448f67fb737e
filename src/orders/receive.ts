import type { Actor, Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changePlatform } from '../platform/db/transaction.ts'
import { Problem } from '../platform/problem.ts'
import type { PaymentEvent, PaymentProvider, SignedBody } from './payment.ts'
import * as repository from './repository.ts'
import type { Received } from './schema.ts'
import {
  settleDispute,
  settleDisputed,
  settleFailed,
  settlePaid,
  settleRefunded,
} from './settle.ts'

/** Who acts where a provider tells of something. */
const actorOf = (provider: string): Actor => ({
  subject: `service:payments-${provider}`,
  apiKeyId: null,
  organizationId: null,
  restrictedTo: null,
})

/**
 * Takes in what a provider tells. Nothing is believed but what is signed; what was told before changes nothing; the event, the order
 * and the entitlement are one transaction.
 * @throws Problem 404 where no such provider is set up; 401 where the signature is not the provider's
 */
export const receiveEvent = async (
  payments: PaymentProvider,
  context: Context,
  { provider, signed }: { provider: string; signed: SignedBody },
): Promise<Received> => {
  if (provider !== payments.name)
    throw new Problem('not-found', 'provider-not-found', 'There is no such payment provider here.')
  const event = await payments.readEvent(signed)
  if (!event)
    throw new Problem(
      'unauthenticated',
      'signature-invalid',
      'The event is not signed by the provider.',
    )
  const told = { ...context, actor: actorOf(provider) }
  return changePlatform(told, async (tx) => {
    const { eventId, kind } = event
    const isNew = await repository.insertEvent(tx, { provider, eventId, kind })
    if (!isNew) return { received: true, duplicate: true }
    const order = await orderOf(tx, provider, event)
    const outcome = order ? await settle(tx, told, order, event) : outcomeWithout(event)
    const orderId = order?.id ?? null
    await repository.setOutcome(tx, { provider, eventId, orderId, outcome })
    context.log.info({ provider, eventId, kind, orderId, outcome }, 'a payment event')
    return { received: true, duplicate: false }
  })
}

const outcomeWithout = ({ what }: PaymentEvent) => (what === 'other' ? 'ignored' : 'order-unknown')

const orderOf = async (tx: Transaction, provider: string, event: PaymentEvent) => {
  if ('orderId' in event) {
    const order = await repository.lockOrder(tx, event.orderId)
    return order?.provider === provider ? order : undefined
  }
  if ('paymentRef' in event) return repository.lockOrderOfPayment(tx, provider, event.paymentRef)
  return undefined
}

const settle = (
  tx: Transaction,
  context: Context,
  order: repository.StoredOrder,
  event: PaymentEvent,
): Promise<string> => {
  switch (event.what) {
    case 'paid':
      return settlePaid(event)(tx, context, order)
    case 'failed':
      return settleFailed('failed')(tx, context, order)
    case 'expired':
      return settleFailed('canceled')(tx, context, order)
    case 'refunded':
      return settleRefunded(event)(tx, context, order)
    case 'disputed':
      return settleDisputed(tx, context, order)
    case 'dispute-won':
    case 'dispute-lost':
      return settleDispute(event.what === 'dispute-won')(tx, context, order)
    default:
      return Promise.resolve('ignored')
  }
}
