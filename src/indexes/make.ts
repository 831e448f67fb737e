import { inPlatform } from '../platform/db/transaction.ts'
import type { RunningJob } from '../platform/jobs/handler.ts'
import { findIndex } from './catalog-repository.ts'
import { dropConcurrently, refuseDrop } from './drop.ts'
import { begin, succeed } from './entry.ts'
import { Refused } from './failure.ts'
import { findTwin } from './probe.ts'
import { progressOf } from './progress.ts'
import { type Bounds, postponeForOthers, requireRoom, requireTable } from './readiness.ts'
import { type EntryRow, findJobEnd, noteProgress } from './repository.ts'
import { runWatched } from './running.ts'
import type { Session } from './session.ts'
import { findBuildProgress } from './session-repository.ts'
import { isOurLeftover } from './settle.ts'
import { statementOf } from './statement.ts'

/** Milliseconds after which a build is given up. */
export const DEADLINE_MS = 12 * 3_600_000

export type AdviceJob = RunningJob<{ recommendation: string }>
export type MakeOptions = Bounds & {
  deadlineMs?: number
  /** Ends what runs. */
  abort: AbortController
}

/** Whoever watches is told how far it is; a job that was canceled ends what it began, even where that has let go of its slot. */
const watched = (
  job: AdviceJob,
  { pid }: Session,
  { abort, deadlineMs = DEADLINE_MS }: MakeOptions,
) => {
  const { sql } = job.context
  const { signal } = abort
  const onLook = async () => {
    const ended = await inPlatform(sql, (tx) => findJobEnd(tx, job.id))
    if (ended) return abort.abort(new Error(ended.why ?? 'its job has ended'))
    // Not as the platform: others are told nothing of what a backend does.
    const build = await findBuildProgress(sql, pid)
    if (!build) return
    const progress = progressOf(build)
    const note = { progress, reason: null }
    await inPlatform(sql, (tx) => noteProgress(tx, job.payload.recommendation, note))
    await job.progress(progress.share, progress.phase)
  }
  return { sql, signal, deadlineMs, onLook }
}

const twinOf = (session: Session, entry: EntryRow) =>
  session.own.begin((tx) => findTwin(tx, entry)) as Promise<string | undefined>

/** Builds an index unless it, or one that is the same, is there. Called with the table's lock. */
export const makeIndex = async (
  job: AdviceJob,
  session: Session,
  entry: EntryRow,
  options: MakeOptions,
): Promise<EntryRow | undefined> => {
  const { context } = job
  const before = await findIndex(session.own, entry)
  const isThere = before?.isValid === true
  if (before && !isThere) {
    if (!isOurLeftover(entry))
      throw new Refused(`an invalid index ${entry.index} is there that is not of this advice`)
    await dropConcurrently(session.own, entry)
  }
  const readiness = await requireTable(session.own, entry, options)
  const twin = isThere || entry.kind === 'drop' ? undefined : await twinOf(session, entry)
  if (!isThere && twin === undefined) requireRoom(entry, readiness, options)
  // It may have been dismissed meanwhile.
  if (!(await begin(context, entry.id, undefined))) return undefined
  if (isThere)
    return succeed(context, entry.id, {
      bytesBuilt: before.bytes,
      // It was begun here, and whoever did so was lost.
      reason: entry.attempts > 0 ? null : 'it was there already',
    })
  if (twin !== undefined)
    return succeed(context, entry.id, {
      reason: `the index ${twin}, which somebody else has made, is the same`,
    })
  const startedAtMs = performance.now()
  const statement = statementOf(entry, { concurrently: true })
  await runWatched(session, statement, watched(job, session, options))
  const built = await findIndex(session.own, entry)
  if (!built?.isValid) throw new Refused('the database says it is built, but it is not valid')
  return succeed(context, entry.id, {
    bytesBuilt: built.bytes,
    buildMs: Math.round(performance.now() - startedAtMs),
  })
}

/** Drops an index; what makes it again is kept before. Called with the table's lock. */
export const dropIndex = async (
  job: AdviceJob,
  session: Session,
  entry: EntryRow,
  options: MakeOptions,
): Promise<EntryRow | undefined> => {
  const { context } = job
  const state = await findIndex(session.own, entry)
  if (state?.isValid) {
    refuseDrop(entry, state)
    postponeForOthers(await requireTable(session.own, entry, options))
  } else if (state && !isOurLeftover(entry) && entry.code !== 'invalid')
    throw new Refused(`the index ${entry.index} is invalid, and not because of this advice`)
  const undo = state?.isValid ? state.definition : undefined
  if (!(await begin(context, entry.id, undo))) return undefined
  const run = (text: string) => runWatched(session, text, watched(job, session, options))
  if (state) await dropConcurrently(session.own, entry, run)
  return succeed(context, entry.id, state ? {} : { reason: 'it was not there any more' })
}
