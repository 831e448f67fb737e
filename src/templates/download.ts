import type { Queryable } from '../platform/db/connect.ts'
import { Problem } from '../platform/problem.ts'
import * as repository from './download-repository.ts'
import { resolve } from './versions.ts'

export type { Content } from './download-repository.ts'

/** Which version of which template, for which organization. `version` is exact, a range, or `latest`. */
export type Wanted = { organizationId: string; template: string; version: string }

/** What may be downloaded. */
export type Download = {
  template: repository.DownloadableTemplate
  version: repository.DownloadableVersion
}

const templateNotFound = () =>
  new Problem('not-found', 'template-not-found', 'There is no such template.')

/**
 * A template that the organization may see: its own, an unlisted one whose id it knows, or a listed one. Of what was taken down
 * it sees that it is gone, and why.
 * @throws Problem 404, 410
 */
export const requireVisible = async (
  tx: Queryable,
  { organizationId, template: id }: Omit<Wanted, 'version'>,
): Promise<repository.DownloadableTemplate> => {
  const template = await repository.findTemplate(tx, organizationId, id)
  if (!template) throw templateNotFound()
  const isOwn = template.organizationId === organizationId
  if (isOwn) return template
  if (template.listing === 'taken_down')
    throw withdrawn('The template was taken down.', template.listingReason)
  const isVisible =
    template.visibility === 'unlisted' || (template.visibility === 'public' && isOffered(template))
  if (!isVisible) throw templateNotFound()
  return template
}

/** Listed; what its publisher took off the list stays for those who have it. */
const isOffered = ({ listing, isEntitled, isInstalled }: repository.DownloadableTemplate) =>
  listing === 'listed' || (listing === 'delisted' && (isEntitled || isInstalled))

const withdrawn = (detail: string, reason: string | null) =>
  new Problem('gone', 'template-withdrawn', reason ? `${detail} ${reason}` : detail, { reason })

/**
 * Whether an organization may have a version's definition: the one way to it, for content, installation, update, preview and
 * every other route that yields one. Runs as the organization, so that row-level security stands behind it.
 * @throws Problem 404 for what it may not see, 410 for what was withdrawn, 402 with the prices for what it has not bought
 */
export const decideDownload = async (tx: Queryable, wanted: Wanted): Promise<Download> => {
  const { organizationId } = wanted
  const template = await requireVisible(tx, wanted)
  const isOwn = template.organizationId === organizationId
  const version = await requireVersion(tx, wanted, isOwn)
  if (version.status === 'blocked' && !isOwn)
    throw withdrawn(`Version ${version.version} was blocked.`, version.statusReason)
  if (version.status === 'yanked' && !isOwn && !version.isInstalled)
    throw new Problem(
      'gone',
      'version-yanked',
      `Version ${version.version} was withdrawn by its publisher.`,
      { reason: version.statusReason },
    )
  if (template.pricing === 'paid' && !isOwn && !template.isEntitled)
    throw new Problem(
      'payment-required',
      'purchase-required',
      'The template must be bought first.',
      {
        prices: await repository.listPrices(tx, template.id),
      },
    )
  return { template, version }
}

/** Outside its organization a version exists once it is approved; a range and `latest` name only what is published. */
const requireVersion = async (
  tx: Queryable,
  { organizationId, template, version: wanted }: Wanted,
  isOwn: boolean,
): Promise<repository.DownloadableVersion> => {
  const all = await repository.listVersions(tx, organizationId, template)
  const known = isOwn ? all : all.filter(({ isApproved }) => isApproved)
  const exact = known.find(({ version }) => version === wanted)
  if (exact) return exact
  const published = known.filter(({ status }) => status === 'published')
  const chosen = resolve(
    published.map(({ version }) => version),
    wanted,
  )
  const found = published.find(({ version }) => version === chosen)
  if (!found) throw new Problem('not-found', 'version-not-found', 'There is no such version.')
  return found
}

/** The definition with its hash, as text: whoever parses it has a copy of their own. Counted once per organization and day. */
export const readContent = async (
  tx: Queryable,
  {
    organizationId,
    download: { template, version },
  }: { organizationId: string; download: Download },
): Promise<repository.Content> => {
  const content = await repository.findContent(tx, version.id)
  if (template.organizationId !== organizationId)
    await repository.countUse(tx, { templateId: template.id, organizationId, what: 'downloads' })
  return content
}
