import type { Context } from '../platform/context.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import * as catalog from './catalog-repository.ts'
import { fail, succeed, wantsIndex } from './entry.ts'
import { DEADLINE_MS } from './make.ts'
import { progressOf } from './progress.ts'
import type { EntryRow } from './repository.ts'
import * as repository from './repository.ts'
import { Busy, lockKeyOf, withTableLock } from './session.ts'
import { cancelBackend, findBuildProgress, findOrphan } from './session-repository.ts'
import { settle } from './settle.ts'

/** Milliseconds that a drop of what was left waits for old transactions: the next look is a minute away. */
const LOCK_MS = 5000

type Left = { entry: EntryRow; isFinal: boolean; reason: string; isEmbedded: boolean }

const findLeft = (context: Context, id: string) =>
  inPlatform(context.sql, async (tx): Promise<Left | undefined> => {
    const entry = await repository.findEntry(tx, id)
    if (!entry) return undefined
    const live = entry.jobId === null ? undefined : await repository.findLiveJob(tx, entry.jobId)
    const ended = entry.jobId === null ? undefined : await repository.findJobEnd(tx, entry.jobId)
    const reason = ended?.why ?? entry.statusReason ?? 'the worker that did it was lost'
    const isEmbedded = await catalog.findIsEmbedded(tx)
    return { entry, isFinal: !live, reason, isEmbedded }
  })

/**
 * The database goes on with a build whose client is gone; whoever looks is told how far it is. One that nobody wants any
 * more, because its job has ended, or that takes too long, is ended.
 */
const tendOrphan = async ({ sql }: Context, { entry, isFinal }: Left) => {
  // As the connection's own user: others are told nothing of what a backend does, and may not end it.
  const holder = await findOrphan(sql, lockKeyOf(entry))
  const build = holder && (await findBuildProgress(sql, holder.pid))
  if (!build) return
  const note = { progress: progressOf(build), reason: entry.statusReason }
  await inPlatform(sql, (tx) => repository.noteProgress(tx, entry.id, note))
  if (isFinal || holder.seconds * 1000 > DEADLINE_MS) await cancelBackend(sql, holder.pid)
}

/** Where builds are transactions there is nothing in between. */
const settleEmbedded = async (context: Context, { entry, reason }: Left) => {
  const state = await inPlatform(context.sql, (tx) => catalog.findIndex(tx, entry))
  const isReached = wantsIndex(entry) === (state?.isValid === true)
  return isReached ? succeed(context, entry.id, {}) : fail(context, entry.id, reason)
}

const settleLeft = async (context: Context, left: Left): Promise<unknown> => {
  const { entry, isFinal, reason, isEmbedded } = left
  if (entry.status === 'approved') return isFinal ? fail(context, entry.id, reason) : undefined
  if (isEmbedded) return isFinal ? settleEmbedded(context, left) : undefined
  const bounds = { lockMs: LOCK_MS, waitMs: 0 }
  return withTableLock(context.sql, entry, bounds, (session) =>
    settle(context, session, { id: entry.id, isFinal, reason }),
  )
}

/** Compares what is under way with the catalog and ends what nobody will end. Answers how many entries it has changed. */
export const reconcile = async (
  context: Context,
  signal: AbortSignal,
): Promise<{ underWay: number; settled: number }> => {
  const underWay = await inPlatform(context.sql, repository.listUnderWay)
  let settled = 0
  for (const { id, status } of underWay) {
    signal.throwIfAborted()
    const left = await findLeft(context, id)
    if (!left) continue
    try {
      await settleLeft(context, left)
    } catch (error) {
      if (error instanceof Busy) await tendOrphan(context, left)
      else
        context.log.warn(
          { err: error, recommendation: id },
          'the rest of a build is cleaned up later',
        )
    }
    const after = await inPlatform(context.sql, (tx) => repository.findEntry(tx, id))
    if (after?.status !== status) settled++
  }
  return { underWay: underWay.length, settled }
}
