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

/** How much ends with a workspace. */
export const countContents = async (tx: Queryable, organizationId: string, id: string) => {
  const [row] = await tx<{ resources: number; grants: number }[]>`
    select (select count(*) from resources where organization_id = ${organizationId} and workspace_id = ${id}) as resources,
      (select count(*) from grants where organization_id = ${organizationId} and workspace_id = ${id}) as grants`
  return row!
}
