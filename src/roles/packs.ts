import * as v from 'valibot'
import { readCasbinCsv } from '../engine/csv.ts'
import { Description, PermissionKey, RoleName, Scope } from '../permissions/schema.ts'

/** A pack: permissions and the built-in roles that hold them. Shipped in `policies/`, installed at start. */
export type Pack = {
  name: string
  permissions: { key: string; scope: Scope; description: string }[]
  roles: { scope: Scope; name: string; description: string; holdsEveryPermission: boolean }[]
  rolePermissions: { scope: Scope; name: string; permission: string; condition: string | null }[]
  roleInherits: { scope: Scope; name: string; parentScope: Scope; parentName: string }[]
}

const Catalog = v.strictObject({
  pack: v.pipe(v.string(), v.nonEmpty()),
  permissions: v.array(
    v.strictObject({ key: PermissionKey, scope: Scope, description: Description }),
  ),
  roles: v.array(
    v.strictObject({
      name: RoleName,
      scope: Scope,
      description: Description,
      holdsEveryPermission: v.optional(v.boolean(), false),
    }),
  ),
})

const ROLE = /^role:(workspace|organization|platform)\.(.+)$/

const roleOf = (subject: string, line: number) => {
  const match = ROLE.exec(subject)
  if (!match) throw new Error(`line ${line}: ${subject} is no built-in role`)
  return { scope: match[1] as Scope, name: match[2]! }
}

/**
 * A pack from its catalog and its policy in Casbin CSV.
 * @throws Error naming the file's first fault
 */
export const readPack = (catalog: unknown, csv: string): Pack => {
  const { pack: name, permissions, roles } = v.parse(Catalog, catalog)
  const { lines, problems } = readCasbinCsv(csv)
  const [problem] = problems
  if (problem) throw new Error(`${name}.csv, line ${problem.line}: ${problem.detail}`)
  const pack: Pack = { name, permissions, roles, rolePermissions: [], roleInherits: [] }
  for (const { line, ptype, fields } of lines) {
    const [subject = '', second = '', third = '', action = '', condition = 'true'] = fields
    if (ptype === 'g') {
      const parent = roleOf(second, line)
      pack.roleInherits.push({
        ...roleOf(subject, line),
        parentScope: parent.scope,
        parentName: parent.name,
      })
    } else
      pack.rolePermissions.push({
        ...roleOf(subject, line),
        permission: `${third.replace(/:\*$/, '')}:${action}`,
        condition: condition === 'true' ? null : condition,
      })
  }
  return pack
}
