import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changeOrganization } from '../platform/db/transaction.ts'
import { newId } from '../platform/id.ts'
import { Problem } from '../platform/problem.ts'
import * as cases from './case-repository.ts'
import { requireCategory } from './category.ts'
import { refuseFailed, runWordChecks } from './check.ts'
import { requireLicense } from './license.ts'
import { requireOwn, resourceOf, shownTemplate, summaryOf } from './own.ts'
import * as repository from './repository.ts'
import type { OneTemplate, PatchTemplate, Proposed, Template } from './schema.ts'

const WORDS = ['name', 'summary', 'description', 'category', 'tags', 'license'] as const
/** What moderators have read stays as they read it until they approve a change. */
const READ_BY_MODERATORS = new Set(['listed', 'delisted', 'taken_down'])

/** What differs from what there is. */
const changesOf = (stored: repository.StoredTemplate, patch: PatchTemplate): Proposed => {
  const changed = WORDS.filter(
    (word) =>
      patch[word] !== undefined && JSON.stringify(patch[word]) !== JSON.stringify(stored[word]),
  )
  return Object.fromEntries(changed.map((word) => [word, patch[word]]))
}

/**
 * Changes the words of a template. What moderators have approved shows a change only when they have approved that too: the
 * answer tells of it as `pendingEdit`.
 * @throws Problem 409 while a submission waits for a moderator, 412, 422 with the place
 */
export const editTemplate = (
  context: Context,
  { template: id, ...patch }: PatchTemplate & OneTemplate,
): Promise<Template> =>
  changeOrganization(context, async (tx, organizationId) => {
    const before = await requireOwn(tx, context, id)
    const changes = changesOf(before, patch)
    const isEmpty = Object.keys(changes).length === 0
    if (isEmpty && !before.editCaseId) return shownTemplate(before)
    if (changes.license !== undefined) requireLicense(changes.license)
    if (changes.category !== undefined) await requireCategory(tx, changes.category)
    if (READ_BY_MODERATORS.has(before.listing)) await propose(tx, context, { before, patch })
    else await rewrite(tx, organizationId, { before, changes })
    const after = await requireOwn(tx, { organizationId }, id)
    await recordChange(tx, context, {
      event: 'template.updated',
      resource: resourceOf(id),
      before: summaryOf(before),
      after: summaryOf(after),
    })
    return shownTemplate(after)
  })

type Before = { before: repository.StoredTemplate }

const rewrite = async (
  tx: Transaction,
  organizationId: string,
  { before, changes }: Before & { changes: Proposed },
) => {
  // A moderator reads these very words just now.
  if (before.isSubmitted)
    throw new Problem(
      'conflict',
      'submission-open',
      'A version waits for a moderator, who reads these words with it; withdraw it first.',
    )
  const next = { ...before, ...changes }
  await repository.updateTexts(tx, { ...next, organizationId })
  if (changes.description !== undefined)
    await repository.putDescription(tx, before.id, changes.description)
}

/** Opens a case; an edit that waits already is taken back, and what it proposed goes on unless it is changed again. */
const propose = async (
  tx: Transaction,
  { organizationId, actor }: Context,
  { before, patch }: Before & { patch: PatchTemplate },
) => {
  const proposed = changesOf(before, { ...before.editProposed, ...patch } as PatchTemplate)
  if (before.editCaseId) await cases.withdrawEdit(tx, before.editCaseId)
  await repository.touchTemplate(tx, { organizationId, id: before.id })
  // Changed back to what is shown: nothing is left to be approved.
  if (Object.keys(proposed).length === 0) return
  const checks = await runWordChecks(tx, { organizationId, template: { ...before, ...proposed } })
  refuseFailed(checks)
  await cases.insertCase(tx, {
    id: newId('cas'),
    kind: 'edit',
    templateId: before.id,
    proposed,
    openedBy: actor.subject,
    checks,
  })
}
