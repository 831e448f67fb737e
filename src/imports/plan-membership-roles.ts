import { grantKey, type HeldGrants, isByMembership, roleIdOf } from './held-grants.ts'
import type { Known, PlannedGrant, ResolvedGrant } from './plan-grants.ts'
import { resolveRole } from './plan-roles.ts'
import { roleId } from './role-graph.ts'
import type { Run } from './run.ts'
import type { ImportedWorkspace } from './schema.ts'
import type { StoredGrant } from './stored.ts'

export type MembershipRoles = {
  /** Given by membership, with the grant that gives it in another way until now, and the place in the document. */
  added: { grant: PlannedGrant; before: StoredGrant | undefined; pointer: string }[]
  removed: StoredGrant[]
}

/** A member with exactly these roles at a place: the organization (null) or one workspace. */
type Listing = {
  change: { changed: boolean }
  subject: string
  workspaceId: string | null
  roles: readonly string[]
  pointer: string
}

/**
 * The roles that memberships give: a listed member gets exactly the listed ones. A role that the document gives the
 * member as a grant as well is mentioned, and stays.
 */
export const planMembershipRoles = async (
  run: Run,
  known: Known,
  entries: readonly ImportedWorkspace[],
  { held, resolved }: { held: HeldGrants; resolved: readonly ResolvedGrant[] },
): Promise<MembershipRoles> => {
  const granted = new Map(resolved.map(({ grant, index }) => [grantKey(grant), index]))
  const plan: MembershipRoles = { added: [], removed: [] }
  for (const listing of [...ofMembers(known), ...ofWorkspaces(run, known, entries)]) {
    await run.pace()
    planListing(run, known, { listing, held, granted, plan })
  }
  return plan
}

const ofMembers = ({ members }: Known): Listing[] =>
  members.changes.flatMap((change) =>
    change.roles === undefined
      ? []
      : {
          change,
          subject: change.after.subject,
          workspaceId: null,
          roles: change.roles,
          pointer: `/members/${change.index}/roles`,
        },
  )

const ofWorkspaces = (
  { faults }: Run,
  { workspaces, members }: Known,
  entries: readonly ImportedWorkspace[],
): Listing[] => {
  const listings: Listing[] = []
  for (const change of workspaces.changes) {
    const listed = new Set<string>()
    for (const [position, { user, roles }] of (entries[change.index]?.members ?? []).entries()) {
      const pointer = `/workspaces/${change.index}/members/${position}`
      if (!members.known.has(user))
        faults.add(`${pointer}/user`, 'Not a member of the organization.')
      if (listed.has(user)) faults.add(`${pointer}/user`, 'The workspace lists this member twice.')
      listed.add(user)
      const workspaceId = change.after.id
      listings.push({ change, subject: user, workspaceId, roles, pointer: `${pointer}/roles` })
    }
  }
  return listings
}

const planListing = (
  { faults }: Run,
  { roles: { names } }: Known,
  {
    listing,
    held,
    granted,
    plan,
  }: {
    listing: Listing
    held: HeldGrants
    granted: ReadonlyMap<string, number>
    plan: MembershipRoles
  },
) => {
  const { subject, workspaceId, change } = listing
  const had = held.of(subject).filter((grant) => isByMembership(grant, workspaceId))
  const hadIds = new Set(had.map(roleIdOf))
  const wanted = new Set<string | null>()
  for (const [position, name] of listing.roles.entries()) {
    if (name === 'owner' && workspaceId === null) continue
    const pointer = `${listing.pointer}/${position}`
    const wantedRole = { name, inWorkspace: workspaceId !== null }
    const role = resolveRole(faults, names, wantedRole, pointer)
    if (!role) continue
    const id = roleId(role)
    if (wanted.has(id)) continue
    wanted.add(id)
    const grant = plainRole(subject, workspaceId, role)
    const also = granted.get(grantKey(grant))
    if (also !== undefined)
      faults.add(`/grants/${also}`, `The document gives this by membership already, at ${pointer}.`)
    if (hadIds.has(id)) continue
    plan.added.push({ grant, before: held.find(grant), pointer })
    change.changed = true
  }
  for (const grant of had)
    if (!wanted.has(roleIdOf(grant)) && !granted.has(grantKey(grant))) {
      plan.removed.push(grant)
      change.changed = true
    }
}

const plainRole = (
  subject: string,
  workspaceId: string | null,
  role: { home: string; scope: 'workspace' | 'organization' | 'platform'; name: string },
): PlannedGrant => ({
  subject,
  workspaceId,
  resourceType: null,
  resourceId: null,
  roleHome: role.home,
  roleScope: role.scope,
  roleName: role.name,
  permission: null,
  permissionScope: null,
  effect: 'allow',
  condition: null,
  expiresAt: null,
  reason: null,
})
