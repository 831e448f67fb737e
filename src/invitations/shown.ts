import type { InvitationRow, RoleOf } from './repository.ts'
import type { Invitation } from './schema.ts'

/** An invitation as the API shows it: whose roles where, and nothing of its token. */
export const shown = (row: InvitationRow, roles: readonly RoleOf[]): Invitation => {
  const { organizationId: _organizationId, asOwner, inviter: _inviter, ...invitation } = row
  const inWorkspaces = Map.groupBy(
    roles.filter(({ workspaceId }) => workspaceId !== null),
    ({ workspace }) => workspace ?? '',
  )
  return {
    ...invitation,
    roles: [
      ...(asOwner ? ['owner'] : []),
      ...roles.filter(({ workspaceId }) => workspaceId === null).map(({ name }) => name),
    ],
    workspaces: [...inWorkspaces].map(([workspace, held]) => ({
      workspace,
      roles: held.map(({ name }) => name),
    })),
  }
}

/** As the log keeps it: enough of the address to know it again, too little to write to it. */
export const recorded = (invitation: Invitation): Invitation => ({
  ...invitation,
  email: masked(invitation.email),
})

/** `bob@example.com` as `b…@example.com`. */
export const masked = (email: string): string => email.replace(/^(.)[^@]*/u, '$1…')
