import { inPlatform } from '../platform/db/transaction.ts'
import { Fatal, Postponed } from '../platform/jobs/handler.ts'
import { Stopping } from '../platform/jobs/run.ts'
import { findIsEmbedded } from './catalog-repository.ts'
import { applyEmbedded } from './embedded.ts'
import { fail, wantsIndex } from './entry.ts'
import { isPassing, reasonOf } from './failure.ts'
import { type AdviceJob, dropIndex, type MakeOptions, makeIndex } from './make.ts'
import { type EntryRow, findEntry, findJobEnd, findLiveJob, noteProgress } from './repository.ts'
import { Busy, type Session, withTableLock } from './session.ts'
import { settle } from './settle.ts'

/** Milliseconds that a build waits for others; it keeps nobody from reading or writing meanwhile. */
const LOCK_MS = 120_000
/** Milliseconds that cleaning up waits for the connection before it to be gone. */
const SETTLE_WAIT_MS = 10_000
/** Builds that are begun for one approval. */
export const ATTEMPTS_MAX = 3
/** Milliseconds a build keeps its job's slot: a queue has few, and what takes hours must not keep others waiting. */
const SLOT_MS = 20_000
/** Milliseconds between two looks of a job at a build that has no slot any more. */
const LOOK_AFTER_MS = 30_000

export type BuildOptions = Partial<MakeOptions> & {
  lockMs?: number
  attemptsMax?: number
  slotMs?: number
}

const UNDER_WAY = ['approved', 'creating', 'reverting']

/** Not before its hold is over. */
const postponeHeld = (job: AdviceJob, { status, holdUntil }: EntryRow) => {
  const leftMs = holdUntil === null ? 0 : Date.parse(holdUntil) - job.context.now().getTime()
  if (status === 'approved' && leftMs > 0) throw new Postponed('it is held', leftMs)
}

/** How an attempt that came to nothing ends: for good, or with another one after it. */
const endOf = async (job: AdviceJob, id: string, error: unknown, options: RunOptions) => {
  const { live, ended, entry } = await inPlatform(job.context.sql, async (tx) => ({
    live: await findLiveJob(tx, job.id),
    ended: await findJobEnd(tx, job.id),
    entry: await findEntry(tx, id),
  }))
  if (ended) return { isFinal: true, reason: ended.why ?? reasonOf(error) }
  // Another worker has the job by now.
  if (job.signal.aborted) return { isFinal: !live, reason: reasonOf(error) }
  const { attemptsMax = ATTEMPTS_MAX } = options
  const isLast = job.attempt >= job.attemptsMax || (entry?.attempts ?? 0) >= attemptsMax
  return { isFinal: isLast || !isPassing(error), reason: reasonOf(error) }
}

type RunOptions = BuildOptions & { abort: AbortController }

/** After a failure nothing is left of the attempt; where that cannot be now, it is done by `indexes.reconcile`. */
const settleFailure = async (
  job: AdviceJob,
  { id, index, schema, table }: EntryRow,
  { error, options }: { error: unknown; options: RunOptions },
): Promise<never> => {
  const { context } = job
  const { isFinal, reason } = await endOf(job, id, error, options)
  const note = { progress: null, reason }
  await inPlatform(context.sql, (tx) => noteProgress(tx, id, note)).catch(() => {})
  const bounds = { lockMs: SETTLE_WAIT_MS, waitMs: SETTLE_WAIT_MS }
  try {
    const settled = await withTableLock(context.sql, { schema, table }, bounds, (session) =>
      settle(context, session, { id, isFinal, reason }),
    )
    if (isFinal && settled?.status === 'approved') await fail(context, id, reason)
  } catch (left) {
    context.log.warn({ err: left, index }, 'the rest of a build is cleaned up later')
  }
  throw isFinal ? new Fatal(reason) : error
}

const applyIn = async (job: AdviceJob, session: Session, options: RunOptions) => {
  // As it stands now that nobody else works on it.
  const entry = await findEntry(session.own, job.payload.recommendation)
  if (!entry || !UNDER_WAY.includes(entry.status)) return entry
  return (wantsIndex(entry) ? makeIndex : dropIndex)(job, session, entry, options)
}

const applyOnServer = async (job: AdviceJob, entry: EntryRow, options: RunOptions) => {
  const { sql } = job.context
  try {
    const bounds = { lockMs: options.lockMs ?? LOCK_MS, waitMs: 0 }
    const settled = await withTableLock(sql, entry, bounds, (session) =>
      applyIn(job, session, options),
    )
    return { status: settled?.status ?? entry.status }
  } catch (error) {
    if (error instanceof Stopping) throw error
    if (error instanceof Busy) {
      if (entry.progress) await job.progress(entry.progress.share, entry.progress.phase)
      throw new Postponed(error.message, LOOK_AFTER_MS)
    }
    if (!(error instanceof Postponed)) return settleFailure(job, entry, { error, options })
    const note = { progress: null, reason: error.message }
    await inPlatform(sql, (tx) => noteProgress(tx, entry.id, note))
    throw error
  }
}

/** Aborts when the job's signal does, and by itself. */
const abortWith = (signal: AbortSignal): AbortController => {
  const abort = new AbortController()
  signal.addEventListener('abort', () => abort.abort(signal.reason), { once: true })
  if (signal.aborted) abort.abort(signal.reason)
  return abort
}

/** What a promise gives, or nothing when it takes longer. */
const within = <Value>(ms: number, promise: Promise<Value>): Promise<Value | undefined> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), ms)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })

/**
 * Does what was decided about a recommendation: builds, drops, or undoes either. Whatever comes of it stands in its row. A
 * build that takes long goes on in this process without the job, which looks after it: if the process ends, the database goes
 * on, and the next look finds what came of it.
 */
export const applyAdvice = async (job: AdviceJob, given: BuildOptions = {}) => {
  const { context, payload } = job
  const { entry, isEmbedded } = await inPlatform(context.sql, async (tx) => ({
    entry: await findEntry(tx, payload.recommendation),
    isEmbedded: await findIsEmbedded(tx),
  }))
  if (!entry || !UNDER_WAY.includes(entry.status)) return { status: entry?.status ?? 'gone' }
  postponeHeld(job, entry)
  if (isEmbedded) return applyEmbedded(context, entry, given)
  const options = { ...given, abort: given.abort ?? abortWith(job.signal) }
  const applied = applyOnServer(job, entry, options)
  const inTime = await within(given.slotMs ?? SLOT_MS, applied)
  if (inTime) return inTime
  applied.catch((error: unknown) =>
    context.log.warn({ err: error, index: entry.index }, 'a build came to nothing'),
  )
  throw new Postponed('it is under way and takes long; its slot is for others', LOOK_AFTER_MS)
}
