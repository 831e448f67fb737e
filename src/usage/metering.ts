import type { Policies } from '../decisions/service.ts'
import type { Sql } from '../platform/db/connect.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import type { Log } from '../platform/log.ts'
import { addDecisions } from './points-repository.ts'

/** Milliseconds between two times that decisions are written down; as many are lost when a process is killed. */
export const FLUSH_MS = 5000
/** Rows that one statement takes. */
const ROWS_AT_ONCE = 5000

/**
 * Takes the decisions that were counted in memory and adds them to the roll-ups of the hour. What cannot be written down is
 * put back and written down the next time.
 */
export const createMetering = (
  { asked }: Pick<Policies, 'asked'>,
  { now, log }: { now: () => Date; log: Log },
) => {
  let flushedAtMs = 0
  let flushing: Promise<void> = Promise.resolve()

  const write = async (sql: Sql) => {
    flushedAtMs = now().getTime()
    const at = now().toISOString()
    const counts = asked.take()
    while (counts.length > 0) {
      const part = counts.splice(0, ROWS_AT_ONCE)
      try {
        await inPlatform(sql, (tx) => addDecisions(tx, part, at))
      } catch (error) {
        asked.putBack([...part, ...counts])
        log.warn(
          { err: error },
          'decisions are counted, and written down when the database is back',
        )
        return
      }
    }
  }

  /** Writes down what was counted until now. One at a time. */
  const flush = (sql: Sql): Promise<void> => {
    flushing = flushing.then(() => write(sql))
    return flushing
  }

  /** The same, unless it was done a few seconds ago: for runtimes without timers. */
  const flushIfDue = async (sql: Sql): Promise<void> => {
    if (now().getTime() - flushedAtMs >= FLUSH_MS) await flush(sql)
  }

  /** Writes down every few seconds until stopped, and a last time then. */
  const start = (sql: Sql) => {
    let timer: ReturnType<typeof setTimeout>
    let stopped = false
    const tick = () => {
      if (!stopped) timer = setTimeout(() => flush(sql).then(tick), FLUSH_MS)
    }
    tick()
    return {
      stop: async () => {
        stopped = true
        clearTimeout(timer)
        await flush(sql)
      },
    }
  }

  return { flush, flushIfDue, start }
}
