import type { Queryable } from '../platform/db/connect.ts'
import type { ApiKey } from './schema.ts'

/** What a presented key is checked against. */
export type Credential = {
  id: string
  organizationId: string | null
  member: string | null
  restricted: boolean
  secretHash: Uint8Array
  previousSecretHash: Uint8Array | null
  previousExpiresAt: string | null
  expiresAt: string | null
  revokedAt: string | null
}

const KEY = (tx: Queryable) => tx`
  k.id, k.name, k.member, k.created_by, k.created_at, k.expires_at, k.revoked_at, k.last_used_at, k.version,
  (select coalesce(json_agg(g.role_name order by g.role_name), '[]') from grants g
   where g.api_key = k.id and g.role_name is not null) as roles,
  (select coalesce(json_agg(g.permission order by g.permission), '[]') from grants g
   where g.api_key = k.id and g.permission is not null) as permissions
  from api_keys k`

export const findCredential = async (sql: Queryable, id: string) => {
  const [found] = await sql<Credential[]>`
    select id, organization_id, member, restricted, secret_hash, previous_secret_hash, previous_expires_at, expires_at,
      revoked_at from api_keys where id = ${id}`
  return found
}

/** Told at most once a minute and key, so that a busy key does not write with every request. */
export const touchLastUsed = (sql: Queryable, id: string) => sql`
  update api_keys set last_used_at = now()
  where id = ${id} and (last_used_at is null or last_used_at < now() - interval '1 minute')`

export const insertApiKey = (
  tx: Queryable,
  key: {
    id: string
    organizationId: string | null
    member: string | null
    restricted: boolean
    name: string
    secretHash: Uint8Array
    createdBy: string
    expiresAt: string | null
  },
) => tx`insert into api_keys ${tx(key as never)}`

export const insertKeyGrant = (
  tx: Queryable,
  grant: {
    id: string
    organizationId: string | null
    subject: string
    roleHome: string | null
    roleScope: string | null
    roleName: string | null
    permission: string | null
    permissionScope: string | null
    grantedBy: string
    source: 'api-key'
    expiresAt: string | null
  },
) => tx`insert into grants ${tx(grant as never)} on conflict do nothing`

export const findApiKey = async (tx: Queryable, organizationId: string, id: string) => {
  const [found] = await tx<
    ApiKey[]
  >`select ${KEY(tx)} where k.organization_id = ${organizationId} and k.id = ${id}`
  return found
}

export const listApiKeys = (
  tx: Queryable,
  filter: { organizationId: string; after: string; limit: number },
) =>
  tx<ApiKey[]>`
  select ${KEY(tx)} where k.organization_id = ${filter.organizationId} and k.id > ${filter.after}
  order by k.id limit ${filter.limit}`

export const revokeApiKey = (tx: Queryable, organizationId: string, id: string) => tx`
  update api_keys set revoked_at = coalesce(revoked_at, now()), version = version + 1
  where organization_id = ${organizationId} and id = ${id}`

/** What a key holds ends with it. */
export const deleteKeyGrants = (tx: Queryable, organizationId: string | null, id: string) => tx`
  delete from grants
  where organization_id is not distinct from ${organizationId} and api_key::text = ${id}`

export const replaceSecret = (
  tx: Queryable,
  key: { id: string; secretHash: Uint8Array; overlapSeconds: number },
) => tx`
  update api_keys set
    previous_secret_hash = case when ${key.overlapSeconds}::int > 0 then secret_hash end,
    previous_expires_at = case when ${key.overlapSeconds}::int > 0 then now() + make_interval(secs => ${key.overlapSeconds}) end,
    secret_hash = ${key.secretHash}, version = version + 1
  where id = ${key.id}`

/** An operator's key with a secret from outside: made, or brought up to date. */
export const upsertOperatorKey = async (
  tx: Queryable,
  key: { id: string; name: string; secretHash: Uint8Array },
) => {
  const rows = await tx`
    insert into api_keys (id, name, secret_hash, created_by) values (${key.id}, ${key.name}, ${key.secretHash}, 'settings')
    on conflict (id) do update set secret_hash = excluded.secret_hash, revoked_at = null
      where api_keys.secret_hash <> excluded.secret_hash or api_keys.revoked_at is not null
    returning 1 as changed`
  return rows.length > 0
}

export const hasOperatorKey = async (tx: Queryable) => {
  const rows =
    await tx`select 1 from api_keys where organization_id is null and revoked_at is null limit 1`
  return rows.length > 0
}

export const listOperatorKeys = (tx: Queryable) =>
  tx<ApiKey[]>`select ${KEY(tx)} where k.organization_id is null order by k.id`

export const revokeOperatorKey = async (tx: Queryable, id: string) => {
  const rows = await tx`
    update api_keys set revoked_at = coalesce(revoked_at, now()), version = version + 1
    where organization_id is null and id::text = ${id} returning 1 as revoked`
  return rows.length > 0
}
