import type { Context } from '../platform/context.ts'
import { inOrganization } from '../platform/db/transaction.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { definitionOf } from '../scenarios/service.ts'
import { decideDownload, readContent } from './download.ts'
import { requireOwn, requireOwnVersion, shownVersion } from './own.ts'
import type { Content, ListVersions, OneTemplate, OneVersion, Version } from './schema.ts'
import * as repository from './version-repository.ts'

/** The versions of an own template, drafts too, as they were made. */
export const listOwnVersions = (
  context: Context,
  { template, limit, cursor }: ListVersions & OneTemplate,
) =>
  inOrganization(context, async (tx, organizationId) => {
    await requireOwn(tx, { organizationId }, template)
    const range = { templateId: template, after: positionOf(cursor), limit: limit + 1 }
    const rows = await repository.listVersions(tx, range)
    return toPage(rows.map(shownVersion), limit, ({ id }) => id)
  })

/** One version of an own template, without its definition. */
export const getVersion = (context: Context, one: OneVersion): Promise<Version> =>
  inOrganization(context, async (tx, organizationId) =>
    shownVersion((await requireOwnVersion(tx, { organizationId }, one)).version),
  )

/** The definition of one version of an own template, by the same decision as for everybody else. */
export const getContent = (context: Context, one: OneVersion): Promise<Content> =>
  inOrganization(context, async (tx, organizationId) => {
    await requireOwnVersion(tx, { organizationId }, one)
    const download = await decideDownload(tx, { organizationId, ...one })
    const { definition, integrity } = await readContent(tx, { organizationId, download })
    const { license } = download.template
    return { definition: definitionOf(definition), integrity, license }
  })
