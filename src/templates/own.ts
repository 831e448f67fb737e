import type { Context } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'
import { Problem } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import * as repository from './repository.ts'
import type { OneVersion, Template, TemplateSummary, Version } from './schema.ts'
import * as versions from './version-repository.ts'

/** Whose it must be, and at which version it was read. */
type Caller = Pick<Context, 'organizationId' | 'ifMatch'>

/** A template of the organization. @throws Problem 404 where it has none such, 412 where it was changed since it was read */
export const requireOwn = async (
  tx: Queryable,
  { organizationId, ifMatch }: Caller,
  id: string,
): Promise<repository.StoredTemplate> => {
  const found = await repository.findTemplate(tx, { organizationId, id })
  if (!found)
    throw new Problem('not-found', 'template-not-found', 'The organization has no such template.')
  refuseStale({ ifMatch }, found.version)
  return found
}

/** A version of a template of the organization, by its exact number. @throws Problem 404, 412 */
export const requireOwnVersion = async (
  tx: Queryable,
  { organizationId, ifMatch }: Caller,
  one: OneVersion,
) => {
  const template = await requireOwn(tx, { organizationId }, one.template)
  const version = await versions.findVersion(tx, { templateId: template.id, version: one.version })
  if (!version) throw new Problem('not-found', 'version-not-found', 'There is no such version.')
  refuseStale({ ifMatch }, version.edit)
  return { template, version }
}

/** A template as its organization is shown it. */
export const shownTemplate = (stored: repository.StoredTemplate): Template => {
  const { isOfficial, derivedTemplateId, derivedVersion, successorId, ...rest } = stored
  const { ratingScore, ratingCount, installCount, editCaseId, editProposed, ...more } = rest
  const { editOpenedAt, isApproved: _isApproved, isSubmitted: _isSubmitted, ...members } = more
  return {
    ...members,
    official: isOfficial,
    derivedFrom: derivedTemplateId && { template: derivedTemplateId, version: derivedVersion! },
    successor: successorId,
    rating: { score: ratingScore, count: ratingCount },
    installs: installCount,
    pendingEdit: editCaseId && {
      case: editCaseId,
      proposed: editProposed!,
      openedAt: editOpenedAt!,
    },
  } as Template
}

/** The same in a list. */
export const summaryOf = (stored: repository.StoredTemplate): TemplateSummary => {
  const { description: _, ...summary } = shownTemplate(stored)
  return summary
}

/** A version as its organization is shown it. */
export const shownVersion = (stored: versions.StoredVersion): Version => {
  const { templateId, isApproved, caseId, caseState, caseReasonCode, ...rest } = stored
  const { caseNote, caseOpenedAt, caseDecidedAt, ...members } = rest
  return {
    ...members,
    template: templateId,
    approved: isApproved,
    review: caseId
      ? {
          case: caseId,
          state: caseState!,
          reasonCode: caseReasonCode,
          note: caseNote,
          openedAt: caseOpenedAt!,
          decidedAt: caseDecidedAt,
        }
      : null,
  }
}

/** How the log names a template and a version of it. */
export const resourceOf = (template: string, version?: string): string =>
  version === undefined ? `template:${template}` : `template-version:${template}@${version}`
