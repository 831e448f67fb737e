import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changePlatform } from '../platform/db/transaction.ts'
import { Fatal } from '../platform/jobs/handler.ts'
import { actAs, findIndex, runOne } from './catalog-repository.ts'
import { refuseDrop } from './drop.ts'
import { fail, succeedWithin, wantsIndex } from './entry.ts'
import { reasonOf } from './failure.ts'
import { findTwin } from './probe.ts'
import { type Bounds, requireRoom, requireTable } from './readiness.ts'
import { changeEntry, type EntryRow, findEntry } from './repository.ts'
import { dropStatement, statementOf } from './statement.ts'

/** Does what the advice says as the owner of the tables, inside the change that says so. */
const doIt = async (tx: Transaction, entry: EntryRow, bounds: Bounds) => {
  const state = await findIndex(tx, entry)
  if (!wantsIndex(entry)) {
    if (state) refuseDrop(entry, state)
    if (state) await runOne(tx, dropStatement(entry, { concurrently: false }))
    return { undo: state?.definition, reason: state ? null : 'it was not there any more' }
  }
  const readiness = await requireTable(tx, entry, bounds)
  if (state?.isValid) return { bytesBuilt: state.bytes, reason: 'it was there already' }
  const twin = entry.kind === 'create' ? await findTwin(tx, entry) : undefined
  if (twin !== undefined)
    return { reason: `the index ${twin}, which somebody else has made, is the same` }
  requireRoom(entry, readiness, bounds)
  const startedAtMs = performance.now()
  await runOne(tx, statementOf(entry, { concurrently: false }))
  const built = await findIndex(tx, entry)
  const buildMs = Math.round(performance.now() - startedAtMs)
  return { bytesBuilt: built?.bytes ?? 0, buildMs, reason: null }
}

/**
 * Embedded storage has one connection, so nobody is there whom a build could keep waiting otherwise: it is made in one
 * transaction with the change of its row, and either both are so or none is. Questions wait meanwhile.
 */
export const applyEmbedded = async (context: Context, { id }: EntryRow, bounds: Bounds) => {
  try {
    const settled = await changePlatform(context, async (tx) => {
      const entry = await findEntry(tx, id)
      if (!entry) return undefined
      await actAs(tx, 'none')
      const { undo, ...reached } = await doIt(tx, entry, bounds)
      await actAs(tx, 'latchkey_platform')
      const status = entry.status === 'approved' ? 'creating' : entry.status
      const begun = { status, attempts: entry.attempts + 1, ...(undo ? { undo } : {}) }
      const changed = await changeEntry(tx, { id, from: [entry.status] }, begun)
      return changed && succeedWithin(tx, context, changed, reached)
    })
    return { status: settled?.status ?? 'gone' }
  } catch (error) {
    const reason = reasonOf(error)
    await fail(context, id, reason)
    throw new Fatal(reason)
  }
}
