import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { Problem } from '../platform/problem.ts'
import { moderate, refuseOwn, requireTemplate } from './act.ts'
import * as repository from './repository.ts'
import type { Lifting, ModeratedPublisher, Refusal } from './schema.ts'
import { removeTemplate } from './withdraw.ts'

type OnePublisher = { organization: string }

/** Keeps a publisher from the marketplace: what it has listed is taken down, told in public; what was installed stays. */
export const banPublisher = (
  context: Context,
  { organization, reasonCode, note }: OnePublisher & Refusal,
): Promise<ModeratedPublisher> =>
  change(
    context,
    organization,
    { event: 'publisher.banned', said: { reasonCode, note } },
    async (tx, found) => {
      const { organizationId } = found
      await repository.setPublisherStatus(tx, {
        organizationId,
        status: 'banned',
        reason: reasonCode,
      })
      for (const { id } of await repository.listListed(tx, organizationId)) {
        const template = await requireTemplate(tx, id)
        await removeTemplate(tx, context, { template, reasonCode, note })
      }
    },
  )

/** Lets a publisher in again. What was taken off is restored one by one. */
export const unbanPublisher = (
  context: Context,
  { organization, note }: OnePublisher & Lifting,
): Promise<ModeratedPublisher> =>
  change(
    context,
    organization,
    { event: 'publisher.unbanned', said: { note } },
    (tx, { organizationId }) =>
      repository.setPublisherStatus(tx, { organizationId, status: 'active', reason: null }),
  )

/** Vouches for a publisher without a domain. */
export const verifyPublisher = (
  context: Context,
  { organization, note }: OnePublisher & Lifting,
): Promise<ModeratedPublisher> =>
  change(
    context,
    organization,
    { event: 'publisher.verified', said: { note } },
    (tx, { organizationId }) => repository.setPublisherVerified(tx, organizationId),
  )

type Found = NonNullable<Awaited<ReturnType<typeof repository.findPublisher>>>

const change = (
  context: Context,
  reference: string,
  { event, said }: { event: string; said: { reasonCode?: string; note?: string | undefined } },
  work: (tx: Transaction, found: Found) => Promise<unknown>,
): Promise<ModeratedPublisher> =>
  moderate(context, async (tx, tell) => {
    const before = await requirePublisher(tx, reference)
    await refuseOwn(tx, context, before)
    await work(tx, before)
    const after = shown(await requirePublisher(tx, before.organizationId))
    await tell(before.organizationId, {
      event,
      resource: `publisher:${before.organizationId}`,
      before: shown(before),
      after: { ...after, ...said },
      reason: said.note,
    })
    return after
  })

const requirePublisher = async (tx: Transaction, reference: string) => {
  const found = await repository.findPublisher(tx, reference)
  if (!found) throw new Problem('not-found', 'publisher-not-found', 'There is no such publisher.')
  return found
}

const shown = ({ organizationId: _, ...publisher }: Found): ModeratedPublisher => publisher
