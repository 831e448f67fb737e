import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changeOrganization, inOrganization, inPlatform } from '../platform/db/transaction.ts'
import { cursorAt } from '../platform/page.ts'
import { Problem } from '../platform/problem.ts'
import { requireVisible } from '../templates/service.ts'
import { readTimeCursor } from './cursor.ts'
import * as repository from './ratings-repository.ts'
import type { ListRatings, OneTemplate, PutRating, Rated, RatingItem } from './schema.ts'

const MODERATE = 'marketplace:moderate'

/** What people think of a template, the newest first. Whose a rating is, only moderators and they themselves are told. */
export const listRatings = async (
  context: Context,
  { template: id, limit, cursor }: OneTemplate & ListRatings,
) => {
  const { until, skip } = readTimeCursor(cursor)
  const showsSubjects = await context.access.permits(context, MODERATE, { organizationId: null })
  return inOrganization(context, async (tx, organizationId) => {
    await requireVisible(tx, { organizationId, template: id })
    const { subject } = context.actor
    const range = { templateId: id, subject, showsSubjects, until, skip, limit: limit + 1 }
    const rows = await repository.listRatings(tx, range)
    const items = rows.slice(0, limit)
    const at = items.at(-1)?.at
    const seen = items.filter((row) => row.at === at).length + (at === until ? skip : 0)
    return {
      items: items.map(({ at: _, ...item }): RatingItem => item),
      nextCursor: rows.length > limit ? cursorAt(JSON.stringify([at, seen])) : null,
    }
  })
}

/** Who publishes something does not rate it, for whatever organization they ask. */
const refuseOwn = async ({ sql, actor, organizationId }: Context, publisherId: string) => {
  const isOwn =
    publisherId === organizationId ||
    (await inPlatform(sql, (tx) => repository.isMember(tx, publisherId, actor.subject)))
  if (isOwn)
    throw new Problem(
      'forbidden',
      'own-rating',
      'Nobody rates what their own organization publishes.',
    )
}

/** Read before a change begins: whether somebody belongs to the publisher is nothing the organization itself may see. */
const requireRatable = async (context: Context, id: string) => {
  const template = await inOrganization(context, (tx, organizationId) =>
    requireVisible(tx, { organizationId, template: id }),
  )
  await refuseOwn(context, template.organizationId)
}

/**
 * Rates a template, or changes one's rating: one a person or key, of an organization that has it installed, or had.
 * @throws Problem 403 for the publisher's own people, and where it was never installed; 409 where they rated it for another
 * organization
 */
export const putRating = async (
  context: Context,
  { template: id, stars, body = null }: OneTemplate & PutRating,
): Promise<Rated> => {
  await requireRatable(context, id)
  return changeOrganization(context, async (tx, organizationId) => {
    const { subject } = context.actor
    const installed = await repository.findInstalled(tx, organizationId, id)
    if (!installed)
      throw new Problem('forbidden', 'not-installed', 'Only who has installed a template rates it.')
    const before = await repository.findRating(tx, id, subject)
    if (before && before.organizationId !== organizationId)
      throw new Problem('conflict', 'rated-elsewhere', 'You rated it for another organization.')
    const { versionId } = installed
    const rating = { templateId: id, subject, organizationId, versionId, stars, body }
    await repository.putRating(tx, rating)
    await recordChange(tx, context, {
      event: 'rating.updated',
      resource: `template:${id}`,
      before: before && { stars: before.stars, body: before.body },
      after: { stars, body },
    })
    return readRated(tx, id, subject)
  })
}

/** Takes one's rating back; a hidden one stays, so that it cannot be made anew. */
export const deleteRating = (context: Context, { template: id }: OneTemplate): Promise<Rated> =>
  changeOrganization(
    context,
    async (tx, organizationId) => {
      const { subject } = context.actor
      const before = await repository.findRating(tx, id, subject)
      if (before?.organizationId !== organizationId)
        throw new Problem('not-found', 'rating-not-found', 'You have not rated it here.')
      if (before.hiddenAt !== null)
        throw new Problem(
          'conflict',
          'rating-hidden',
          'A moderator has hidden it; it stays as it is.',
        )
      await repository.deleteRating(tx, { templateId: id, subject, organizationId })
      await recordChange(tx, context, {
        event: 'rating.deleted',
        resource: `template:${id}`,
        before: { stars: before.stars, body: before.body },
      })
      return readRated(tx, id, subject)
    },
    { shrinks: true },
  )

const readRated = async (tx: Transaction, id: string, subject: string): Promise<Rated> => {
  const found = await repository.findRating(tx, id, subject)
  const score = await repository.readScore(tx, id)
  if (!found) return { ...score, own: null }
  const { organizationId: _, hiddenAt: __, ...own } = found
  return { ...score, own }
}
