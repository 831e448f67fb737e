import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import { changePlatform, inPlatform } from '../platform/db/transaction.ts'
import { Postponed } from '../platform/jobs/handler.ts'
import { findIndex, findIsEmbedded } from './catalog-repository.ts'
import { dropConcurrently } from './drop.ts'
import { type EntryRow, findEntry } from './repository.ts'
import { Busy, type Session, withTableLock } from './session.ts'
import { isOurLeftover } from './settle.ts'

/** Milliseconds that a drop waits for old transactions. */
const LOCK_MS = 120_000
const BUSY_MS = 5000
const ENDED = ['failed', 'dismissed', 'reverted']

const record = (context: Context, { id, schema, index }: EntryRow) =>
  changePlatform(context, async (tx) => {
    await recordChange(tx, context, {
      event: 'index.cleaned',
      resource: `index:${schema}.${index}`,
      before: { recommendation: id, isValid: false },
    })
  })

const cleanIn =
  (context: Context, id: string) =>
  async ({ own }: Session) => {
    const entry = await findEntry(own, id)
    if (!entry || !ENDED.includes(entry.status) || !isOurLeftover(entry)) return { cleaned: false }
    const state = await findIndex(own, entry)
    if (!state || state.isValid) return { cleaned: false }
    await dropConcurrently(own, entry)
    await record(context, entry)
    return { cleaned: true }
  }

/** Drops an invalid index that a build of ours has left. Embedded storage, where builds are transactions, has none. */
export const cleanUp = async (context: Context, id: string): Promise<{ cleaned: boolean }> => {
  const [entry, isEmbedded] = await inPlatform(context.sql, async (tx) => [
    await findEntry(tx, id),
    await findIsEmbedded(tx),
  ])
  if (!entry || isEmbedded) return { cleaned: false }
  try {
    const bounds = { lockMs: LOCK_MS, waitMs: 0 }
    return await withTableLock(context.sql, entry, bounds, cleanIn(context, id))
  } catch (error) {
    throw error instanceof Busy ? new Postponed(error.message, BUSY_MS) : error
  }
}
