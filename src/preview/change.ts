import { createGrant, deleteGrant } from '../grants/service.ts'
import { deleteMember, putMember } from '../members/service.ts'
import type { Context } from '../platform/context.ts'
import { inOrganization } from '../platform/db/transaction.ts'
import { deleteRole, putRole } from '../roles/service.ts'
import { deleteTeam, deleteTeamMember, putTeam, putTeamMember } from '../teams/service.ts'
import { putWorkspaceMember, resolveWorkspace } from '../workspaces/service.ts'
import type { Change } from './schema.ts'

/** The permission that the endpoint of each change asks. */
export const PERMISSION = {
  role: 'role:update',
  'role-deleted': 'role:delete',
  grant: 'role:assign',
  'grant-deleted': 'role:assign',
  member: 'org:member:role:update',
  'member-deleted': 'org:member:remove',
  team: 'team:manage',
  'team-deleted': 'team:manage',
  'team-member': 'team:manage',
  'team-member-deleted': 'team:manage',
  'workspace-member': 'workspace:member:manage',
} as const satisfies Record<Change['kind'], string>

/** Makes the change by the very service that its endpoint calls: what a preview says cannot differ from what happens. */
export const makeChange = async (context: Context, change: Change): Promise<unknown> => {
  switch (change.kind) {
    case 'role': {
      const { kind: _kind, ...role } = change
      return putRole(context, role)
    }
    case 'role-deleted':
      return deleteRole(context, { name: change.name, replacement: change.replacement })
    case 'grant':
      return createGrant(context, change.grant)
    case 'grant-deleted':
      return deleteGrant(context, { id: change.id })
    case 'member': {
      const { kind: _kind, ...member } = change
      return putMember(context, member)
    }
    case 'member-deleted':
      return deleteMember(context, { user: change.user })
    case 'team':
      return putTeam(context, { team: change.team, parent: change.parent })
    case 'team-deleted':
      return deleteTeam(context, { team: change.team })
    case 'team-member':
      return putTeamMember(context, { team: change.team, user: change.user })
    case 'team-member-deleted':
      return deleteTeamMember(context, { team: change.team, user: change.user })
    case 'workspace-member': {
      const place = { reference: change.workspace, pointer: '/change/workspace' }
      const workspaceId = await inOrganization(context, (tx, organizationId) =>
        resolveWorkspace(tx, organizationId, place),
      )
      return putWorkspaceMember(context, { workspaceId, user: change.user, roles: change.roles })
    }
  }
}
