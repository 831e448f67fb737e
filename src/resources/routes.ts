import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import { etag } from '../platform/version.ts'
import { ListResources, OneResource, OneType, PutResource, Resource } from './schema.ts'
import { deleteResource, getResource, listResources, putResource } from './service.ts'

/** Mounted at /v1/organizations/:organization/resources. Ids with a slash are percent-encoded in the path. */
export const resourceRoutes = router()
  .get(
    '/:type',
    permit('resource:read'),
    answers(200, pageOf(Resource), 'List the registered resources of a type'),
    validate('param', OneType),
    validate('query', ListResources),
    async (c) =>
      c.json(
        await listResources(c.var.context, { ...c.req.valid('param'), ...c.req.valid('query') }),
      ),
  )
  .get(
    '/:type/:id',
    permit('resource:read'),
    answers(200, Resource, 'Read a registered resource'),
    validate('param', OneResource),
    async (c) => {
      const resource = await getResource(c.var.context, c.req.valid('param'))
      return c.json(resource, 200, etag(resource))
    },
  )
  .put(
    '/:type/:id',
    permit('resource:manage'),
    answers(200, Resource, 'Register or change a resource'),
    validate('param', OneResource),
    validate('json', PutResource),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      const { created, resource } = await putResource(c.var.context, input)
      return c.json(resource, created ? 201 : 200, etag(resource))
    },
  )
  .delete(
    '/:type/:id',
    permit('resource:manage'),
    answers(204, null, 'End a resource and the grants on it'),
    validate('param', OneResource),
    async (c) => {
      await deleteResource(c.var.context, c.req.valid('param'))
      return c.body(null, 204)
    },
  )
