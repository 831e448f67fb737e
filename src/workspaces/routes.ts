import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import { etag } from '../platform/version.ts'
import {
  CreateWorkspace,
  DeleteWorkspace,
  ListWorkspaces,
  OneWorkspaceMember,
  PatchWorkspace,
  PutWorkspaceMember,
  Workspace,
  WorkspaceMember,
} from './schema.ts'
import * as service from './service.ts'

/** Mounted at /v1/organizations/:organization/workspaces. */
export const workspacesRoutes = router()
  .get(
    '/',
    permit('org:read'),
    answers(200, pageOf(Workspace), 'List workspaces'),
    validate('query', ListWorkspaces),
    async (c) => c.json(await service.listWorkspaces(c.var.context, c.req.valid('query'))),
  )
  .post(
    '/',
    permit('workspace:create'),
    answers(201, Workspace, 'Create a workspace'),
    validate('json', CreateWorkspace),
    async (c) => {
      const workspace = await service.createWorkspace(c.var.context, c.req.valid('json'))
      return c.json(workspace, 201, etag(workspace))
    },
  )

/** Mounted at /v1/organizations/:organization/workspaces/:workspace, which is resolved before. */
export const workspaceRoutes = router()
  .get('/', permit('workspace:read'), answers(200, Workspace, 'Read a workspace'), async (c) => {
    const workspace = await service.getWorkspace(c.var.context, c.var)
    return c.json(workspace, 200, etag(workspace))
  })
  .patch(
    '/',
    permit('workspace:update'),
    answers(200, Workspace, 'Edit a workspace'),
    validate('json', PatchWorkspace),
    async (c) => {
      const input = { workspaceId: c.var.workspaceId, ...c.req.valid('json') }
      const workspace = await service.updateWorkspace(c.var.context, input)
      return c.json(workspace, 200, etag(workspace))
    },
  )
  .delete(
    '/',
    permit('workspace:delete'),
    answers(204, null, 'Delete a workspace with everything in it'),
    validate('query', DeleteWorkspace),
    async (c) => {
      const input = { workspaceId: c.var.workspaceId, ...c.req.valid('query') }
      await service.deleteWorkspace(c.var.context, input)
      return c.body(null, 204)
    },
  )
  .get(
    '/members',
    permit('workspace:read'),
    answers(200, pageOf(WorkspaceMember), 'List who holds a role in the workspace itself'),
    validate('query', ListWorkspaces),
    async (c) => {
      const input = { workspaceId: c.var.workspaceId, ...c.req.valid('query') }
      return c.json(await service.listWorkspaceMembers(c.var.context, input))
    },
  )
  .put(
    '/members/:user',
    permit('workspace:member:manage'),
    answers(200, WorkspaceMember, 'Set the roles of a member in the workspace'),
    validate('param', OneWorkspaceMember),
    validate('json', PutWorkspaceMember),
    async (c) => {
      const member = { ...c.req.valid('param'), ...c.req.valid('json') }
      const input = { workspaceId: c.var.workspaceId, ...member }
      return c.json(await service.putWorkspaceMember(c.var.context, input))
    },
  )
  .delete(
    '/members/:user',
    permit('workspace:member:manage'),
    answers(204, null, 'Take all roles of a member in the workspace'),
    validate('param', OneWorkspaceMember),
    async (c) => {
      const input = { workspaceId: c.var.workspaceId, ...c.req.valid('param') }
      await service.deleteWorkspaceMember(c.var.context, input)
      return c.body(null, 204)
    },
  )
