import { ceilingOf } from '../decisions/ceiling.ts'
import type { Context } from '../platform/context.ts'
import { changeOrganization, inOrganization } from '../platform/db/transaction.ts'
import { positionOf } from '../platform/page.ts'
import { resolveRole } from '../roles/service.ts'
import * as repository from './repository.ts'
import type { CreateWorkspaceInvitation, Invitation, ListInvitations } from './schema.ts'
import { pageOf, resend, revoke, type Wanted, writeInvitation } from './write.ts'

/** A workspace as routes name it: found from the path before the handler runs. */
type In = { workspaceId: string }
type One = In & { invitation: string }

/**
 * Invitations of a workspace: they give roles there and nothing else, so that whoever manages its members needs no power
 * over the organization to make them, see them, send them again and take them back.
 */
export const inviteToWorkspace = (
  context: Context,
  { workspaceId, email, roles }: CreateWorkspaceInvitation & In,
): Promise<Invitation> =>
  changeOrganization(context, async (tx, organizationId) => {
    const ceiling = await ceilingOf(context, tx)
    const wanted: Wanted[] = []
    for (const [index, name] of roles.entries()) {
      const pointer = `/roles/${index}`
      const role = await resolveRole(tx, organizationId, { name, inWorkspace: true, pointer })
      wanted.push({ workspaceId, ...role, pointer })
    }
    const invitation = { organizationId, email, asOwner: false, wanted, ceiling }
    return writeInvitation(context, tx, invitation, { workspaceId })
  })

export const listWorkspaceInvitations = (
  context: Context,
  { workspaceId, limit, cursor, status }: ListInvitations & In,
) =>
  inOrganization(context, async (tx, organizationId) => {
    const range = { organizationId, status, before: positionOf(cursor), limit: limit + 1 }
    const rows = await repository.listInvitations(tx, { ...range, onlyIn: workspaceId })
    return pageOf(tx, organizationId, rows, limit)
  })

/** @throws Problem 404 where it gives anything outside the workspace */
export const resendWorkspaceInvitation = (context: Context, { workspaceId, invitation }: One) =>
  changeOrganization(context, async (tx, organizationId) => {
    const row = await repository.findInvitation(tx, organizationId, invitation, workspaceId)
    return resend(context, tx, row, { workspaceId })
  })

/** @throws Problem 404 where it gives anything outside the workspace */
export const revokeWorkspaceInvitation = (context: Context, { workspaceId, invitation }: One) =>
  changeOrganization(
    context,
    async (tx, organizationId) => {
      const row = await repository.findInvitation(tx, organizationId, invitation, workspaceId)
      await revoke(context, tx, row, { workspaceId })
    },
    { shrinks: true },
  )
