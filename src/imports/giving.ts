import type { Ceiling } from '../platform/context.ts'
import { type GrantIdentity, readHeldGrants, roleIdOf } from './held-grants.ts'
import type { Plan } from './plan.ts'
import { resourceKey } from './plan-places.ts'
import { createRoleGraph, type RoleGraph } from './role-graph.ts'
import { lookUp, type Run } from './run.ts'
import { findTeamsOf, type ResourceId, type StoredMember } from './stored.ts'

/** What an import gives, measured: the first permission in it that the giver does not hold there, if any. */
export type Giving = Awaited<ReturnType<typeof createGiving>>

/**
 * The grant ceiling over many objects: what is given must be a subset of what the giver holds there. The same role at
 * the same place is asked about once, however many grants give it.
 */
export const createGiving = async (run: Run, ceiling: Ceiling, plan: Plan) => {
  const before = createRoleGraph(plan.roles.before, run.permissions)
  const after = createRoleGraph(plan.roles.after, run.permissions)
  const { held, teamsOf } = await readHolders(run, plan)
  const holds = holdsAt(run, ceiling, plan)

  const ofRole = new Map<string, string | undefined>()
  /** Of one grant. */
  const missingOfGrant = (grant: GrantIdentity): string | undefined => {
    const resource =
      grant.resourceType === null ? null : { type: grant.resourceType, id: grant.resourceId! }
    const role = roleIdOf(grant)
    if (role === null) {
      const condition = grant.effect === 'deny' ? null : grant.condition
      const given = { permission: grant.permission!, condition }
      return holds(given, grant.workspaceId, resource) ? undefined : grant.permission!
    }
    const key = [role, grant.workspaceId, resource && resourceKey(resource)].join('\u0000')
    if (!ofRole.has(key)) {
      const given = permissionsAt(after, role, grant.workspaceId, resource)
      ofRole.set(key, given.find((each) => !holds(each, grant.workspaceId, resource))?.permission)
    }
    return ofRole.get(key)
  }
  const ofSubject = new Map<string, string | undefined>()
  const missingOfSubject = (subject: string): string | undefined => {
    if (!ofSubject.has(subject)) {
      const allowing = held.of(subject).filter(({ effect }) => effect === 'allow')
      ofSubject.set(subject, firstOf(allowing, missingOfGrant))
    }
    return ofSubject.get(subject)
  }
  /** Of what a team holds, with the teams above it. */
  const missingOfTeam = (slug: string) =>
    firstOf(chainOf(plan, slug), (each) => missingOfSubject(`team:${each}`))
  return {
    missingOfGrant,
    missingOfTeam,
    /** Of what a member holds, by teams, too. */
    missingOfMember: (subject: string) =>
      missingOfSubject(subject) ??
      firstOf(teamsOf.get(subject) ?? [], ({ team }) => missingOfTeam(team)),
    /** Of what a role gives more than until now. */
    missingOfRole: (id: string) => {
      const had = new Set(before.givenBy(id).map(heldAs))
      const added = after.givenBy(id).filter((each) => !had.has(heldAs(each)))
      return added.find((each) => !holds(each, null, null))?.permission
    },
  }
}

const firstOf = <Item>(items: Iterable<Item>, find: (item: Item) => string | undefined) => {
  for (const item of items) {
    const found = find(item)
    if (found !== undefined) return found
  }
  return undefined
}

type Given = { permission: string; condition: string | null }

/** A loosened condition is something given, too. */
const heldAs = ({ permission, condition }: Given) => `${permission} ${condition ?? ''}`

/** The permissions a role gives where it is held; what is wider than the place has no effect there. */
const permissionsAt = (
  graph: RoleGraph,
  role: string,
  workspaceId: string | null,
  resource: ResourceId | null,
): Given[] =>
  graph
    .givenBy(role)
    .filter(({ scope }) => (resource === null && workspaceId === null) || scope === 'workspace')
    .filter(({ permission }) => resource === null || permission.startsWith(`${resource.type}:`))

/** The grants of the teams that get members or a parent, and of the members who are let in again. */
const readHolders = async (run: Run, plan: Plan) => {
  const restored = plan.members.changes
    .filter(({ before, after }) => isRestored(before, after))
    .map(({ after }) => after.subject)
  const memberships = await lookUp(run, restored, (slice) =>
    findTeamsOf(run.tx, run.organizationId, slice),
  )
  const teams = new Set([
    ...plan.teams.joining.map(({ team }) => team),
    ...plan.teams.changes.flatMap(({ after }) => after.parent ?? []),
    ...memberships.map(({ team }) => team),
  ])
  const holders = [...teams]
    .flatMap((slug) => [...chainOf(plan, slug)])
    .map((slug) => `team:${slug}`)
  const held = await readHeldGrants(run, [...holders, ...restored], plan.resources.known)
  return { held, teamsOf: Map.groupBy(memberships, ({ subject }) => subject) }
}

/** Lifting a suspension or moving an end gives back everything the member holds. */
export const isRestored = (before: StoredMember | undefined, after: StoredMember): boolean =>
  before !== undefined &&
  ((before.status === 'suspended' && after.status === 'active') ||
    (before.expiresAt !== null &&
      (after.expiresAt === null || Date.parse(after.expiresAt) > Date.parse(before.expiresAt))))

/** A team and those above it, as they will be. */
const chainOf = ({ teams }: Plan, slug: string): Set<string> => {
  const chain = new Set<string>()
  for (let team = teams.known.get(slug); team && !chain.has(team.slug); ) {
    chain.add(team.slug)
    team = team.parent === null ? undefined : teams.known.get(team.parent)
  }
  return chain
}

/** Whether the giver holds a permission where things will be after the import; each question is asked once. */
const holdsAt = (run: Run, ceiling: Ceiling, { resources }: Plan) => {
  const ask = (given: Given, workspaceId: string | null, resource: ResourceId | null) => {
    const place = { organizationId: run.organizationId, workspaceId }
    const { permission, condition } = given
    if (resource === null) return ceiling.holds({ permission, place, condition })
    const key = resourceKey(resource)
    const holdsOnIt = () => ceiling.holds({ permission, place, resource, condition })
    if (!resources.moved.has(key)) return holdsOnIt()
    // Where it will be counts, and what is held on it already. On an unregistered one of a strict type nothing is yet.
    if (!ceiling.holds({ permission, place, condition })) return false
    return (resources.added.has(key) && run.resourceTypes.get(resource.type)) || holdsOnIt()
  }
  const answers = new Map<string, boolean>()
  return (given: Given, workspaceId: string | null, resource: ResourceId | null): boolean => {
    const key = [heldAs(given), workspaceId, resource && resourceKey(resource)].join('\u0000')
    const known = answers.get(key)
    if (known !== undefined) return known
    const answer = ask(given, workspaceId, resource)
    answers.set(key, answer)
    return answer
  }
}
