import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { inOrganization } from '../platform/db/transaction.ts'
import { Problem } from '../platform/problem.ts'
import { requireVisible } from '../templates/service.ts'
import { withoutHtml } from './plain-markdown.ts'
import * as repository from './repository.ts'
import type { Card, NamedTemplate, OneTemplate } from './schema.ts'
import { findAmong, readVersions } from './versions.ts'

export { getCategories } from './categories.ts'
export { deleteRating, listRatings, putRating } from './ratings.ts'
export { searchCatalog } from './search.ts'
export { getContent, getDifference, getVersion, listVersions } from './versions.ts'

const VERSIONS_MAX = 50

const templateNotFound = () =>
  new Problem('not-found', 'template-not-found', 'There is no such template.')

/**
 * One template with all that is shown of it, for the organization that asks. Looking counts once a day and organization.
 * @throws Problem 404 for what it may not see, 410 for what was taken down
 */
export const getCard = (context: Context, { template }: OneTemplate): Promise<Card> =>
  inOrganization(context, (tx, organizationId) => readCard(tx, organizationId, template))

/** The same by the handle of its publisher. */
export const getNamedCard = (context: Context, named: NamedTemplate): Promise<Card> =>
  inOrganization(context, async (tx, organizationId) => {
    const found = await repository.findNamed(tx, { organizationId, ...named })
    if (!found) throw templateNotFound()
    return readCard(tx, organizationId, found.id)
  })

/** A card in a transaction of its reader's. */
export const readCard = async (
  tx: Transaction,
  organizationId: string,
  id: string,
): Promise<Card> => {
  const template = await requireVisible(tx, { organizationId, template: id })
  const stored = await repository.findCard(tx, id)
  if (!stored) throw templateNotFound()
  const versions = await readVersions(tx, organizationId, template)
  const latest = findAmong(versions, 'latest')
  const entitlement = await repository.findEntitlement(tx, organizationId, id)
  if (template.organizationId !== organizationId) await repository.countView(tx, id, organizationId)
  return {
    ...stored,
    latest: latest && !latest.version.includes('-') ? latest.version : null,
    description: withoutHtml(stored.description),
    versions: versions
      .slice(0, VERSIONS_MAX)
      .map(({ version, status, publishedAt }) => ({ version, status, publishedAt })),
    capabilities: latest?.capabilities ?? [],
    inputs: latest?.inputs ?? [],
    advisories: [...(await repository.listAdvisories(tx, id))],
    derived: await repository.countDerived(tx, id),
    entitlement: entitlement ?? null,
  }
}
