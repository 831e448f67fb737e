import { answers, permit, permitEveryone } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import {
  CreatePermission,
  ListPermissions,
  ListResourceTypes,
  OneResourceType,
  Permission,
  PutResourceType,
  StoredResourceType,
} from './schema.ts'
import { createPermission, listPermissions, listResourceTypes, putResourceType } from './service.ts'

/** Mounted at /v1. */
export const permissionRoutes = router()
  .get(
    '/permissions',
    permitEveryone('the catalog is no secret'),
    answers(200, pageOf(Permission), 'List the permissions that can be given and asked'),
    validate('query', ListPermissions),
    async (c) => c.json(await listPermissions(c.var.context, c.req.valid('query'))),
  )
  .post(
    '/permissions',
    permit('permission:manage', 'platform'),
    answers(201, Permission, 'Register a permission'),
    validate('json', CreatePermission),
    async (c) => c.json(await createPermission(c.var.context, c.req.valid('json')), 201),
  )
  .get(
    '/resource-types',
    permitEveryone('the catalog is no secret'),
    answers(200, pageOf(StoredResourceType), 'List the resource types'),
    validate('query', ListResourceTypes),
    async (c) => c.json(await listResourceTypes(c.var.context, c.req.valid('query'))),
  )
  .put(
    '/resource-types/:type',
    permit('permission:manage', 'platform'),
    answers(200, StoredResourceType, 'Register a resource type, or say whether it is strict'),
    validate('param', OneResourceType),
    validate('json', PutResourceType),
    async (c) =>
      c.json(
        await putResourceType(c.var.context, { ...c.req.valid('param'), ...c.req.valid('json') }),
      ),
  )
