import { checkCondition } from '../engine/condition.ts'
import type { Line } from '../engine/line.ts'
import type { Ceiling, Context, Held, Place } from '../platform/context.ts'
import type { Queryable, Transaction } from '../platform/db/connect.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { splitPermission } from './decide.ts'
import { linesOfOrganization, linesOfPlatform, platformRoles } from './lines.ts'
import type { RoleRow } from './repository.ts'
import * as repository from './repository.ts'

/**
 * The grant ceiling: what is given must be a subset of what the giver holds there, compared as sets of permissions, never
 * by role names. Here stands what a role, a subject or a team amounts to.
 */

/** The permissions a role gives where it is held; what is wider than the place has no effect there. */
export const givenByRole = async (
  tx: Queryable,
  role: RoleRow,
  place: Place,
  resource: { type: string; id: string } | null = null,
): Promise<Held[]> => {
  const held = await repository.findRolePermissions(tx, role)
  return held
    .filter(({ scope }) => (resource === null && !place.workspaceId ? true : scope === 'workspace'))
    .filter(
      ({ permission }) => resource === null || splitPermission(permission).type === resource.type,
    )
    .map(({ permission, condition }) => ({ permission, place, resource, condition }))
}

/** Everything a subject (`user:…`, `team:…`, `key:…`) holds by allowing grants, teams and their parents included. */
export const givenBySubject = async (
  tx: Queryable,
  organizationId: string,
  subject: string,
): Promise<Held[]> =>
  heldBy(
    tx,
    organizationId,
    await repository.findHeldGrants(tx, { organizationId, subject, effect: 'allow' }),
  )

/** Everything that is denied to a subject, by teams and their parents, too: what ends a denial gives this. */
export const deniedToSubject = async (
  tx: Queryable,
  organizationId: string,
  subject: string,
): Promise<Held[]> =>
  withoutConditions(
    await heldBy(
      tx,
      organizationId,
      await repository.findHeldGrants(tx, { organizationId, subject, effect: 'deny' }),
    ),
  )

/** Everything that is denied on one resource, to whomever. */
export const deniedOnResource = async (
  tx: Queryable,
  resource: { organizationId: string; type: string; id: string },
): Promise<Held[]> =>
  withoutConditions(
    await heldBy(tx, resource.organizationId, await repository.findDenialsOn(tx, resource)),
  )

/** Everything that is denied in a workspace, to whomever: what its end gives. */
export const deniedInWorkspace = async (
  tx: Queryable,
  organizationId: string,
  workspaceId: string,
): Promise<Held[]> =>
  withoutConditions(
    await heldBy(
      tx,
      organizationId,
      await repository.findDenialsIn(tx, organizationId, workspaceId),
    ),
  )

/** Whether a condition reads something of the subject that an editor of members can set. */
export const readsAttributes = (condition: string | null | undefined): boolean =>
  /\bsubject\s*(?:\.\s*(?!id\b|type\b)|\[)/.test(condition ?? '')

/**
 * What a subject holds or is refused under conditions that read its attributes: other attributes give it, so whoever sets
 * them must hold it without a condition.
 */
export const dependingOnAttributes = async (
  tx: Queryable,
  organizationId: string,
  subject: string,
): Promise<Held[]> => {
  const depending: Held[] = []
  for (const effect of ['allow', 'deny'] as const)
    for (const grant of await repository.findHeldGrants(tx, { organizationId, subject, effect })) {
      const held = await heldBy(tx, organizationId, [grant])
      const isConditional = readsAttributes(grant.condition)
      depending.push(...held.filter((each) => isConditional || readsAttributes(each.condition)))
    }
  return withoutConditions(depending)
}

/**
 * Owners are refused something by owners only: whoever could deny them what takes a denial back would have the organization
 * for themselves. Call before a change that may deny more to somebody, and what it answers after it.
 * @throws Problem 403 from the second call, where an owner is denied what was not denied to them before
 */
export const guardOwners = async (
  tx: Queryable,
  ceiling: Ceiling,
  organizationId: string,
): Promise<() => Promise<void>> => {
  if (ceiling.mayGiveOwnership) return async () => {}
  const before = await denialsOfOwners(tx, organizationId)
  return async () => {
    for (const denial of await denialsOfOwners(tx, organizationId))
      if (!before.has(denial))
        throw new Problem(
          'forbidden',
          'owner-required',
          'This would refuse something to an owner, which only an owner may do.',
        )
  }
}

const denialsOfOwners = async (tx: Queryable, organizationId: string): Promise<Set<string>> => {
  const denials = new Set<string>()
  for (const { owner, expiresAt, ...grant } of await repository.findDenialsOfOwners(
    tx,
    organizationId,
  ))
    for (const { permission, place, resource, condition } of await heldBy(tx, organizationId, [
      grant,
    ]))
      denials.add(
        JSON.stringify([
          owner,
          permission,
          place.workspaceId ?? null,
          resource ?? null,
          [grant.condition, condition],
          expiresAt,
        ]),
      )
  return denials
}

/** The end of a denial gives the permission as such, whatever condition the denial had. */
const withoutConditions = (held: readonly Held[]): Held[] =>
  held.map((each) => ({ ...each, condition: null }))

const heldBy = async (
  tx: Queryable,
  organizationId: string,
  grants: readonly repository.HeldGrantRow[],
): Promise<Held[]> => {
  const held: Held[] = []
  for (const grant of grants) {
    const place = { organizationId, workspaceId: grant.workspaceId }
    const resource =
      grant.resourceType === null ? null : { type: grant.resourceType, id: grant.resourceId! }
    const { permission, condition } = grant
    if (permission !== null) held.push({ permission, place, resource, condition })
    else
      held.push(
        ...(await givenByRole(
          tx,
          [grant.roleHome!, grant.roleScope!, grant.roleName!],
          place,
          resource,
        )),
      )
  }
  return held
}

/** @throws Problem 403 that names the first permission the giver does not hold there */
export const refuseAboveCeiling = (
  ceiling: Ceiling,
  given: readonly Held[],
  pointer?: string,
): void => {
  ceiling.reads(given)
  const missing = given.find((held) => !ceiling.holds({ condition: null, ...held }))
  if (!missing) return
  const detail = `You do not hold ${missing.permission} there, so you cannot give it.`
  throw new Problem('forbidden', 'above-ceiling', detail, {
    permission: missing.permission,
    ...(pointer === undefined ? {} : { errors: [{ pointer, detail }] }),
  })
}

/** @throws Problem 403 that names the permission the actor lacks in the organization */
export const requireHeld = (ceiling: Ceiling, permission: string, organizationId: string): void => {
  if (!ceiling.holds({ permission, place: { organizationId } }))
    throw new Problem('forbidden', 'forbidden', `This needs the permission ${permission}.`, {
      permission,
    })
}

/** @throws Problem 403 where only an owner may act */
export const requireOwnership = (ceiling: Ceiling): void => {
  if (!ceiling.mayGiveOwnership)
    throw new Problem(
      'forbidden',
      'owner-required',
      'Only an owner may make, change or remove an owner.',
    )
}

/** What the actor may give at most. Ask before the first change. */
export const ceilingOf = (context: Context, tx: Transaction): Promise<Ceiling> =>
  context.access.ceiling(context, tx)

/** Whether taking a permission from a role gives it to somebody: a denying grant names the role. */
export const isDenied = (tx: Queryable, organizationId: string, role: RoleRow) =>
  repository.isDenied(tx, organizationId, role)

/** Every permission a role gives with all it inherits, and under which condition. */
export const permissionsOfRole = (tx: Queryable, role: RoleRow) =>
  repository.findRolePermissions(tx, role)

/** @throws Problem 422 for a condition that could never be evaluated, or too dearly; it says where and why */
export const requireCondition = (condition: string | null | undefined, pointer: string): void => {
  if (condition === null || condition === undefined) return
  const checked = checkCondition(condition)
  if (!checked.ok) throw unprocessable('condition-invalid', pointer, checked.detail)
}

/** Every line that decides in an organization, the platform's included. */
export const findOrganizationLines = async (
  tx: Queryable,
  organizationId: string,
): Promise<Line[]> => {
  const shared = await repository.findPlatform(tx)
  const rows = await repository.findOrganization(tx, organizationId)
  if (!rows)
    throw new Problem('not-found', 'organization-not-found', 'There is no such organization.')
  return [...linesOfPlatform(shared), ...linesOfOrganization(rows, platformRoles(shared))]
}
