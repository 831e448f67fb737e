import type { Queryable } from '../platform/db/connect.ts'
import type { PatchWorkspace, Workspace, WorkspaceMember } from './schema.ts'

const COLUMNS = ['id', 'slug', 'name', 'version', 'createdAt', 'updatedAt'] as const

export const insertWorkspace = async (
  tx: Queryable,
  workspace: { id: string; organizationId: string; slug: string; name: string },
) => {
  const [inserted] = await tx<
    Workspace[]
  >`insert into workspaces ${tx(workspace)} returning ${tx(COLUMNS)}`
  return inserted!
}

export const findWorkspace = async (tx: Queryable, organizationId: string, id: string) => {
  const [found] = await tx<Workspace[]>`
    select ${tx(COLUMNS)} from workspaces where organization_id = ${organizationId} and id = ${id}`
  return found
}

/** By id or slug. */
export const findWorkspaceId = async (tx: Queryable, organizationId: string, reference: string) => {
  const [found] = await tx<{ id: string }[]>`
    select id from workspaces
    where organization_id = ${organizationId} and (id = ${reference} or slug = ${reference})`
  return found?.id
}

export const findSlugs = async (tx: Queryable, organizationId: string) => {
  const rows = await tx<
    { slug: string }[]
  >`select slug from workspaces where organization_id = ${organizationId}`
  return rows.map(({ slug }) => slug)
}

export const listWorkspaces = (
  tx: Queryable,
  filter: { organizationId: string; after: string; limit: number },
) => tx<Workspace[]>`
  select ${tx(COLUMNS)} from workspaces
  where organization_id = ${filter.organizationId} and slug > ${filter.after} order by slug limit ${filter.limit}`

export const updateWorkspace = async (
  tx: Queryable,
  { organizationId, id, ...patch }: PatchWorkspace & { organizationId: string; id: string },
) => {
  const [updated] = await tx<Workspace[]>`
    update workspaces set ${tx(patch)}, version = version + 1, updated_at = now()
    where organization_id = ${organizationId} and id = ${id} returning ${tx(COLUMNS)}`
  return updated!
}

export const deleteWorkspace = (tx: Queryable, organizationId: string, id: string) =>
  tx`delete from workspaces where organization_id = ${organizationId} and id = ${id}`

// What makes somebody a member of a workspace: a role in the workspace itself, for now or for good.
const UNCONDITIONAL_ROLE = (tx: Queryable) => tx`
  resource_id is null and role_name is not null and effect = 'allow' and condition is null
  and (expires_at is null or expires_at > now())`

export const listWorkspaceMembers = (
  tx: Queryable,
  filter: { organizationId: string; workspaceId: string; after: string; limit: number },
) => tx<WorkspaceMember[]>`
  select subject, array_agg(role_name::text order by role_name) as roles from grants
  where organization_id = ${filter.organizationId} and workspace_id = ${filter.workspaceId}
    and subject > ${filter.after} and ${UNCONDITIONAL_ROLE(tx)}
  group by subject order by subject limit ${filter.limit}`

/** The roles a subject holds in a workspace itself. */
export const findRolesOf = (
  tx: Queryable,
  filter: { organizationId: string; workspaceId: string; subject: string },
) => tx<{ home: string; scope: 'workspace' | 'organization' | 'platform'; name: string }[]>`
  select role_home as home, role_scope as scope, role_name as name from grants
  where organization_id = ${filter.organizationId} and workspace_id = ${filter.workspaceId}
    and subject = ${filter.subject} and ${UNCONDITIONAL_ROLE(tx)}
  order by role_name`

const IS_ON = (tx: Queryable) => tx`
  r.organization_id = g.organization_id and r.type = g.resource_type and r.id = g.resource_id`

// A registered resource is where the registry says, whatever the grant on it was written with.
const IS_ELSEWHERE = (tx: Queryable, id: string) => tx`
  exists (select from resources r where ${IS_ON(tx)} and r.workspace_id is distinct from ${id})`

/** How much ends with a workspace: of members their roles there, of invitations what they would give there. */
export const countContents = async (tx: Queryable, organizationId: string, id: string) => {
  const [row] = await tx<
    { resources: number; grants: number; members: number; invitations: number }[]
  >`
    select (select count(*) from resources where organization_id = ${organizationId} and workspace_id = ${id}) as resources,
      (select count(*) from grants g where g.organization_id = ${organizationId} and g.workspace_id = ${id}
        and not ${IS_ELSEWHERE(tx, id)})
      + (select count(*) from resources r join grants g on ${IS_ON(tx)}
        where r.organization_id = ${organizationId} and r.workspace_id = ${id}
          and g.workspace_id is distinct from ${id}) as grants,
      (select count(distinct subject) from grants where organization_id = ${organizationId} and workspace_id = ${id}
        and ${UNCONDITIONAL_ROLE(tx)}) as members,
      (select count(*) from invitations i where i.organization_id = ${organizationId} and i.status = 'pending'
        and exists (select from invitation_roles r where r.invitation_id = i.id and r.workspace_id = ${id})) as invitations`
  return row!
}

/** Lets what was granted here, on resources that were moved away since, follow them; the same grant there is enough. */
export const moveGrantsAfterResources = (tx: Queryable, organizationId: string, id: string) => tx`
  update grants g set workspace_id = r.workspace_id, version = g.version + 1 from resources r
  where g.organization_id = ${organizationId} and g.workspace_id = ${id} and ${IS_ON(tx)}
    and r.workspace_id is distinct from ${id}
    and not exists (select from grants twin where twin.organization_id = g.organization_id and twin.subject = g.subject
      and twin.workspace_id is not distinct from r.workspace_id
      and (twin.resource_type, twin.resource_id, twin.effect) = (g.resource_type, g.resource_id, g.effect)
      and (twin.role_home, twin.role_scope, twin.role_name, twin.permission, twin.condition_hash)
        is not distinct from (g.role_home, g.role_scope, g.role_name, g.permission, g.condition_hash))`

/** Revokes what is pending and gives nothing but roles in the workspace: without it, it would let in with nothing. */
export const revokeInvitations = (tx: Queryable, organizationId: string, id: string) => tx`
  update invitations i set status = 'revoked', ended_at = now(), token_hash = null, version = i.version + 1
  where i.organization_id = ${organizationId} and i.status = 'pending' and not i.as_owner
    and exists (select from invitation_roles r where r.invitation_id = i.id and r.workspace_id = ${id})
    and not exists (select from invitation_roles r where r.invitation_id = i.id and r.workspace_id is distinct from ${id})`
