import type { Violations } from '../platform/db/violation.ts'

/** What the database refuses about money. */
export const orderViolations: Violations = {
  orders_payment_reference_once: [
    'conflict',
    'payment-reference-taken',
    'Another order was paid with this reference.',
    '/reference',
  ],
  entitlements_one_live: [
    'conflict',
    'bought-already',
    'The organization has the template already.',
  ],
  prices_one_live_per_currency: [
    'conflict',
    'prices-changed',
    'Somebody else set a price at the same time; look again.',
  ],
}
