import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import {
  changeOrganization,
  changePlatform,
  inOrganization,
  inPlatform,
} from '../platform/db/transaction.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { findOrganizationId } from './repository.ts'

/** Whose jobs are meant: an organization's id, `platform` for the platform's own, undefined for all. */
export type Tenant = string | undefined

// The same services stand behind both mounts: inside an organization row-level security sees to it that nothing of another
// is read or changed, for operators there is no such bound.

export const reading = <Result>(context: Context, work: (tx: Transaction) => Promise<Result>) =>
  context.organizationId ? inOrganization(context, work) : inPlatform(context.sql, work)

export const changing = <Result>(context: Context, work: (tx: Transaction) => Promise<Result>) =>
  context.organizationId ? changeOrganization(context, work) : changePlatform(context, work)

/** The organization of the path, or the one an operator narrows to. Unknown ids are taken: an organization may be gone. */
export const tenantOf = async (
  tx: Transaction,
  context: Context,
  { organization, pointer }: { organization: string | undefined; pointer: string },
): Promise<Tenant> => {
  if (context.organizationId) return context.organizationId
  if (organization === undefined || organization === 'platform') return organization
  const id = await findOrganizationId(tx, organization)
  if (id !== undefined || /^org_[0-9a-z]{26}$/.test(organization)) return id ?? organization
  throw unprocessable('organization-unknown', pointer, 'There is no such organization.')
}

/** A 404; another organization's job is none. */
export const jobNotFound = () => new Problem('not-found', 'job-not-found', 'There is no such job.')
