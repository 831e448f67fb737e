import type { Queryable } from '../platform/db/connect.ts'
import type { Grant } from './schema.ts'

/** A grant as it is stored: with what identifies its role and its place. */
export type GrantRow = Grant & {
  workspaceId: string | null
  resourceType: string | null
  resourceId: string | null
  roleHome: string | null
  roleScope: 'workspace' | 'organization' | 'platform' | null
}

export type NewGrant = {
  id: string
  organizationId: string
  workspaceId: string | null
  resourceType: string | null
  resourceId: string | null
  subject: string
  roleHome: string | null
  roleScope: string | null
  roleName: string | null
  permission: string | null
  permissionScope: string | null
  effect: 'allow' | 'deny'
  condition: string | null
  expiresAt: string | null
  reason: string | null
  grantedBy: string
}

const GRANT = (tx: Queryable) => tx`
  g.id, g.subject, g.role_name as role, g.permission, w.slug as workspace,
  g.resource_type || ':' || g.resource_id as resource, g.effect, g.condition, g.expires_at, g.reason, g.granted_by,
  g.created_at, g.version, g.workspace_id, g.resource_type, g.resource_id, g.role_home, g.role_scope
  from grants g left join workspaces w on w.organization_id = g.organization_id and w.id = g.workspace_id`

/** Returns nothing when the same grant is held already. */
export const insertGrant = async (tx: Queryable, grant: NewGrant) => {
  const rows = await tx`
    insert into grants ${tx(grant)} on conflict on constraint grants_are_unique do nothing returning id`
  return rows.length > 0
}

/** Grants that have ended no longer stand in the way of the same grant given anew. */
export const deleteExpiredTwin = (tx: Queryable, grant: NewGrant) => tx`
  delete from grants where organization_id = ${grant.organizationId} and subject = ${grant.subject}
    and workspace_id is not distinct from ${grant.workspaceId}
    and resource_type is not distinct from ${grant.resourceType}
    and resource_id is not distinct from ${grant.resourceId}
    and role_home is not distinct from ${grant.roleHome} and role_scope::text is not distinct from ${grant.roleScope}
    and role_name is not distinct from ${grant.roleName} and permission is not distinct from ${grant.permission}
    and effect = ${grant.effect} and condition is not distinct from ${grant.condition}
    and expires_at <= now()`

export const findGrant = async (tx: Queryable, organizationId: string, id: string) => {
  const [grant] = await tx<GrantRow[]>`
    select ${GRANT(tx)} where g.organization_id = ${organizationId} and g.id = ${id}`
  return grant
}

export const listGrants = (
  tx: Queryable,
  filter: {
    organizationId: string
    subject?: string | undefined
    resource?: string | undefined
    role?: string | undefined
    workspaceId?: string | undefined
    after: string
    limit: number
  },
) => tx<GrantRow[]>`
  select ${GRANT(tx)}
  where g.organization_id = ${filter.organizationId} and g.id > ${filter.after}
    and (${filter.subject ?? null}::text is null or g.subject = ${filter.subject ?? null})
    and (${filter.resource ?? null}::text is null or (
      g.resource_type = split_part(${filter.resource ?? null}, ':', 1)
      and g.resource_id = substr(${filter.resource ?? null}, strpos(${filter.resource ?? null}, ':') + 1)))
    and (${filter.role ?? null}::text is null or g.role_name = ${filter.role ?? null})
    and (${filter.workspaceId ?? null}::text is null or g.workspace_id = ${filter.workspaceId ?? null})
  order by g.id limit ${filter.limit}`

export const updateGrant = (
  tx: Queryable,
  grant: {
    organizationId: string
    id: string
    condition: string | null
    expiresAt: string | null
    reason: string | null
  },
) => tx`
  update grants set condition = ${grant.condition}, expires_at = ${grant.expiresAt}, reason = ${grant.reason},
    version = version + 1
  where organization_id = ${grant.organizationId} and id = ${grant.id}`

export const deleteGrant = (tx: Queryable, organizationId: string, id: string) =>
  tx`delete from grants where organization_id = ${organizationId} and id = ${id}`

/** The grant that gives the same to the same at the same place. */
export const findTwin = async (tx: Queryable, grant: Omit<NewGrant, 'id' | 'grantedBy'>) => {
  const [found] = await tx<{ id: string }[]>`
    select id from grants where organization_id = ${grant.organizationId} and subject = ${grant.subject}
    and workspace_id is not distinct from ${grant.workspaceId}
    and resource_type is not distinct from ${grant.resourceType}
    and resource_id is not distinct from ${grant.resourceId}
    and role_home is not distinct from ${grant.roleHome} and role_scope::text is not distinct from ${grant.roleScope}
    and role_name is not distinct from ${grant.roleName} and permission is not distinct from ${grant.permission}
    and effect = ${grant.effect} and condition is not distinct from ${grant.condition}`
  return found?.id
}

/** Grants whose time has passed, of all organizations, the longest over first. */
export const findExpired = (tx: Queryable, limit: number) => tx<
  { id: string; organizationId: string }[]
>`
  select g.id, g.organization_id from grants g join organizations o on o.id = g.organization_id
  where g.expires_at <= clock_timestamp() and o.status = 'active' order by g.expires_at, g.id limit ${limit}`

/** Ends a grant whose time has passed, unless it was lengthened in the meantime. */
export const deleteIfExpired = async (tx: Queryable, organizationId: string, id: string) => {
  const deleted = await tx`
    delete from grants where organization_id = ${organizationId} and id = ${id} and expires_at <= clock_timestamp()
    returning 1 as deleted`
  return deleted.length > 0
}
