import type { Queryable } from '../platform/db/connect.ts'
import { ROWS_MAX } from './pace.ts'

/**
 * What an organization holds, as an import compares it with a document and an export writes it: one statement each.
 * Lists of keys go in as JSON, so that a statement takes thousands of them.
 */

/**
 * Plans each following statement of the transaction for the tables as they are now: thousands of keys looked up by a plan
 * that was made when a table was empty would take minutes.
 */
export const planAnew = (tx: Queryable) =>
  tx`select set_config('plan_cache_mode', 'force_custom_plan', true)`

/** Plans as usual: where each row is checked by a trigger of its own, planning would take longer than checking. */
export const planAsUsual = (tx: Queryable) => tx`select set_config('plan_cache_mode', 'auto', true)`

export type Scope = 'workspace' | 'organization' | 'platform'
type Attributes = Record<string, unknown>

/** What can be named everywhere: permissions with their scope, resource types with whether they are strict. */
export const findCatalog = async (tx: Queryable) => {
  const [row] = await tx<{ permissions: [string, Scope][]; types: [string, boolean][] }[]>`
    select (select coalesce(json_agg(json_build_array(key, scope)), '[]') from permissions) as permissions,
      (select coalesce(json_agg(json_build_array(type, strict)), '[]') from resource_types) as types`
  return { permissions: new Map(row!.permissions), resourceTypes: new Map(row!.types) }
}

export type StoredRole = {
  home: string
  scope: Scope
  name: string
  description: string
  holdsEveryPermission: boolean
  permissions: [permission: string, condition: string | null][]
  parents: [home: string, scope: Scope, name: string][]
}

/** Built-in roles and the organization's own. */
export const findRoles = (tx: Queryable, organizationId: string) => tx<StoredRole[]>`
  select r.home, r.scope, r.name, r.description, r.holds_every_permission,
    (select coalesce(json_agg(json_build_array(p.permission, p.condition) order by p.permission), '[]')
     from role_permissions p where (p.role_home, p.role_scope, p.role_name) = (r.home, r.scope, r.name)) as permissions,
    (select coalesce(json_agg(json_build_array(i.parent_home, i.parent_scope, i.parent_name) order by i.parent_name), '[]')
     from role_inherits i where (i.role_home, i.role_scope, i.role_name) = (r.home, r.scope, r.name)) as parents
  from roles r where r.home in ('platform', ${organizationId}) order by r.home, r.name, r.scope`

export type StoredWorkspace = { id: string; slug: string; name: string }

export const findWorkspaces = (tx: Queryable, organizationId: string) => tx<StoredWorkspace[]>`
  select id, slug, name from workspaces where organization_id = ${organizationId} order by slug`

export type StoredTeam = { slug: string; name: string; parent: string | null }

export const findTeams = (tx: Queryable, organizationId: string) => tx<StoredTeam[]>`
  select slug, name, parent from teams where organization_id = ${organizationId} order by slug`

export type StoredMember = {
  subject: string
  isOwner: boolean
  status: 'active' | 'suspended'
  attributes: Attributes
  expiresAt: string | null
}

export const findMembers = (tx: Queryable, organizationId: string, subjects: readonly string[]) =>
  tx<StoredMember[]>`
    select subject, is_owner, status, attributes, expires_at from members
    where organization_id = ${organizationId}
      and subject in (select jsonb_array_elements_text(${JSON.stringify(subjects)}::text::jsonb))`

/** Which of these are members. */
export const findSubjects = (tx: Queryable, organizationId: string, subjects: readonly string[]) =>
  tx<{ subject: string }[]>`
    select subject from members
    where organization_id = ${organizationId}
      and subject in (select jsonb_array_elements_text(${JSON.stringify(subjects)}::text::jsonb))`

export const findActiveOwners = (tx: Queryable, organizationId: string) =>
  tx<{ subject: string }[]>`
    select subject from members where organization_id = ${organizationId} and is_owner and status = 'active'`

/** Which of these are keys of the organization. */
export const findKeys = (tx: Queryable, organizationId: string, ids: readonly string[]) =>
  tx<{ id: string }[]>`
    select id from api_keys
    where organization_id = ${organizationId}
      and id::text in (select jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb))`

export type Membership = { team: string; subject: string }

/** Which of these sit in their team already. */
export const findMemberships = (
  tx: Queryable,
  organizationId: string,
  wanted: readonly Membership[],
) => tx<Membership[]>`
  select m.team, m.subject
  from jsonb_to_recordset(${JSON.stringify(wanted)}::text::jsonb) as w (team text, subject text)
    join team_members m on m.organization_id = ${organizationId} and m.team = w.team and m.subject = w.subject`

/** The teams in which these subjects sit. */
export const findTeamsOf = (tx: Queryable, organizationId: string, subjects: readonly string[]) =>
  tx<Membership[]>`
    select team, subject from team_members
    where organization_id = ${organizationId}
      and subject in (select jsonb_array_elements_text(${JSON.stringify(subjects)}::text::jsonb))`

export type ResourceId = { type: string; id: string }
export type StoredResource = ResourceId & {
  workspaceId: string | null
  owner: string | null
  attributes: Attributes
}

export const findResources = (
  tx: Queryable,
  organizationId: string,
  wanted: readonly ResourceId[],
) => tx<StoredResource[]>`
  select r.type, r.id, r.workspace_id, r.owner, r.attributes
  from jsonb_to_recordset(${JSON.stringify(wanted)}::text::jsonb) as w (type text, id text)
    join resources r on r.organization_id = ${organizationId} and r.type = w.type and r.id = w.id`

export type StoredGrant = {
  id: string
  subject: string
  /** With which it was written; a registered resource is where the registry says. */
  workspaceId: string | null
  registered: boolean
  registeredWorkspaceId: string | null
  resourceType: string | null
  resourceId: string | null
  roleHome: string | null
  roleScope: Scope | null
  roleName: string | null
  permission: string | null
  effect: 'allow' | 'deny'
  condition: string | null
  expiresAt: string | null
  reason: string | null
  source: 'manual' | 'member' | 'import' | 'api-key'
}

const GRANT = (tx: Queryable) => tx`
  g.id, g.subject, g.workspace_id, r.id is not null as registered, r.workspace_id as registered_workspace_id,
  g.resource_type, g.resource_id, g.role_home, g.role_scope, g.role_name, g.permission, g.effect, g.condition,
  g.expires_at, g.reason, g.source
  from grants g left join resources r
    on r.organization_id = g.organization_id and r.type = g.resource_type and r.id = g.resource_id`

/** The grants of these subjects that have not ended. Of two alike, the one that lasts longer comes first. */
export const findGrants = (tx: Queryable, organizationId: string, subjects: readonly string[]) =>
  tx<StoredGrant[]>`
    select ${GRANT(tx)}
    where g.organization_id = ${organizationId} and (g.expires_at is null or g.expires_at > now())
      and g.subject in (select jsonb_array_elements_text(${JSON.stringify(subjects)}::text::jsonb))
    order by g.subject, g.expires_at desc nulls first, g.id`

/** Which of these attributes are larger than a row takes. */
export const findOversized = (
  tx: Queryable,
  wanted: readonly { pointer: string; attributes: Attributes }[],
) => tx<{ pointer: string }[]>`
  select w.pointer from jsonb_to_recordset(${JSON.stringify(wanted)}::text::jsonb) as w (pointer text, attributes jsonb)
  where pg_column_size(w.attributes) >= 16384`

/** Where the organization and the platform stand. */
export const findRevision = async (tx: Queryable, organizationId: string) => {
  const [row] = await tx<{ revision: number; platformRevision: number }[]>`
    select o.revision, p.revision as platform_revision from organizations o, platform p where o.id = ${organizationId}`
  return row!
}

// What is exported is what still holds: a member whose time is over is left out with all that is theirs.
const UNENDED = (tx: Queryable) => tx`(m.expires_at is null or m.expires_at > now())`

/** Every member, some thousand rows at a time. */
export const listMembers = (tx: Queryable, organizationId: string) =>
  tx<StoredMember[]>`
    select subject, is_owner, status, attributes, expires_at from members m
    where organization_id = ${organizationId} and ${UNENDED(tx)} order by subject`.cursor(ROWS_MAX)

/** Every team membership. */
export const listMemberships = (tx: Queryable, organizationId: string) =>
  tx<Membership[]>`
    select t.team, t.subject from team_members t
      join members m on m.organization_id = t.organization_id and m.subject = t.subject
    where t.organization_id = ${organizationId} and ${UNENDED(tx)} order by t.team, t.subject`.cursor(
    ROWS_MAX,
  )

/** Every resource. */
export const listResources = (tx: Queryable, organizationId: string) =>
  tx<StoredResource[]>`
    select type, id, workspace_id, owner, attributes from resources
    where organization_id = ${organizationId} order by type, id`.cursor(ROWS_MAX)

/** Every grant that holds; those of API keys stay with their keys. */
export const listGrants = (tx: Queryable, organizationId: string) =>
  tx<(StoredGrant & { isMember: boolean })[]>`
    select m.subject is not null as is_member, ${GRANT(tx)}
      left join members m on m.organization_id = g.organization_id and m.subject = g.subject
    where g.organization_id = ${organizationId} and g.subject not like 'key:%'
      and (g.expires_at is null or g.expires_at > now()) and (m.subject is null or ${UNENDED(tx)})
    order by g.id`.cursor(ROWS_MAX)
