import { answers, permit, permitEveryone } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import { etag } from '../platform/version.ts'
import {
  CreateOrganization,
  ListOrganizations,
  Organization,
  PatchOrganization,
  SuspendOrganization,
} from './schema.ts'
import {
  createOrganization,
  deleteOrganization,
  getOrganization,
  listOrganizations,
  reactivateOrganization,
  suspendOrganization,
  updateOrganization,
} from './service.ts'

/** Mounted at /v1/organizations. */
export const organizationsRoutes = router()
  .post(
    '/',
    permitEveryone('a person may found an organization; naming another owner needs org:create'),
    answers(201, Organization, 'Create an organization'),
    validate('json', CreateOrganization),
    async (c) => {
      const organization = await createOrganization(c.var.context, c.req.valid('json'))
      return c.json(organization, 201, etag(organization))
    },
  )
  .get(
    '/',
    permitEveryone('everybody sees their own'),
    answers(200, pageOf(Organization), "List the caller's organizations"),
    validate('query', ListOrganizations),
    async (c) => c.json(await listOrganizations(c.var.context, c.req.valid('query'))),
  )

/** Mounted at /v1/organizations/:organization. */
export const organizationRoutes = router()
  .get('/', permit('org:read'), answers(200, Organization, 'Read an organization'), async (c) => {
    const organization = await getOrganization(c.var.context)
    return c.json(organization, 200, etag(organization))
  })
  .patch(
    '/',
    permit('org:update'),
    answers(200, Organization, 'Edit an organization'),
    validate('json', PatchOrganization),
    async (c) => {
      const organization = await updateOrganization(c.var.context, c.req.valid('json'))
      return c.json(organization, 200, etag(organization))
    },
  )
  .delete(
    '/',
    permit('org:delete'),
    answers(200, Organization, 'Mark an organization for deletion'),
    async (c) => {
      const organization = await deleteOrganization(c.var.context)
      return c.json(organization, 200, etag(organization))
    },
  )
  .post(
    '/suspend',
    permit('org:suspend', 'platform'),
    answers(200, Organization, 'Close an organization, wholly or for changes'),
    validate('json', SuspendOrganization),
    async (c) => {
      const organization = await suspendOrganization(c.var.context, c.req.valid('json'))
      return c.json(organization, 200, etag(organization))
    },
  )
  .post(
    '/reactivate',
    permit(['org:delete', 'org:suspend']),
    answers(200, Organization, 'Open an organization again'),
    async (c) => {
      const organization = await reactivateOrganization(c.var.context)
      return c.json(organization, 200, etag(organization))
    },
  )
