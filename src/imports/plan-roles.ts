import { checkCondition } from '../engine/condition.ts'
import type { Faults } from './faults.ts'
import { findNestingFaults } from './nesting.ts'
import { fits, nodeOf, type RoleKey, type RoleNode, roleId } from './role-graph.ts'
import { type Change, isFirst, type Run } from './run.ts'
import type { ImportedRole } from './schema.ts'
import { findRoles } from './stored.ts'

const LINKS_MAX = 10

/** Roles as they are named: by name, in the order of their scope. */
export type RoleNames = Map<string, RoleKey[]>

export type RolePlan = {
  changes: Change<RoleNode>[]
  names: RoleNames
  /** Every role as it is stored, and as it will be. */
  before: ReadonlyMap<string, RoleNode>
  after: ReadonlyMap<string, RoleNode>
}

/** What the document's roles come to. A role that is left out stays as it is, and so does what a role leaves out. */
export const planRoles = async (run: Run, entries: readonly ImportedRole[]): Promise<RolePlan> => {
  const rows = await findRoles(run.tx, run.organizationId)
  const before = new Map(rows.map((row) => [roleId(row), nodeOf(row)]))
  const after = new Map(before)
  const names = namesOf(rows)
  const changes: (Change<RoleNode> & { entry: ImportedRole })[] = []
  const seen = new Map<string, number>()
  for (const [index, entry] of entries.entries()) {
    await run.pace()
    if (!isFirst(run, seen, { key: entry.name, kind: 'roles', index })) continue
    const change = draft(run, before, entry, index)
    if (!change) continue
    after.set(roleId(change.after), change.after)
    if (!change.before) addName(names, change.after)
    changes.push({ ...change, entry })
  }
  for (const change of changes) {
    await run.pace()
    fill(run, names, change)
  }
  refuseNesting(run, after, changes)
  return { changes, names, before, after }
}

/** The names that can be held in an organization. */
export const namesOf = (roles: Iterable<RoleKey>): RoleNames => {
  const names: RoleNames = new Map()
  for (const role of roles) addName(names, role)
  return names
}

const addName = (names: RoleNames, { home, scope, name }: RoleKey) => {
  if (scope === 'platform') return
  names.set(name, [...(names.get(name) ?? []), { home, scope, name }])
}

/** The role before its permissions and parents are read: all names must be known first. */
const draft = (
  { faults, organizationId }: Run,
  stored: ReadonlyMap<string, RoleNode>,
  { name, scope, description }: ImportedRole,
  index: number,
): Change<RoleNode> | undefined => {
  const at = (home: string, scope: RoleKey['scope']) => stored.get(roleId({ home, scope, name }))
  const builtIn = (['workspace', 'organization', 'platform'] as const).some((scope) =>
    at('platform', scope),
  )
  if (builtIn) {
    faults.add(`/roles/${index}/name`, 'A built-in role has this name, and those stay as they are.')
    return undefined
  }
  const before = at(organizationId, 'organization') ?? at(organizationId, 'workspace')
  if (before && scope !== undefined && scope !== before.scope) {
    faults.add(`/roles/${index}/scope`, 'The scope of a role cannot be changed.')
    return undefined
  }
  const after: RoleNode = {
    home: organizationId,
    scope: scope ?? before?.scope ?? 'organization',
    name,
    description: description ?? before?.description ?? '',
    holdsEveryPermission: false,
    permissions: before?.permissions ?? new Map(),
    parents: before?.parents ?? new Set(),
  }
  return { index, before, after, changed: false }
}

const fill = (
  run: Run,
  names: RoleNames,
  change: Change<RoleNode> & { entry: ImportedRole },
): void => {
  const { entry, before, after, index } = change
  if (entry.permissions) after.permissions = readPermissions(run, after, entry.permissions, index)
  if (entry.inherits) after.parents = readParents(run, names, after, entry.inherits, index)
  change.changed =
    !before ||
    before.description !== after.description ||
    !isSameMap(before.permissions, after.permissions) ||
    before.parents.symmetricDifference(after.parents).size > 0
}

const isSameMap = <Value>(left: ReadonlyMap<string, Value>, right: ReadonlyMap<string, Value>) =>
  left.size === right.size && [...left].every(([key, value]) => right.get(key) === value)

const readPermissions = (
  { faults, permissions }: Run,
  { scope }: RoleNode,
  listed: NonNullable<ImportedRole['permissions']>,
  index: number,
) => {
  const held = new Map<string, string | null>()
  for (const [position, each] of listed.entries()) {
    const pointer = `/roles/${index}/permissions/${position}`
    const { permission, condition = null } = typeof each === 'string' ? { permission: each } : each
    const known = permissions.get(permission)
    const checked = condition === null ? { ok: true as const } : checkCondition(condition)
    if (known === undefined)
      faults.add(
        pointer,
        `The permission is not registered.${faults.suggestion(permission, permissions)}`,
      )
    else if (!fits(known, scope))
      faults.add(pointer, 'A role holds only permissions of its own scope or a narrower one.')
    else if (held.has(permission)) faults.add(pointer, 'This permission is listed twice.')
    if (!checked.ok) faults.add(`${pointer}/condition`, checked.detail)
    held.set(permission, condition)
  }
  return held
}

const readParents = (
  { faults }: Run,
  names: RoleNames,
  { scope }: RoleNode,
  listed: readonly string[],
  index: number,
) => {
  const parents = new Set<string>()
  for (const [position, name] of listed.entries()) {
    const pointer = `/roles/${index}/inherits/${position}`
    const role = resolveRole(faults, names, { name, inWorkspace: scope === 'workspace' }, pointer)
    if (!role) continue
    if (role.home === 'platform' && role.name === 'owner')
      faults.add(pointer, 'No role inherits owner.')
    else if (!fits(role.scope, scope))
      faults.add(pointer, 'A role inherits only roles of its own scope or a narrower one.')
    else parents.add(roleId(role))
  }
  return parents
}

const refuseNesting = (
  { faults }: Run,
  nodes: ReadonlyMap<string, RoleNode>,
  changes: readonly Change<RoleNode>[],
) => {
  const parents = new Map([...nodes].map(([id, node]) => [id, node.parents]))
  const { cyclic, tooDeep } = findNestingFaults(parents, LINKS_MAX)
  for (const { index, after, changed } of changes) {
    const id = roleId(after)
    if (cyclic.has(id)) faults.add(`/roles/${index}/inherits`, 'It would inherit from itself.')
    else if (changed && tooDeep.has(id))
      faults.add(
        `/roles/${index}/inherits`,
        `It would inherit through more than ${LINKS_MAX} links.`,
      )
  }
}

/** A role as a document names it. */
export type RoleName = {
  name: string
  inWorkspace: boolean
  /** Which one is meant where the name exists in both scopes. */
  scope?: RoleKey['scope'] | undefined
}

/**
 * The role a name means at a place, as the single endpoints read it: in a workspace its own roles first, then the
 * organization's; elsewhere the organization's.
 */
export const findRole = (
  names: RoleNames,
  { name, inWorkspace, scope }: RoleName,
): RoleKey | undefined => {
  const found = names.get(name) ?? []
  const order = scope ? [scope] : inWorkspace ? ['workspace', 'organization'] : ['organization']
  for (const each of order) {
    const role = found.find((role) => role.scope === each)
    if (role) return role
  }
  return undefined
}

/** The same, with a fault where the name means no role. */
export const resolveRole = (
  faults: Faults,
  names: RoleNames,
  wanted: RoleName,
  pointer: string,
): RoleKey | undefined => {
  const role = findRole(names, wanted)
  if (role) return role
  if (!names.has(wanted.name))
    faults.add(pointer, `There is no such role.${faults.suggestion(wanted.name, names)}`)
  else if (wanted.scope) faults.add(pointer, 'There is no role of this name and scope.')
  else faults.add(pointer, 'This is a role of workspaces; name the workspace it is to be held in.')
  return undefined
}
