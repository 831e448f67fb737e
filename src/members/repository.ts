import type { Queryable } from '../platform/db/connect.ts'
import type { StoredMember } from './schema.ts'

export type MemberRow = StoredMember & { isOwner: boolean }
type Role = { home: string; scope: string; name: string }

// What a member holds in the whole organization by membership: the owner's flag and its unconditional role grants there.
const MEMBER = (tx: Queryable) => tx`
  m.subject, m.is_owner, m.status, m.attributes, m.source, m.expires_at, m.joined_at, m.version,
  (select coalesce(json_agg(h.name order by h.name), '[]') from (
     select 'owner' as name where m.is_owner
     union select g.role_name::text from grants g
      where g.organization_id = m.organization_id and g.subject = m.subject and g.role_scope = 'organization'
        and g.workspace_id is null and g.resource_id is null and g.effect = 'allow' and g.condition is null
        and g.source in ('member', 'import') and (g.expires_at is null or g.expires_at > now())) h) as roles`

export const findMember = async (tx: Queryable, organizationId: string, subject: string) => {
  const [member] = await tx<MemberRow[]>`
    select ${MEMBER(tx)} from members m where m.organization_id = ${organizationId} and m.subject = ${subject}`
  return member
}

export const listMembers = (
  tx: Queryable,
  filter: {
    organizationId: string
    status?: string | undefined
    role?: string | undefined
    after: string
    limit: number
  },
) => tx<MemberRow[]>`
  select ${MEMBER(tx)} from members m
  where m.organization_id = ${filter.organizationId} and m.subject > ${filter.after}
    and m.status = coalesce(${filter.status ?? null}, m.status)
    and (${filter.role ?? null}::text is null or (${filter.role ?? null} = 'owner' and m.is_owner) or exists (
      select 1 from grants g where g.organization_id = m.organization_id and g.subject = m.subject
        and g.role_name = ${filter.role ?? null} and g.role_scope = 'organization' and g.workspace_id is null
        and g.resource_id is null and g.effect = 'allow' and g.condition is null))
  order by m.subject limit ${filter.limit}`

export const upsertMember = async (
  tx: Queryable,
  member: {
    organizationId: string
    subject: string
    isOwner: boolean
    status: string
    attributes: Record<string, unknown>
    expiresAt: string | null
  },
) => {
  const [row] = await tx<{ created: boolean }[]>`
    insert into members (organization_id, subject, is_owner, status, attributes, expires_at)
    values (${member.organizationId}, ${member.subject}, ${member.isOwner}, ${member.status},
      ${tx.json(member.attributes as never)}, ${member.expiresAt})
    on conflict (organization_id, subject) do update
      set is_owner = excluded.is_owner, status = excluded.status, attributes = excluded.attributes,
        expires_at = excluded.expires_at, version = members.version + 1
    returning xmax::text = '0' as created`
  return row!.created
}

/** Makes somebody a member who is not one yet; answers whether it did. */
export const insertMember = async (
  tx: Queryable,
  member: { organizationId: string; subject: string; isOwner: boolean; source: string },
) => {
  const inserted =
    await tx`insert into members ${tx(member)} on conflict do nothing returning 1 as inserted`
  return inserted.length > 0
}

export const makeOwner = (tx: Queryable, organizationId: string, subject: string) => tx`
  update members set is_owner = true, expires_at = null, version = version + 1
  where organization_id = ${organizationId} and subject = ${subject} and not is_owner`

export const endOwnership = (tx: Queryable, organizationId: string, subject: string) => tx`
  update members set is_owner = false, version = version + 1
  where organization_id = ${organizationId} and subject = ${subject}`

export const deleteMember = (tx: Queryable, organizationId: string, subject: string) =>
  tx`delete from members where organization_id = ${organizationId} and subject = ${subject}`

/** Gives a role in the whole organization, or in one workspace, by membership. */
export const insertRole = (
  tx: Queryable,
  grant: {
    id: string
    organizationId: string
    workspaceId: string | null
    subject: string
    role: Role
    grantedBy: string
  },
) => tx`
  insert into grants (id, organization_id, workspace_id, subject, role_home, role_scope, role_name, source, granted_by)
  values (${grant.id}, ${grant.organizationId}, ${grant.workspaceId}, ${grant.subject}, ${grant.role.home},
    ${grant.role.scope}::scope, ${grant.role.name}, 'member', ${grant.grantedBy})
  on conflict on constraint grants_are_unique do update set source = 'member', expires_at = null`

/** Takes the role that a membership gave. */
export const deleteRole = (
  tx: Queryable,
  grant: { organizationId: string; workspaceId: string | null; subject: string; role: Role },
) => tx`
  delete from grants
  where organization_id = ${grant.organizationId} and workspace_id is not distinct from ${grant.workspaceId}
    and resource_id is null and subject = ${grant.subject} and effect = 'allow' and condition is null
    and (role_home, role_scope, role_name) = (${grant.role.home}, ${grant.role.scope}::scope, ${grant.role.name})`
