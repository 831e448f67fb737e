import type { Queryable } from '../platform/db/connect.ts'
import type { Role } from './schema.ts'

export type Scope = 'workspace' | 'organization' | 'platform'
/** What identifies a role: never its name alone. */
export type RoleKey = { home: string; scope: Scope; name: string }

const ROLE = (tx: Queryable) => tx`
  r.home, r.name, r.scope, r.description, r.home = 'platform' as built_in, r.holds_every_permission, r.version,
  r.created_at, r.updated_at,
  (select coalesce(json_agg(case when p.condition is null then to_json(p.permission::text)
     else json_build_object('permission', p.permission, 'condition', p.condition) end order by p.permission), '[]')
   from role_permissions p where (p.role_home, p.role_scope, p.role_name) = (r.home, r.scope, r.name)) as permissions,
  (select coalesce(json_agg(i.parent_name order by i.parent_name), '[]')
   from role_inherits i where (i.role_home, i.role_scope, i.role_name) = (r.home, r.scope, r.name)) as inherits`

export type StoredRole = Role & { home: string }

/** Built-in and own roles that can be held in the organization, by name. */
export const listRoles = (
  tx: Queryable,
  filter: { organizationId: string; scope?: string | undefined; after: string; limit: number },
) => tx<StoredRole[]>`
  select ${ROLE(tx)} from roles r
  where r.home in ('platform', ${filter.organizationId}) and r.scope <> 'platform'
    and (r.scope = ${filter.scope ?? null}::scope or ${filter.scope ?? null}::text is null)
    and r.name || ' ' || r.scope > ${filter.after}
  order by r.name || ' ' || r.scope limit ${filter.limit}`

export const findRoles = (tx: Queryable, organizationId: string, name: string) => tx<StoredRole[]>`
  select ${ROLE(tx)} from roles r
  where r.home in ('platform', ${organizationId}) and r.scope <> 'platform' and r.name = ${name}
  order by r.scope`

export const findNames = async (tx: Queryable, organizationId: string) => {
  const rows = await tx<{ name: string }[]>`
    select distinct name from roles where home in ('platform', ${organizationId}) and scope <> 'platform'`
  return rows.map(({ name }) => name)
}

/** Whether a built-in role of any scope has this name: a custom one may not take it. */
export const isReserved = async (tx: Queryable, name: string) => {
  const rows = await tx`select 1 from roles where home = 'platform' and name = ${name}`
  return rows.length > 0
}

export const upsertRole = async (
  tx: Queryable,
  role: { organizationId: string; scope: string; name: string; description: string },
) => {
  const [row] = await tx<{ created: boolean; version: number }[]>`
    insert into roles (organization_id, scope, name, description)
    values (${role.organizationId}, ${role.scope}::scope, ${role.name}, ${role.description})
    on conflict (home, scope, name) do update
      set description = excluded.description, version = roles.version + 1, updated_at = now()
    returning xmax::text = '0' as created, version`
  return row!
}

/** Sets exactly these permissions; the ones already held as they are stay untouched. */
export const replacePermissions = (
  tx: Queryable,
  { home, scope, name }: RoleKey,
  permissions: readonly { permission: string; scope: string; condition: string | null }[],
) => tx`
  with wanted as (
    select * from jsonb_to_recordset(${JSON.stringify(permissions)}::text::jsonb)
      as w (permission text, scope scope, condition text)),
  gone as (
    delete from role_permissions p where (p.role_home, p.role_scope, p.role_name) = (${home}, ${scope}::scope, ${name})
      and not exists (select 1 from wanted w where w.permission = p.permission))
  insert into role_permissions (role_home, role_scope, role_name, permission, permission_scope, condition)
  select ${home}, ${scope}::scope, ${name}, w.permission, w.scope, w.condition from wanted w
  on conflict (role_home, role_scope, role_name, permission) do update set condition = excluded.condition
    where role_permissions.condition is distinct from excluded.condition`

/** Sets exactly these parents. */
export const replaceInherits = (
  tx: Queryable,
  { home, scope, name }: RoleKey,
  parents: readonly RoleKey[],
) => tx`
  with wanted as (
    select * from jsonb_to_recordset(${JSON.stringify(parents)}::text::jsonb) as w (home text, scope scope, name text)),
  gone as (
    delete from role_inherits i where (i.role_home, i.role_scope, i.role_name) = (${home}, ${scope}::scope, ${name})
      and not exists (select 1 from wanted w where (w.home, w.scope, w.name) = (i.parent_home, i.parent_scope, i.parent_name)))
  insert into role_inherits (role_home, role_scope, role_name, parent_home, parent_scope, parent_name)
  select ${home}, ${scope}::scope, ${name}, w.home, w.scope, w.name from wanted w
  on conflict do nothing`

export const deleteRole = (tx: Queryable, { home, scope, name }: RoleKey) =>
  tx`delete from roles where (home, scope, name) = (${home}, ${scope}::scope, ${name})`

/** How many grants and roles use a role. */
export const countUses = async (tx: Queryable, { home, scope, name }: RoleKey) => {
  const [row] = await tx<{ uses: number }[]>`
    select (select count(*) from grants where (role_home, role_scope, role_name) = (${home}, ${scope}::scope, ${name}))
         + (select count(*) from role_inherits
            where (parent_home, parent_scope, parent_name) = (${home}, ${scope}::scope, ${name})) as uses`
  return Number(row!.uses)
}

/** Gives the grants of one role another role, but not where that is held already. */
export const moveGrants = (tx: Queryable, from: RoleKey, to: RoleKey) => tx`
  with moved as (
    delete from grants where (role_home, role_scope, role_name) = (${from.home}, ${from.scope}::scope, ${from.name})
    returning id, organization_id, workspace_id, resource_type, resource_id, subject, effect, condition, expires_at,
      reason, source, granted_by, created_at, version)
  insert into grants (id, organization_id, workspace_id, resource_type, resource_id, subject, effect, condition,
    expires_at, reason, source, granted_by, created_at, version, role_home, role_scope, role_name)
  select m.*, ${to.home}, ${to.scope}::scope, ${to.name} from (select id, organization_id, workspace_id, resource_type,
    resource_id, subject, effect, condition, expires_at, reason, source, granted_by, created_at, version from moved) m
  on conflict on constraint grants_are_unique do nothing`

export const moveInherits = (tx: Queryable, from: RoleKey, to: RoleKey) => tx`
  with gone as (
    delete from role_inherits
    where (parent_home, parent_scope, parent_name) = (${from.home}, ${from.scope}::scope, ${from.name})
    returning role_home, role_scope, role_name)
  insert into role_inherits (role_home, role_scope, role_name, parent_home, parent_scope, parent_name)
  select role_home, role_scope, role_name, ${to.home}, ${to.scope}::scope, ${to.name} from gone
  on conflict do nothing`

export const listHistory = (
  tx: Queryable,
  filter: { organizationId: string; resource: string; after: string; limit: number },
) => tx<{ id: string; event: string; at: string; actor: string; body: string }[]>`
  select id, event, at, actor, body from audit_events
  where log = ${filter.organizationId} and resource = ${filter.resource} and id > ${filter.after}
  order by id limit ${filter.limit}`

/** Brings the built-in catalog to what the packs say: adds, changes, and removes what no pack has any more. */
export const syncPermissions = (
  tx: Queryable,
  permissions: readonly { key: string; scope: string; pack: string; description: string }[],
) => tx`
  with wanted as (
    select * from jsonb_to_recordset(${JSON.stringify(permissions)}::text::jsonb)
      as w (key text, scope scope, pack text, description text)),
  types as (
    insert into resource_types (type) select distinct split_part(key, ':', 1) from wanted on conflict do nothing returning type)
  insert into permissions (key, scope, pack, description)
  select key, scope, pack, description from wanted, (select count(*) from types) as first
  on conflict (key) do update
    set scope = excluded.scope, pack = excluded.pack, description = excluded.description
    where (permissions.scope, permissions.pack, permissions.description)
      is distinct from (excluded.scope, excluded.pack, excluded.description)`

export const syncRoles = (
  tx: Queryable,
  roles: readonly {
    scope: string
    name: string
    description: string
    holdsEveryPermission: boolean
  }[],
) => tx`
  insert into roles (scope, name, description, holds_every_permission)
  select w.scope, w.name, w.description, w."holdsEveryPermission"
  from jsonb_to_recordset(${JSON.stringify(roles)}::text::jsonb)
    as w (scope scope, name text, description text, "holdsEveryPermission" boolean)
  on conflict (home, scope, name) do update
    set description = excluded.description, holds_every_permission = excluded.holds_every_permission
    where (roles.description, roles.holds_every_permission)
      is distinct from (excluded.description, excluded.holds_every_permission)`

export const syncRolePermissions = (
  tx: Queryable,
  held: readonly { scope: string; name: string; permission: string; condition: string | null }[],
) => tx`
  with wanted as (
    select w.scope, w.name, w.permission, p.scope as permission_scope, w.condition
    from jsonb_to_recordset(${JSON.stringify(held)}::text::jsonb)
      as w (scope scope, name text, permission text, condition text)
      join permissions p on p.key = w.permission),
  gone as (
    delete from role_permissions r where r.role_home = 'platform' and not exists (
      select 1 from wanted w where (w.scope, w.name, w.permission) = (r.role_scope, r.role_name, r.permission)))
  insert into role_permissions (role_home, role_scope, role_name, permission, permission_scope, condition)
  select 'platform', w.scope, w.name, w.permission, w.permission_scope, w.condition from wanted w
  on conflict (role_home, role_scope, role_name, permission) do update
    set condition = excluded.condition, permission_scope = excluded.permission_scope
    where (role_permissions.condition, role_permissions.permission_scope)
      is distinct from (excluded.condition, excluded.permission_scope)`

export const syncRoleInherits = (
  tx: Queryable,
  links: readonly { scope: string; name: string; parentScope: string; parentName: string }[],
) => tx`
  with wanted as (
    select * from jsonb_to_recordset(${JSON.stringify(links)}::text::jsonb)
      as w (scope scope, name text, "parentScope" scope, "parentName" text)),
  gone as (
    delete from role_inherits i where i.role_home = 'platform' and not exists (
      select 1 from wanted w where (w.scope, w.name, w."parentScope", w."parentName")
        = (i.role_scope, i.role_name, i.parent_scope, i.parent_name)))
  insert into role_inherits (role_home, role_scope, role_name, parent_home, parent_scope, parent_name)
  select 'platform', w.scope, w.name, 'platform', w."parentScope", w."parentName" from wanted w
  on conflict do nothing`

export const findPlatformRevision = async (tx: Queryable) => {
  const [row] = await tx<{ revision: number }[]>`select revision from platform`
  return row!.revision
}
