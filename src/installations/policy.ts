import * as v from 'valibot'
import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'
import { changeOrganization, inOrganization } from '../platform/db/transaction.ts'
import { Problem } from '../platform/problem.ts'
import { type Download, isIn } from '../templates/service.ts'
import * as repository from './repository.ts'
import { type Advisory, DEFAULT_POLICY, InstallationPolicy, type PutPolicy } from './schema.ts'

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

/** The first of the advisories that concerns a version. */
export const inForce = (advisories: readonly Advisory[], version: string): Advisory | undefined =>
  advisories.find(({ affectedRange }) => isIn(version, affectedRange))

type Wanted = { organizationId: string; templateId: string; version: string }

/** The advisory for which the organization wants a version kept from running. */
export const findUnwanted = async (
  tx: Queryable,
  { organizationId, templateId, version }: Wanted,
): Promise<Advisory | undefined> => {
  const { policy } = await policyOf(tx, organizationId)
  if (policy.onAdvisory !== 'quarantine') return undefined
  return inForce(await repository.listInForce(tx, templateId), version)
}

/** What would be quarantined if it stood here already is not let in. @throws Problem 403 that names the advisory */
export const refuseUnwanted = async (tx: Queryable, wanted: Wanted): Promise<void> => {
  const found = await findUnwanted(tx, wanted)
  if (found) throw refused('onAdvisory', { advisory: found.id })
}

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
  const { id: templateId } = template
  await refuseUnwanted(tx, { organizationId, templateId, version: version.version })
  return policy
}

const refused = (rule: keyof InstallationPolicy, more: object = {}) =>
  new Problem(
    'forbidden',
    'installation-policy',
    `The organization does not let this in: its policy on ${rule}.`,
    { rule, ...more },
  )
