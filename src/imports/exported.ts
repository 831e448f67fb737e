import { grantKey, isByMembership, placed, roleIdOf } from './held-grants.ts'
import type { Pace } from './pace.ts'
import { findRole, type RoleNames } from './plan-roles.ts'
import { roleId } from './role-graph.ts'
import type {
  ImportedGrant,
  ImportedMember,
  ImportedResource,
  ImportedRole,
  ImportedTeam,
  ImportedWorkspace,
} from './schema.ts'
import type {
  StoredGrant,
  StoredMember,
  StoredResource,
  StoredRole,
  StoredTeam,
  StoredWorkspace,
} from './stored.ts'

/** What is stored, in the words of a document. */

export const exportedRole = ({
  name,
  scope,
  description,
  permissions,
  parents,
}: StoredRole): ImportedRole => ({
  name,
  scope: scope as 'organization' | 'workspace',
  description,
  permissions: permissions.map(([permission, condition]) =>
    condition === null ? permission : { permission, condition },
  ),
  inherits: parents.map(([, , parent]) => parent),
})

export const exportedMember = (
  { subject, isOwner, status, attributes, expiresAt }: StoredMember,
  roles: readonly string[],
): ImportedMember => ({
  user: subject,
  roles: [...(isOwner ? ['owner'] : []), ...roles.toSorted()],
  attributes,
  status,
  expiresAt,
})

export const exportedTeam = (team: StoredTeam, members: string[]): ImportedTeam => ({
  ...team,
  members,
})

export const exportedWorkspace = (
  { slug, name }: StoredWorkspace,
  roles: ReadonlyMap<string, string[]>,
): ImportedWorkspace => ({
  slug,
  name,
  members: [...roles]
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([user, names]) => ({ user, roles: names.toSorted() })),
})

export const exportedResource = (
  { type, id, workspaceId, owner, attributes }: StoredResource,
  slugs: ReadonlyMap<string, string>,
): ImportedResource => ({
  type,
  id,
  workspace: workspaceId === null ? null : slugs.get(workspaceId)!,
  owner,
  attributes,
})

export type ExportedGrants = {
  /** Roles that membership gives, by subject. */
  ofMembers: Map<string, string[]>
  /** The same in each workspace, by its id. */
  ofWorkspaces: Map<string, Map<string, string[]>>
  /** All others. */
  grants: StoredGrant[]
}

export const noGrants = (): ExportedGrants => ({
  ofMembers: new Map(),
  ofWorkspaces: new Map(),
  grants: [],
})

/** Sorts a grant to the membership that gives it, or to the grants. */
export const sortGrant = (
  sorted: ExportedGrants,
  names: RoleNames,
  row: StoredGrant & { isMember: boolean },
): void => {
  const grant = placed(row)
  const { workspaceId, subject, expiresAt, roleName } = grant
  const isMembership = row.isMember && expiresAt === null && isByMembership(grant, workspaceId)
  if (!isMembership || !isNamedAlone(names, grant)) sorted.grants.push(grant)
  else if (workspaceId === null) add(sorted.ofMembers, subject, roleName!)
  else {
    const roles = sorted.ofWorkspaces.get(workspaceId) ?? new Map<string, string[]>()
    sorted.ofWorkspaces.set(workspaceId, roles)
    add(roles, subject, roleName!)
  }
}

const add = (lists: Map<string, string[]>, key: string, name: string) => {
  const list = lists.get(key)
  if (list) list.push(name)
  else lists.set(key, [name])
}

/** Whether the role's name alone means this role where it is held. */
const isNamedAlone = (names: RoleNames, grant: StoredGrant) => {
  const inWorkspace = grant.workspaceId !== null
  const role = findRole(names, { name: grant.roleName!, inWorkspace })
  return role !== undefined && roleId(role) === roleIdOf(grant)
}

/** Of grants alike on a resource that was moved meanwhile, only the one that lasts longest. */
export const withoutTwins = async (
  grants: readonly StoredGrant[],
  pace: Pace,
): Promise<StoredGrant[]> => {
  const kept = new Map<string, StoredGrant>()
  for (const grant of grants) {
    await pace()
    const key = grantKey(grant)
    const twin = kept.get(key)
    if (!twin || lastsLonger(grant, twin)) kept.set(key, grant)
  }
  return [...kept.values()]
}

const lastsLonger = (grant: StoredGrant, twin: StoredGrant) =>
  twin.expiresAt !== null && (grant.expiresAt === null || grant.expiresAt > twin.expiresAt)

export const exportedGrant = (
  grant: StoredGrant,
  { slugs, names }: { slugs: ReadonlyMap<string, string>; names: RoleNames },
): ImportedGrant => {
  const { roleName, roleScope, workspaceId, permission, condition, expiresAt, reason } = grant
  const isElsewhereSaid = grant.registered || workspaceId === null
  return {
    subject: grant.subject,
    ...(roleName === null ? {} : { role: roleName }),
    ...(roleName === null || isNamedAlone(names, grant)
      ? {}
      : { roleScope: roleScope as 'organization' | 'workspace' }),
    ...(permission === null ? {} : { permission }),
    ...(isElsewhereSaid ? {} : { workspace: slugs.get(workspaceId)! }),
    ...(grant.resourceType === null
      ? {}
      : { resource: `${grant.resourceType}:${grant.resourceId}` }),
    effect: grant.effect,
    ...(condition === null ? {} : { condition }),
    ...(expiresAt === null ? {} : { expiresAt }),
    ...(reason === null ? {} : { reason }),
  }
}
