import { newId } from '../platform/id.ts'
import type { Plan } from './plan.ts'
import type { PlannedGrant } from './plan-grants.ts'
import type { GrantPatch, GrantRow, RoleInheritRow, RolePermissionRow } from './repository.ts'
import type { RoleKey, RoleNode } from './role-graph.ts'
import type { Change, Run } from './run.ts'

/** What a plan comes to as rows, table by table. */

/** The rows of those objects that differ from what is stored. */
export const differing = <Row>(
  changes: readonly Change<Row>[],
  isSame: (before: Row, after: Row) => boolean = () => false,
): Row[] =>
  changes
    .filter(({ before, after, changed }) => changed && !(before && isSame(before, after)))
    .map(({ after }) => after)

export type RoleRows = {
  permissions: RolePermissionRow[]
  permissionsGone: { scope: string; name: string; permission: string }[]
  inherits: RoleInheritRow[]
  inheritsGone: RoleInheritRow[]
}

/** What changed roles hold and inherit, as the difference to what they did. */
export const roleRowsOf = ({ permissions }: Run, { roles }: Plan): RoleRows => {
  const rows: RoleRows = { permissions: [], permissionsGone: [], inherits: [], inheritsGone: [] }
  for (const { before, after, changed } of roles.changes) {
    if (!changed) continue
    const role = { scope: after.scope, name: after.name }
    for (const [permission, condition] of after.permissions)
      if (before?.permissions.get(permission) !== condition)
        rows.permissions.push({
          ...role,
          permission,
          permissionScope: permissions.get(permission)!,
          condition,
        })
    for (const permission of before?.permissions.keys() ?? [])
      if (!after.permissions.has(permission)) rows.permissionsGone.push({ ...role, permission })
    const had = before?.parents ?? new Set<string>()
    for (const id of after.parents.difference(had))
      rows.inherits.push(linkOf(roles.after, role, id))
    for (const id of had.difference(after.parents))
      rows.inheritsGone.push(linkOf(roles.after, role, id))
  }
  return rows
}

const linkOf = (
  roles: ReadonlyMap<string, RoleNode>,
  role: Pick<RoleKey, 'scope' | 'name'>,
  parentId: string,
): RoleInheritRow => {
  const parent = roles.get(parentId)!
  return { ...role, parentHome: parent.home, parentScope: parent.scope, parentName: parent.name }
}

export type GrantRows = { inserted: GrantRow[]; updated: GrantPatch[]; deleted: { id: string }[] }

/** Grants of the document, and roles that memberships give and take. */
export const grantRowsOf = ({ grants, membershipRoles }: Plan): GrantRows => {
  const rows: GrantRows = { inserted: [], updated: [], deleted: [] }
  for (const { id, before, after, changed } of grants) {
    if (!changed) continue
    if (before) rows.updated.push({ ...patchOf(after), id, source: before.source })
    else rows.inserted.push({ ...after, id, source: 'manual' })
  }
  for (const { grant, before } of membershipRoles.added) {
    if (before) rows.updated.push({ ...patchOf(grant), id: before.id, source: 'member' })
    else rows.inserted.push({ ...grant, id: newId('grt'), source: 'member' })
  }
  for (const { id } of membershipRoles.removed) rows.deleted.push({ id })
  return rows
}

const patchOf = ({ expiresAt, reason }: PlannedGrant) => ({ expiresAt, reason })
