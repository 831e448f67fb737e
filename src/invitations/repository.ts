import type { Actor } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'

export type InvitationRow = {
  id: string
  organizationId: string
  email: string
  asOwner: boolean
  status: 'pending' | 'accepted' | 'declined' | 'revoked' | 'expired'
  invitedBy: string
  inviter: Actor
  acceptedBy: string | null
  sentCount: number
  sentAt: string | null
  createdAt: string
  expiresAt: string
  endedAt: string | null
  version: number
}

export type RoleOf = {
  workspaceId: string | null
  workspace: string | null
  home: string
  scope: 'workspace' | 'organization' | 'platform'
  name: string
}

const COLUMNS = [
  'id',
  'organizationId',
  'email',
  'asOwner',
  'status',
  'invitedBy',
  'inviter',
  'acceptedBy',
  'sentCount',
  'sentAt',
  'createdAt',
  'expiresAt',
  'endedAt',
  'version',
] as const

export const insertInvitation = async (
  tx: Queryable,
  invitation: {
    id: string
    organizationId: string
    email: string
    asOwner: boolean
    invitedBy: string
    inviter: Actor
    expiresAt: Date
  },
) => {
  const [inserted] = await tx<InvitationRow[]>`
    insert into invitations ${tx({ ...invitation, inviter: tx.json(invitation.inviter as never) } as never)}
    on conflict (organization_id, email) where status = 'pending' do nothing returning ${tx(COLUMNS)}`
  return inserted
}

export const insertRoles = (
  tx: Queryable,
  organizationId: string,
  invitationId: string,
  roles: readonly Omit<RoleOf, 'workspace'>[],
) => tx`
  insert into invitation_roles (organization_id, invitation_id, workspace_id, role_home, role_scope, role_name)
  select ${organizationId}, ${invitationId}, "workspaceId", home, scope::scope, name
  from jsonb_to_recordset(${tx.json(roles as never)}) as r ("workspaceId" text, home text, scope text, name text)
  on conflict do nothing`

export const findRoles = (tx: Queryable, organizationId: string, ids: readonly string[]) => tx<
  (RoleOf & { invitationId: string })[]
>`
  select r.invitation_id, r.workspace_id, w.slug as workspace, r.role_home as home, r.role_scope as scope, r.role_name as name
  from invitation_roles r left join workspaces w on w.organization_id = r.organization_id and w.id = r.workspace_id
  where r.organization_id = ${organizationId} and r.invitation_id = any (${ids as string[]}::text[])
  order by w.slug nulls first, r.role_name`

/** What an invitation must be to be of one workspace alone: all that accepting it gives is there. */
const isOnlyIn = (tx: Queryable, workspaceId: string) => tx`
  not as_owner
  and exists (select from invitation_roles r
    where r.organization_id = invitations.organization_id and r.invitation_id = invitations.id
      and r.workspace_id = ${workspaceId})
  and not exists (select from invitation_roles r
    where r.organization_id = invitations.organization_id and r.invitation_id = invitations.id
      and r.workspace_id is distinct from ${workspaceId})`

const within = (tx: Queryable, onlyIn: string | undefined) =>
  onlyIn === undefined ? tx`` : tx`and ${isOnlyIn(tx, onlyIn)}`

/** An invitation of the organization; with a workspace, only if it is of that one alone. */
export const findInvitation = async (
  tx: Queryable,
  organizationId: string,
  id: string,
  onlyIn?: string,
) => {
  const [found] = await tx<InvitationRow[]>`
    select ${tx(COLUMNS)} from invitations
    where organization_id = ${organizationId} and id = ${id} ${within(tx, onlyIn)}`
  return found
}

/** Newest first; with a workspace, those that are of it alone. */
export const listInvitations = (
  tx: Queryable,
  filter: {
    organizationId: string
    status?: string | undefined
    before: string
    limit: number
    onlyIn?: string
  },
) => tx<InvitationRow[]>`
  select ${tx(COLUMNS)} from invitations where organization_id = ${filter.organizationId}
    and (${filter.before} = '' or id < ${filter.before}) and status = coalesce(${filter.status ?? null}, status)
    ${within(tx, filter.onlyIn)}
  order by id desc limit ${filter.limit}`

/** Makes the token of the mail that is about to be sent the only valid one, and starts its days anew. */
export const rotateToken = async (
  tx: Queryable,
  next: { id: string; tokenHash: Uint8Array; expiresAt: Date },
) => {
  const [row] = await tx<InvitationRow[]>`
    update invitations set token_hash = ${next.tokenHash}, expires_at = ${next.expiresAt.toISOString()},
      sent_count = sent_count + 1, sent_at = now(), version = version + 1
    where id = ${next.id} and status = 'pending' returning ${tx(COLUMNS)}`
  return row
}

/** Ends what is pending; of two that try, one does. Its token is worth nothing from then on. */
export const endInvitation = async (
  tx: Queryable,
  { organizationId, id, status }: { organizationId: string; id: string; status: string },
) => {
  const [ended] = await tx<InvitationRow[]>`
    update invitations set status = ${status}, ended_at = now(), token_hash = null, version = version + 1
    where organization_id = ${organizationId} and id = ${id} and status = 'pending' returning ${tx(COLUMNS)}`
  return ended
}

/** Whose invitation a token is; with an address, only if it was sent there. */
export const findByToken = async (tx: Queryable, tokenHash: Uint8Array, email?: string) => {
  const [found] = await tx<{ id: string; organizationId: string }[]>`
    select id, organization_id from invitations where token_hash = ${tokenHash} and status = 'pending' and expires_at > now()
      and email = coalesce(${email ?? null}, email)`
  return found
}

/** The one statement that decides who an invitation is accepted by. */
export const acceptInvitation = async (
  tx: Queryable,
  accepted: { tokenHash: Uint8Array; email: string; subject: string },
) => {
  const [row] = await tx<InvitationRow[]>`
    update invitations set status = 'accepted', accepted_by = ${accepted.subject}, ended_at = now(), token_hash = null,
      version = version + 1
    where token_hash = ${accepted.tokenHash} and status = 'pending' and expires_at > now() and email = ${accepted.email}
    returning ${tx(COLUMNS)}`
  return row
}

/** Pending invitations whose days are over, of all organizations, and those that were expired without the log. */
export const findOverdue = (tx: Queryable, limit: number) => tx<
  { id: string; organizationId: string }[]
>`
  select i.id, i.organization_id from invitations i join organizations o on o.id = i.organization_id
  where (i.status = 'pending' and i.expires_at <= now() or i.unrecorded) and o.status = 'active'
  order by i.expires_at, i.id limit ${limit}`

/** An invitation that the database expired to make room, once: the log is told of it now. */
export const claimUnrecorded = async (tx: Queryable, organizationId: string, id: string) => {
  const [claimed] = await tx<InvitationRow[]>`
    update invitations set unrecorded = false where organization_id = ${organizationId} and id = ${id} and unrecorded
    returning ${tx(COLUMNS)}`
  return claimed
}
