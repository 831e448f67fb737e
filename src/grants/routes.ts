import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import { etag } from '../platform/version.ts'
import { CreateGrant, Grant, ListGrants, OneGrant, PatchGrant } from './schema.ts'
import { createGrant, deleteGrant, getGrant, listGrants, patchGrant } from './service.ts'

/** Mounted at /v1/organizations/:organization/grants. */
export const grantRoutes = router()
  .post(
    '/',
    permit('role:assign'),
    answers(201, Grant, 'Give or refuse a role or a permission'),
    validate('json', CreateGrant),
    async (c) => {
      const grant = await createGrant(c.var.context, c.req.valid('json'))
      return c.json(grant, 201, etag(grant))
    },
  )
  .get(
    '/',
    permit('role:read'),
    answers(200, pageOf(Grant), 'List grants'),
    validate('query', ListGrants),
    async (c) => c.json(await listGrants(c.var.context, c.req.valid('query'))),
  )
  .get(
    '/:id',
    permit('role:read'),
    answers(200, Grant, 'Read a grant'),
    validate('param', OneGrant),
    async (c) => {
      const grant = await getGrant(c.var.context, c.req.valid('param'))
      return c.json(grant, 200, etag(grant))
    },
  )
  .patch(
    '/:id',
    permit('role:assign'),
    answers(200, Grant, 'Change the end, the condition or the reason of a grant'),
    validate('param', OneGrant),
    validate('json', PatchGrant),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      const grant = await patchGrant(c.var.context, input)
      return c.json(grant, 200, etag(grant))
    },
  )
  .delete(
    '/:id',
    permit('role:assign'),
    answers(204, null, 'End a grant'),
    validate('param', OneGrant),
    async (c) => {
      await deleteGrant(c.var.context, c.req.valid('param'))
      return c.body(null, 204)
    },
  )
