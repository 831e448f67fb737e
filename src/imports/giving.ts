import type { Ceiling } from '../platform/context.ts'
import { type GrantIdentity, type HeldGrants, readHeldGrants, roleIdOf } from './held-grants.ts'
import type { Plan } from './plan.ts'
import { resourceKey } from './plan-places.ts'
import { createRoleGraph, type RoleGraph } from './role-graph.ts'
import { lookUp, type Run } from './run.ts'
import { findTeamsOf, type ResourceId } from './stored.ts'

/** What is given, in the words of the ceiling: the first permission that the giver does not hold there, if any. */
export type Giving = {
  /** What each role gave before the import, and will give. */
  before: RoleGraph
  after: RoleGraph
  /** Of a permission in the organization. */
  missing: (permissions: Iterable<string>) => string | undefined
  missingOfGrant: (grant: GrantIdentity) => string | undefined
  /** Of everything a team and the teams above it hold. */
  missingOfTeam: (slug: string) => string | undefined
  /** Of everything a member holds, through teams, too. */
  missingOfMember: (subject: string) => string | undefined
}

/**
 * Measures against the ceiling. Thousands of grants give the same role at the same place, and are asked about once.
 */
export const createGiving = async (run: Run, ceiling: Ceiling, plan: Plan): Promise<Giving> => {
  const graph = {
    before: createRoleGraph(plan.roles.before, run.permissions),
    after: createRoleGraph(plan.roles.after, run.permissions),
  }
  const restored = restoredOf(plan)
  const rows = await lookUp(run, restored, (slice) =>
    findTeamsOf(run.tx, run.organizationId, slice),
  )
  const teamsOf = Map.groupBy(rows, ({ subject }) => subject)
  const teams = new Set([...touchedTeams(plan), ...rows.map(({ team }) => team)])
  const holders = [...teams].flatMap((slug) => chainOf(plan, slug)).map((slug) => `team:${slug}`)
  const held = await readHeldGrants(run, [...holders, ...restored], plan.resources.known)

  const holds = remembering(holdsAt(run, ceiling, plan))
  const ofRole = new Map<string, string | undefined>()
  const missingOfGrant = (grant: GrantIdentity): string | undefined => {
    const resource =
      grant.resourceType === null ? null : { type: grant.resourceType, id: grant.resourceId! }
    const role = roleIdOf(grant)
    if (role === null)
      return holds(grant.permission!, grant.workspaceId, resource) ? undefined : grant.permission!
    const key = `${role}\u0000${grant.workspaceId}\u0000${resource && resourceKey(resource)}`
    if (!ofRole.has(key)) {
      const given = permissionsAt(graph.after, role, grant.workspaceId, resource)
      const missing = given.find((permission) => !holds(permission, grant.workspaceId, resource))
      ofRole.set(key, missing)
    }
    return ofRole.get(key)
  }
  const missingOfSubject = remembering1((subject: string) => firstOf(held.of(subject).filter(isAllow), missingOfGrant))
  const missingOfTeam = (slug: string) =>
    firstOf(chainOf(plan, slug), (each) => missingOfSubject(`team:${each}`))
  return {
    ...graph,
    missing: (permissions) => firstOf(permissions, (each) => (holds(each, null, null) ? undefined : each)),
    missingOfGrant,
    missingOfTeam,
    missingOfMember: (subject) =>
      missingOfSubject(subject) ??
      firstOf(teamsOf.get(subject) ?? [], ({ team }) => missingOfTeam(team)),
  }
}
