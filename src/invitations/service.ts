import { recordChange } from '../audit/service.ts'
import {
  ceilingOf,
  givenByRole,
  refuseAboveCeiling,
  requireOwnership,
} from '../decisions/ceiling.ts'
import type { Ceiling, Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changeOrganization, inOrganization, inPlatform } from '../platform/db/transaction.ts'
import { newId } from '../platform/id.ts'
import { enqueue } from '../platform/jobs/enqueue.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import { resolveRole } from '../roles/service.ts'
import { resolveWorkspace } from '../workspaces/service.ts'
import { sendInvitation, VALID_MS } from './mail.ts'
import * as repository from './repository.ts'
import type { CreateInvitation, Invitation, ListInvitations } from './schema.ts'
import { recorded, shown } from './shown.ts'

export { acceptInvitation, declineInvitation } from './answer.ts'
export { inviteMany } from './bulk.ts'

const notFound = () =>
  new Problem('not-found', 'invitation-not-found', 'There is no such invitation.')

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
  return record(context, tx, { event: 'invitation.created', row })
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

type Wanted = Omit<repository.RoleOf, 'workspace'> & { pointer: string }

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

export const listInvitations = (context: Context, { limit, cursor, status }: ListInvitations) =>
  inOrganization(context, async (tx, organizationId) => {
    const range = { organizationId, status, before: positionOf(cursor), limit: limit + 1 }
    const rows = await repository.listInvitations(tx, range)
    const page = toPage(rows, limit, ({ id }) => id)
    const ids = page.items.map(({ id }) => id)
    const roles = Map.groupBy(
      await repository.findRoles(tx, organizationId, ids),
      ({ invitationId }) => invitationId,
    )
    return { ...page, items: page.items.map((row) => shown(row, roles.get(row.id) ?? [])) }
  })

export const getInvitation = (context: Context, { invitation: id }: { invitation: string }) =>
  inOrganization(context, async (tx, organizationId) => {
    const row = await repository.findInvitation(tx, organizationId, id)
    if (!row) throw notFound()
    return shown(row, await repository.findRoles(tx, organizationId, [id]))
  })

/** Sends the mail again with another token; the one before is worth nothing once the new mail is made. */
export const resendInvitation = (context: Context, { invitation: id }: { invitation: string }) =>
  changeOrganization(context, async (tx, organizationId) => {
    const row = await requirePending(context, tx, organizationId, id)
    const ceiling = await ceilingOf(context, tx)
    if (row.asOwner) requireOwnership(ceiling)
    const roles = await repository.findRoles(tx, organizationId, [id])
    await refuseAbove(
      tx,
      ceiling,
      organizationId,
      roles.map((role) => ({ ...role, pointer: '' })),
    )
    await enqueueMail(context, tx, row)
    return record(context, tx, { event: 'invitation.resent', row })
  })

export const revokeInvitation = (context: Context, { invitation: id }: { invitation: string }) =>
  changeOrganization(
    context,
    async (tx, organizationId) => {
      const before = await requirePending(context, tx, organizationId, id)
      const row = await repository.endInvitation(tx, { organizationId, id, status: 'revoked' })
      await record(context, tx, { event: 'invitation.revoked', row: row ?? before })
    },
    { shrinks: true },
  )

const requirePending = async (
  context: Context,
  tx: Transaction,
  organizationId: string,
  id: string,
) => {
  const row = await repository.findInvitation(tx, organizationId, id)
  if (!row) throw notFound()
  refuseStale(context, row.version)
  if (row.status !== 'pending')
    throw new Problem('conflict', 'invitation-ended', `The invitation is ${row.status} already.`)
  return row
}

const record = async (
  context: Context,
  tx: Transaction,
  { event, row }: { event: string; row: repository.InvitationRow },
): Promise<Invitation> => {
  const roles = await repository.findRoles(tx, row.organizationId, [row.id])
  const invitation = shown(row, roles)
  const resource = `invitation:${row.id}`
  await recordChange(tx, context, { event, resource, after: recorded(invitation) })
  return invitation
}

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
