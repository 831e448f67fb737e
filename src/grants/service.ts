import { recordChange } from '../audit/service.ts'
import {
  ceilingOf,
  givenByRole,
  guardOwners,
  refuseAboveCeiling,
  requireCondition,
} from '../decisions/ceiling.ts'
import { getScopes, requireResourceType } from '../permissions/service.ts'
import type { Ceiling, Context, Held } from '../platform/context.ts'
import type { Queryable, Transaction } from '../platform/db/connect.ts'
import {
  changeOrganization,
  inOrganization,
  inPlatform,
  refuseUnlessActive,
} from '../platform/db/transaction.ts'
import type { Violations } from '../platform/db/violation.ts'
import { newId } from '../platform/id.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import { findLocation } from '../resources/service.ts'
import { resolveRole } from '../roles/service.ts'
import { resolveTeam } from '../teams/service.ts'
import { resolveWorkspace } from '../workspaces/service.ts'
import type { GrantRow, NewGrant } from './repository.ts'
import * as repository from './repository.ts'
import type { CreateGrant, Grant, ListGrants, OneGrant, PatchGrant } from './schema.ts'

/** What the database refuses about grants. */
export const grantViolations: Violations = {
  grants_are_unique: ['conflict', 'grant-exists', 'The subject has this grant already.'],
  grants_subject_is_a_member: [
    'unprocessable',
    'member-unknown',
    'Not a member of the organization.',
    '/subject',
  ],
  grants_team_is_of_the_organization: [
    'unprocessable',
    'team-unknown',
    'There is no such team.',
    '/subject',
  ],
  grants_key_is_of_the_organization: [
    'unprocessable',
    'api-key-unknown',
    'There is no such API key.',
    '/subject',
  ],
  grants_never_to_a_role: [
    'unprocessable',
    'subject-is-a-role',
    'A role gets permissions by being edited.',
    '/subject',
  ],
  grants_permission_no_wider_than_the_place: [
    'unprocessable',
    'permission-too-wide',
    'This permission means something in a wider place only.',
    '/permission',
  ],
  grants_permission_fits_the_resource: [
    'unprocessable',
    'permission-of-another-type',
    'The permission is about another resource type.',
    '/permission',
  ],
  grants_ownership_is_a_flag: [
    'unprocessable',
    'ownership-not-grantable',
    'Ownership is given by membership (roles: ["owner"]).',
    '/role',
  ],
  typeid_form: ['unprocessable', 'api-key-unknown', 'There is no such API key.', '/subject'],
}

const shown = ({
  workspaceId: _workspaceId,
  resourceType: _resourceType,
  resourceId: _resourceId,
  roleHome: _roleHome,
  roleScope: _roleScope,
  ...grant
}: GrantRow): Grant => grant

/** Grants: who holds which role or permission, where, until when. */
export const createGrant = (context: Context, input: CreateGrant) =>
  changeOrganization(context, async (tx, organizationId) => {
    const ceiling = await ceilingOf(context, tx)
    return giveWithin(context, tx, { organizationId, ceiling, input })
  })

/** Gives one grant inside a change that may give more. */
export const giveWithin = async (
  context: Context,
  tx: Transaction,
  {
    organizationId,
    ceiling,
    input,
  }: { organizationId: string; ceiling: Ceiling; input: CreateGrant },
) => {
  refusePast(context, input.expiresAt)
  requireCondition(input.condition, '/condition')
  const grant = await resolveGrant(tx, organizationId, input)
  if (grant.effect === 'allow') refuseAboveCeiling(ceiling, await givenBy(tx, grant))
  const refuseHarm = await guardingOwners(tx, ceiling, grant)
  const row = { ...grant, id: newId('grt'), grantedBy: context.actor.subject }
  // Sent one behind the other, without waiting for each answer.
  const [, isNew, stored] = await Promise.all([
    repository.deleteExpiredTwin(tx, row).execute(),
    repository.insertGrant(tx, row),
    repository.findGrant(tx, organizationId, row.id),
  ])
  if (!isNew) throw new Problem('conflict', 'grant-exists', 'The subject has this grant already.')
  await refuseHarm()
  const created = shown(stored!)
  await recordChange(tx, context, {
    event: 'grant.created',
    resource: `grant:${row.id}`,
    subject: row.subject,
    workspaceId: row.workspaceId,
    after: created,
    reason: row.reason,
  })
  return created
}

/** Only a refusal can harm an owner. */
const guardingOwners = async (
  tx: Transaction,
  ceiling: Ceiling,
  { organizationId, effect }: { organizationId: string; effect: string },
) => (effect === 'deny' ? guardOwners(tx, ceiling, organizationId) : async () => {})

const refusePast = (context: Context, expiresAt: string | null | undefined) => {
  if (expiresAt && Date.parse(expiresAt) <= context.now().getTime())
    throw unprocessable('expiry-past', '/expiresAt', 'expiresAt is in the past.')
}

/** A grant with every name in it resolved: workspace, resource's place, role, permission. */
const resolveGrant = async (
  tx: Transaction,
  organizationId: string,
  input: CreateGrant,
): Promise<Omit<NewGrant, 'id' | 'grantedBy'>> => {
  const resource = resourceOf(input.resource)
  const [named, registered, scopes] = await Promise.all([
    input.workspace
      ? resolveWorkspace(tx, organizationId, { reference: input.workspace, pointer: '/workspace' })
      : null,
    resource && findLocation(tx, organizationId, resource),
    input.permission
      ? getScopes(tx, [{ key: input.permission, pointer: '/permission' }])
      : undefined,
    resource && requireResourceType(tx, resource.type, '/resource'),
    input.subject.startsWith('team:')
      ? resolveTeam(tx, organizationId, input.subject.slice(5), '/subject')
      : undefined,
  ])
  if (registered && named !== null && registered.workspaceId !== named)
    throw unprocessable(
      'workspace-differs',
      '/workspace',
      'The resource is registered elsewhere; leave the workspace out.',
    )
  const workspaceId = registered ? registered.workspaceId : named
  const role = input.role
    ? await resolveRole(tx, organizationId, {
        name: input.role,
        inWorkspace: workspaceId !== null,
        pointer: '/role',
      })
    : null
  return {
    organizationId,
    workspaceId,
    resourceType: resource?.type ?? null,
    resourceId: resource?.id ?? null,
    subject: input.subject,
    roleHome: role?.home ?? null,
    roleScope: role?.scope ?? null,
    roleName: role?.name ?? null,
    permission: input.permission ?? null,
    permissionScope: input.permission ? (scopes?.get(input.permission) ?? null) : null,
    effect: input.effect,
    condition: input.condition ?? null,
    expiresAt: input.expiresAt ?? null,
    reason: input.reason ?? null,
  }
}

const resourceOf = (reference: string | null | undefined) => {
  if (!reference) return null
  const colon = reference.indexOf(':')
  return { type: reference.slice(0, colon), id: reference.slice(colon + 1) }
}

type Given = Pick<
  NewGrant,
  | 'workspaceId'
  | 'resourceType'
  | 'resourceId'
  | 'roleHome'
  | 'roleName'
  | 'permission'
  | 'effect'
  | 'condition'
> & { organizationId: string; roleScope: string | null }

/** What a grant gives, as a set of permissions at its place. */
const givenBy = async (tx: Queryable, grant: Given): Promise<Held[]> => {
  const { organizationId, workspaceId, permission } = grant
  const place = { organizationId, workspaceId }
  const resource =
    grant.resourceType === null ? null : { type: grant.resourceType, id: grant.resourceId! }
  // What ends a denial gives the permission as such, whatever condition the denial had.
  const condition = grant.effect === 'deny' ? null : grant.condition
  if (permission !== null) return [{ permission, place, resource, condition }]
  const role = [grant.roleHome!, grant.roleScope as 'organization', grant.roleName!] as const
  return givenByRole(tx, [...role], place, resource)
}

export const listGrants = (context: Context, { limit, cursor, workspace, ...filter }: ListGrants) =>
  inOrganization(context, async (tx, organizationId) => {
    const workspaceId =
      workspace === undefined
        ? undefined
        : await resolveWorkspace(tx, organizationId, {
            reference: workspace,
            pointer: '/workspace',
          })
    const range = {
      organizationId,
      workspaceId,
      ...filter,
      after: positionOf(cursor),
      limit: limit + 1,
    }
    const page = toPage(await repository.listGrants(tx, range), limit, ({ id }) => id)
    return { ...page, items: page.items.map(shown) }
  })

const requireGrant = async (tx: Queryable, organizationId: string, id: string) => {
  const grant = await repository.findGrant(tx, organizationId, id)
  if (!grant) throw new Problem('not-found', 'grant-not-found', 'There is no such grant.')
  return grant
}

export const getGrant = (context: Context, { id }: OneGrant) =>
  inOrganization(context, async (tx, organizationId) =>
    shown(await requireGrant(tx, organizationId, id)),
  )

/** Changes until when, under which condition and why. Whatever it may loosen meets the ceiling. */
export const patchGrant = (context: Context, { id, ...patch }: PatchGrant) =>
  changeOrganization(context, async (tx, organizationId) => {
    const ceiling = await ceilingOf(context, tx)
    const before = await requireGrant(tx, organizationId, id)
    refuseStale(context, before.version)
    refusePast(context, patch.expiresAt)
    requireCondition(patch.condition, '/condition')
    const {
      condition = before.condition,
      expiresAt = before.expiresAt,
      reason = before.reason,
    } = patch
    if (condition !== before.condition || expiresAt !== before.expiresAt)
      refuseAboveCeiling(
        ceiling,
        await givenBy(tx, { organizationId, ...before, roleName: before.role, condition }),
      )
    const refuseHarm = await guardingOwners(tx, ceiling, { organizationId, effect: before.effect })
    await repository.updateGrant(tx, { organizationId, id, condition, expiresAt, reason })
    await refuseHarm()
    const after = shown(await requireGrant(tx, organizationId, id))
    await recordChange(tx, context, {
      event: 'grant.updated',
      resource: `grant:${id}`,
      subject: before.subject,
      workspaceId: before.workspaceId,
      before: shown(before),
      after,
    })
    return after
  })

export const deleteGrant = (context: Context, { id }: OneGrant) =>
  changeOrganization(
    context,
    async (tx, organizationId) => {
      const ceiling = await ceilingOf(context, tx)
      const grant = await requireGrant(tx, organizationId, id)
      refuseStale(context, grant.version)
      // The end of a denial is no shrinking.
      if (grant.effect === 'deny') await refuseUnlessActive(tx, organizationId)
      await endWithin(context, tx, { organizationId, ceiling, grant })
    },
    { shrinks: true },
  )

/** Ends one grant inside a change that may end more. */
const endWithin = async (
  context: Context,
  tx: Transaction,
  { organizationId, ceiling, grant }: { organizationId: string; ceiling: Ceiling; grant: GrantRow },
) => {
  // Taking a deny away gives, so the ceiling holds here too.
  if (grant.effect === 'deny')
    refuseAboveCeiling(
      ceiling,
      await givenBy(tx, { organizationId, ...grant, roleName: grant.role }),
    )
  await repository.deleteGrant(tx, organizationId, grant.id)
  await recordChange(tx, context, {
    event: 'grant.deleted',
    resource: `grant:${grant.id}`,
    subject: grant.subject,
    workspaceId: grant.workspaceId,
    before: shown(grant),
  })
}

/** Ends the grant that says exactly this, inside a change that may end more. @returns false where there is none */
export const takeWithin = async (
  context: Context,
  tx: Transaction,
  {
    organizationId,
    ceiling,
    input,
  }: { organizationId: string; ceiling: Ceiling; input: CreateGrant },
): Promise<boolean> => {
  const wanted = await resolveGrant(tx, organizationId, input)
  const id = await repository.findTwin(tx, wanted)
  if (id === undefined) return false
  await endWithin(context, tx, {
    organizationId,
    ceiling,
    grant: await requireGrant(tx, organizationId, id),
  })
  return true
}

/** Expired grants read at once, and ended with one change of an organization. */
const EXPIRED_MAX = 1000
const EXPIRED_PER_CHANGE = 200

/** Takes expired grants out, with an event each; they decide nothing since they expired. Answers how many. */
export const endExpiredGrants = async (context: Context, signal: AbortSignal): Promise<number> => {
  let ended = 0
  for (;;) {
    const expired = await inPlatform(context.sql, (tx) => repository.findExpired(tx, EXPIRED_MAX))
    for (const [organizationId, grants] of Map.groupBy(expired, (each) => each.organizationId))
      for (let from = 0; from < grants.length; from += EXPIRED_PER_CHANGE) {
        signal.throwIfAborted()
        const ids = grants.slice(from, from + EXPIRED_PER_CHANGE).map(({ id }) => id)
        ended += await endGrants({ ...context, organizationId }, ids)
      }
    if (expired.length < EXPIRED_MAX) return ended
  }
}

const endGrants = (context: Context, ids: readonly string[]) =>
  changeOrganization(context, async (tx, organizationId) => {
    let ended = 0
    for (const id of ids) {
      const before = await repository.findGrant(tx, organizationId, id)
      if (!before || !(await repository.deleteIfExpired(tx, organizationId, id))) continue
      ended++
      await recordChange(tx, context, {
        event: 'grant.expired',
        resource: `grant:${id}`,
        subject: before.subject,
        workspaceId: before.workspaceId,
        before: shown(before),
      })
    }
    return ended
  })
