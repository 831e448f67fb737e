import { recordChange } from '../audit/service.ts'
import {
  ceilingOf,
  givenByRole,
  refuseAboveCeiling,
  requireOwnership,
} from '../decisions/ceiling.ts'
import type { Ceiling, Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { newId } from '../platform/id.ts'
import { enqueue } from '../platform/jobs/enqueue.ts'
import { toPage } from '../platform/page.ts'
import { Problem } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import { sendInvitation, VALID_MS } from './mail.ts'
import * as repository from './repository.ts'
import type { Invitation } from './schema.ts'
import { recorded, shown } from './shown.ts'

/** A role that an invitation is to give, where, and the place in the body that names it. */
export type Wanted = Omit<repository.RoleOf, 'workspace'> & { pointer: string }

/** What comes in through a workspace is recorded as the workspace's. */
type Through = { workspaceId?: string }

export const notFound = () =>
  new Problem('not-found', 'invitation-not-found', 'There is no such invitation.')

/**
 * Writes an invitation with the roles that the inviter may give, and has it mailed.
 * @throws Problem 403 above the ceiling, 409 where one of the address is pending
 */
export const writeInvitation = async (
  context: Context,
  tx: Transaction,
  {
    organizationId,
    email,
    asOwner,
    wanted,
    ceiling,
  }: {
    organizationId: string
    email: string
    asOwner: boolean
    wanted: readonly Wanted[]
    ceiling: Ceiling
  },
  through: Through = {},
): Promise<Invitation> => {
  await refuseAbove(tx, ceiling, organizationId, wanted)
  const { actor } = context
  const row = await repository.insertInvitation(tx, {
    id: newId('inv'),
    organizationId,
    email,
    asOwner,
    invitedBy: actor.subject,
    inviter: { ...actor, verifiedEmail: undefined, session: undefined },
    expiresAt: new Date(context.now().getTime() + VALID_MS),
  })
  if (!row)
    throw new Problem(
      'conflict',
      'invitation-pending',
      'An invitation of this address is pending.',
      {
        errors: [{ pointer: '/email', detail: 'is invited already' }],
      },
    )
  await repository.insertRoles(tx, organizationId, row.id, wanted)
  await enqueueMail(context, tx, row)
  return record(context, tx, { event: 'invitation.created', row, ...through })
}

/** The mail is a job that commits with the invitation: a mail server that is away delays it, and undoes nothing. */
const enqueueMail = (
  { requestId }: Context,
  tx: Transaction,
  { id, organizationId, sentCount }: repository.InvitationRow,
) =>
  enqueue(tx, 'email', sendInvitation({ invitation: id }), {
    organizationId,
    requestId,
    dedupKey: `invitation:${id}:${sentCount}`,
  })

/** Nobody invites to what they do not hold. */
const refuseAbove = async (
  tx: Transaction,
  ceiling: Ceiling,
  organizationId: string,
  wanted: readonly Wanted[],
) => {
  for (const { workspaceId, home, scope, name, pointer } of wanted) {
    const given = await givenByRole(tx, [home, scope, name], { organizationId, workspaceId })
    refuseAboveCeiling(ceiling, given, pointer)
  }
}

/** A page of invitations with what each gives. */
export const pageOf = async (
  tx: Transaction,
  organizationId: string,
  rows: repository.InvitationRow[],
  limit: number,
) => {
  const page = toPage(rows, limit, ({ id }) => id)
  const ids = page.items.map(({ id }) => id)
  const roles = Map.groupBy(
    await repository.findRoles(tx, organizationId, ids),
    ({ invitationId }) => invitationId,
  )
  return { ...page, items: page.items.map((row) => shown(row, roles.get(row.id) ?? [])) }
}

/** Has a pending invitation mailed again, by somebody who could give it. @throws Problem 403, 404, 409, 412 */
export const resend = async (
  context: Context,
  tx: Transaction,
  found: repository.InvitationRow | undefined,
  through: Through = {},
) => {
  const row = requirePending(context, found)
  const { organizationId } = row
  const ceiling = await ceilingOf(context, tx)
  if (row.asOwner) requireOwnership(ceiling)
  const roles = await repository.findRoles(tx, organizationId, [row.id])
  const wanted = roles.map((role) => ({ ...role, pointer: '' }))
  await refuseAbove(tx, ceiling, organizationId, wanted)
  await enqueueMail(context, tx, row)
  return record(context, tx, { event: 'invitation.resent', row, ...through })
}

/** Ends a pending invitation. @throws Problem 404, 409, 412 */
export const revoke = async (
  context: Context,
  tx: Transaction,
  found: repository.InvitationRow | undefined,
  through: Through = {},
) => {
  const before = requirePending(context, found)
  const { organizationId, id } = before
  const row = await repository.endInvitation(tx, { organizationId, id, status: 'revoked' })
  await record(context, tx, { event: 'invitation.revoked', row: row ?? before, ...through })
}

const requirePending = (context: Context, row: repository.InvitationRow | undefined) => {
  if (!row) throw notFound()
  refuseStale(context, row.version)
  if (row.status !== 'pending')
    throw new Problem('conflict', 'invitation-ended', `The invitation is ${row.status} already.`)
  return row
}

/** Leaves the event of an invitation in the log, without the address. */
export const record = async (
  context: Context,
  tx: Transaction,
  { event, row, ...through }: { event: string; row: repository.InvitationRow } & Through,
): Promise<Invitation> => {
  const roles = await repository.findRoles(tx, row.organizationId, [row.id])
  const invitation = shown(row, roles)
  const resource = `invitation:${row.id}`
  await recordChange(tx, context, { event, resource, after: recorded(invitation), ...through })
  return invitation
}
