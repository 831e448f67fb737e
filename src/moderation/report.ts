import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import { changePlatform, inOrganization } from '../platform/db/transaction.ts'
import { newId } from '../platform/id.ts'
import { Problem } from '../platform/problem.ts'
import { requireVisible } from '../templates/service.ts'
import * as repository from './repository.ts'
import type { CreateReport, Report } from './schema.ts'

/**
 * Tells the moderators of a template that the caller can see. One open report a person and template.
 * @param context with the organization the caller asks for
 */
export const reportTemplate = async (
  context: Context,
  { template, reasonCode, note }: { template: string } & CreateReport,
): Promise<Report> => {
  await inOrganization(context, (tx, organizationId) =>
    requireVisible(tx, { organizationId, template }),
  )
  return changePlatform(context, async (tx) => {
    const id = newId('cas')
    const openedBy = context.actor.subject
    await repository.insertReport(tx, { id, templateId: template, openedBy, reasonCode, note })
    await recordChange(tx, context, {
      event: 'template.reported',
      resource: `template:${template}`,
      after: { case: id, reasonCode },
    })
    const stored = await repository.findCase(tx, id)
    if (!stored) throw new Problem('not-found', 'case-not-found', 'There is no such case.')
    return { id, state: stored.state, openedAt: stored.openedAt }
  })
}
