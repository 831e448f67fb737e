import type { Ceiling } from '../platform/context.ts'
import { type GrantIdentity, readHeldGrants, roleIdOf } from './held-grants.ts'
import { createHolding } from './holding.ts'
import type { Plan } from './plan.ts'
import { givenBy, ownPermissions } from './role-graph.ts'
import { lookUp, type Run } from './run.ts'
import { findTeamsOf, type ResourceId, type StoredMember } from './stored.ts'

/** What an import gives, measured: the first permission in it that the giver does not hold there, if any. */
export type Giving = Awaited<ReturnType<typeof createGiving>>

/**
 * The grant ceiling over many objects: what is given must be a subset of what the giver holds there. The same role at
 * the same place is asked about once, however many grants give it.
 */
export const createGiving = async (run: Run, ceiling: Ceiling, plan: Plan) => {
  const { before, after } = plan.roles
  const { held, teamsOf } = await readHolders(run, plan)
  ceiling.reads([...held.all(), ...plan.grants.map(({ after }) => after)].map(resourceOf))
  const holding = createHolding(run, ceiling, plan)

  /** Of a role at a place, with all it inherits; no cycle is left here, and no long chain. */
  const missingOfRoleAt = remembered(
    (id: string, workspaceId: string | null, resource: ResourceId | null): string | undefined => {
      const node = after.get(id)!
      for (const [permission, condition] of ownPermissions(node, run.permissions)) {
        const means = holding.means(permission, workspaceId, resource)
        if (means && !holding.holds({ permission, condition, workspaceId, resource }))
          return permission
      }
      return firstOf(node.parents, (parent) => missingOfRoleAt(parent, workspaceId, resource))
    },
  )
  /** Of one grant. */
  const missingOfGrant = (grant: GrantIdentity): string | undefined => {
    const { workspaceId, permission, condition } = grant
    const { resource } = resourceOf(grant)
    const role = roleIdOf(grant)
    if (role !== null) return missingOfRoleAt(role, workspaceId, resource)
    if (holding.holds({ permission: permission!, condition, workspaceId, resource }))
      return undefined
    return permission!
  }
  const missingOfSubject = remembered((subject: string) =>
    firstOf(
      held.of(subject).filter(({ effect }) => effect === 'allow'),
      missingOfGrant,
    ),
  )
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
    /** Of what a role gives more than until now; a loosened condition is something given, too. */
    missingOfRole: (id: string) => {
      if (missingOfRoleAt(id, null, null) === undefined) return undefined
      const had = givenBy(before, run.permissions, id)
      const everywhere = { workspaceId: null, resource: null }
      return firstOf(givenBy(after, run.permissions, id), ([key, given]) =>
        had.has(key) || holding.holds({ ...given, ...everywhere }) ? undefined : given.permission,
      )
    },
  }
}

const resourceOf = ({ resourceType, resourceId }: GrantIdentity) => ({
  resource: resourceType === null ? null : { type: resourceType, id: resourceId! },
})

const firstOf = <Item>(items: Iterable<Item>, find: (item: Item) => string | undefined) => {
  for (const item of items) {
    const found = find(item)
    if (found !== undefined) return found
  }
  return undefined
}

/** Answers each question once. */
const remembered = <Asked extends readonly unknown[]>(
  find: (...asked: Asked) => string | undefined,
) => {
  const answers = new Map<string, string | undefined>()
  return (...asked: Asked): string | undefined => {
    const key = JSON.stringify(asked)
    if (!answers.has(key)) answers.set(key, find(...asked))
    return answers.get(key)
  }
}

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
  const holders = [...teams].flatMap((slug) => [...chainOf(plan, slug)])
  const held = await readHeldGrants(
    run,
    [...holders.map((slug) => `team:${slug}`), ...restored],
    plan.resources.known,
  )
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
