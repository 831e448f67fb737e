import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import * as advisories from './advisories.ts'
import { getAnalytics } from './analytics.ts'
import * as schema from './schema.ts'
import * as service from './service.ts'
import * as update from './update.ts'

const lifeRoutes = router()
  .get(
    '/',
    permit('template:read'),
    answers(200, pageOf(schema.Installation), 'List what is installed, and what is newer'),
    validate('query', schema.ListInstallations),
    async (c) => c.json(await service.listInstallations(c.var.context, c.req.valid('query'))),
  )
  .post(
    '/',
    permit('template:install'),
    answers(201, schema.Installation, 'Install a template'),
    validate('json', schema.CreateInstallation),
    async (c) => c.json(await service.createInstallation(c.var.context, c.req.valid('json')), 201),
  )
  .get(
    '/:installation',
    permit('template:read'),
    answers(200, schema.Installation, 'Read an installation'),
    validate('param', schema.OneInstallation),
    async (c) => c.json(await service.getInstallation(c.var.context, c.req.valid('param'))),
  )
  .patch(
    '/:installation',
    permit('template:install'),
    answers(200, schema.Installation, 'Set what happens when a new version comes'),
    validate('param', schema.OneInstallation),
    validate('json', schema.PatchInstallation),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await service.patchInstallation(c.var.context, input))
    },
  )
  .delete(
    '/:installation',
    permit('template:install'),
    answers(204, null, 'Take an installation out'),
    validate('param', schema.OneInstallation),
    validate('query', schema.DeleteInstallation),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('query') }
      await service.deleteInstallation(c.var.context, input)
      return c.body(null, 204)
    },
  )
  .post(
    '/:installation/approve',
    permit('org:security:update'),
    answers(200, schema.Installation, 'Approve what somebody else wants installed'),
    validate('param', schema.OneInstallation),
    async (c) => c.json(await service.approveInstallation(c.var.context, c.req.valid('param'))),
  )
  .post(
    '/:installation/refuse',
    permit('org:security:update'),
    answers(200, schema.Installation, 'Refuse what somebody else wants installed'),
    validate('param', schema.OneInstallation),
    async (c) => c.json(await service.refuseInstallation(c.var.context, c.req.valid('param'))),
  )

const updateRoutes = router()
  .get(
    '/:installation/update',
    permit('template:install'),
    answers(200, schema.UpdatePreview, 'See what an update would do'),
    validate('param', schema.OneInstallation),
    validate('query', schema.AskUpdate),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('query') }
      return c.json(await update.previewUpdate(c.var.context, input))
    },
  )
  .post(
    '/:installation/update',
    permit('template:install'),
    answers(200, schema.Installation, 'Update; what was changed here stays'),
    validate('param', schema.OneInstallation),
    validate('json', schema.UpdateInstallation),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await update.updateInstallation(c.var.context, input))
    },
  )
  .post(
    '/:installation/rollback',
    permit('template:install'),
    answers(200, schema.Installation, 'Go back to what stood before an update'),
    validate('param', schema.OneInstallation),
    validate('json', schema.Rollback),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await update.rollbackInstallation(c.var.context, input))
    },
  )
  .post(
    '/:installation/release',
    permit('org:security:update'),
    answers(200, schema.Installation, 'Lift the quarantine of an advisory'),
    validate('param', schema.OneInstallation),
    validate('json', schema.Release),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await advisories.releaseInstallation(c.var.context, input))
    },
  )

/** Mounted at /v1/organizations/:organization/installations. */
export const installationRoutes = router().route('/', lifeRoutes).route('/', updateRoutes)

/** Mounted at /v1/organizations/:organization/installation-policy. */
export const installationPolicyRoutes = router()
  .get(
    '/',
    permit('template:read'),
    answers(200, schema.InstallationPolicy, 'What the organization asks of what is installed'),
    async (c) => c.json(await service.getPolicy(c.var.context)),
  )
  .put(
    '/',
    permit('org:security:update'),
    answers(200, schema.InstallationPolicy, 'Set what may be installed'),
    validate('json', schema.PutPolicy),
    async (c) => c.json(await service.putPolicy(c.var.context, c.req.valid('json'))),
  )

/** Mounted at /v1/organizations/:organization/templates/:template/advisories. */
export const advisoryRoutes = router()
  .get(
    '/',
    permit('template:read'),
    answers(200, pageOf(schema.Advisory), 'List the advisories of one of your templates'),
    validate('param', schema.AdvisedTemplate),
    validate('query', schema.ListAdvisories),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('query') }
      return c.json(await advisories.listAdvisories(c.var.context, input))
    },
  )
  .post(
    '/',
    permit('template:yank'),
    answers(201, schema.Advisory, 'Warn of versions of one of your templates'),
    validate('param', schema.AdvisedTemplate),
    validate('json', schema.CreateAdvisory),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await advisories.createAdvisory(c.var.context, input), 201)
    },
  )
  .post(
    '/:advisory/withdraw',
    permit('template:yank'),
    answers(200, schema.Advisory, 'Take a warning back'),
    validate('param', schema.OneAdvisory),
    async (c) => c.json(await advisories.withdrawAdvisory(c.var.context, c.req.valid('param'))),
  )

/** Mounted at /v1/organizations/:organization/templates/:template/analytics. */
export const templateAnalyticsRoutes = router().get(
  '/',
  permit('marketplace:analytics'),
  answers(200, schema.Analytics, 'How one of your templates is used, over time'),
  validate('param', schema.AdvisedTemplate),
  validate('query', schema.AskAnalytics),
  async (c) => {
    const input = { ...c.req.valid('param'), ...c.req.valid('query') }
    return c.json(await getAnalytics(c.var.context, input))
  },
)

/** Mounted at /v1/organizations/:organization/publisher/analytics. */
export const publisherAnalyticsRoutes = router().get(
  '/',
  permit('marketplace:analytics'),
  answers(200, schema.Analytics, 'How all your templates are used, over time'),
  validate('query', schema.AskAnalytics),
  async (c) => c.json(await getAnalytics(c.var.context, c.req.valid('query'))),
)
