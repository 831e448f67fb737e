import type { Scope, StoredRole } from './stored.ts'

export type RoleKey = { home: string; scope: Scope; name: string }
export const roleId = ({ home, scope, name }: RoleKey) => `${scope} ${home} ${name}`

/** A role with what it holds itself and what it inherits. */
export type RoleNode = RoleKey & {
  description: string
  holdsEveryPermission: boolean
  /** With the condition they are held under, null for none. */
  permissions: Map<string, string | null>
  /** Ids of roles (`roleId`). */
  parents: Set<string>
}

/** Roles by their id. */
export type Roles = ReadonlyMap<string, RoleNode>

export const nodeOf = ({ permissions, parents, ...role }: StoredRole): RoleNode => ({
  ...role,
  permissions: new Map(permissions),
  parents: new Set(parents.map(([home, scope, name]) => roleId({ home, scope, name }))),
})

const WIDTH: Record<Scope, number> = { workspace: 0, organization: 1, platform: 2 }

/** Whether something of the first scope means something in a place (or a role) of the second. */
export const fits = (inner: Scope, outer: Scope) => WIDTH[inner] <= WIDTH[outer]

type Catalog = ReadonlyMap<string, Scope>

/** What a role holds itself: some hold every permission of their scope. */
export const ownPermissions = (
  node: RoleNode,
  catalog: Catalog,
): Iterable<readonly [permission: string, condition: string | null]> =>
  node.holdsEveryPermission
    ? [...catalog].filter(([, scope]) => fits(scope, node.scope)).map(([key]) => [key, null])
    : node.permissions

/** What a role gives with all it inherits, each permission once per condition. */
export const givenBy = (
  roles: Roles,
  catalog: Catalog,
  id: string,
): Map<string, { permission: string; condition: string | null }> => {
  const given = new Map<string, { permission: string; condition: string | null }>()
  const reached = new Set([id])
  // A set visits what is added while it is walked.
  for (const each of reached) {
    const node = roles.get(each)
    if (!node) continue
    for (const parent of node.parents) reached.add(parent)
    for (const [permission, condition] of ownPermissions(node, catalog))
      given.set(`${permission} ${condition ?? ''}`, { permission, condition })
  }
  return given
}
