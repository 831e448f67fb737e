import { LRUCache } from 'lru-cache'
import type { Held } from '../platform/context.ts'
import { READ_FIRST } from '../platform/db/transaction.ts'
import { NotHeld } from './held.ts'
import type { OrganizationState } from './state.ts'

const ORGANIZATIONS_MAX = 1000

/**
 * Resources that a ceiling was asked about in the middle of a change, and that the slice it stands on does not hold. They
 * cannot be read then, for the change may have touched them: it is taken back and tried again, and reads them first.
 */
export const createLacking = () => {
  const lacking = new LRUCache<string, string[]>({ max: ORGANIZATIONS_MAX })

  const readFirst = (organizationId: string, resources: readonly string[]): never => {
    lacking.set(organizationId, [...(lacking.peek(organizationId) ?? []), ...resources])
    throw Object.assign(new Error('a change needs resources that were not read'), {
      code: READ_FIRST,
    })
  }

  return {
    /** What an earlier attempt was in want of. */
    take: (organizationId: string): string[] => {
      const resources = lacking.get(organizationId) ?? []
      lacking.delete(organizationId)
      return resources
    },

    /** @throws for the change to be tried again, where some of these are not held */
    require: ({ id, slice }: OrganizationState, given: readonly Pick<Held, 'resource'>[]): void => {
      if (slice === null) return
      const missing = given
        .flatMap(({ resource }) => (resource ? [`${resource.type}:${resource.id}`] : []))
        .filter((key) => !slice.resources.isHeld(key))
      if (missing.length > 0) readFirst(id, missing)
    },

    /** The answer. @throws for the change to be tried again, where it depends on what is not held */
    answer: <Answer>({ id }: OrganizationState, ask: () => Answer): Answer => {
      try {
        return ask()
      } catch (error) {
        if (error instanceof NotHeld) return readFirst(id, [error.key])
        throw error
      }
    },
  }
}
