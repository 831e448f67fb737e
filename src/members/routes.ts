import { answers, permit, permitEveryone } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import { etag } from '../platform/version.ts'
import { ListMembers, OneMember, PatchMember, PutMember, StoredMember } from './schema.ts'
import {
  deleteMember,
  getMember,
  leaveOrganization,
  listMembers,
  patchMember,
  putMember,
} from './service.ts'

/** Mounted at /v1/organizations/:organization/members. */
export const memberRoutes = router()
  .get(
    '/',
    permit('org:read'),
    answers(200, pageOf(StoredMember), 'List members'),
    validate('query', ListMembers),
    async (c) => c.json(await listMembers(c.var.context, c.req.valid('query'))),
  )
  .get(
    '/:user',
    permit('org:read'),
    answers(200, StoredMember, 'Read a member'),
    validate('param', OneMember),
    async (c) => {
      const member = await getMember(c.var.context, c.req.valid('param'))
      return c.json(member, 200, etag(member))
    },
  )
  .put(
    '/:user',
    permit(['org:member:invite', 'org:member:role:update']),
    answers(200, StoredMember, 'Make somebody a member, or set a member’s roles'),
    validate('param', OneMember),
    validate('json', PutMember),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      const { created, member } = await putMember(c.var.context, input)
      return c.json(member, created ? 201 : 200, etag(member))
    },
  )
  .patch(
    '/:user',
    permit('org:member:role:update'),
    answers(200, StoredMember, 'Change a member'),
    validate('param', OneMember),
    validate('json', PatchMember),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      const member = await patchMember(c.var.context, input)
      return c.json(member, 200, etag(member))
    },
  )
  .delete(
    '/:user',
    permit('org:member:remove'),
    answers(204, null, 'Remove a member'),
    validate('param', OneMember),
    async (c) => {
      await deleteMember(c.var.context, c.req.valid('param'))
      return c.body(null, 204)
    },
  )

/** Mounted at /v1/organizations/:organization/leave. */
export const leaveRoutes = router().post(
  '/',
  permitEveryone('everybody may leave'),
  answers(204, null, 'Leave the organization'),
  async (c) => {
    await leaveOrganization(c.var.context)
    return c.body(null, 204)
  },
)
