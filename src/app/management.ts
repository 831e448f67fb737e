import { apiKeyRoutes } from '../api-keys/routes.ts'
import { archiveRoutes } from '../archives/routes.ts'
import { cacheRoutes } from '../cache/routes.ts'
import { watchRoutes } from '../decisions/routes.ts'
import type { Policies } from '../decisions/service.ts'
import { domainRoutes, domainsRoutes } from '../domains/routes.ts'
import { grantRoutes } from '../grants/routes.ts'
import { importRoutes } from '../imports/routes.ts'
import { indexRoutes } from '../indexes/routes.ts'
import { acceptRoutes, invitationRoutes, workspaceInvitationRoutes } from '../invitations/routes.ts'
import { jobRoutes, organizationJobRoutes } from '../jobs/routes.ts'
import { leaveRoutes, memberRoutes } from '../members/routes.ts'
import { optimizerRoutes } from '../optimizer/routes.ts'
import type { OptimizerSettings } from '../optimizer/service.ts'
import type { PaymentProvider } from '../orders/service.ts'
import { organizationRoutes, organizationsRoutes } from '../organizations/routes.ts'
import { transferRoutes } from '../ownership/routes.ts'
import { permissionRoutes } from '../permissions/routes.ts'
import type { OpenCache } from '../platform/cache/open.ts'
import type { ResolveTxt } from '../platform/dns.ts'
import type { Gate } from '../platform/http/gate.ts'
import { router } from '../platform/http/router.ts'
import type { JobHandler } from '../platform/jobs/handler.ts'
import { previewRoutes } from '../preview/routes.ts'
import { recommendationRoutes } from '../recommendations/routes.ts'
import { resourceRoutes } from '../resources/routes.ts'
import { roleRoutes } from '../roles/routes.ts'
import { scenarioRoutes } from '../scenarios/routes.ts'
import { searchRoutes } from '../search/routes.ts'
import { securityRoutes, settingsRoutes, workspaceSettingsRoutes } from '../settings/routes.ts'
import { teamRoutes } from '../teams/routes.ts'
import { publisherRoutes, templateRoutes } from '../templates/routes.ts'
import {
  analyticsRoutes,
  limitRoutes,
  planRoutes,
  usageRoutes,
  workspaceAnalyticsRoutes,
} from '../usage/routes.ts'
import { webhookRoutes } from '../webhooks/routes.ts'
import type { WebhookSettings } from '../webhooks/service.ts'
import { workloadRoutes } from '../workload/routes.ts'
import { workspaceRoutes, workspacesRoutes } from '../workspaces/routes.ts'
import {
  catalog,
  marketplaceRoutes,
  noticesCatalog,
  organizationMarketplaceRoutes,
} from './marketplace.ts'
import { VIOLATIONS } from './violations.ts'

/** What single routes need of the server. */
export type RouteSettings = {
  webhooks: WebhookSettings
  handlers: ReadonlyMap<string, JobHandler>
  resolveTxt: ResolveTxt
  cache: OpenCache
  payments: PaymentProvider
  optimizer: OptimizerSettings
}

/** Everything under /v1: the caller is known before any route runs. */
export const managementRoutes = (
  gate: Gate,
  policies: Policies,
  { webhooks, handlers, resolveTxt, cache, payments, optimizer }: RouteSettings,
) => {
  const workspace = router()
    .use('*', gate.workspace)
    .route('/', workspaceRoutes)
    .route('/analytics', workspaceAnalyticsRoutes)
    .route('/settings', workspaceSettingsRoutes)
    .route('/scenarios', scenarioRoutes)
    .route('/invitations', workspaceInvitationRoutes)
  const organization = router()
    .use('*', gate.organization)
    .use('/templates/*', noticesCatalog)
    .use('/publisher/*', noticesCatalog)
    .route('/', organizationRoutes)
    .route('/members', memberRoutes)
    .route('/leave', leaveRoutes)
    .route('/settings', settingsRoutes)
    .route('/security', securityRoutes)
    .route('/transfer', transferRoutes)
    .route('/domains', domainRoutes(resolveTxt))
    .route('/roles', roleRoutes)
    .route('/teams', teamRoutes)
    .route('/workspaces', workspacesRoutes)
    .route('/workspaces/:workspace', workspace)
    .route('/resources', resourceRoutes)
    .route('/grants', grantRoutes)
    .route('/api-keys', apiKeyRoutes)
    .route('/webhooks', webhookRoutes(webhooks))
    .route('/invitations', invitationRoutes)
    .route('/plan', planRoutes)
    .route('/limits', limitRoutes)
    .route('/usage', usageRoutes)
    .route('/analytics', analyticsRoutes)
    .route('/preview', previewRoutes({ policies, violations: VIOLATIONS }))
    .route('/search', searchRoutes(policies))
    .route('/watch', watchRoutes(policies))
    .route('/archive', archiveRoutes)
    .route('/publisher', publisherRoutes(resolveTxt))
    .route('/templates', templateRoutes)
    .route('/jobs', organizationJobRoutes)
    .route('/', organizationMarketplaceRoutes(payments))
    .route('/', importRoutes)
  return router()
    .use('*', gate.logged)
    .use('*', gate.authenticate)
    .route('/', permissionRoutes)
    .route('/invitations', acceptRoutes)
    .route('/domains', domainsRoutes)
    .route('/jobs', jobRoutes(handlers))
    .use('/marketplace/*', noticesCatalog)
    .route('/marketplace', marketplaceRoutes(payments))
    .route('/templates', catalog(gate))
    .route('/cache', cacheRoutes({ ...cache, policies }))
    .route('/optimizer', optimizerRoutes(optimizer))
    .route('/optimizer', workloadRoutes)
    .route('/optimizer', recommendationRoutes)
    .route('/optimizer/indexes', indexRoutes)
    .route('/organizations', organizationsRoutes)
    .route('/organizations/:organization', organization)
}
