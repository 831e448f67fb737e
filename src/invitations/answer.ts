import { recordChange } from '../audit/service.ts'
import {
  ceilingOf,
  givenByRole,
  refuseAboveCeiling,
  requireOwnership,
} from '../decisions/ceiling.ts'
import { admitMember } from '../members/service.ts'
import { getOrganization } from '../organizations/service.ts'
import type { Context } from '../platform/context.ts'
import { sha256 } from '../platform/crypto/hash.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changeOrganization, inPlatform } from '../platform/db/transaction.ts'
import { Problem } from '../platform/problem.ts'
import * as repository from './repository.ts'
import type { Accepted } from './schema.ts'
import { recorded, shown } from './shown.ts'

/** The same for a token that never was, was used, is over, or is another's: nobody learns which. */
const noSuchInvitation = () =>
  new Problem(
    'not-found',
    'invitation-not-found',
    'There is no invitation with this token for your verified e-mail address.',
  )

/** The invitation's organization as a place to work in, whoever asks: the token says enough. */
const contextOf = async (context: Context, token: string, email?: string) => {
  const tokenHash = (await sha256(token)) as Uint8Array
  const found = await inPlatform(context.sql, (tx) => repository.findByToken(tx, tokenHash, email))
  if (!found) throw noSuchInvitation()
  return { tokenHash, id: found.id, within: { ...context, organizationId: found.organizationId } }
}

/**
 * Joins with the roles of the invitation. Needs a token of the issuer whose verified address is the invited one; the roles
 * are asked of the inviter's permissions as they are now. One statement decides who accepts, the rest follows it.
 */
export const acceptInvitation = async (
  context: Context,
  { token }: { token: string },
): Promise<Accepted> => {
  const { subject, verifiedEmail: email } = context.actor
  if (!email || !subject.startsWith('user:'))
    throw new Problem(
      'forbidden',
      'verified-email-needed',
      'Accept with the token of a person whose e-mail address is verified; an API key cannot accept.',
    )
  // With the address from the start: of another's token nobody learns so much as the state of its organization.
  const { tokenHash, within } = await contextOf(context, token, email)
  const member = await changeOrganization(within, async (tx, organizationId) => {
    const row = await repository.acceptInvitation(tx, { tokenHash, email, subject })
    if (!row) throw noSuchInvitation()
    const roles = await repository.findRoles(tx, organizationId, [row.id])
    await refuseAboveInviter({ ...within, actor: row.inviter }, tx, row, roles)
    const joined = await admitMember(within, tx, {
      organizationId,
      subject,
      isOwner: row.asOwner,
      source: 'invitation',
      giver: row.inviter,
      roles: roles.map(({ workspaceId, ...role }) => ({ workspaceId, role })),
    })
    await recordChange(tx, within, {
      event: 'invitation.accepted',
      resource: `invitation:${row.id}`,
      subject,
      after: recorded(shown(row, roles)),
    })
    return joined
  })
  context.revision = within.revision
  const { id, slug, name } = await getOrganization(within)
  return {
    organization: { id, slug, name },
    member: { subject: member.subject, roles: member.roles },
  }
}

/** An inviter who lost power, or left, lets nobody in any more. */
const refuseAboveInviter = async (
  giver: Context,
  tx: Transaction,
  { organizationId, asOwner }: repository.InvitationRow,
  roles: readonly repository.RoleOf[],
) => {
  try {
    const ceiling = await ceilingOf(giver, tx)
    if (asOwner) requireOwnership(ceiling)
    for (const { workspaceId, home, scope, name } of roles) {
      const given = await givenByRole(tx, [home, scope, name], { organizationId, workspaceId })
      refuseAboveCeiling(ceiling, given)
    }
  } catch (error) {
    if (!(error instanceof Problem) || error.kind !== 'forbidden') throw error
    throw new Problem(
      'conflict',
      'inviter-may-not',
      'Whoever invited you may not give these roles any more; ask for a new invitation.',
    )
  }
}

/** Says no. The token is enough: whoever declines need not have an account. */
export const declineInvitation = async (context: Context, { token }: { token: string }) => {
  const { id, within } = await contextOf(context, token)
  await changeOrganization(within, async (tx, organizationId) => {
    const row = await repository.endInvitation(tx, { organizationId, id, status: 'declined' })
    if (!row) throw noSuchInvitation()
    const roles = await repository.findRoles(tx, organizationId, [id])
    await recordChange(tx, within, {
      event: 'invitation.declined',
      resource: `invitation:${id}`,
      after: recorded(shown(row, roles)),
    })
  })
  context.revision = within.revision
}
