import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Queryable, Transaction } from '../platform/db/connect.ts'
import { changeOrganization } from '../platform/db/transaction.ts'
import { newId } from '../platform/id.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import * as cases from './case-repository.ts'
import { requireVisible } from './download.ts'
import { requireOwn, resourceOf, shownTemplate, summaryOf } from './own.ts'
import * as publishers from './publisher-repository.ts'
import * as repository from './repository.ts'
import type { Appeal, Case, Deprecate, OneTemplate, PutVisibility, Template } from './schema.ts'

type Named = 'template.updated' | 'template.deprecated' | 'template.unlisted' | 'template.relisted'

/** One change of how a template is shown, with its event. */
const change = (
  context: Context,
  id: string,
  {
    event,
    work,
  }: {
    event: Named
    work: (tx: Transaction, before: repository.StoredTemplate) => Promise<unknown>
  },
): Promise<Template> =>
  changeOrganization(context, async (tx, organizationId) => {
    const before = await requireOwn(tx, context, id)
    await work(tx, before)
    const after = await requireOwn(tx, { organizationId }, id)
    if (after.version !== before.version)
      await recordChange(tx, context, {
        event,
        resource: resourceOf(id),
        before: summaryOf(before),
        after: summaryOf(after),
      })
    return shownTemplate(after)
  })

/** @throws Problem 403 where a moderator has banned the publisher, 422 where there is none */
export const requirePublisher = async (tx: Queryable, organizationId: string) => {
  const publisher = await publishers.findPublisher(tx, organizationId)
  if (!publisher)
    throw unprocessable(
      'publisher-required',
      '/visibility',
      'Others see templates under a handle only: the organization needs one first (PUT …/publisher).',
    )
  if (publisher.status === 'banned')
    throw new Problem('forbidden', 'publisher-banned', 'The publisher was banned by a moderator.', {
      reason: publisher.statusReason,
    })
  return publisher
}

/**
 * Who may see a template: its organization, whoever knows its id, or everybody once it is listed.
 * @throws Problem 409 while it is listed or waits for a moderator, or to hide what others could have; 422 without a publisher
 */
export const putVisibility = (
  context: Context,
  { template, visibility }: PutVisibility & OneTemplate,
) =>
  change(context, template, {
    event: 'template.updated',
    work: async (tx, before) => {
      if (before.visibility === visibility) return
      const { organizationId } = context
      if (before.isSubmitted)
        throw new Problem(
          'conflict',
          'submission-open',
          'A version waits for a moderator; withdraw it first.',
        )
      if (visibility !== 'private') await requirePublisher(tx, organizationId)
      await repository.updateVisibility(tx, { organizationId, id: template, visibility })
    },
  })

/**
 * Advises against a template, and names another in its place; a note of null takes it back.
 * @throws Problem 422 for a successor that the organization may not see, or that is the template itself
 */
export const deprecate = (
  context: Context,
  { template, note, successor = null }: Deprecate & OneTemplate,
) =>
  change(context, template, {
    event: 'template.deprecated',
    work: async (tx, before) => {
      const { organizationId } = context
      const next = { note, successorId: note === null ? null : successor }
      if (before.deprecationNote === next.note && before.successorId === next.successorId) return
      if (next.successorId !== null) await requireSuccessor(tx, context, template, next.successorId)
      await repository.updateDeprecation(tx, { organizationId, id: template, ...next })
    },
  })

const requireSuccessor = async (
  tx: Transaction,
  { organizationId }: Context,
  template: string,
  successor: string,
) => {
  if (successor === template)
    throw unprocessable('successor-unknown', '/successor', 'cannot be the template itself')
  await requireVisible(tx, { organizationId, template: successor }).catch((error: unknown) => {
    if (!(error instanceof Problem)) throw error
    throw unprocessable('successor-unknown', '/successor', error.detail)
  })
}

/** Takes a template off the list: who has it, keeps it. @throws Problem 409 where it is not listed */
export const unlist = (context: Context, { template }: OneTemplate) =>
  change(context, template, {
    event: 'template.unlisted',
    work: async (tx, before) => {
      if (before.listing !== 'listed')
        throw new Problem('conflict', 'template-not-listed', 'The template is not listed.')
      const { organizationId } = context
      await repository.updateListing(tx, { organizationId, id: template, listing: 'delisted' })
    },
  })

/** Puts a template back on the list from which its organization took it. @throws Problem 409 where nobody took it off */
export const relist = (context: Context, { template }: OneTemplate) =>
  change(context, template, {
    event: 'template.relisted',
    work: async (tx, before) => {
      if (before.listing !== 'delisted')
        throw new Problem(
          'conflict',
          'template-not-unlisted',
          'Only what its organization took off the list can be put back.',
        )
      const { organizationId } = context
      await requirePublisher(tx, organizationId)
      await repository.updateListing(tx, { organizationId, id: template, listing: 'listed' })
    },
  })

/**
 * Asks moderators to look again at a removal.
 * @throws Problem 409 while an appeal against it waits, 422 where it is no removal of this template that still holds
 */
export const appeal = (
  context: Context,
  { template, removal, note }: Appeal & OneTemplate,
): Promise<Case> =>
  changeOrganization(context, async (tx, organizationId) => {
    await requireOwn(tx, { organizationId }, template)
    const named = { id: removal, organizationId, templateId: template }
    if (!(await cases.findRemoval(tx, named)))
      throw unprocessable(
        'removal-unknown',
        '/removal',
        'is no removal of this template that still holds',
      )
    const opened = await cases.insertCase(tx, {
      id: newId('cas'),
      kind: 'appeal',
      templateId: template,
      appeals: removal,
      openedBy: context.actor.subject,
      note,
    })
    const after = { ...opened, version: null }
    await recordChange(tx, context, {
      event: 'template.appealed',
      resource: resourceOf(template),
      after,
    })
    return after
  })
