import * as v from 'valibot'
import { permissionsOfRole, requireCondition } from '../decisions/ceiling.ts'
import { Attributes, PermissionKey, RoleName, textUpTo } from '../permissions/schema.ts'
import { getScopes } from '../permissions/service.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { faultsOf } from '../platform/parse.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { HeldPermission } from '../roles/schema.ts'
import { resolveRole } from '../roles/service.ts'
import type { Definition } from '../scenarios/service.ts'

const Role = v.strictObject({
  name: RoleName,
  description: v.optional(textUpTo(500), ''),
  scope: v.optional(
    v.picklist(['organization', 'workspace'], 'must be organization or workspace'),
    'organization',
  ),
  permissions: v.pipe(v.array(HeldPermission), v.maxLength(500, 'must list at most 500')),
  inherits: v.optional(v.pipe(v.array(RoleName), v.maxLength(50, 'must list at most 50')), []),
})

/** What somebody holds, what is asked of them, and what the answer must be. */
const Scenario = v.strictObject({
  name: v.optional(textUpTo(200), ''),
  given: v.strictObject({
    roles: v.pipe(v.array(RoleName), v.maxLength(50)),
    id: v.optional(textUpTo(200), 'user'),
    attributes: v.optional(Attributes, {}),
  }),
  ask: v.strictObject({
    permission: PermissionKey,
    resource: v.optional(Attributes, {}),
    context: v.optional(Attributes, {}),
    now: v.optional(v.pipe(v.string(), v.isoTimestamp('must be an RFC 3339 time'))),
  }),
  expect: v.picklist(['allow', 'deny'], 'must be allow or deny'),
})

/** Roles with what they hold, and scenarios that say what they are for. */
export const RolePack = v.strictObject({
  roles: v.pipe(
    v.array(Role),
    v.minLength(1, 'must hold at least one role'),
    v.maxLength(100, 'must hold at most 100 roles'),
  ),
  scenarios: v.optional(
    v.pipe(v.array(Scenario), v.maxLength(200, 'must hold at most 200 scenarios')),
    [],
  ),
})
export type RolePack = v.InferOutput<typeof RolePack>
export type PackedRole = RolePack['roles'][number]

/** A pack as it stands in a definition. @throws Problem 422 that names each place */
export const readRolePack = (definition: Definition, root = '/definition'): RolePack => {
  const result = v.safeParse(RolePack, definition)
  if (result.success) return result.output
  const errors = faultsOf(result.issues).map(({ pointer, detail }) => ({
    pointer: root + pointer,
    detail,
  }))
  throw new Problem('unprocessable', 'role-pack-malformed', 'This is no role pack.', { errors })
}

/** A permission of a role, with its condition if it has one. */
export const heldOf = (held: PackedRole['permissions'][number]) =>
  typeof held === 'string' ? { permission: held, condition: null } : held

/** The roles of a pack by their names. */
export const rolesOf = ({ roles }: RolePack): ReadonlyMap<string, PackedRole> =>
  new Map(roles.map((role) => [role.name, role]))

/** Everything that one who holds a role of the pack, or one built in, holds by it: what it inherits, too. */
export const heldByRole = async (
  tx: Transaction,
  organizationId: string,
  roles: ReadonlyMap<string, PackedRole>,
  name: string,
) => {
  const held: { permission: string; condition?: string | null | undefined }[] = []
  for (const each of new Set([name, ...ancestorsOf(roles, name)])) {
    const own = roles.get(each)
    if (own) held.push(...own.permissions.map(heldOf))
    else {
      const asked = { name: each, inWorkspace: true, pointer: '/definition/scenarios' }
      held.push(...(await permissionsOfRole(tx, await requireBuiltIn(tx, organizationId, asked))))
    }
  }
  return held
}

/** The capabilities of a pack: every permission that one of its roles gives, inherited ones included. */
export const capabilitiesOfPack = async (
  tx: Transaction,
  organizationId: string,
  pack: RolePack,
): Promise<string[]> => {
  const [roles, keys] = [rolesOf(pack), new Set<string>()]
  for (const { name } of pack.roles)
    for (const { permission } of await heldByRole(tx, organizationId, roles, name))
      keys.add(permission)
  return [...keys].sort().map((key) => `permission:${key}`)
}

/**
 * Whether every role could be made: names once, permissions that exist and fit the scope, conditions that compile, parents of
 * the pack or built in, and no circle.
 * @throws Problem 422 that names the place
 */
export const requireRolePack = async (
  tx: Transaction,
  organizationId: string,
  pack: RolePack,
  root = '/definition',
): Promise<void> => {
  const [{ roles }, names] = [pack, rolesOf(pack)]
  const asked = roles.flatMap(({ permissions, scope }, index) =>
    permissions.map((held, at) => {
      const pointer = `${root}/roles/${index}/permissions/${at}`
      const { permission, condition } = heldOf(held)
      requireCondition(condition, `${pointer}/condition`)
      return { key: permission, scope, pointer }
    }),
  )
  const scopes = await getScopes(tx, asked)
  for (const { key, scope, pointer } of asked)
    if (
      !(scope === 'organization' ? ['organization', 'workspace'] : ['workspace']).includes(
        scopes.get(key)!,
      )
    )
      throw unprocessable('permission-too-wide', pointer, `is wider than a role of ${scope}s`)
  for (const [index, { name, inherits, scope }] of roles.entries()) {
    if (roles.findIndex((role) => role.name === name) !== index)
      throw unprocessable('role-exists', `${root}/roles/${index}/name`, 'names a role twice')
    for (const [at, parent] of inherits.entries())
      if (!names.has(parent))
        await requireBuiltIn(tx, organizationId, {
          name: parent,
          inWorkspace: scope === 'workspace',
          pointer: `${root}/roles/${index}/inherits/${at}`,
        })
  }
  for (const [index, { name }] of roles.entries())
    if (ancestorsOf(names, name).has(name))
      throw unprocessable(
        'inheritance-cycle',
        `${root}/roles/${index}/inherits`,
        'It would inherit from itself.',
      )
}

const requireBuiltIn = async (
  tx: Transaction,
  organizationId: string,
  role: { name: string; inWorkspace: boolean; pointer: string },
): Promise<Parameters<typeof permissionsOfRole>[1]> => {
  const { home, scope, name } = await resolveRole(tx, organizationId, role)
  if (home !== 'platform' || name === 'owner')
    throw unprocessable('role-unknown', role.pointer, 'is neither in the pack nor built in')
  return [home, scope, name]
}

/** The names a role inherits from, over any number of steps; its own only where it inherits from itself. */
const ancestorsOf = (roles: ReadonlyMap<string, PackedRole>, name: string) => {
  const found = new Set<string>()
  const waiting = [...(roles.get(name)?.inherits ?? [])]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (found.has(next)) continue
    found.add(next)
    waiting.push(...(roles.get(next)?.inherits ?? []))
  }
  return found
}
