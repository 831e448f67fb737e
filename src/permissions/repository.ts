import type { Queryable } from '../platform/db/connect.ts'
import type { CreatePermission, Permission, Scope, StoredResourceType } from './schema.ts'

const COLUMNS = ['key', 'resourceType', 'scope', 'pack', 'description'] as const

export const insertResourceType = (tx: Queryable, type: string) =>
  tx`insert into resource_types (type) values (${type}) on conflict do nothing`

/** Returns nothing when the key is registered already. */
export const insertPermission = async (tx: Queryable, permission: CreatePermission) => {
  const [inserted] = await tx<Permission[]>`
    insert into permissions ${tx(permission)} on conflict (key) do nothing returning ${tx(COLUMNS)}`
  return inserted
}

export const listPermissions = (
  tx: Queryable,
  filter: { type?: string | undefined; pack?: string | undefined; after: string; limit: number },
) => tx<Permission[]>`
  select ${tx(COLUMNS)} from permissions
  where key > ${filter.after} and resource_type = coalesce(${filter.type ?? null}, resource_type::text)
    and pack = coalesce(${filter.pack ?? null}, pack)
  order by key limit ${filter.limit}`

/** The scopes of those keys that are registered. */
export const findScopes = async (tx: Queryable, keys: string[]) => {
  const rows = await tx<{ key: string; scope: Scope }[]>`
    select key, scope from permissions
    where key in (select jsonb_array_elements_text(${JSON.stringify(keys)}::text::jsonb))`
  return new Map(rows.map(({ key, scope }) => [key, scope]))
}

export const findKeys = async (tx: Queryable) => {
  const rows = await tx<{ key: string }[]>`select key from permissions order by key`
  return rows.map(({ key }) => key)
}

export const upsertResourceType = async (
  tx: Queryable,
  {
    type,
    strict,
    description,
  }: { type: string; strict: boolean; description?: string | undefined },
) => {
  const [stored] = await tx<(StoredResourceType & { created: boolean })[]>`
    insert into resource_types (type, strict, description) values (${type}, ${strict}, ${description ?? ''})
    on conflict (type) do update set strict = excluded.strict,
      description = coalesce(${description ?? null}, resource_types.description)
    returning type, strict, description, xmax::text = '0' as created`
  return stored!
}

export const listResourceTypes = (
  tx: Queryable,
  { after, limit }: { after: string; limit: number },
) =>
  tx<StoredResourceType[]>`
    select type, strict, description from resource_types where type > ${after} order by type limit ${limit}`

export const findResourceTypes = async (tx: Queryable) => {
  const rows = await tx<{ type: string }[]>`select type from resource_types order by type`
  return rows.map(({ type }) => type)
}
