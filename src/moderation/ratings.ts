import type { Context } from '../platform/context.ts'
import { Problem } from '../platform/problem.ts'
import { moderate, refuseOwn, requireTemplate } from './act.ts'
import * as repository from './repository.ts'

type OneRating = { template: string; subject: string }

/** A rating that breaks the rules neither shows nor counts. */
export const hideRating = (context: Context, rating: OneRating & { reasonCode: string }) =>
  setHidden(context, { ...rating, isHidden: true })

/** Shows and counts it again. */
export const showRating = (context: Context, rating: OneRating) =>
  setHidden(context, { ...rating, isHidden: false })

const setHidden = (
  context: Context,
  {
    template: id,
    subject,
    isHidden,
    ...said
  }: OneRating & { isHidden: boolean; reasonCode?: string },
) =>
  moderate(context, async (tx, tell) => {
    const template = await requireTemplate(tx, id)
    await refuseOwn(tx, context, { organizationId: template.organizationId, openedBy: subject })
    const found = await repository.setRatingHidden(tx, { templateId: id, subject, isHidden })
    if (!found) throw new Problem('not-found', 'rating-not-found', 'There is no such rating.')
    await tell(found.organizationId, {
      event: isHidden ? 'rating.hidden' : 'rating.shown',
      resource: `template:${id}`,
      after: { subject, ...said },
    })
  })
