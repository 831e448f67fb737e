import type { Sql } from '../platform/db/connect.ts'
import { Stopping } from '../platform/jobs/run.ts'
import { runOne } from './catalog-repository.ts'
import type { Session } from './session.ts'
import { cancelBackend } from './session-repository.ts'

/** Milliseconds between two looks at a statement that runs; after it was asked to end, between two requests. */
const LOOK_MS = 1000
const ASK_AGAIN_MS = 250
/** Milliseconds after which a statement that does not end is left to itself. */
const ENDING_MS_MAX = 30_000

/** It took longer than it may. */
export class TooLong extends Error {
  constructor(deadlineMs: number) {
    super(`it took longer than ${deadlineMs} ms`)
  }
}

const wait = (ms: number, until: Promise<unknown>, signal?: AbortSignal) => {
  let timer: ReturnType<typeof setTimeout>
  let wake = () => {}
  const waited = new Promise<void>((resolve) => {
    wake = resolve
    timer = setTimeout(resolve, ms)
    signal?.addEventListener('abort', wake, { once: true })
    if (signal?.aborted) resolve()
  })
  return Promise.race([waited, until]).finally(() => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', wake)
  })
}

type Watched = {
  /** Where others are asked: the pool. */
  sql: Sql
  signal: AbortSignal
  deadlineMs: number
  /** Called about once a second while it runs. */
  onLook: () => Promise<unknown>
}

/**
 * Runs one statement outside transactions and ends it from another connection when the signal aborts or the time is over. A
 * server that stops leaves it to the database, which goes on: whoever takes up the job finds what came of it.
 */
export const runWatched = async (
  { own, pid }: Session,
  text: string,
  { sql, signal, deadlineMs, onLook }: Watched,
): Promise<void> => {
  signal.throwIfAborted()
  const endsAtMs = Date.now() + deadlineMs
  let outcome: { error?: unknown } | undefined
  const running = runOne(own, text).then(
    () => {
      outcome = {}
    },
    (error: unknown) => {
      outcome = { error }
    },
  )
  const isOver = () => signal.aborted || Date.now() > endsAtMs
  const why = () => (signal.aborted ? signal.reason : new TooLong(deadlineMs))
  while (!outcome && !isOver()) {
    await wait(Math.min(LOOK_MS, Math.max(1, endsAtMs - Date.now())), running, signal)
    if (!outcome && !isOver()) await onLook().catch(() => {})
  }
  const giveUpAtMs = Date.now() + ENDING_MS_MAX
  while (!outcome) {
    if (signal.reason instanceof Stopping || Date.now() > giveUpAtMs) throw why()
    await cancelBackend(sql, pid).catch(() => {})
    await wait(ASK_AGAIN_MS, running)
  }
  if (!('error' in outcome)) return
  throw isOver() ? why() : outcome.error
}
