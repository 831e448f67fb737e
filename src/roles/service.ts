import { recordChange } from '../audit/service.ts'
import {
  ceilingOf,
  guardOwners,
  isDenied,
  permissionsOfRole,
  refuseAboveCeiling,
  requireCondition,
  requireHeld,
} from '../decisions/ceiling.ts'
import { getScopes } from '../permissions/service.ts'
import { remembered } from '../platform/cache/remembered.ts'
import type { Ceiling, Context } from '../platform/context.ts'
import type { Queryable, Transaction } from '../platform/db/connect.ts'
import { beforeDeadline } from '../platform/db/deadline.ts'
import { findRevisions } from '../platform/db/revisions.ts'
import {
  changeOrganization,
  changePlatform,
  inOrganization,
  inOrganizationSnapshot,
} from '../platform/db/transaction.ts'
import type { Violations } from '../platform/db/violation.ts'
import { didYouMean } from '../platform/nearest.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import type { Pack } from './packs.ts'
import type { RoleKey, StoredRole } from './repository.ts'
import * as repository from './repository.ts'

export { type Pack, readPack } from './packs.ts'

import type {
  CopyRole,
  DeleteRole,
  ListHistory,
  ListRoles,
  PutRole,
  Role,
  RoleComparison,
  TwoRoles,
} from './schema.ts'

/** What the database refuses about roles. */
export const roleViolations: Violations = {
  role_permissions_no_wider_than_the_role: [
    'unprocessable',
    'permission-too-wide',
    'A role holds only permissions of its own scope or a narrower one.',
    '/permissions',
  ],
  role_inherits_no_wider_than_the_role: [
    'unprocessable',
    'role-too-wide',
    'A role inherits only roles of its own scope or a narrower one.',
    '/inherits',
  ],
  role_inherits_never_owner: [
    'unprocessable',
    'owner-not-inheritable',
    'No role inherits owner.',
    '/inherits',
  ],
  role_inherits_parent_in_use: ['conflict', 'role-in-use', 'Another role inherits this one.'],
  grants_role_in_use: ['conflict', 'role-in-use', 'Grants give this role; name a replacement.'],
  roles_custom_name_unique: [
    'conflict',
    'role-exists',
    'A role of this name exists in another scope.',
  ],
  LK005: ['unprocessable', 'inheritance-cycle', 'It would inherit from itself.'],
  LK006: [
    'unprocessable',
    'inheritance-too-deep',
    'It would nest too deep: roles 10 links, teams 8 deep.',
  ],
}

const withoutHome = ({ home: _home, ...role }: StoredRole): Role => role

const keyOf = ({ home, scope, name }: RoleKey): RoleKey => ({ home, scope, name })

const notFound = () => new Problem('not-found', 'role-not-found', 'There is no such role.')

/** Roles: named sets of permissions, which may inherit other roles. Built-in ones can be read and copied only. */
export const listRoles = (context: Context, { limit, cursor, scope }: ListRoles) =>
  inOrganization(context, async (tx, organizationId) => {
    const range = { organizationId, scope, after: positionOf(cursor), limit: limit + 1 }
    const page = toPage(
      await repository.listRoles(tx, range),
      limit,
      (role) => `${role.name} ${role.scope}`,
    )
    return { ...page, items: page.items.map(withoutHome) }
  })

/** One role by name; where a name exists in two scopes, the organization's is meant. */
export const getRole = (context: Context, { name }: { name: string }) =>
  inOrganization(context, async (tx, organizationId) =>
    withoutHome(await requireRole(tx, organizationId, name)),
  )

/**
 * What two roles give, side by side, with all they inherit. Nothing else of them is in it: a description raises no revision,
 * so it would not be known when that is out of date.
 */
export const compareRoles = async (
  context: Context,
  { name, other }: TwoRoles,
): Promise<RoleComparison> => {
  const about = { ...(await revisionsNow(context)), key: JSON.stringify(['compare', name, other]) }
  const { value } = await remembered(context, 'role', about, () =>
    beforeDeadline(
      inOrganizationSnapshot(context, async (tx, organizationId) => {
        const [at, value] = await Promise.all([
          revisionsNow({ sql: tx, organizationId }),
          readAndCompare(tx, organizationId, { name, other }),
        ])
        return { value, ...at }
      }),
    ),
  )
  return value
}

/** Asked of the database, so that who has just edited a role on another node sees it here. */
const revisionsNow = async ({
  sql,
  organizationId,
}: {
  sql: Queryable
  organizationId: string
}) => {
  const { revision, platformRevision } = await beforeDeadline(findRevisions(sql, organizationId))
  return { revision: revision ?? 0, platformRevision }
}

const readAndCompare = async (
  tx: Queryable,
  organizationId: string,
  { name, other }: TwoRoles,
): Promise<RoleComparison> => {
  const left = await givenBy(tx, organizationId, name)
  const right = await givenBy(tx, organizationId, other)
  const onlyLeft = [...left].filter(([key]) => !right.has(key)).map(([, each]) => each)
  const onlyRight = [...right].filter(([key]) => !left.has(key)).map(([, each]) => each)
  const both = [...left].filter(([key]) => right.has(key)).map(([, each]) => each)
  return { onlyLeft, onlyRight, both, relation: relationOf(onlyLeft.length, onlyRight.length) }
}

const relationOf = (onlyLeft: number, onlyRight: number): RoleComparison['relation'] =>
  onlyLeft === 0
    ? onlyRight === 0
      ? 'equal'
      : 'left-within-right'
    : onlyRight === 0
      ? 'right-within-left'
      : 'neither'

/** What a role gives, by permission and condition, in the order of the permissions. */
const givenBy = async (tx: Queryable, organizationId: string, name: string) => {
  const { home, scope, name: exact } = await requireRole(tx, organizationId, name)
  const held = await permissionsOfRole(tx, [home, scope, exact])
  const sorted = [...held].sort((a, b) => (a.permission < b.permission ? -1 : 1))
  return new Map(
    sorted.map(({ permission, condition }) => [
      JSON.stringify([permission, condition]),
      { permission, condition },
    ]),
  )
}

/** The organization's own role of a name, if it has one. */
export const findOwnRole = async (
  tx: Queryable,
  organizationId: string,
  name: string,
): Promise<Role | undefined> => {
  const found = await repository.findRoles(tx, organizationId, name)
  const own = found.find(({ builtIn }) => !builtIn)
  return own && withoutHome(own)
}

const requireRole = async (tx: Queryable, organizationId: string, name: string) => {
  const found = await repository.findRoles(tx, organizationId, name)
  const role = found.find(({ scope }) => scope === 'organization') ?? found[0]
  if (!role) throw notFound()
  return role
}

/**
 * The role a name means at a place: in a workspace its own roles first, then the organization's; elsewhere the
 * organization's.
 * @throws Problem 422 with the nearest known names
 */
export const resolveRole = async (
  tx: Queryable,
  organizationId: string,
  { name, inWorkspace, pointer }: { name: string; inWorkspace: boolean; pointer: string },
): Promise<RoleKey> => {
  const found = await repository.findRoles(tx, organizationId, name)
  const order = inWorkspace ? ['workspace', 'organization'] : ['organization']
  const role = order.flatMap((scope) => found.filter((each) => each.scope === scope))[0]
  if (role) return keyOf(role)
  const detail =
    found.length > 0
      ? 'This is a role of workspaces; name the workspace it is to be held in.'
      : `There is no such role.${didYouMean(name, await repository.findNames(tx, organizationId))}`
  throw unprocessable('role-unknown', pointer, detail)
}

/**
 * Creates or replaces a custom role. What is added to it must be held by who adds it; so must what is taken from a role
 * that is denied to somebody.
 */
export const putRole = (
  context: Context,
  input: PutRole,
  { mayReplace = true }: { mayReplace?: boolean } = {},
) =>
  changeOrganization(context, async (tx) =>
    writeRole(tx, context, { ...input, ceiling: await ceilingOf(context, tx), mayReplace }),
  )

/** The same inside a change that does more, and that has asked the ceiling before it changed anything. */
export const writeRole = async (
  tx: Transaction,
  context: Context,
  { ceiling, mayReplace = true, ...input }: PutRole & { ceiling: Ceiling; mayReplace?: boolean },
) => {
  const { organizationId } = context
  const [before] = await repository.findRoles(tx, organizationId, input.name)
  requireHeld(ceiling, before ? 'role:update' : 'role:create', organizationId)
  const scope = input.scope ?? (before?.builtIn === false ? before.scope : 'organization')
  await refuseBuiltIn(tx, input.name, before)
  if (before && !mayReplace)
    throw new Problem('conflict', 'role-exists', 'A role of this name exists already.')
  refuseStale(context, before?.version)
  if (before && before.scope !== scope)
    throw new Problem('conflict', 'role-scope-fixed', 'The scope of a role cannot be changed.')

  const key: RoleKey = { home: organizationId, scope, name: input.name }
  const held = await resolvePermissions(tx, input)
  const parents = await resolveParents(tx, organizationId, scope, input.inherits)
  const givenBefore = before ? await permissionsOf(tx, key) : new Set<string>()
  const refuseHarm = await guardOwners(tx, ceiling, organizationId)
  const { created } = await repository.upsertRole(tx, { organizationId, ...input, scope })
  await repository.replacePermissions(tx, key, held)
  await repository.replaceInherits(tx, key, parents)
  const given = await permissionsOf(tx, key)
  const added = minus(given, givenBefore)
  const taken = (await isDenied(tx, organizationId, rowOf(key))) ? minus(givenBefore, given) : []
  refuseAboveCeiling(ceiling, heldIn(organizationId, [...added, ...taken]), '/permissions')
  await refuseHarm()

  const [after] = await repository.findRoles(tx, organizationId, input.name)
  const role = withoutHome(after!)
  await recordChange(tx, context, {
    event: created ? 'role.created' : 'role.updated',
    resource: `role:${role.name}`,
    ...(before ? { before: withoutHome(before) } : {}),
    after: role,
  })
  return { created, role }
}

/** What a role gives with all it inherits, each with its condition: a loosened condition is something given, too. */
const permissionsOf = async (tx: Transaction, { home, scope, name }: RoleKey) => {
  const rows = await permissionsOfRole(tx, [home, scope, name])
  return new Set(rows.map(({ permission, condition }) => `${permission} ${condition ?? ''}`))
}

const minus = (left: ReadonlySet<string>, right: ReadonlySet<string>) =>
  [...left].filter((each) => !right.has(each))

/** As the ceiling is asked: a permission alone, or the condition after a blank. */
const heldIn = (organizationId: string, permissions: readonly string[]) =>
  permissions.map((each) => {
    const blank = each.indexOf(' ')
    const [permission, condition] = [each.slice(0, blank), each.slice(blank + 1)]
    return { permission, place: { organizationId }, condition: condition === '' ? null : condition }
  })

const rowOf = ({ home, scope, name }: RoleKey): [string, RoleKey['scope'], string] => [
  home,
  scope,
  name,
]

const refuseBuiltIn = async (tx: Transaction, name: string, before: StoredRole | undefined) => {
  if (before?.builtIn)
    throw new Problem(
      'conflict',
      'role-built-in',
      'Built-in roles cannot be edited or deleted; copy it.',
    )
  if (await repository.isReserved(tx, name))
    throw new Problem('conflict', 'role-name-reserved', 'A built-in role has this name.')
}

const resolvePermissions = async (tx: Transaction, { permissions }: PutRole) => {
  const held = permissions.map((each) =>
    typeof each === 'string'
      ? { permission: each, condition: null }
      : { permission: each.permission, condition: each.condition ?? null },
  )
  const duplicate = held.findIndex(
    ({ permission }, index) => held.findIndex((each) => each.permission === permission) !== index,
  )
  if (duplicate >= 0)
    throw unprocessable(
      'permission-twice',
      `/permissions/${duplicate}`,
      'This permission is listed twice.',
    )
  for (const [index, { condition }] of held.entries())
    requireCondition(condition, `/permissions/${index}/condition`)
  const scopes = await getScopes(
    tx,
    held.map(({ permission }, index) => ({ key: permission, pointer: `/permissions/${index}` })),
  )
  return held.map((each) => ({ ...each, scope: scopes.get(each.permission)! }))
}

const resolveParents = async (
  tx: Transaction,
  organizationId: string,
  scope: string,
  names: readonly string[],
) => {
  const parents: RoleKey[] = []
  for (const [index, name] of names.entries())
    parents.push(
      await resolveRole(tx, organizationId, {
        name,
        inWorkspace: scope === 'workspace',
        pointer: `/inherits/${index}`,
      }),
    )
  return parents
}

/** Copies any role, built-in ones too, to a custom role of the same scope. */
export const copyRole = async (context: Context, { source, name, description }: CopyRole) => {
  const role = await getRole(context, { name: source })
  const all = role.holdsEveryPermission
    ? await allPermissions(context, role.scope)
    : role.permissions
  const copy = {
    name,
    description: description ?? role.description,
    scope: role.scope as 'organization' | 'workspace',
    permissions: all as PutRole['permissions'],
    inherits: role.inherits,
  }
  return putRole(context, copy, { mayReplace: false })
}

const allPermissions = (context: Context, scope: string) =>
  inOrganization(context, async (tx) =>
    (await permissionsOfRole(tx, ['platform', scope as 'organization', 'owner'])).map(
      ({ permission }) => permission,
    ),
  )

/** Deletes a custom role. One in use needs a replacement, which its holders get in the same transaction. */
export const deleteRole = (context: Context, { name, replacement }: DeleteRole) =>
  changeOrganization(context, async (tx, organizationId) => {
    const ceiling = await ceilingOf(context, tx)
    const role = await requireRole(tx, organizationId, name)
    if (role.builtIn)
      throw new Problem('conflict', 'role-built-in', 'Built-in roles cannot be edited or deleted.')
    refuseStale(context, role.version)
    const key = keyOf(role)
    if (replacement === undefined) {
      if ((await repository.countUses(tx, key)) > 0)
        throw new Problem('conflict', 'role-in-use', 'The role is in use; name a replacement.')
    } else {
      const successor = await resolveRole(tx, organizationId, {
        name: replacement,
        inWorkspace: role.scope === 'workspace',
        pointer: '/replacement',
      })
      if (successor.home === key.home && successor.name === key.name)
        throw unprocessable('replacement-same', '/replacement', 'A role cannot replace itself.')
      const before = await permissionsOf(tx, key)
      const after = await permissionsOf(tx, successor)
      const taken = (await isDenied(tx, organizationId, rowOf(key))) ? minus(before, after) : []
      const gained = [...minus(after, before), ...taken]
      refuseAboveCeiling(ceiling, heldIn(organizationId, gained), '/replacement')
      const refuseHarm = await guardOwners(tx, ceiling, organizationId)
      await repository.moveGrants(tx, key, successor)
      await repository.moveInherits(tx, key, successor)
      await refuseHarm()
    }
    await repository.deleteRole(tx, key)
    await recordChange(tx, context, {
      event: 'role.deleted',
      resource: `role:${name}`,
      before: withoutHome(role),
      ...(replacement === undefined ? {} : { reason: `replaced by ${replacement}` }),
    })
  })

/** What happened to a role: who, when, what. */
export const listHistory = (context: Context, { name, limit, cursor }: ListHistory) =>
  inOrganization(context, async (tx, organizationId) => {
    const range = {
      organizationId,
      resource: `role:${name}`,
      after: positionOf(cursor),
      limit: limit + 1,
    }
    const page = toPage(await repository.listHistory(tx, range), limit, ({ id }) => id)
    const items = page.items.map(({ event, at, actor, body }) => {
      const { before, after } = JSON.parse(body) as { before?: unknown; after?: unknown }
      return { event, at, actor, before, after }
    })
    return { ...page, items }
  })

/**
 * Makes the built-in permissions and roles what the packs say. Asked at every start; changes nothing, and leaves no event,
 * where nothing differs.
 */
export const installPacks = (context: Context, packs: readonly Pack[]) =>
  changePlatform(context, async (tx) => {
    const before = await repository.findPlatformRevision(tx)
    await repository.syncPermissions(
      tx,
      packs.flatMap(({ name, permissions }) =>
        permissions.map((each) => ({ ...each, pack: name })),
      ),
    )
    await repository.syncRoles(
      tx,
      packs.flatMap(({ roles }) => roles),
    )
    await repository.syncRolePermissions(
      tx,
      packs.flatMap(({ rolePermissions }) => rolePermissions),
    )
    await repository.syncRoleInherits(
      tx,
      packs.flatMap(({ roleInherits }) => roleInherits),
    )
    const changed = (await repository.findPlatformRevision(tx)) !== before
    if (changed)
      await recordChange(tx, context, {
        event: 'packs.installed',
        resource: 'platform:packs',
        after: packs.map(({ name }) => name),
      })
    return changed
  })
