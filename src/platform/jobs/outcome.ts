import type { Sql } from '../db/connect.ts'
import type { Log } from '../log.ts'

/** How a run ended. `delayMs` is of those that are put back. */
export type Outcome = { id: string; fence: number } & (
  | { end: 'done'; result: unknown }
  | { end: 'canceled'; reason: string }
  | { end: 'failed' | 'timed-out'; dead: boolean; delayMs: number; error: string }
  | { end: 'postponed'; delayMs: number; error: string }
  | { end: 'released' }
  | { end: 'parked'; error: string }
)

type Pending = { outcome: Outcome; settle: (ours: boolean) => void; fail: (error: unknown) => void }

/** Outcomes written with one statement. */
const BATCH_MAX = 500
const RETRY_MS_MAX = 2000

const STATES = { done: 'done', canceled: 'canceled' } as const

const finishedOf = (outcome: Outcome) =>
  outcome.end === 'done'
    ? { id: outcome.id, fence: outcome.fence, state: STATES.done, result: outcome.result ?? null }
    : outcome.end === 'canceled'
      ? { id: outcome.id, fence: outcome.fence, state: STATES.canceled, reason: outcome.reason }
      : undefined

const putBackOf = (outcome: Outcome) => {
  const { id, fence, end } = outcome
  if (end === 'released') return { id, fence, state: 'ready', outcome: end, delay_ms: 0 }
  if (end === 'parked')
    return {
      id,
      fence,
      state: 'parked',
      outcome: 'released',
      delay_ms: 0,
      error: outcome.error,
    }
  if (end === 'postponed')
    return {
      id,
      fence,
      state: 'ready',
      outcome: end,
      delay_ms: outcome.delayMs,
      error: outcome.error,
    }
  if (end === 'failed' || end === 'timed-out')
    return {
      id,
      fence,
      state: outcome.dead ? 'dead' : 'ready',
      outcome: end,
      delay_ms: outcome.delayMs,
      error: outcome.error,
    }
  return undefined
}

const isGiven = <Value>(value: Value | undefined): value is Value => value !== undefined

/**
 * Writes how runs ended, many with one statement: while one is on its way, the next ones gather. A database that is away
 * is tried again until it answers; what was lost to another worker in the meantime is refused by its fence.
 */
export const createOutcomes = (sql: Sql, log: Log) => {
  let pending: Pending[] = []
  let writing = false

  const write = async (batch: Pending[]) => {
    const finished = batch.map(({ outcome }) => finishedOf(outcome)).filter(isGiven)
    const putBack = batch.map(({ outcome }) => putBackOf(outcome)).filter(isGiven)
    const ours = new Set<string>()
    if (finished.length > 0)
      for (const { id } of await sql<{ id: string }[]>`
        select finish_jobs as id from finish_jobs(${sql.json(finished as never)})`)
        ours.add(id)
    if (putBack.length > 0)
      for (const { id } of await sql<{ id: string }[]>`
        select put_back_jobs as id from put_back_jobs(${sql.json(putBack as never)})`)
        ours.add(id)
    for (const { outcome, settle } of batch) settle(ours.has(outcome.id))
  }

  const drain = async () => {
    while (pending.length > 0) {
      const batch = pending.slice(0, BATCH_MAX)
      pending = pending.slice(BATCH_MAX)
      for (let tries = 0; ; tries++) {
        try {
          await write(batch)
          break
        } catch (error) {
          if (isClosed(error)) {
            for (const { fail } of batch) fail(error)
            break
          }
          log.warn(
            { err: error, jobs: batch.length },
            'outcomes of jobs could not be written; trying again',
          )
          await new Promise((resolve) =>
            setTimeout(resolve, Math.min(RETRY_MS_MAX, 50 * 2 ** tries)),
          )
        }
      }
    }
    writing = false
  }

  return {
    /** Resolves when it is written: true, or false where the job was no longer this worker's. */
    record: (outcome: Outcome): Promise<boolean> =>
      new Promise((settle, fail) => {
        pending.push({ outcome, settle, fail })
        if (writing) return
        writing = true
        void drain()
      }),
  }
}

/** The pool was ended: nobody will write any more. */
const isClosed = (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === 'CONNECTION_ENDED'
