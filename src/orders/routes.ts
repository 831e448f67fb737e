import type { Context as HonoContext } from 'hono'
import { answers, permit, permitEveryone } from '../platform/http/permit.ts'
import { type Env, router } from '../platform/http/router.ts'
import { readBody, validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import * as operate from './operate.ts'
import type { PaymentProvider } from './payment.ts'
import { receiveEvent } from './receive.ts'
import * as schema from './schema.ts'
import * as service from './service.ts'

/** Mounted at /v1/organizations/:organization/templates/:template/prices. */
export const priceRoutes = router()
  .get(
    '/',
    permit('template:read'),
    answers(200, schema.Prices, 'What one of your templates costs'),
    validate('param', schema.PricedTemplate),
    async (c) => c.json(await service.getPrices(c.var.context, c.req.valid('param'))),
  )
  .put(
    '/',
    permit('marketplace:publish'),
    answers(200, schema.Prices, 'Set all prices of a template; none makes it free'),
    validate('param', schema.PricedTemplate),
    validate('json', schema.PutPrices),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await service.putPrices(c.var.context, input))
    },
  )

/** Mounted at /v1/organizations/:organization/orders. */
export const orderRoutes = (payments: PaymentProvider) =>
  router()
    .get(
      '/',
      permit('org:billing:view'),
      answers(200, pageOf(schema.Order), 'List orders, the newest first'),
      validate('query', schema.ListOrders),
      async (c) => c.json(await service.listOrders(c.var.context, c.req.valid('query'))),
    )
    .post(
      '/',
      permit('template:purchase'),
      answers(201, schema.Order, 'Order a template, at the price of this moment'),
      validate('json', schema.CreateOrder),
      async (c) =>
        c.json(await service.createOrder(payments, c.var.context, c.req.valid('json')), 201),
    )
    .get(
      '/:order',
      permit('org:billing:view'),
      answers(200, schema.Order, 'Read an order'),
      validate('param', schema.OneOrder),
      async (c) => c.json(await service.getOrder(c.var.context, c.req.valid('param'))),
    )
    .post(
      '/:order/cancel',
      permit('template:purchase'),
      answers(200, schema.Order, 'Give up an order that is not paid'),
      validate('param', schema.OneOrder),
      async (c) => c.json(await service.cancelOrder(c.var.context, c.req.valid('param'))),
    )
    .post(
      '/:order/request-refund',
      permit('template:purchase'),
      answers(200, schema.Order, 'Ask for the money back'),
      validate('param', schema.OneOrder),
      validate('json', schema.RequestRefund),
      async (c) => {
        const input = { ...c.req.valid('param'), ...c.req.valid('json') }
        return c.json(await service.requestRefund(c.var.context, input))
      },
    )

/** Mounted at /v1/organizations/:organization/entitlements. */
export const entitlementRoutes = router().get(
  '/',
  permit('template:read'),
  answers(200, pageOf(schema.Entitlement), 'List what the organization may download'),
  validate('query', schema.ListEntitlements),
  async (c) => c.json(await operate.listEntitlements(c.var.context, c.req.valid('query'))),
)

/** Mounted at /v1/marketplace/moderation, for operators. */
export const orderOperationRoutes = (payments: PaymentProvider) =>
  router()
    .post(
      '/orders/:order/refund',
      permit('marketplace:moderate', 'platform'),
      answers(200, schema.Order, 'Give money back'),
      validate('param', schema.OneOrder),
      validate('json', schema.Refund),
      async (c) => {
        const input = { ...c.req.valid('param'), ...c.req.valid('json') }
        return c.json(await operate.refundOrder(payments, c.var.context, input))
      },
    )
    .post(
      '/orders/:order/mark-paid',
      permit('marketplace:moderate', 'platform'),
      answers(200, schema.Order, 'Say that an invoice was paid'),
      validate('param', schema.OneOrder),
      validate('json', schema.MarkPaid),
      async (c) => {
        const input = { ...c.req.valid('param'), ...c.req.valid('json') }
        return c.json(await operate.markPaid(payments, c.var.context, input))
      },
    )
    .post(
      '/entitlements',
      permit('marketplace:moderate', 'platform'),
      answers(201, schema.Entitlement, 'Give an organization a template'),
      validate('json', schema.CreateEntitlement),
      async (c) => c.json(await operate.createEntitlement(c.var.context, c.req.valid('json')), 201),
    )
    .delete(
      '/entitlements/:entitlement',
      permit('marketplace:moderate', 'platform'),
      answers(204, null, 'Take an entitlement back'),
      validate('param', schema.OneEntitlement),
      async (c) => {
        await operate.revokeEntitlement(c.var.context, c.req.valid('param'))
        return c.body(null, 204)
      },
    )

const signedOf = async (c: HonoContext<Env>) => ({
  body: await readBody(c.req.raw),
  header: (name: string) => c.req.header(name),
  nowMs: c.var.context.now().getTime(),
})

/** Mounted at /v1/marketplace/payments; needs no caller, a signature says enough. */
export const paymentRoutes = (payments: PaymentProvider) =>
  router().post(
    '/:provider/events',
    permitEveryone('the signature of the payment provider says enough'),
    answers(200, schema.Received, 'Take in what a payment provider tells'),
    validate('param', schema.OneProvider),
    async (c) => {
      const input = { ...c.req.valid('param'), signed: await signedOf(c) }
      return c.json(await receiveEvent(payments, c.var.context, input))
    },
  )
