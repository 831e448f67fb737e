import * as v from 'valibot'
import { equalInConstantTime, fromHex } from '../platform/crypto/hash.ts'
import {
  type Money,
  type OrderToPay,
  PaymentError,
  type PaymentEvent,
  type PaymentProvider,
  type SignedBody,
} from './payment.ts'

export type StripeSettings = {
  /** Of the account: `sk_…`. */
  secretKey: string
  /** Of the endpoint that receives events: `whsec_…`. */
  webhookSecret: string
  /** Where Stripe's API is, without a slash at its end. */
  url: string
  /** Where a person comes back to, paid or not. */
  returnUrl: string
}

/** How far a signature's time may be from ours: Stripe's own tolerance (docs.stripe.com/webhooks, "Preventing replay attacks"). */
const TOLERANCE_MS = 5 * 60_000
const TIMEOUT_MS = 10_000

const encoder = new TextEncoder()

/**
 * Payments by Stripe's API: Checkout Sessions, Refunds, and events signed with the scheme `v1` (HMAC-SHA-256 of time and body).
 */
export const stripePayments = (settings: StripeSettings): PaymentProvider => ({
  name: 'stripe',
  checkout: async (order) => {
    const session = await post(
      settings,
      '/v1/checkout/sessions',
      order.id,
      checkoutOf(order, settings),
    )
    return { reference: session.id, url: session.url ?? null }
  },
  refund: async ({ refundId, paymentRef, amountMinor }) => {
    if (paymentRef === null) throw new PaymentError('nothing was paid by this provider')
    const body = { payment_intent: paymentRef, amount: String(amountMinor) }
    await post(settings, '/v1/refunds', refundId, body)
    return { isSettled: false }
  },
  readEvent: async (signed) =>
    (await isSigned(settings.webhookSecret, signed)) ? eventOf(signed.body) : undefined,
})

const checkoutOf = (order: OrderToPay, { returnUrl }: StripeSettings) => ({
  mode: 'payment',
  client_reference_id: order.id,
  'metadata[order]': order.id,
  'payment_intent_data[metadata][order]': order.id,
  'line_items[0][quantity]': '1',
  'line_items[0][price_data][currency]': order.currency.toLowerCase(),
  'line_items[0][price_data][unit_amount]': String(order.amountMinor),
  'line_items[0][price_data][product_data][name]': order.templateName,
  success_url: `${returnUrl}?order=${order.id}&paid=1`,
  cancel_url: `${returnUrl}?order=${order.id}`,
})

const Answer = v.object({ id: v.string(), url: v.nullish(v.string()) })

const post = async (
  { url, secretKey }: StripeSettings,
  path: string,
  idempotencyKey: string,
  members: Record<string, string>,
) => {
  const answer = await fetch(`${url}${path}`, {
    method: 'POST',
    body: new URLSearchParams(members).toString(),
    headers: {
      authorization: `Bearer ${secretKey}`,
      'content-type': 'application/x-www-form-urlencoded',
      'idempotency-key': idempotencyKey,
    },
    redirect: 'manual',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch((error: unknown) => {
    throw new PaymentError(`the payment provider does not answer: ${String(error)}`)
  })
  const parsed = answer.ok ? v.safeParse(Answer, await answer.json().catch(() => null)) : undefined
  if (!parsed?.success) throw new PaymentError(`the payment provider answers ${answer.status}`)
  return parsed.output
}

/** Whether the header `Stripe-Signature` (`t=…,v1=…`) is of this very body, and young enough. */
const isSigned = async (secret: string, { body, header, nowMs }: SignedBody): Promise<boolean> => {
  const parts = (header('stripe-signature') ?? '').split(',').map((part) => part.split('='))
  const time = parts.find(([name]) => name === 't')?.[1] ?? ''
  if (!/^\d{1,12}$/.test(time) || Math.abs(nowMs - Number(time) * 1000) > TOLERANCE_MS) return false
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  const key = await crypto.subtle.importKey('raw', encoder.encode(secret), algorithm, false, [
    'sign',
  ])
  const expected = new Uint8Array(
    await crypto.subtle.sign('HMAC', key, encoder.encode(`${time}.${body}`)),
  )
  return parts.some(([name, value = '']) => {
    const given = name === 'v1' ? fromHex(value) : undefined
    return given !== undefined && equalInConstantTime(given, expected)
  })
}

const Amount = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const Currency = v.pipe(v.string(), v.toUpperCase(), v.regex(/^[A-Z]{3}$/))
const Envelope = v.object({
  id: v.pipe(v.string(), v.maxLength(255)),
  type: v.pipe(v.string(), v.maxLength(255)),
  data: v.object({ object: v.record(v.string(), v.unknown()) }),
})
const Session = v.object({
  client_reference_id: v.string(),
  payment_status: v.nullish(v.string()),
  payment_intent: v.nullish(v.string()),
  amount_total: v.nullish(Amount),
  currency: v.nullish(Currency),
})
const Charge = v.object({ payment_intent: v.string(), amount_refunded: Amount, currency: Currency })
const Dispute = v.object({ payment_intent: v.string(), status: v.nullish(v.string()) })

type Read = (object: unknown) => Omit<PaymentEvent, 'eventId' | 'kind'> | undefined

const read =
  <Schema extends v.GenericSchema>(
    schema: Schema,
    meaning: (object: v.InferOutput<Schema>) => Omit<PaymentEvent, 'eventId' | 'kind'>,
  ): Read =>
  (object) => {
    const parsed = v.safeParse(schema, object)
    return parsed.success ? meaning(parsed.output) : undefined
  }

const paid = read(Session, (session) => {
  const {
    client_reference_id: orderId,
    payment_intent: paymentRef,
    payment_status: status,
  } = session
  const { amount_total: amountMinor, currency } = session
  // A session that is complete may still wait for its money: then another event follows.
  if (status === 'unpaid' || amountMinor == null || currency == null) return { what: 'other' }
  return { what: 'paid', orderId, paymentRef: paymentRef ?? null, amountMinor, currency } as never
})
const ended = (what: 'failed' | 'expired') =>
  read(Session, ({ client_reference_id: orderId }) => ({ what, orderId }) as never)

/** What the types of events mean (docs.stripe.com/api/events/types). */
const MEANING: Record<string, Read> = {
  'checkout.session.completed': paid,
  'checkout.session.async_payment_succeeded': paid,
  'checkout.session.async_payment_failed': ended('failed'),
  'checkout.session.expired': ended('expired'),
  'charge.refunded': read(Charge, ({ payment_intent: paymentRef, amount_refunded, currency }) => {
    const money: Money = { amountMinor: amount_refunded, currency }
    return { what: 'refunded', paymentRef, ...money } as never
  }),
  'charge.dispute.created': read(
    Dispute,
    ({ payment_intent: paymentRef }) => ({ what: 'disputed', paymentRef }) as never,
  ),
  'charge.dispute.closed': read(Dispute, ({ payment_intent: paymentRef, status }) => {
    const what = status === 'lost' ? 'dispute-lost' : 'dispute-won'
    return { what, paymentRef } as never
  }),
}

const eventOf = (body: string): PaymentEvent | undefined => {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), Envelope), body)
  if (!parsed.success) return undefined
  const { id: eventId, type: kind, data } = parsed.output
  const meaning = MEANING[kind]?.(data.object) ?? { what: 'other' }
  return { eventId, kind, ...meaning } as PaymentEvent
}
