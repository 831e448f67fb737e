import type { Ceiling } from '../platform/context.ts'
import type { Plan } from './plan.ts'
import { resourceKey } from './plan-places.ts'
import type { Run } from './run.ts'
import type { ResourceId } from './stored.ts'

/** What is given: a permission at a place, and the condition it is given under (null for none). */
export type Given = {
  permission: string
  condition: string | null
  workspaceId: string | null
  resource: ResourceId | null
}

/** What the giver holds where things will be after the import. Each question is asked once. */
export const createHolding = (run: Run, ceiling: Ceiling, { resources }: Plan) => {
  const ask = ({ permission, condition, workspaceId, resource }: Given) => {
    const place = { organizationId: run.organizationId, workspaceId }
    if (resource === null) return ceiling.holds({ permission, condition, place })
    const key = resourceKey(resource)
    const holdsOnIt = () => ceiling.holds({ permission, condition, place, resource })
    if (!resources.moved.has(key)) return holdsOnIt()
    // Where it will be counts, and what is held on it already. On an unregistered one of a strict type nothing is yet.
    if (!ceiling.holds({ permission, condition, place })) return false
    const isUnknown = resources.added.has(key) && run.resourceTypes.get(resource.type) === true
    return isUnknown || holdsOnIt()
  }
  const answers = new Map<string, boolean>()
  return {
    holds: (given: Given): boolean => {
      const { permission, condition, workspaceId, resource } = given
      const key = [permission, condition, workspaceId, resource && resourceKey(resource)].join(
        '\u0000',
      )
      const known = answers.get(key)
      if (known !== undefined) return known
      const answer = ask(given)
      answers.set(key, answer)
      return answer
    },
    /** Whether a permission of a role has an effect where the role is held: neither what is wider nor of another type. */
    means: (
      permission: string,
      workspaceId: string | null,
      resource: ResourceId | null,
    ): boolean =>
      resource === null
        ? workspaceId === null || run.permissions.get(permission) === 'workspace'
        : run.permissions.get(permission) === 'workspace' &&
          permission.startsWith(`${resource.type}:`),
  }
}
