/** Money: an integer in minor units of an ISO 4217 currency in capitals (`{1000, 'EUR'}` is ten euros, `{1000, 'JPY'}` a thousand yen). */
export type Money = { readonly amountMinor: number; readonly currency: string }

/** What a provider is told of an order. */
export type OrderToPay = Money & {
  readonly id: string
  readonly templateName: string
}

/** Something a provider says has happened. `eventId` is the provider's own, by which a repetition is known. */
export type PaymentEvent = { readonly eventId: string; readonly kind: string } & (
  | ({
      readonly what: 'paid'
      readonly orderId: string
      readonly paymentRef: string | null
    } & Money)
  | { readonly what: 'failed' | 'expired'; readonly orderId: string }
  | ({ readonly what: 'refunded'; readonly paymentRef: string } & Money)
  | { readonly what: 'disputed' | 'dispute-won' | 'dispute-lost'; readonly paymentRef: string }
  | { readonly what: 'other' }
)

/** What is read of a provider's call. */
export type SignedBody = {
  readonly body: string
  readonly header: (name: string) => string | undefined
  readonly nowMs: number
}

/** Who takes the money. */
export type PaymentProvider = {
  readonly name: 'stripe' | 'manual'
  /**
   * Begins a payment. Asked again for the same order, it answers the same.
   * @throws PaymentError where the provider does not take it, or does not answer
   */
  checkout(order: OrderToPay): Promise<{ reference: string; url: string | null }>
  /**
   * Gives money back. Asked again with the same `refundId`, it does so once.
   * @returns whether it is settled; else an event says so later
   * @throws PaymentError
   */
  refund(
    refund: Money & { refundId: string; paymentRef: string | null },
  ): Promise<{ isSettled: boolean }>
  /**
   * The event in a signed body; undefined where this provider sends none, or the signature is not the provider's, is missing or
   * is too old.
   */
  readEvent(signed: SignedBody): Promise<PaymentEvent | undefined>
}

/** The provider refused, or did not answer in time. */
export class PaymentError extends Error {}

/** Payment by invoice: an operator says when it has arrived, and gives back by hand. */
export const manualPayments = (): PaymentProvider => ({
  name: 'manual',
  checkout: async ({ id }) => ({ reference: id, url: null }),
  refund: async () => ({ isSettled: true }),
  readEvent: async () => undefined,
})
