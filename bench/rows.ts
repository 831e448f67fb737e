import type { Line, PermissionLine, RoleLine } from '../src/engine/line.ts'

/** Rows of one table, as COPY reads them: columns by tabs, `\N` for null. */
export type Rows = { readonly [table: string]: string[] }

/** The tables an organization of the mix fills, with the columns that are written. */
export const COLUMNS = {
  organizations: 'id, slug, name, plan',
  workspaces: 'id, organization_id, slug, name',
  members: 'organization_id, subject, is_owner',
  roles: 'organization_id, scope, name',
  role_permissions: 'role_home, role_scope, role_name, permission, permission_scope',
  grants:
    'id, organization_id, workspace_id, resource_type, resource_id, subject, role_home, role_scope, role_name, permission, permission_scope, effect, granted_by',
} as const

/** No rows yet. */
export const noRows = (): Rows =>
  Object.fromEntries(Object.keys(COLUMNS).map((table) => [table, [] as string[]]))

const row = (...cells: readonly (string | null)[]) =>
  `${cells.map((cell) => cell ?? '\\N').join('\t')}\n`

/** An id that sorts by when it was made, as the server makes them. */
const grantId = (count: number) =>
  `grt_01kb${count
    .toString(32)
    .padStart(22, '0')
    .replaceAll(/[ilou]/g, (letter) => SAFE[letter]!)}`
const SAFE: Record<string, string> = { i: 'w', l: 'x', o: 'y', u: 'z' }

const workspaceOf = ({ place }: Line) => (place.kind === 'workspace' ? place.workspaceId : null)

const roleGrant = (line: RoleLine) => {
  const [scope, name] = line.holds.slice('role:'.length).split('.')
  const { type = null, id = null } = line.resource ?? {}
  return [workspaceOf(line), type, id, line.subject, 'platform', scope!, name!, null, null, 'allow']
}

const permissionGrant = (line: PermissionLine) => {
  if (line.object.kind !== 'resource') throw new Error('only grants on one resource are stored')
  const { type, id } = line.object
  const permission = `${type}:${line.action}`
  return [
    ...[workspaceOf(line), type, id, line.subject, null, null, null],
    ...[permission, 'workspace', line.effect],
  ]
}

/** A line of a role of the organization's own: `role:org_….workspace.analyst-0`. */
const customLine = (rows: Rows, organizationId: string, line: PermissionLine) => {
  const name = line.subject.slice(line.subject.lastIndexOf('.') + 1)
  const role = row(organizationId, 'workspace', name)
  if (rows.roles!.at(-1) !== role) rows.roles!.push(role)
  const { object } = line
  const type = object.kind === 'type' ? object.type : ''
  rows.role_permissions!.push(
    row(organizationId, 'workspace', name, `${type}:${line.action}`, 'workspace'),
  )
}

type Stored = {
  readonly organizationId: string
  readonly slug: string
  readonly users: readonly string[]
  readonly workspaces: readonly string[]
  readonly lines: readonly Line[]
}

/** Adds an organization with an owner of its own, its members, and its grants. `count` numbers the grants. */
export const addOrganization = (rows: Rows, stored: Stored, count: () => number): void => {
  const { organizationId, slug, users, workspaces, lines } = stored
  rows.organizations!.push(row(organizationId, slug, slug, 'custom'))
  for (const [at, id] of workspaces.entries())
    rows.workspaces!.push(row(id, organizationId, `w${at}`, `w${at}`))
  rows.members!.push(row(organizationId, 'user:owner', 'true'))
  for (const user of users) rows.members!.push(row(organizationId, user, 'false'))
  for (const line of lines) {
    if (line.subject.startsWith('role:')) customLine(rows, organizationId, line as PermissionLine)
    else {
      const cells = line.kind === 'role' ? roleGrant(line) : permissionGrant(line)
      rows.grants!.push(row(grantId(count()), organizationId, ...cells, 'service:bench'))
    }
  }
}
