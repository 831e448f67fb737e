import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { Problem } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import type { DomainRow } from './repository.ts'
import * as repository from './repository.ts'
import type { Domain, OneDomain } from './schema.ts'

/** An organization's claim as it is now. @throws Problem 404, 412 */
export const requireDomain = async (
  context: Context,
  tx: Transaction,
  { domain }: OneDomain,
): Promise<DomainRow> => {
  const { organizationId } = context
  const row = await repository.findDomain(tx, { organizationId, domain })
  if (!row)
    throw new Problem(
      'not-found',
      'domain-not-found',
      'The organization does not claim this domain.',
    )
  refuseStale(context, row.version)
  return row
}

/** The TXT record that proves a claim. It is no secret: whoever can read it cannot write it. */
export const recordOf = ({ domain, txtToken }: Pick<DomainRow, 'domain' | 'txtToken'>) => ({
  type: 'TXT' as const,
  name: `_latchkey.${domain}`,
  value: `latchkey-verification=${txtToken}`,
})

/** A domain as the API shows it. */
export const shown = (row: DomainRow): Domain => {
  const { organizationId: _organizationId, enroller: _enroller, txtToken: _txtToken, ...rest } = row
  const { roleHome: _roleHome, roleScope: _roleScope, roleName, ...domain } = rest
  return { ...domain, role: roleName, record: recordOf(row) }
}
