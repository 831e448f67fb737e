import { type Context, revisionToken } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { type Change, writeEvent } from './event.ts'

export { createDenials, type Denials } from './denials.ts'
export type { Change } from './event.ts'
export { findEventBody, hasEvent } from './repository.ts'

/**
 * Call after the change, inside its transaction: the event, the change and the jobs that tell others of it commit
 * together or not at all. Leaves the revision's token on the context, from where it goes into the answer's `Latchkey-Revision`.
 */
export const recordChange = async (
  tx: Transaction,
  context: Context,
  change: Change,
): Promise<{ revision: string }> => {
  const event = await writeEvent(tx, context, 'success', change)
  const { id, revision, platformRevision, written } = event
  await Promise.all([written, context.outgoing.recorded(tx, context, { id, ...change })])
  context.revision = revisionToken(context.organizationId, revision ?? 0, platformRevision)
  return { revision: context.revision }
}
