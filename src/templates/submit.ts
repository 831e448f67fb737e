import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import { changeOrganization } from '../platform/db/transaction.ts'
import { newId } from '../platform/id.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import * as cases from './case-repository.ts'
import { refuseFailed, runChecks } from './check.ts'
import { requirePublisher } from './listing.ts'
import { requireOwnVersion, resourceOf } from './own.ts'
import * as repository from './repository.ts'
import type { Case, OneVersion, Submit } from './schema.ts'
import * as versions from './version-repository.ts'

type Found = Awaited<ReturnType<typeof requireOwnVersion>>

/** What a moderator could decide about. */
const refuseUndecidable = ({ template, version }: Found) => {
  if (template.visibility === 'private')
    throw unprocessable(
      'visibility-private',
      '',
      'What only the organization sees needs no moderator; make it unlisted or public first (PUT …/visibility).',
    )
  if (template.listing === 'taken_down')
    throw new Problem(
      'conflict',
      'template-taken-down',
      'It was taken down; an appeal comes first.',
    )
  const isDraft = version.status === 'draft' || version.status === 'rejected'
  const isUnseen = version.status === 'published' && !version.isApproved
  // Approved for those who know its id, and made public since.
  const isUnlisted =
    version.status === 'published' &&
    template.visibility === 'public' &&
    (template.listing === 'draft' || template.listing === 'rejected')
  if (!isDraft && !isUnseen && !isUnlisted)
    throw new Problem(
      'conflict',
      'version-not-submittable',
      version.status === 'published' ? 'It is approved already.' : `It is ${version.status}.`,
    )
}

/**
 * Asks moderators to let others have a version. Its content stands from now on, and the checks are run once more: where one
 * fails or cannot run, it is not submitted.
 * @throws Problem 403 for a banned publisher, 409, 422 with the checks
 */
export const submitVersion = (
  context: Context,
  { note, ...one }: Submit & OneVersion,
): Promise<Case> =>
  changeOrganization(context, async (tx, organizationId) => {
    const found = await requireOwnVersion(tx, context, one)
    const { template, version } = found
    refuseUndecidable(found)
    await requirePublisher(tx, organizationId)
    const canonical = await versions.findDefinition(tx, version.id)
    const checks = await runChecks(tx, { organizationId, template, version, canonical })
    refuseFailed(checks)
    const opened = await cases.insertCase(tx, {
      id: newId('cas'),
      kind: 'submission',
      templateId: template.id,
      versionId: version.id,
      openedBy: context.actor.subject,
      note,
      checks,
    })
    if (version.status !== 'published')
      await versions.updateStatus(tx, { id: version.id, status: 'submitted', reason: null })
    if (template.visibility === 'public' && ['draft', 'rejected'].includes(template.listing))
      await repository.updateListing(tx, { organizationId, id: template.id, listing: 'in_review' })
    const after = { ...opened, version: one.version }
    await recordChange(tx, context, {
      event: 'template-version.submitted',
      resource: resourceOf(one.template, one.version),
      after,
    })
    return after
  })

/**
 * Takes a submission back: the version is a draft again, or as it was inside the organization.
 * @throws Problem 409 where none waits, because there was none or it was decided meanwhile
 */
export const withdrawVersion = (context: Context, one: OneVersion): Promise<Case> =>
  changeOrganization(context, async (tx, organizationId) => {
    const { template, version } = await requireOwnVersion(tx, context, one)
    const withdrawn = await cases.withdrawSubmission(tx, version.id)
    if (!withdrawn)
      throw new Problem('conflict', 'submission-not-open', 'No submission of it waits any more.')
    if (version.status === 'submitted')
      await versions.updateStatus(tx, { id: version.id, status: 'draft', reason: null })
    const { isSubmitted } = (await repository.findTemplate(tx, {
      organizationId,
      id: template.id,
    }))!
    if (template.listing === 'in_review' && !isSubmitted)
      await repository.updateListing(tx, { organizationId, id: template.id, listing: 'draft' })
    const after = { ...withdrawn, version: one.version }
    await recordChange(tx, context, {
      event: 'template-version.withdrawn',
      resource: resourceOf(one.template, one.version),
      after,
    })
    return after
  })
