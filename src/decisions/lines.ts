import { bothConditions } from '../engine/condition.ts'
import type { Line, LinePlace, PermissionLine, RoleLine } from '../engine/line.ts'
import type {
  GrantRow,
  OrganizationRows,
  PlatformRows,
  RoleInheritRow,
  RolePermissionRow,
  SliceRows,
} from './repository.ts'

/**
 * From stored rows to policy lines. The compiled index and Casbin are both fed by these functions, so that the proof
 * that they agree compares one policy with itself.
 */

const EVERYWHERE: LinePlace = { kind: 'everywhere' }
const WIDTH = { workspace: 0, organization: 1, platform: 2 } as const

/** How a role is named in lines. Never by its name alone: `admin` is a role of organizations and one of workspaces. */
export const roleSubject = (home: string, scope: string, name: string) =>
  home === 'platform' ? `role:${scope}.${name}` : `role:${home}.${scope}.${name}`

/** What a role gives by itself and from whom it inherits, ready to be expanded. */
export type RoleTable = {
  permissions: Map<string, { permission: string; condition: string | null }[]>
  parents: Map<string, string[]>
}

const splitPermission = (permission: string) => {
  const colon = permission.indexOf(':')
  return { type: permission.slice(0, colon), action: permission.slice(colon + 1) }
}

const push = <Value>(map: Map<string, Value[]>, key: string, value: Value) => {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}

type Row = readonly (string | number | null)[]

const compareRows = (one: Row, other: Row): number => {
  for (let at = 0; at < one.length; at++) {
    const [a, b] = [one[at]!, other[at]!]
    if (a === b) continue
    if (a === null || b === null) return a === null ? -1 : 1
    return a < b ? -1 : 1
  }
  return 0
}

/**
 * Rows come in any order, those of one subject here in that of what they say: of several reasons for an answer every node
 * names the same. Subjects need no order among themselves.
 */
const ordered = function* <Rows extends [subject: string, ...Row]>(
  rows: readonly Rows[],
): Generator<Rows> {
  for (const ofOne of Map.groupBy(rows, ([subject]) => subject).values())
    yield* ofOne.length > 1 ? ofOne.sort(compareRows) : ofOne
}

/** The roles of the platform; those that hold every permission are expanded from the catalog, never written as `*`. */
export const platformRoles = (rows: PlatformRows): RoleTable => {
  const table = roleTable(rows)
  for (const [home, scope, name, holdsEveryPermission] of rows.roles) {
    if (!holdsEveryPermission) continue
    const subject = roleSubject(home, scope, name)
    table.permissions.set(
      subject,
      rows.permissions
        .filter(([, permissionScope]) => WIDTH[permissionScope] <= WIDTH[scope])
        .map(([permission]) => ({ permission, condition: null })),
    )
  }
  return table
}

/** The roles of an organization beside those of the platform. */
export const roleTable = (rows: {
  rolePermissions: RolePermissionRow[]
  roleInherits: RoleInheritRow[]
}): RoleTable => {
  const table: RoleTable = { permissions: new Map(), parents: new Map() }
  const permissions = rows.rolePermissions.toSorted(compareRows)
  const inherits = rows.roleInherits.toSorted(compareRows)
  for (const [home, scope, name, permission, condition] of permissions)
    push(table.permissions, roleSubject(home, scope, name), { permission, condition })
  for (const [home, scope, name, parentHome, parentScope, parentName] of inherits)
    push(
      table.parents,
      roleSubject(home, scope, name),
      roleSubject(parentHome, parentScope, parentName),
    )
  return table
}

/** A role with all it inherits, itself first. */
export const roleClosure = (role: string, tables: readonly RoleTable[]): string[] => {
  const seen = new Set([role])
  for (const each of seen)
    for (const table of tables) for (const parent of table.parents.get(each) ?? []) seen.add(parent)
  return [...seen]
}

/** Every permission a role gives, with the condition it is given under. */
export const rolePermissions = (role: string, tables: readonly RoleTable[]) =>
  roleClosure(role, tables).flatMap((each) =>
    tables.flatMap((table) => table.permissions.get(each) ?? []),
  )

const roleLines = (table: RoleTable, place: LinePlace): Line[] => {
  const lines: Line[] = []
  for (const [subject, held] of table.permissions)
    for (const { permission, condition } of held) {
      const { type, action } = splitPermission(permission)
      lines.push({
        kind: 'permission',
        subject,
        place,
        object: { kind: 'type', type },
        action,
        condition,
        effect: 'allow',
        expiresAtMs: null,
      })
    }
  for (const [subject, parents] of table.parents)
    for (const holds of parents)
      lines.push({ kind: 'role', subject, holds, place, resource: null, expiresAtMs: null })
  return lines
}

/** The lines every organization shares: built-in roles, and what operators hold everywhere. */
export const linesOfPlatform = (rows: PlatformRows): Line[] => {
  const table = platformRoles(rows)
  return [
    ...roleLines(table, EVERYWHERE),
    ...[...ordered(rows.grants)].flatMap((grant) => linesOfGrant(grant, null, [table])),
  ]
}

/** An organization's own lines. */
export const linesOfOrganization = function* (
  rows: OrganizationRows,
  platform: RoleTable,
): Generator<Line> {
  const place: LinePlace = { kind: 'organization', organizationId: rows.id }
  const own = roleTable(rows)
  yield* roleLines(own, place)
  yield* linesOfSlice({ ...rows, grants: placed(rows) }, rows.id, [own, platform])
}

/** The grants of an organization; a registered resource is where the registry says, whatever the grant was written with. */
const placed = ({ resources, grants }: OrganizationRows): GrantRow[] => {
  if (resources.length === 0) return grants
  const workspaces = new Map(
    resources.map(([type, id, workspaceId]) => [`${type}:${id}`, workspaceId]),
  )
  return grants.map((grant) => {
    const [subject, own, type, id, ...rest] = grant
    const workspaceId = type === null ? undefined : workspaces.get(`${type}:${id}`)
    return workspaceId === undefined || workspaceId === own
      ? grant
      : [subject, workspaceId, type, id, ...rest]
  })
}

/** The lines of the subjects whose rows are given: owners, team members, teams, grants. */
export const linesOfSlice = function* (
  rows: Pick<SliceRows, 'members' | 'teams' | 'teamMembers' | 'grants'>,
  organizationId: string,
  tables: readonly RoleTable[],
): Generator<Line> {
  const place: LinePlace = { kind: 'organization', organizationId }
  const held = (subject: string, holds: string): RoleLine => ({
    kind: 'role',
    subject,
    holds,
    place,
    resource: null,
    expiresAtMs: null,
  })
  for (const [subject, isOwner] of rows.members)
    if (isOwner) yield held(subject, roleSubject('platform', 'organization', 'owner'))
  for (const [subject, team] of ordered(rows.teamMembers)) yield held(subject, `team:${team}`)
  for (const [slug, parent] of rows.teams)
    if (parent !== null) yield held(`team:${slug}`, `team:${parent}`)
  for (const grant of ordered(rows.grants)) yield* linesOfGrant(grant, organizationId, tables)
}

const placeOf = (organizationId: string | null, workspaceId: string | null): LinePlace =>
  organizationId === null
    ? EVERYWHERE
    : workspaceId === null
      ? { kind: 'organization', organizationId }
      : { kind: 'workspace', organizationId, workspaceId }

/**
 * One grant as lines. A role under a condition, or refused, has no single line: Casbin's role lines have neither
 * condition nor effect, so it becomes one permission line for each line of the role's closure.
 */
const linesOfGrant = (
  grant: GrantRow,
  organizationId: string | null,
  tables: readonly RoleTable[],
): Line[] => {
  const [
    subject,
    workspaceId,
    type,
    id,
    roleHome,
    roleScope,
    roleName,
    permission,
    effect,
    condition,
    expiresAtMs,
  ] = grant
  const place = placeOf(organizationId, workspaceId)
  const resource = type !== null && id !== null ? { type, id } : null
  const line = (held: string, lineCondition: string | null): PermissionLine => {
    const split = splitPermission(held)
    return {
      kind: 'permission',
      subject,
      place,
      object: resource ? { kind: 'resource', ...resource } : { kind: 'type', type: split.type },
      action: split.action,
      condition: lineCondition,
      effect,
      expiresAtMs,
    }
  }
  if (permission !== null) return [line(permission, condition)]
  const role = roleSubject(roleHome!, roleScope!, roleName!)
  if (condition === null && effect === 'allow')
    return [
      {
        kind: 'role',
        subject,
        holds: role,
        place: exactly(place, resource),
        resource,
        expiresAtMs,
      },
    ]
  return rolePermissions(role, tables)
    .filter((held) => resource === null || splitPermission(held.permission).type === resource.type)
    .map((held) => line(held.permission, bothConditions(condition, held.condition)))
}

/** A role on one resource holds exactly where the resource is, not below. */
const exactly = (place: LinePlace, resource: object | null): LinePlace =>
  resource !== null && place.kind === 'organization'
    ? { kind: 'organization-only', organizationId: place.organizationId }
    : place
