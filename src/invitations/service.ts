import { ceilingOf, requireOwnership } from '../decisions/ceiling.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changeOrganization, inOrganization, inPlatform } from '../platform/db/transaction.ts'
import { positionOf } from '../platform/page.ts'
import { resolveRole } from '../roles/service.ts'
import { resolveWorkspace } from '../workspaces/service.ts'
import * as repository from './repository.ts'
import type { CreateInvitation, Invitation, ListInvitations } from './schema.ts'
import { shown } from './shown.ts'
import { notFound, pageOf, record, resend, revoke, type Wanted, writeInvitation } from './write.ts'

export { acceptInvitation, declineInvitation } from './answer.ts'
export { inviteMany } from './bulk.ts'
export {
  inviteToWorkspace,
  listWorkspaceInvitations,
  resendWorkspaceInvitation,
  revokeWorkspaceInvitation,
} from './workspace.ts'

/** Invitations: somebody with a verified address joins with the roles that the inviter may give. */
export const createInvitation = (context: Context, input: CreateInvitation) =>
  changeOrganization(context, (tx, organizationId) => invite(context, tx, organizationId, input))

/** One invitation inside a change that may make more. */
export const invite = async (
  context: Context,
  tx: Transaction,
  organizationId: string,
  { email, roles, workspaces }: CreateInvitation,
): Promise<Invitation> => {
  const ceiling = await ceilingOf(context, tx)
  const asOwner = roles.includes('owner')
  if (asOwner) requireOwnership(ceiling)
  const wanted = await resolveWanted(tx, organizationId, { roles, workspaces })
  return writeInvitation(context, tx, { organizationId, email, asOwner, wanted, ceiling })
}

const resolveWanted = async (
  tx: Transaction,
  organizationId: string,
  { roles, workspaces }: Pick<CreateInvitation, 'roles' | 'workspaces'>,
): Promise<Wanted[]> => {
  const wanted: Wanted[] = []
  for (const [index, name] of roles.entries()) {
    if (name === 'owner') continue
    const pointer = `/roles/${index}`
    const role = await resolveRole(tx, organizationId, { name, inWorkspace: false, pointer })
    wanted.push({ workspaceId: null, ...role, pointer })
  }
  for (const [at, { workspace: reference, roles: names }] of workspaces.entries()) {
    const place = { reference, pointer: `/workspaces/${at}/workspace` }
    const workspaceId = await resolveWorkspace(tx, organizationId, place)
    for (const [index, name] of names.entries()) {
      const pointer = `/workspaces/${at}/roles/${index}`
      const role = await resolveRole(tx, organizationId, { name, inWorkspace: true, pointer })
      wanted.push({ workspaceId, ...role, pointer })
    }
  }
  return wanted
}

export const listInvitations = (context: Context, { limit, cursor, status }: ListInvitations) =>
  inOrganization(context, async (tx, organizationId) => {
    const range = { organizationId, status, before: positionOf(cursor), limit: limit + 1 }
    return pageOf(tx, organizationId, await repository.listInvitations(tx, range), limit)
  })

export const getInvitation = (context: Context, { invitation: id }: { invitation: string }) =>
  inOrganization(context, async (tx, organizationId) => {
    const row = await repository.findInvitation(tx, organizationId, id)
    if (!row) throw notFound()
    return shown(row, await repository.findRoles(tx, organizationId, [id]))
  })

/** Sends the mail again with another token; the one before is worth nothing once the new mail is made. */
export const resendInvitation = (context: Context, { invitation: id }: { invitation: string }) =>
  changeOrganization(context, async (tx, organizationId) =>
    resend(context, tx, await repository.findInvitation(tx, organizationId, id)),
  )

export const revokeInvitation = (context: Context, { invitation: id }: { invitation: string }) =>
  changeOrganization(
    context,
    async (tx, organizationId) =>
      revoke(context, tx, await repository.findInvitation(tx, organizationId, id)),
    { shrinks: true },
  )

/** Invitations expired in one run. */
const OVERDUE_MAX = 1000

/** Writes down that invitations are over; they could not be accepted any more already. Answers how many. */
export const expireInvitations = async (context: Context, signal: AbortSignal): Promise<number> => {
  const overdue = await inPlatform(context.sql, (tx) => repository.findOverdue(tx, OVERDUE_MAX))
  let expired = 0
  for (const { id, organizationId } of overdue) {
    signal.throwIfAborted()
    expired += await changeOrganization({ ...context, organizationId }, async (tx) => {
      const before = await repository.findInvitation(tx, organizationId, id)
      if (!before || Date.parse(before.expiresAt) > Date.now()) return 0
      const row =
        (await repository.endInvitation(tx, { organizationId, id, status: 'expired' })) ??
        (await repository.claimUnrecorded(tx, organizationId, id))
      if (row)
        await record({ ...context, organizationId }, tx, { event: 'invitation.expired', row })
      return row ? 1 : 0
    })
  }
  return expired
}
