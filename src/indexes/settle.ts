import type { Context } from '../platform/context.ts'
import { findIndex } from './catalog-repository.ts'
import { dropConcurrently } from './drop.ts'
import { fail, succeed, wantsIndex } from './entry.ts'
import { isOurName } from './name.ts'
import { type EntryRow, findEntry } from './repository.ts'
import type { Session } from './session.ts'

/** Whether an invalid index of this name came of applying this advice: by its name and its row, or because we have begun to make or drop it. */
export const isOurLeftover = (entry: EntryRow): boolean =>
  entry.kind === 'create' ? isOurName(entry.index) : entry.attempts > 0

/**
 * Makes an entry say what the catalog says, whose word counts: what was reached is done, what a failed attempt has left is
 * dropped, and what nobody will try again has failed. Called with the table's lock.
 * @param isFinal whether no attempt follows
 */
export const settle = async (
  context: Context,
  { own }: Session,
  { id, isFinal, reason }: { id: string; isFinal: boolean; reason: string },
): Promise<EntryRow | undefined> => {
  const entry = await findEntry(own, id)
  if (!entry || (entry.status !== 'creating' && entry.status !== 'reverting')) return entry
  const state = await findIndex(own, entry)
  const wanted = wantsIndex(entry)
  if (wanted && state?.isValid) return succeed(context, id, { bytesBuilt: state.bytes })
  if (state && !state.isValid && isOurLeftover(entry)) await dropConcurrently(own, entry)
  if (!wanted && !state?.isValid) return succeed(context, id, {})
  return isFinal ? fail(context, id, reason) : entry
}
