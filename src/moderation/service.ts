import type { Context } from '../platform/context.ts'
import type { Queryable, Transaction } from '../platform/db/connect.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { definitionOf } from '../scenarios/service.ts'
import { differenceOf } from '../templates/service.ts'
import { moderate, refuseOwn, requireTemplate } from './act.ts'
import * as removals from './removals-repository.ts'
import * as repository from './repository.ts'
import type { ApproveCase, Case, ListCases, Refusal } from './schema.ts'
import { liftRemoval } from './withdraw.ts'

export { reportTemplate } from './report.ts'

type OneCase = { case: string }

/** The queue, the oldest first. */
export const listCases = ({ sql }: Context, { limit, cursor, ...filter }: ListCases) =>
  inPlatform(sql, async (tx) => {
    const { kind = null, state = null, template = null, publisher = null } = filter
    const range = { kind, state, template, publisher, after: positionOf(cursor), limit: limit + 1 }
    return toPage(await repository.listCases(tx, range), limit, ({ id }) => id)
  })

const requireCase = async (tx: Queryable, id: string) => {
  const found = await repository.findCase(tx, id)
  if (!found) throw new Problem('not-found', 'case-not-found', 'There is no such case.')
  return found
}

/** One case with the bytes it is about and how they differ from what was approved before. */
export const getCase = ({ sql }: Context, { case: id }: OneCase): Promise<Case> =>
  inPlatform(sql, async (tx) => shown(tx, await requireCase(tx, id)))

const shown = async (tx: Queryable, stored: repository.StoredCase): Promise<Case> => {
  const {
    templateId,
    versionId,
    organizationId: _,
    visibility: __,
    appeals: ___,
    ...members
  } = stored
  const version = versionId === null ? undefined : await repository.findVersion(tx, versionId)
  const before = version && (await repository.findApprovedBefore(tx, templateId, version.id))
  const history = await repository.listHistory(tx, templateId, stored.id)
  return {
    ...members,
    history,
    submitted: version ? submittedOf(version) : null,
    difference:
      version && before
        ? {
            from: before.version,
            capabilities: differenceOf(before.capabilities, version.capabilities),
            isContentEqual: before.integrity === version.integrity,
          }
        : null,
  }
}

const submittedOf = (version: repository.StoredVersion) => {
  const { integrity, sizeBytes, capabilities, inputs, changelog, definition } = version
  const members = { integrity, sizeBytes, capabilities, inputs, changelog }
  return { ...members, definition: definitionOf(definition) as Record<string, unknown> }
}

/** What approving means, by the kind of case. */
const APPROVED: Record<
  string,
  (tx: Transaction, context: Context, stored: repository.StoredCase) => Promise<void>
> = {
  submission: async (tx, _context, { templateId, versionId, visibility }) => {
    await repository.approveVersion(tx, versionId!)
    const { listing: before } = await requireTemplate(tx, templateId)
    const listing = visibility === 'public' ? 'listed' : 'draft'
    // What its publisher, or a moderator, took off the list comes back by their word only.
    if (before !== 'delisted' && before !== 'taken_down')
      await repository.setListing(tx, { id: templateId, listing, reason: null })
    await repository.setIntegrations(tx, templateId)
  },
  edit: async (tx, _context, { templateId, proposed }) => {
    const { description, ...text } = proposed as { description?: string } & Record<string, never>
    await repository.applyEdit(tx, templateId, text)
    if (description !== undefined) await repository.applyDescription(tx, templateId, description)
  },
  appeal: async (tx, context, { appeals }) => {
    await liftRemoval(tx, context, appeals!)
  },
  // Somebody was right to tell; what follows is decided by itself.
  report: async () => {},
}

/**
 * Approves: a submission is published and listed, an edit shows, an appeal lifts the removal. Bound to the bytes that were
 * seen.
 * @throws Problem 409 where they are others by now, or somebody decided already; 403 for one's own
 */
export const approveCase = (
  context: Context,
  { case: id, integrity, note }: OneCase & ApproveCase,
): Promise<Case> =>
  decide(context, { id, state: 'approved', note, reasonCode: null }, async (tx, stored) => {
    if (stored.kind === 'submission') await requireSeen(tx, stored, integrity)
    await APPROVED[stored.kind]!(tx, context, stored)
  })

const requireSeen = async (
  tx: Transaction,
  { versionId }: repository.StoredCase,
  integrity: string | undefined,
) => {
  if (integrity === undefined)
    throw unprocessable('integrity-missing', '/integrity', 'names the bytes that are approved')
  const version = await repository.findVersion(tx, versionId!)
  // One that was published inside its organization stays so while it waits.
  const isWaiting = version?.status === 'submitted' || version?.status === 'published'
  if (version?.integrity !== integrity || !isWaiting)
    throw new Problem(
      'conflict',
      'integrity-changed',
      'These are not the bytes that were submitted.',
    )
}

/** Refuses with a reason: a submission may be changed and submitted anew. */
export const rejectCase = (
  context: Context,
  { case: id, reasonCode, note }: OneCase & Refusal,
): Promise<Case> =>
  decide(context, { id, state: 'rejected', note, reasonCode }, async (tx, stored) => {
    if (stored.kind !== 'submission') return
    const version = await repository.findVersion(tx, stored.versionId!)
    if (version?.status === 'submitted')
      await repository.setVersionStatus(tx, {
        ...{ id: version.id, status: 'rejected', reason: reasonCode },
      })
    const { listing } = await requireTemplate(tx, stored.templateId)
    if (listing === 'in_review')
      await repository.setListing(tx, {
        id: stored.templateId,
        listing: 'rejected',
        reason: reasonCode,
      })
  })

type Decision = {
  id: string
  state: 'approved' | 'rejected'
  note: string | undefined
  reasonCode: string | null
}

const decide = (
  context: Context,
  { id, state, note, reasonCode }: Decision,
  carryOut: (tx: Transaction, stored: repository.StoredCase) => Promise<void>,
): Promise<Case> =>
  moderate(context, async (tx, tell) => {
    await repository.lockCase(tx, id)
    const stored = await requireCase(tx, id)
    if (stored.state !== 'open')
      throw new Problem('conflict', 'case-closed', `The case is ${stored.state} already.`)
    await refuseOwn(tx, context, stored)
    await requireTemplate(tx, stored.templateId)
    await carryOut(tx, stored)
    const by = context.actor.subject
    await repository.decideCase(tx, { id, state, by, reasonCode, note: note ?? null })
    const { kind, template, version } = stored
    await tell(stored.organizationId, {
      event: state === 'approved' ? 'template-case.approved' : 'template-case.rejected',
      resource: `template:${stored.templateId}`,
      after: { case: id, kind, template: template.name, version, state, reasonCode, note },
      reason: note,
    })
    return shown(tx, await requireCase(tx, id))
  })

/** The public log of what was removed, the newest first. */
export const listRemovals = (
  { sql }: Context,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
) =>
  inPlatform(sql, async (tx) => {
    const range = { before: positionOf(cursor), limit: limit + 1 }
    return toPage(await removals.listRemovals(tx, range), limit, ({ id }) => id)
  })

/** How the queue stands, and how it was decided. */
export const getStats = ({ sql }: Context) =>
  inPlatform(sql, async (tx) => ({
    open: await repository.countOpen(tx),
    decisions: await repository.countDecisions(tx),
    moderators: await repository.countModerators(tx),
    appeals: await repository.countAppeals(tx),
  }))
