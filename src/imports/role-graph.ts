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

export type Given = { permission: string; scope: Scope; condition: string | null }

export const nodeOf = ({ permissions, parents, ...role }: StoredRole): RoleNode => ({
  ...role,
  permissions: new Map(permissions),
  parents: new Set(parents.map(([home, scope, name]) => roleId({ home, scope, name }))),
})

const WIDTH: Record<Scope, number> = { workspace: 0, organization: 1, platform: 2 }

/** Whether something of the first scope means something in a place (or a role) of the second. */
export const fits = (inner: Scope, outer: Scope) => WIDTH[inner] <= WIDTH[outer]

export type RoleGraph = ReturnType<typeof createRoleGraph>

/** What each role amounts to with all it inherits. */
export const createRoleGraph = (
  nodes: ReadonlyMap<string, RoleNode>,
  permissions: ReadonlyMap<string, Scope>,
) => {
  const known = new Map<string, Given[]>()
  const compute = (id: string): Given[] => {
    const given = new Map<string, Given>()
    const reached = new Set([id])
    // A set visits what is added while it is walked.
    for (const each of reached) {
      const node = nodes.get(each)
      if (!node) continue
      for (const parent of node.parents) reached.add(parent)
      const held = node.holdsEveryPermission
        ? [...permissions]
            .filter(([, scope]) => fits(scope, node.scope))
            .map(([key]) => [key, null] as const)
        : node.permissions
      for (const [permission, condition] of held) {
        const scope = permissions.get(permission)
        if (scope !== undefined)
          given.set(`${permission} ${condition ?? ''}`, { permission, scope, condition })
      }
    }
    return [...given.values()]
  }
  return {
    /** Every permission a role gives, once per condition. */
    givenBy: (id: string): readonly Given[] => {
      const found = known.get(id) ?? compute(id)
      known.set(id, found)
      return found
    },
  }
}
