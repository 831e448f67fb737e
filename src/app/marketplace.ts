import type { MiddlewareHandler } from 'hono'
import { catalogRoutes, fromAnywhere, n8nRoutes } from '../catalog/routes.ts'
import {
  advisoryRoutes,
  installationPolicyRoutes,
  installationRoutes,
  publisherAnalyticsRoutes,
  templateAnalyticsRoutes,
} from '../installations/routes.ts'
import { moderationRoutes } from '../moderation/routes.ts'
import {
  entitlementRoutes,
  orderOperationRoutes,
  orderRoutes,
  priceRoutes,
} from '../orders/routes.ts'
import type { PaymentProvider } from '../orders/service.ts'
import type { Gate } from '../platform/http/gate.ts'
import { type Env, router } from '../platform/http/router.ts'

/** What an organization makes, buys and installs; mounted at /v1/organizations/:organization. */
export const organizationMarketplaceRoutes = (payments: PaymentProvider) =>
  router()
    .route('/templates/:template/prices', priceRoutes)
    .route('/orders', orderRoutes(payments))
    .route('/entitlements', entitlementRoutes)
    .route('/installations', installationRoutes)
    .route('/installation-policy', installationPolicyRoutes)
    .route('/templates/:template/advisories', advisoryRoutes)
    .route('/templates/:template/analytics', templateAnalyticsRoutes)
    .route('/publisher/analytics', publisherAnalyticsRoutes)

/** What operators decide; mounted at /v1/marketplace. */
export const marketplaceRoutes = (payments: PaymentProvider) =>
  router()
    .route('/moderation', moderationRoutes)
    .route('/moderation', orderOperationRoutes(payments))

/** What is listed for everybody, looked at for an organization; mounted at /v1/templates. */
export const catalog = (gate: Gate) =>
  router().use('*', gate.organizationAsked).route('/', catalogRoutes)

/** The same for n8n, whose clients send no key but have one in their path; mounted at /n8n/:readKey. */
export const n8nCatalog = (gate: Gate) =>
  router()
    .use('*', gate.logged)
    .use('*', fromAnywhere)
    .use('*', gate.keyInPath)
    .route('/', n8nRoutes)

/** What may change the catalog was committed: the next answer of this process knows of it, before the change is answered. */
export const noticesCatalog: MiddlewareHandler<Env> = async (c, next) => {
  await next()
  if (c.req.method !== 'GET') c.var.context.caches?.doubt()
}
