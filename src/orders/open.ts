import { manualPayments, type PaymentProvider } from './payment.ts'
import { stripePayments } from './stripe.ts'

/** The settings that choose who takes the money. */
export type PaymentSettings = {
  STRIPE_SECRET_KEY?: string | undefined
  STRIPE_WEBHOOK_SECRET?: string | undefined
  STRIPE_URL: string
  CHECKOUT_RETURN_URL?: string | undefined
}

/** Stripe where it is set up, else invoices. */
export const openPayments = (settings: PaymentSettings): PaymentProvider => {
  const { STRIPE_SECRET_KEY: secretKey, STRIPE_WEBHOOK_SECRET: webhookSecret } = settings
  const { STRIPE_URL, CHECKOUT_RETURN_URL: returnUrl } = settings
  if (!secretKey || !webhookSecret || !returnUrl) return manualPayments()
  return stripePayments({
    secretKey,
    webhookSecret,
    returnUrl,
    url: STRIPE_URL.replace(/\/+$/, ''),
  })
}
