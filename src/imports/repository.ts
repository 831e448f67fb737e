import type { Queryable } from '../platform/db/connect.ts'

/** Writes thousands of rows in a statement. Rows arrive as JSON; what is written before and alike stays untouched. */

type Within<Row> = { organizationId: string; rows: readonly Row[] }

const json = (rows: readonly unknown[]) => JSON.stringify(rows)

export const upsertRoles = (
  tx: Queryable,
  { organizationId, rows }: Within<{ scope: string; name: string; description: string }>,
) => tx`
  insert into roles (organization_id, scope, name, description)
  select ${organizationId}, w.scope, w.name, w.description
  from jsonb_to_recordset(${json(rows)}::text::jsonb) as w (scope scope, name text, description text)
  on conflict (home, scope, name) do update
    set description = excluded.description, version = roles.version + 1, updated_at = now()`

export type RolePermissionRow = {
  scope: string
  name: string
  permission: string
  permissionScope: string
  condition: string | null
}

export const upsertRolePermissions = (
  tx: Queryable,
  { organizationId, rows }: Within<RolePermissionRow>,
) => tx`
  insert into role_permissions (role_home, role_scope, role_name, permission, permission_scope, condition)
  select ${organizationId}, w.scope, w.name, w.permission, w."permissionScope", w.condition
  from jsonb_to_recordset(${json(rows)}::text::jsonb)
    as w (scope scope, name text, permission text, "permissionScope" scope, condition text)
  on conflict (role_home, role_scope, role_name, permission) do update set condition = excluded.condition`

export const deleteRolePermissions = (
  tx: Queryable,
  { organizationId, rows }: Within<{ scope: string; name: string; permission: string }>,
) => tx`
  delete from role_permissions p
  using jsonb_to_recordset(${json(rows)}::text::jsonb) as w (scope scope, name text, permission text)
  where p.role_home = ${organizationId} and (p.role_scope, p.role_name, p.permission) = (w.scope, w.name, w.permission)`

export type RoleInheritRow = {
  scope: string
  name: string
  parentHome: string
  parentScope: string
  parentName: string
}

export const insertRoleInherits = (
  tx: Queryable,
  { organizationId, rows }: Within<RoleInheritRow>,
) => tx`
  insert into role_inherits (role_home, role_scope, role_name, parent_home, parent_scope, parent_name)
  select ${organizationId}, w.scope, w.name, w."parentHome", w."parentScope", w."parentName"
  from jsonb_to_recordset(${json(rows)}::text::jsonb)
    as w (scope scope, name text, "parentHome" text, "parentScope" scope, "parentName" text)
  on conflict do nothing`

export const deleteRoleInherits = (
  tx: Queryable,
  { organizationId, rows }: Within<RoleInheritRow>,
) => tx`
  delete from role_inherits i
  using jsonb_to_recordset(${json(rows)}::text::jsonb)
    as w (scope scope, name text, "parentHome" text, "parentScope" scope, "parentName" text)
  where i.role_home = ${organizationId} and (i.role_scope, i.role_name) = (w.scope, w.name)
    and (i.parent_home, i.parent_scope, i.parent_name) = (w."parentHome", w."parentScope", w."parentName")`

export const upsertWorkspaces = (
  tx: Queryable,
  { organizationId, rows }: Within<{ id: string; slug: string; name: string }>,
) => tx`
  insert into workspaces (id, organization_id, slug, name)
  select w.id, ${organizationId}, w.slug, w.name
  from jsonb_to_recordset(${json(rows)}::text::jsonb) as w (id text, slug text, name text)
  on conflict (organization_id, slug) do update
    set name = excluded.name, version = workspaces.version + 1, updated_at = now()`

export type MemberRow = {
  subject: string
  isOwner: boolean
  status: string
  attributes: Record<string, unknown>
  expiresAt: string | null
}

export const upsertMembers = (tx: Queryable, { organizationId, rows }: Within<MemberRow>) => tx`
  insert into members (organization_id, subject, is_owner, status, attributes, expires_at, source)
  select ${organizationId}, w.subject, w."isOwner", w.status, w.attributes, w."expiresAt", 'import'
  from jsonb_to_recordset(${json(rows)}::text::jsonb)
    as w (subject text, "isOwner" boolean, status text, attributes jsonb, "expiresAt" timestamptz)
  on conflict (organization_id, subject) do update
    set is_owner = excluded.is_owner, status = excluded.status, attributes = excluded.attributes,
      expires_at = excluded.expires_at, version = members.version + 1`

export const upsertTeams = (
  tx: Queryable,
  { organizationId, rows }: Within<{ slug: string; name: string; parent: string | null }>,
) => tx`
  insert into teams (organization_id, slug, name, parent)
  select ${organizationId}, w.slug, w.name, w.parent
  from jsonb_to_recordset(${json(rows)}::text::jsonb) as w (slug text, name text, parent text)
  on conflict (organization_id, slug) do update
    set name = excluded.name, parent = excluded.parent, version = teams.version + 1, updated_at = now()`

export const insertTeamMembers = (
  tx: Queryable,
  { organizationId, rows }: Within<{ team: string; subject: string }>,
) => tx`
  insert into team_members (organization_id, team, subject)
  select ${organizationId}, w.team, w.subject
  from jsonb_to_recordset(${json(rows)}::text::jsonb) as w (team text, subject text)
  on conflict do nothing`

export type ResourceRow = {
  type: string
  id: string
  workspaceId: string | null
  owner: string | null
  attributes: Record<string, unknown>
}

export const upsertResources = (tx: Queryable, { organizationId, rows }: Within<ResourceRow>) => tx`
  insert into resources (organization_id, type, id, workspace_id, owner, attributes)
  select ${organizationId}, w.type, w.id, w."workspaceId", w.owner, w.attributes
  from jsonb_to_recordset(${json(rows)}::text::jsonb)
    as w (type text, id text, "workspaceId" text, owner text, attributes jsonb)
  on conflict (organization_id, type, id) do update
    set workspace_id = excluded.workspace_id, owner = excluded.owner, attributes = excluded.attributes,
      version = resources.version + 1, updated_at = now()`

export type GrantRow = {
  id: string
  subject: string
  workspaceId: string | null
  resourceType: string | null
  resourceId: string | null
  roleHome: string | null
  roleScope: string | null
  roleName: string | null
  permission: string | null
  permissionScope: string | null
  effect: string
  condition: string | null
  expiresAt: string | null
  reason: string | null
  source: string
}

/** A grant that has ended does not stand in the way of the same one given anew: it is born again. */
export const insertGrants = (
  tx: Queryable,
  { organizationId, grantedBy, rows }: Within<GrantRow> & { grantedBy: string },
) => tx`
  insert into grants (id, organization_id, workspace_id, resource_type, resource_id, subject, role_home, role_scope,
    role_name, permission, permission_scope, effect, condition, expires_at, reason, source, granted_by)
  select w.id, ${organizationId}, w."workspaceId", w."resourceType", w."resourceId", w.subject, w."roleHome",
    w."roleScope", w."roleName", w.permission, w."permissionScope", w.effect, w.condition, w."expiresAt", w.reason,
    w.source, ${grantedBy}
  from jsonb_to_recordset(${json(rows)}::text::jsonb) as w (id text, "workspaceId" text, "resourceType" text,
    "resourceId" text, subject text, "roleHome" text, "roleScope" scope, "roleName" text, permission text,
    "permissionScope" scope, effect text, condition text, "expiresAt" timestamptz, reason text, source text)
  on conflict on constraint grants_are_unique do update
    set id = excluded.id, expires_at = excluded.expires_at, reason = excluded.reason, source = excluded.source,
      granted_by = excluded.granted_by, created_at = now(), version = 1`

export type GrantPatch = {
  id: string
  expiresAt: string | null
  reason: string | null
  source: string
}

export const updateGrants = (tx: Queryable, { organizationId, rows }: Within<GrantPatch>) => tx`
  update grants g set expires_at = w."expiresAt", reason = w.reason, source = w.source, version = g.version + 1
  from jsonb_to_recordset(${json(rows)}::text::jsonb) as w (id text, "expiresAt" timestamptz, reason text, source text)
  where g.organization_id = ${organizationId} and g.id = w.id`

export const deleteGrants = (tx: Queryable, { organizationId, rows }: Within<{ id: string }>) => tx`
  delete from grants g using jsonb_to_recordset(${json(rows)}::text::jsonb) as w (id text)
  where g.organization_id = ${organizationId} and g.id = w.id`

/** Asks the rules now that would be asked at the commit, so that what breaks them can be named. */
export const askDeferredRules = (tx: Queryable) => tx`set constraints all immediate`

/** Lets the next rows refer to ones that follow them. */
export const deferRules = (tx: Queryable) => tx`set constraints all deferred`
