import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changePlatform } from '../platform/db/transaction.ts'
import { Problem } from '../platform/problem.ts'
import * as repository from './repository.ts'

/** What happened, as both logs tell it. */
export type Act = {
  event: string
  resource: string
  before?: unknown
  after?: unknown
  reason?: string | null | undefined
}

/**
 * One act of a moderator: made as the platform, and told in the platform's log and in that of the organization it touches, which
 * must be able to see what was done to it.
 */
export const moderate = <Result>(
  context: Context,
  work: (
    tx: Transaction,
    tell: (organizationId: string, act: Act) => Promise<void>,
  ) => Promise<Result>,
): Promise<Result> =>
  changePlatform(context, (tx) =>
    work(tx, async (organizationId, act) => {
      await recordChange(tx, { ...context, organizationId }, act)
      await recordChange(tx, context, act)
    }),
  )

/**
 * Nobody decides about their own: neither what they opened nor what their organization publishes.
 * @throws Problem 403
 */
export const refuseOwn = async (
  tx: Transaction,
  { actor }: Context,
  about: { organizationId: string; openedBy?: string },
) => {
  const isOwn =
    about.openedBy === actor.subject ||
    actor.organizationId === about.organizationId ||
    (await repository.isMember(tx, about.organizationId, actor.subject))
  if (isOwn)
    throw new Problem(
      'forbidden',
      'own-case',
      'Somebody outside the publisher decides this, and not who opened it.',
    )
}

/** A template that is touched. @throws Problem 404 */
export const requireTemplate = async (tx: Transaction, id: string) => {
  const template = await repository.lockTemplate(tx, id)
  if (!template) throw new Problem('not-found', 'template-not-found', 'There is no such template.')
  return template
}
