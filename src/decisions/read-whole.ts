import type { Queryable } from '../platform/db/connect.ts'
import { Problem } from '../platform/problem.ts'
import * as repository from './repository.ts'

/**
 * Everything of an organization, by its id or slug; undefined where there is none.
 * @throws Problem 409 where so many rows are bound to be more than fits into memory here
 */
export const readWhole = async (
  sql: Queryable,
  reference: string,
  rowsMax: number | undefined,
): Promise<repository.OrganizationRows | undefined> => {
  if (rowsMax === undefined) return repository.findOrganization(sql, reference)
  const rows = await repository.findOrganizationBelow(sql, reference, rowsMax)
  if (rows && rows.rows >= rowsMax)
    throw new Problem(
      'conflict',
      'organization-too-large-here',
      'This needs everybody in the organization, who are more than this server holds; ask a server on Node.',
    )
  return rows
}
