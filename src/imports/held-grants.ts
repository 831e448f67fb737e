import type { ResourcePlan } from './plan-places.ts'
import { roleId } from './role-graph.ts'
import { lookUp, type Run } from './run.ts'
import { findGrants, type Scope, type StoredGrant } from './stored.ts'

/** What makes two grants the same: who, where, on what, which role or permission, given or refused, under which condition. */
export type GrantIdentity = {
  subject: string
  workspaceId: string | null
  resourceType: string | null
  resourceId: string | null
  roleHome: string | null
  roleScope: Scope | null
  roleName: string | null
  permission: string | null
  effect: 'allow' | 'deny'
  condition: string | null
}

/** No name holds U+0000. */
export const grantKey = (grant: GrantIdentity): string =>
  [
    grant.subject,
    grant.workspaceId ?? '',
    grant.resourceType === null ? '' : `${grant.resourceType}:${grant.resourceId}`,
    roleIdOf(grant) ?? '',
    grant.permission ?? '',
    grant.effect,
    grant.condition ?? '',
  ].join('\u0000')

/** The id of the role that a grant gives; null where it gives a permission. */
export const roleIdOf = ({ roleHome, roleScope, roleName }: GrantIdentity): string | null =>
  roleHome === null || roleScope === null || roleName === null
    ? null
    : roleId({ home: roleHome, scope: roleScope, name: roleName })

/** Where a stored grant holds: a registered resource is where the registry says, whatever the grant was written with. */
export const placed = (grant: StoredGrant, planned?: ResourcePlan['known']): StoredGrant => {
  const moved =
    grant.resourceType === null
      ? undefined
      : planned?.get(`${grant.resourceType}:${grant.resourceId}`)
  if (moved) return { ...grant, workspaceId: moved.workspaceId }
  return grant.registered ? { ...grant, workspaceId: grant.registeredWorkspaceId } : grant
}

/** A role given without a condition, as membership gives it in the whole organization or in one workspace. */
export const isPlainRole = (grant: GrantIdentity, workspaceId: string | null): boolean =>
  grant.roleName !== null &&
  grant.resourceType === null &&
  grant.effect === 'allow' &&
  grant.condition === null &&
  grant.workspaceId === workspaceId

/** Whether a member's roles show it: in the organization what membership gave, in a workspace every plain role. */
export const isByMembership = (grant: StoredGrant, workspaceId: string | null): boolean =>
  isPlainRole(grant, workspaceId) &&
  (workspaceId !== null || grant.source === 'member' || grant.source === 'import')

/** The grants of some subjects that hold now, at the places where they will be. */
export type HeldGrants = {
  of: (subject: string) => readonly StoredGrant[]
  find: (identity: GrantIdentity) => StoredGrant | undefined
  all: () => Iterable<StoredGrant>
}

/** Reads what these subjects hold. Of two grants alike, the one that lasts longer is meant. */
export const readHeldGrants = async (
  run: Run,
  subjects: Iterable<string>,
  planned: ResourcePlan['known'],
): Promise<HeldGrants> => {
  const bySubject = new Map<string, StoredGrant[]>()
  const byKey = new Map<string, StoredGrant>()
  const rows = await lookUp(run, [...new Set(subjects)], (slice) =>
    findGrants(run.tx, run.organizationId, slice),
  )
  for (const row of rows) {
    await run.pace()
    const grant = placed(row, planned)
    const key = grantKey(grant)
    if (!byKey.has(key)) byKey.set(key, grant)
    const known = bySubject.get(grant.subject)
    if (known) known.push(grant)
    else bySubject.set(grant.subject, [grant])
  }
  return {
    of: (subject) => bySubject.get(subject) ?? [],
    find: (identity) => byKey.get(grantKey(identity)),
    all: () => byKey.values(),
  }
}
