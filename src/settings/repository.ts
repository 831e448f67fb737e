import type { StoredSecurity } from '../decisions/schema.ts'
import type { Queryable } from '../platform/db/connect.ts'

/** What an organization has set; what it has not is left out. */
export type StoredSettings = {
  settings: Record<string, unknown>
  security: StoredSecurity
  name: string
  logo: string | null
  version: number
}

const COLUMNS = ['settings', 'security', 'name', 'logo', 'version'] as const

export const findSettings = async (tx: Queryable, organizationId: string) => {
  const [found] = await tx<StoredSettings[]>`
    select ${tx(COLUMNS)} from organizations where id = ${organizationId}`
  return found
}

export const updateSettings = async (
  tx: Queryable,
  organizationId: string,
  next: { settings: object; logo: string | null },
) => {
  const [updated] = await tx<StoredSettings[]>`
    update organizations set settings = ${tx.json(next.settings as never)}, logo = ${next.logo},
      version = version + 1, updated_at = now()
    where id = ${organizationId} returning ${tx(COLUMNS)}`
  return updated!
}

export const updateSecurity = async (
  tx: Queryable,
  organizationId: string,
  security: StoredSecurity,
) => {
  const [updated] = await tx<StoredSettings[]>`
    update organizations set security = ${tx.json(security as never)}, version = version + 1, updated_at = now()
    where id = ${organizationId} returning ${tx(COLUMNS)}`
  return updated!
}

/** What a workspace has set, and what its organization has. */
export type StoredWorkspaceSettings = {
  settings: Record<string, unknown>
  organizationSettings: Record<string, unknown>
  version: number
}

export const findWorkspaceSettings = async (
  tx: Queryable,
  organizationId: string,
  workspaceId: string,
) => {
  const [found] = await tx<StoredWorkspaceSettings[]>`
    select w.settings, o.settings as organization_settings, w.version
    from workspaces w join organizations o on o.id = w.organization_id
    where w.organization_id = ${organizationId} and w.id = ${workspaceId}`
  return found
}

/** Answers the version after it. */
export const updateWorkspaceSettings = async (
  tx: Queryable,
  next: { organizationId: string; workspaceId: string; settings: object },
) => {
  const [updated] = await tx<{ version: number }[]>`
    update workspaces set settings = ${tx.json(next.settings as never)}, version = version + 1, updated_at = now()
    where organization_id = ${next.organizationId} and id = ${next.workspaceId} returning version`
  return updated!
}
