import { markBlocked } from '../installations/service.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { newId } from '../platform/id.ts'
import { enqueue } from '../platform/jobs/enqueue.ts'
import { Problem } from '../platform/problem.ts'
import { moderate, refuseOwn, requireTemplate } from './act.ts'
import * as removals from './removals-repository.ts'
import * as repository from './repository.ts'
import type { Block, Lifting, Moderated, Refusal } from './schema.ts'

/**
 * Withdrawing by moderators: always with a reason that is told in public, always to be lifted again. What was installed stays
 * where it is.
 */
export const takeDown = (
  context: Context,
  { template: id, reasonCode, note }: { template: string } & Refusal,
): Promise<Moderated> =>
  moderate(context, async (tx, tell) => {
    const template = await requireTemplate(tx, id)
    await refuseOwn(tx, context, template)
    if (template.listing === 'taken_down')
      throw new Problem('conflict', 'taken-down-already', 'The template is taken down already.')
    const removal = await removeTemplate(tx, context, { template, reasonCode, note })
    await tell(template.organizationId, {
      event: 'template.taken-down',
      resource: `template:${id}`,
      before: { listing: template.listing },
      after: { listing: 'taken_down', reasonCode, note, removal },
      reason: note,
    })
    return stateOf(tx, id, { removal })
  })

/** @returns the removal, which its publisher may appeal against */
export const removeTemplate = async (
  tx: Transaction,
  context: Context,
  { template, ...reason }: Refusal & { template: repository.Moderable },
): Promise<string> => {
  const { id, listing } = template
  await repository.setListing(tx, { id, listing: 'taken_down', reason: reason.reasonCode })
  const former = { state: listing, reason: null }
  return noteRemoval(tx, context, { template, version: null, former, ...reason })
}

/** Lists again what was taken down, as it was. */
export const restoreTemplate = (
  context: Context,
  { template: id, note }: { template: string } & Lifting,
): Promise<Moderated> =>
  moderate(context, async (tx, tell) => {
    const template = await requireTemplate(tx, id)
    await refuseOwn(tx, context, template)
    if (template.listing !== 'taken_down')
      throw new Problem('conflict', 'not-taken-down', 'The template is not taken down.')
    await relist(tx, context, template)
    await tell(template.organizationId, {
      event: 'template.restored',
      resource: `template:${id}`,
      before: { listing: 'taken_down' },
      after: { note },
      reason: note,
    })
    return stateOf(tx, id, {})
  })

const relist = async (tx: Transaction, context: Context, template: repository.Moderable) => {
  const { id } = template
  const by = context.actor.subject
  await repository.setListing(tx, { id, listing: await listingOf(tx, template), reason: null })
  await removals.liftRemovals(tx, { templateId: id, version: null, by })
}

const AFTER_REVIEW: Record<string, string> = {
  open: 'in_review',
  approved: 'listed',
  rejected: 'rejected',
  withdrawn: 'draft',
}

/** As it was before; what was in review is where its submission has come to since. Listed is only what others may have. */
const listingOf = async (tx: Transaction, { id, visibility }: repository.Moderable) => {
  const { former } = (await removals.findFormer(tx, id, null)) ?? {}
  const { hasApproved, submission } = await removals.findReviewed(tx, id)
  const wanted =
    former === 'in_review' ? AFTER_REVIEW[submission ?? 'withdrawn']! : (former ?? 'listed')
  if (wanted === 'delisted') return wanted
  const isListable = visibility === 'public' && (hasApproved || wanted !== 'listed')
  return isListable ? wanted : 'draft'
}

/** Nobody downloads a blocked version any more; its number stays used. */
export const blockVersion = (
  context: Context,
  { version: id, reasonCode, note, quarantine }: { version: string } & Block,
): Promise<Moderated> =>
  moderate(context, async (tx, tell) => {
    const version = await requireVersion(tx, id)
    const template = await requireTemplate(tx, version.templateId)
    await refuseOwn(tx, context, template)
    if (!['published', 'yanked'].includes(version.status))
      throw new Problem(
        'conflict',
        'version-not-published',
        `A version that is ${version.status} cannot be blocked.`,
      )
    await repository.setVersionStatus(tx, { id, status: 'blocked', reason: reasonCode })
    await repository.setIntegrations(tx, template.id)
    const former = { state: version.status, reason: version.statusReason }
    const about = { template, version: version.version, former, reasonCode, note }
    const removal = await noteRemoval(tx, context, about)
    if (quarantine) await mark(tx, version, `Blocked by moderators: ${reasonCode}. ${note}`)
    await tell(template.organizationId, {
      event: 'template-version.blocked',
      resource: `template:${template.id}`,
      before: { version: version.version, status: version.status },
      after: { version: version.version, status: 'blocked', reasonCode, note, removal, quarantine },
      reason: note,
    })
    return stateOf(tx, template.id, { removal, version })
  })

/** Lets a blocked version be downloaded again. */
export const unblockVersion = (
  context: Context,
  { version: id, note }: { version: string } & Lifting,
): Promise<Moderated> =>
  moderate(context, async (tx, tell) => {
    const version = await requireVersion(tx, id)
    const template = await requireTemplate(tx, version.templateId)
    await refuseOwn(tx, context, template)
    if (version.status !== 'blocked')
      throw new Problem('conflict', 'version-not-blocked', 'The version is not blocked.')
    const status = await unblock(tx, context, version)
    await tell(template.organizationId, {
      event: 'template-version.unblocked',
      resource: `template:${template.id}`,
      after: { version: version.version, status, note },
      reason: note,
    })
    return stateOf(tx, template.id, { version })
  })

/** @returns its status, which its publisher may have set before */
const unblock = async (
  tx: Transaction,
  { actor }: Context,
  { id, templateId, version }: { id: string; templateId: string; version: string },
) => {
  const before = await removals.findFormer(tx, templateId, version)
  const isYanked = before?.former === 'yanked'
  const next = isYanked
    ? { status: 'yanked', reason: before.formerReason }
    : { status: 'published', reason: null }
  await mark(tx, { id, templateId }, null)
  await repository.setVersionStatus(tx, { id, ...next })
  await repository.setIntegrations(tx, templateId)
  await removals.liftRemovals(tx, { templateId, version, by: actor.subject })
  return next.status
}

/** Quarantines what was made from a version, or frees it: by a job, for it may be much. */
const mark = (
  tx: Transaction,
  { id, templateId }: { id: string; templateId: string },
  reason: string | null,
) =>
  enqueue(
    tx,
    'maintenance',
    markBlocked({ template: templateId, version: id, reason: reason?.slice(0, 280) ?? null }),
    {},
  )

/** What an appeal that was right leads to, if it was not lifted before. @throws Problem 403 for who removed it */
export const liftRemoval = async (tx: Transaction, context: Context, removalId: string) => {
  const removal = await removals.findRemoval(tx, removalId)
  if (!removal) throw new Problem('not-found', 'removal-not-found', 'There is no such removal.')
  if (removal.removedBy === context.actor.subject)
    throw new Problem('forbidden', 'own-case', 'Somebody other than who removed it decides this.')
  if (removal.isLifted) return
  const template = await requireTemplate(tx, removal.templateId)
  if (removal.version === null) return relist(tx, context, template)
  const { version, templateId } = removal
  const found = await removals.findVersionNamed(tx, templateId, version)
  if (found) await unblock(tx, context, { id: found.id, templateId, version })
}

/** Marks a template as the platform's own. */
export const setOfficial = (
  context: Context,
  { template: id, official }: { template: string; official: boolean },
): Promise<Moderated> =>
  moderate(context, async (tx, tell) => {
    const template = await requireTemplate(tx, id)
    await refuseOwn(tx, context, template)
    await repository.setOfficial(tx, id, official)
    await tell(template.organizationId, {
      event: 'template.marked',
      resource: `template:${id}`,
      before: { isOfficial: template.isOfficial },
      after: { isOfficial: official },
    })
    return stateOf(tx, id, {})
  })

const requireVersion = async (tx: Transaction, id: string) => {
  const version = await repository.findVersion(tx, id)
  if (!version) throw new Problem('not-found', 'version-not-found', 'There is no such version.')
  return version
}

const noteRemoval = async (
  tx: Transaction,
  { actor }: Context,
  removal: {
    template: repository.Moderable
    version: string | null
    former: { state: string; reason: string | null }
    reasonCode: string
    note: string
  },
) => {
  const { template, version, former, reasonCode, note } = removal
  const id = newId('rmv')
  await removals.insertRemoval(tx, {
    ...{ id, templateId: template.id, organizationId: template.organizationId },
    ...{ templateName: template.name, handle: template.handle ?? 'unknown' },
    ...{ version, reasonCode, note, removedBy: actor.subject },
    ...{ former: former.state, formerReason: former.reason },
  })
  return id
}

const stateOf = async (
  tx: Transaction,
  templateId: string,
  { removal = null, version }: { removal?: string | null; version?: { id: string } },
): Promise<Moderated> => {
  const { listing, isOfficial } = await requireTemplate(tx, templateId)
  const found = version && (await requireVersion(tx, version.id))
  return {
    template: templateId,
    version: found?.version ?? null,
    listing,
    status: found?.status ?? null,
    isOfficial,
    removal,
  }
}
