import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changeOrganization, inOrganization } from '../platform/db/transaction.ts'
import { newId } from '../platform/id.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { requireCategory } from './category.ts'
import { decideDownload } from './download.ts'
import { addVersion } from './drafts.ts'
import { requireLicense } from './license.ts'
import { make } from './make.ts'
import { requireOwn, resourceOf, shownTemplate, summaryOf } from './own.ts'
import * as repository from './repository.ts'
import type { CreateTemplate, ListTemplates, OneTemplate, Template } from './schema.ts'
import { partsOf } from './versions.ts'

export {
  type Content,
  type Download,
  decideDownload,
  readContent,
  requireVisible,
} from './download.ts'
export { countUse } from './download-repository.ts'
export { checkVersion, createVersion, deleteVersion, patchVersion } from './drafts.ts'
export { editTemplate } from './edit.ts'
export { fill, type Input } from './fill.ts'
export { consentOf } from './integrity.ts'
export { appeal, deprecate, putVisibility, relist, unlist } from './listing.ts'
export {
  type Capabilities,
  differenceOf,
  permissionsOf,
} from './manifest.ts'
export { publishVersion, restoreVersion, yankVersion } from './publish.ts'
export { getPublisher, putPublisher, verifyPublisher } from './publisher.ts'
export { getContent, getVersion, listOwnVersions } from './read.ts'
export { type RolePack, readRolePack } from './role-pack.ts'
export { submitVersion, withdrawVersion } from './submit.ts'
export { isIn, isRange, newestFirst, partsOf, resolve, stepBetween } from './versions.ts'
export { templateViolations } from './violations.ts'

/** The number of what a template is made with. */
const FIRST_VERSION = '0.1.0'

/** The organization's own templates, drafts too. */
export const listTemplates = (context: Context, { limit, cursor, ...filter }: ListTemplates) =>
  inOrganization(context, async (tx, organizationId) => {
    const range = { ...filter, organizationId, after: positionOf(cursor), limit: limit + 1 }
    const rows = await repository.listTemplates(tx, range)
    return toPage(rows.map(summaryOf), limit, ({ id }) => id)
  })

export const getTemplate = (context: Context, { template }: OneTemplate): Promise<Template> =>
  inOrganization(context, async (tx, organizationId) =>
    shownTemplate(await requireOwn(tx, { organizationId }, template)),
  )

/**
 * Makes a template: a draft, private, of the organization. What a definition holds is stripped, and what it does computed.
 * @throws Problem 403, 404 about the scenario it is made of, 409 where the slug is taken, 422 with the place
 */
export const createTemplate = async (
  context: Context,
  { definition, fromScenario, derivedFrom, ...input }: CreateTemplate,
): Promise<Template> => {
  requireLicense(input.license)
  const made = await make(context, input.kind, { definition, fromScenario })
  return changeOrganization(context, async (tx, organizationId) => {
    await requireCategory(tx, input.category)
    const id = newId('tpl')
    const derived = derivedFrom && (await requireDerivable(tx, organizationId, derivedFrom))
    await repository.insertTemplate(tx, {
      ...input,
      organizationId,
      id,
      derivedFrom: derived ?? null,
    })
    if (input.description !== '') await repository.putDescription(tx, id, input.description)
    const stored = await requireOwn(tx, { organizationId }, id)
    await recordChange(tx, context, {
      event: 'template.created',
      resource: resourceOf(id),
      after: summaryOf(stored),
    })
    if (made)
      await addVersion(tx, context, {
        template: stored,
        parts: partsOf(FIRST_VERSION),
        made,
        changelog: '',
      })
    return shownTemplate(stored)
  })
}

/** The id of a version that something may be derived from: one that the organization may have. */
const requireDerivable = async (
  tx: Transaction,
  organizationId: string,
  wanted: { template: string; version: string },
) => {
  try {
    return (await decideDownload(tx, { organizationId, ...wanted })).version.id
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    throw unprocessable('derivation-unknown', '/derivedFrom', error.detail)
  }
}

/** Deletes a template that others never could have. @throws Problem 409 where they could */
export const deleteTemplate = (context: Context, { template }: OneTemplate) =>
  changeOrganization(context, async (tx, organizationId) => {
    const before = await requireOwn(tx, context, template)
    await repository.deleteTemplate(tx, { organizationId, id: template })
    await recordChange(tx, context, {
      event: 'template.deleted',
      resource: resourceOf(template),
      before: summaryOf(before),
    })
  })
