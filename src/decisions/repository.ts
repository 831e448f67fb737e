import type { Queryable } from '../platform/db/connect.ts'
import type { StoredSecurity } from './schema.ts'

/** A role by what identifies it: its home (an organization's id or `platform`), scope and name. */
export type RoleRow = [home: string, scope: Scope, name: string]
export type Scope = 'workspace' | 'organization' | 'platform'

export type GrantRow = [
  subject: string,
  workspaceId: string | null,
  resourceType: string | null,
  resourceId: string | null,
  roleHome: string | null,
  roleScope: Scope | null,
  roleName: string | null,
  permission: string | null,
  effect: 'allow' | 'deny',
  condition: string | null,
  expiresAtMs: number | null,
]
export type MemberRow = [
  subject: string,
  isOwner: boolean,
  status: 'active' | 'suspended',
  expiresAtMs: number | null,
  attributes: Record<string, unknown> | null,
]
export type ResourceRow = [
  type: string,
  id: string,
  workspaceId: string | null,
  owner: string | null,
  suspendedBecause: string | null,
  attributes: Record<string, unknown> | null,
]
export type RolePermissionRow = [...RoleRow, permission: string, condition: string | null]
export type RoleInheritRow = [...RoleRow, ...RoleRow]

/** What decisions of the platform and of every organization share. */
export type PlatformRows = {
  revision: number
  permissions: [key: string, scope: Scope][]
  strictTypes: string[]
  roles: [...RoleRow, holdsEveryPermission: boolean][]
  rolePermissions: RolePermissionRow[]
  roleInherits: RoleInheritRow[]
  grants: GrantRow[]
}

/** Everything a decision in one organization can depend on. */
export type OrganizationRows = {
  id: string
  slug: string
  status: string
  /** What the organization has set of its security settings. */
  security: StoredSecurity
  revision: number
  workspaces: [id: string, slug: string][]
  members: MemberRow[]
  teams: [slug: string, parent: string | null][]
  teamMembers: [subject: string, team: string][]
  roles: RoleRow[]
  rolePermissions: RolePermissionRow[]
  roleInherits: RoleInheritRow[]
  resources: ResourceRow[]
  grants: GrantRow[]
}

/** The rows of single subjects and resources, to patch a loaded organization with. */
export type SliceRows = Pick<
  OrganizationRows,
  'members' | 'teams' | 'teamMembers' | 'resources' | 'grants'
>

/** An organization, and how many rows make it large; where there are more than were asked for, none is read. */
export type BoundedRows = OrganizationRows & { rows: number }

const grantAt = (workspace: string) => `json_build_array(g.subject, ${workspace},
  g.resource_type, g.resource_id, g.role_home, g.role_scope, g.role_name, g.permission, g.effect, g.condition,
  (extract(epoch from g.expires_at) * 1000)::float8)`
/** A grant `g` on a registered resource `r`, if it is registered. */
export const GRANT = grantAt('case when r.id is null then g.workspace_id else r.workspace_id end')
// A registered resource is where the registry says, whatever the grant was written with.
const GRANTS = `grants g left join resources r
  on r.organization_id = g.organization_id and r.type = g.resource_type and r.id = g.resource_id`
export const UNEXPIRED = '(g.expires_at is null or g.expires_at > now())'
export const MEMBER = `json_build_array(subject, is_owner, status, (extract(epoch from expires_at) * 1000)::float8,
  nullif(attributes, '{}'))`
export const RESOURCE = `json_build_array(type, id, workspace_id, owner, suspended_because, nullif(attributes, '{}'))`
const INHERIT =
  'json_build_array(role_home, role_scope, role_name, parent_home, parent_scope, parent_name)'
const HELD = 'json_build_array(role_home, role_scope, role_name, permission, condition)'

export const list = (element: string, from: string) =>
  `(select coalesce(json_agg(${element}), '[]') from ${from})`

/** The platform's policy, in one statement and so of one instant. */
export const findPlatform = async (sql: Queryable): Promise<PlatformRows> => {
  const [row] = await sql.unsafe<PlatformRows[]>(`select p.revision,
    ${list('json_build_array(key, scope)', 'permissions')} as permissions,
    ${list('type', 'resource_types where strict')} as strict_types,
    ${list('json_build_array(home, scope, name, holds_every_permission)', `roles where home = 'platform'`)} as roles,
    ${list(HELD, `role_permissions where role_home = 'platform'`)} as role_permissions,
    ${list(INHERIT, `role_inherits where role_home = 'platform'`)} as role_inherits,
    ${list(GRANT, `${GRANTS} where g.organization_id is null and ${UNEXPIRED}`)} as grants
    from platform p`)
  return row!
}

const OWN = 'where organization_id = o.id'

/** What is small of an organization `o`, and what every decision in it depends on. */
export const HEAD = `o.id, o.slug, o.status, o.security, o.revision,
    ${list('json_build_array(id, slug)', `workspaces ${OWN}`)} as workspaces,
    ${list('json_build_array(home, scope, name)', `roles ${OWN}`)} as roles,
    ${list(HELD, 'role_permissions where role_home = o.id')} as role_permissions,
    ${list(INHERIT, 'role_inherits where role_home = o.id')} as role_inherits`

const everythingWhere = (also: string) => `
    ${list(MEMBER, `members ${OWN}${also}`)} as members,
    ${list('json_build_array(slug, parent)', `teams ${OWN}${also}`)} as teams,
    ${list('json_build_array(subject, team)', `team_members ${OWN}${also}`)} as team_members,
    ${list(RESOURCE, `resources ${OWN}${also}`)} as resources,
    ${list(grantAt('g.workspace_id'), `grants g where g.organization_id = o.id and ${UNEXPIRED}${also}`)} as grants`

// Each table by its organization and none joined to another: a kept plan of it stays good while the tables grow.
const ORGANIZATION = `select ${HEAD}, ${everythingWhere('')} from organizations o where o.id = $1 or o.slug = $1`

const counted = (table: string) =>
  `(select count(*) from (select from ${table} ${OWN} limit $2::bigint) counted)`
// What is counted decides before anything is read; no table is counted further than it takes.
const BOUNDED = `select ${HEAD}, size.rows, ${everythingWhere(' and size.rows < $2')} from organizations o
    cross join lateral (
      select ${['grants', 'members', 'resources'].map(counted).join(' + ')} as rows offset 0) size
    where o.id = $1 or o.slug = $1`

/**
 * One organization by its id or slug, in one statement and so of one instant. Its grants say the place they were written
 * with; that of a registered resource is the registry's (`linesOfOrganization`).
 */
export const findOrganization = async (
  sql: Queryable,
  reference: string,
): Promise<OrganizationRows | undefined> => {
  const [row] = await sql.unsafe<OrganizationRows[]>(ORGANIZATION, [reference], { prepare: true })
  return row
}

/** The same of one with fewer than so many grants, members and resources together; of a larger one only what is small. */
export const findOrganizationBelow = async (
  sql: Queryable,
  reference: string,
  rowsMax: number,
): Promise<BoundedRows | undefined> => {
  const [row] = await sql.unsafe<BoundedRows[]>(BOUNDED, [reference, rowsMax], { prepare: true })
  return row
}

const WANTED = '(select subject from wanted)'
const TOUCHED = `(select r->>0, r->>1 from jsonb_array_elements($3::text::jsonb) r)`
const SLICE = `with wanted (subject) as (
      select jsonb_array_elements_text($2::text::jsonb)
      union select subject from grants where organization_id = $1 and (resource_type, resource_id) in ${TOUCHED})
    select ${list('subject', 'wanted')} as subjects,
    ${list(MEMBER, `members where organization_id = $1 and subject in ${WANTED}`)} as members,
    ${list('json_build_array(slug, parent)', `teams where organization_id = $1 and slug in (select substr(subject, 6) from wanted where starts_with(subject, 'team:'))`)} as teams,
    ${list('json_build_array(subject, team)', `team_members where organization_id = $1 and subject in ${WANTED}`)} as team_members,
    ${list(RESOURCE, `resources where organization_id = $1 and (type, id) in ${TOUCHED}`)} as resources,
    ${list(GRANT, `${GRANTS} where g.organization_id = $1 and g.subject in ${WANTED} and ${UNEXPIRED}`)} as grants`

/** The rows of some subjects (`user:…`, `team:…`) and resources (`type:id`), and of whoever holds a grant on one of these. */
export const findSlice = async (
  sql: Queryable,
  slice: { organizationId: string; subjects: string[]; resources: string[] },
): Promise<SliceRows & { subjects: string[] }> => {
  const resources = slice.resources.map((resource) => {
    const colon = resource.indexOf(':')
    return [resource.slice(0, colon), resource.slice(colon + 1)]
  })
  const [row] = await sql.unsafe<(SliceRows & { subjects: string[] })[]>(
    SLICE,
    [slice.organizationId, JSON.stringify(slice.subjects), JSON.stringify(resources)],
    { prepare: true },
  )
  return row!
}

/** What changed in an organization after a revision; null where a change touched too much to list. */
export const findChanges = (sql: Queryable, organizationId: string, afterRevision: number) =>
  sql<{ revision: number; touched: string[] | null }[]>`
    select revision, touched from policy_changes
    where organization_id = ${organizationId} and revision > ${afterRevision} order by revision`

/** Forgets changes older than so many hours, at most so many; answers how many. */
export const deleteChanges = async (sql: Queryable, hours: number, limit: number) => {
  const { count } = await sql`
    delete from policy_changes where ctid = any(array(
      select ctid from policy_changes where changed_at < now() - make_interval(hours => ${hours}) limit ${limit}))`
  return count
}

/** The changes between two revisions, with when they were made. */
export const listChanges = (sql: Queryable, organizationId: string, after: number, until: number) =>
  sql<{ revision: number; touched: string[] | null; changedAt: string }[]>`
    select revision, touched, changed_at from policy_changes
    where organization_id = ${organizationId} and revision > ${after} and revision <= ${until} order by revision`

/**
 * Every change of any organization since the oldest transaction that was open at the last call. Transaction numbers are
 * given out in another order than commits happen, so "greater than the last one seen" would skip late commits.
 */
export const findChangesSince = async (sql: Queryable, cursor: string | null) => {
  const [row] = await sql<
    { cursor: string; changes: [organizationId: string, revision: number][] }[]
  >`
    select pg_snapshot_xmin(pg_current_snapshot())::text as cursor,
      (select coalesce(json_agg(json_build_array(organization_id, revision)), '[]') from policy_changes
       where changed_by >= ${cursor}::text::xid8) as changes`
  return row!
}

/** The permissions of a role with all it inherits; those of a role that holds every one are the catalog's. */
export const findRolePermissions = (sql: Queryable, [home, scope, name]: RoleRow) =>
  sql<{ permission: string; scope: Scope; condition: string | null }[]>`
    with recursive closure (home, scope, name) as (
      select ${home}::text collate "C", ${scope}::scope, ${name}::text collate "C"
      union select i.parent_home, i.parent_scope, i.parent_name::text collate "C" from closure c
        join role_inherits i on (i.role_home, i.role_scope, i.role_name) = (c.home, c.scope, c.name))
    select p.permission, p.permission_scope as scope, p.condition from closure c
      join role_permissions p on (p.role_home, p.role_scope, p.role_name) = (c.home, c.scope, c.name)
    union
    select p.key, p.scope, null from closure c
      join roles r on (r.home, r.scope, r.name) = (c.home, c.scope, c.name) and r.holds_every_permission
      join permissions p on p.scope <= r.scope`

/** What a grant gives or refuses, and where. */
export type HeldGrantRow = {
  workspaceId: string | null
  resourceType: string | null
  resourceId: string | null
  roleHome: string | null
  roleScope: Scope | null
  roleName: string | null
  permission: string | null
  condition: string | null
}

/** The allowing or denying grants of a subject and of every team it sits in, directly or through parents. */
export const findHeldGrants = (
  sql: Queryable,
  {
    organizationId,
    subject,
    effect,
  }: { organizationId: string; subject: string; effect: 'allow' | 'deny' },
) =>
  sql<HeldGrantRow[]>`
    with recursive holders (subject) as (
      select ${subject}::text collate "C"
      union select 'team:' || m.team from team_members m
        where m.organization_id = ${organizationId} and m.subject = ${subject}
      union select 'team:' || t.parent from holders h
        join teams t on t.organization_id = ${organizationId} and 'team:' || t.slug = h.subject
        where t.parent is not null)
    select g.workspace_id, g.resource_type, g.resource_id, g.role_home, g.role_scope, g.role_name, g.permission,
      g.condition
    from grants g join holders h on g.subject = h.subject
    where g.organization_id = ${organizationId} and g.effect = ${effect}`

/** The denying grants that reach an owner, by teams and their parents too. */
export const findDenialsOfOwners = (sql: Queryable, organizationId: string) =>
  sql<(HeldGrantRow & { owner: string; expiresAt: string | null })[]>`
    with recursive owners (owner) as (
      select subject from members where organization_id = ${organizationId} and is_owner),
    holders (owner, subject) as (
      (select owner, owner::text collate "C" from owners
       union select o.owner, 'team:' || m.team from owners o
         join team_members m on m.organization_id = ${organizationId} and m.subject = o.owner)
      union select h.owner, 'team:' || t.parent from holders h
        join teams t on t.organization_id = ${organizationId} and 'team:' || t.slug = h.subject
        where t.parent is not null)
    select distinct h.owner, g.workspace_id, g.resource_type, g.resource_id, g.role_home, g.role_scope, g.role_name,
      g.permission, g.condition, g.expires_at
    from grants g join holders h on g.subject = h.subject
    where g.organization_id = ${organizationId} and g.effect = 'deny'`

/** The denying grants in a workspace, on what is registered there too, whoever is denied. */
export const findDenialsIn = (sql: Queryable, organizationId: string, workspaceId: string) =>
  sql<HeldGrantRow[]>`
    select g.workspace_id, g.resource_type, g.resource_id, g.role_home, g.role_scope, g.role_name, g.permission, g.condition
    from grants g left join resources r
      on r.organization_id = g.organization_id and r.type = g.resource_type and r.id = g.resource_id
    where g.organization_id = ${organizationId} and g.effect = 'deny'
      and (r.workspace_id = ${workspaceId} or (g.workspace_id = ${workspaceId} and r.id is null))`

/** The denying grants on one resource, whoever is denied. */
export const findDenialsOn = (
  sql: Queryable,
  resource: { organizationId: string; type: string; id: string },
) =>
  sql<HeldGrantRow[]>`
    select workspace_id, resource_type, resource_id, role_home, role_scope, role_name, permission, condition from grants
    where organization_id = ${resource.organizationId} and effect = 'deny'
      and resource_type = ${resource.type} and resource_id = ${resource.id}`

/** Whether a denying grant names a role, or one that inherits it, so that taking something from the role gives it. */
export const isDenied = async (
  sql: Queryable,
  organizationId: string,
  [home, scope, name]: RoleRow,
) => {
  const rows = await sql`
    with recursive users (home, scope, name) as (
      select ${home}::text collate "C", ${scope}::scope, ${name}::text collate "C"
      union select i.role_home, i.role_scope, i.role_name::text collate "C" from users u
        join role_inherits i on (i.parent_home, i.parent_scope, i.parent_name) = (u.home, u.scope, u.name))
    select 1 from grants g join users u on (g.role_home, g.role_scope, g.role_name) = (u.home, u.scope, u.name)
    where g.organization_id = ${organizationId} and g.effect = 'deny' limit 1`
  return rows.length > 0
}
