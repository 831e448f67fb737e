import type { Queryable } from '../platform/db/connect.ts'

/** Raises an organization's revision as a change that may touch everything would. */
export const raiseRevision = async (tx: Queryable, organizationId: string) => {
  const [row] = await tx<{ revision: number | null }[]>`
    select raise_revision(${organizationId}, null) as revision`
  return row?.revision ?? null
}
