import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import { etag } from '../platform/version.ts'
import {
  CopyRole,
  DeleteRole,
  ListHistory,
  ListRoles,
  OneRole,
  PutRole,
  Role,
  RoleComparison,
  RoleHistory,
  TwoRoles,
} from './schema.ts'
import {
  compareRoles,
  copyRole,
  deleteRole,
  getRole,
  listHistory,
  listRoles,
  putRole,
} from './service.ts'

/** Mounted at /v1/organizations/:organization/roles. */
export const roleRoutes = router()
  .get(
    '/',
    permit('role:read'),
    answers(200, pageOf(Role), 'List built-in and custom roles'),
    validate('query', ListRoles),
    async (c) => c.json(await listRoles(c.var.context, c.req.valid('query'))),
  )
  .get(
    '/:name',
    permit('role:read'),
    answers(200, Role, 'Read a role'),
    validate('param', OneRole),
    async (c) => {
      const role = await getRole(c.var.context, c.req.valid('param'))
      return c.json(role, 200, etag(role))
    },
  )
  .get(
    '/:name/compare/:other',
    permit('role:read'),
    answers(200, RoleComparison, 'What two roles give, side by side'),
    validate('param', TwoRoles),
    async (c) => c.json(await compareRoles(c.var.context, c.req.valid('param'))),
  )
  .put(
    '/:name',
    permit(['role:create', 'role:update']),
    answers(200, Role, 'Create or replace a custom role'),
    validate('param', OneRole),
    validate('json', PutRole),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      const { created, role } = await putRole(c.var.context, input)
      return c.json(role, created ? 201 : 200, etag(role))
    },
  )
  .delete(
    '/:name',
    permit('role:delete'),
    answers(204, null, 'Delete a custom role, or replace it by another one'),
    validate('param', OneRole),
    validate('query', DeleteRole),
    async (c) => {
      await deleteRole(c.var.context, { ...c.req.valid('param'), ...c.req.valid('query') })
      return c.body(null, 204)
    },
  )
  .post(
    '/:name/copy',
    permit('role:create'),
    answers(201, Role, 'Copy a role'),
    validate('param', OneRole),
    validate('json', CopyRole),
    async (c) => {
      const input = { source: c.req.valid('param').name, ...c.req.valid('json') }
      const { role } = await copyRole(c.var.context, input)
      return c.json(role, 201, etag(role))
    },
  )
  .get(
    '/:name/history',
    permit('role:read'),
    answers(200, pageOf(RoleHistory), 'Read what happened to a role'),
    validate('param', OneRole),
    validate('query', ListHistory),
    async (c) =>
      c.json(
        await listHistory(c.var.context, { ...c.req.valid('param'), ...c.req.valid('query') }),
      ),
  )
