import { LRUCache } from 'lru-cache'

/** Organizations whose revision is remembered. */
const ORGANIZATIONS_MAX = 100_000

export type Revisions = ReturnType<typeof createRevisions>

/** The greatest revision of each organization that this node has seen: it never goes back to a smaller one. */
export const createRevisions = () => {
  const seen = new LRUCache<string, number>({ max: ORGANIZATIONS_MAX })
  return {
    /** Notes that a revision was seen, and answers the greatest. */
    saw: (organizationId: string, revision: number): number => {
      const known = seen.get(organizationId)
      if (known !== undefined && known >= revision) return known
      seen.set(organizationId, revision)
      return revision
    },
  }
}
