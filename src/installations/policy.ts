import * as v from 'valibot'
import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'
import { changeOrganization, inOrganization } from '../platform/db/transaction.ts'
import { Problem } from '../platform/problem.ts'
import type { Download } from '../templates/service.ts'
import * as repository from './repository.ts'
import { DEFAULT_POLICY, InstallationPolicy, type PutPolicy } from './schema.ts'

/** What an organization asks of what is installed in it; the default where it asks for nothing. */
export const policyOf = async (tx: Queryable, organizationId: string) => {
  const { policy, version } = await repository.findPolicy(tx, organizationId)
  return {
    policy: policy === null ? DEFAULT_POLICY : v.parse(InstallationPolicy, policy),
    version,
  }
}

export const getPolicy = (context: Context): Promise<InstallationPolicy> =>
  inOrganization(context, async (tx, organizationId) => (await policyOf(tx, organizationId)).policy)

/** Sets all of it; what is left out is the default. What is installed already stays. */
export const putPolicy = (context: Context, input: PutPolicy): Promise<InstallationPolicy> =>
  changeOrganization(context, async (tx, organizationId) => {
    const { policy: before } = await policyOf(tx, organizationId)
    await repository.setPolicy(tx, organizationId, input)
    const { policy: after } = await policyOf(tx, organizationId)
    await recordChange(tx, context, {
      event: 'installation-policy.updated',
      resource: `organization:${organizationId}`,
      before,
      after,
    })
    return after
  })

/**
 * Whether the organization lets this version in at all. What it publishes itself is its own business.
 * @throws Problem 403 that names the rule
 */
export const refuseByPolicy = async (
  tx: Queryable,
  organizationId: string,
  { download, capabilities }: { download: Download; capabilities: readonly string[] },
): Promise<InstallationPolicy> => {
  const { policy } = await policyOf(tx, organizationId)
  const { template, version } = download
  const denied = capabilities.filter((each) => policy.capabilitiesDenied.includes(each))
  if (denied.length > 0) throw refused('capabilitiesDenied', { capabilities: denied })
  if (template.organizationId === organizationId) return policy
  const { isVerified, ageDays } = await repository.findPublished(tx, version.id)
  if (policy.verifiedOnly && !isVerified) throw refused('verifiedOnly')
  if (policy.licenses !== null && !policy.licenses.includes(template.license))
    throw refused('licenses', { license: template.license })
  if (ageDays < policy.minimumAgeDays) throw refused('minimumAgeDays')
  return policy
}

const refused = (rule: keyof InstallationPolicy, more: object = {}) =>
  new Problem(
    'forbidden',
    'installation-policy',
    `The organization does not let this in: its policy on ${rule}.`,
    { rule, ...more },
  )
