import type { Sql } from '../platform/db/connect.ts'
import { withOwnConnection } from '../platform/db/own-connection.ts'
import { beginSession } from './session-repository.ts'

/** A connection outside transactions that has the lock of a table. */
export type Session = { own: Sql; pid: number }

/** Somebody else applies advice to the table, or a build that nobody waits for any more goes on there. */
export class Busy extends Error {}

/** What the lock of a table is made of. */
export const lockKeyOf = ({ schema, table }: { schema: string; table: string }): string =>
  `latchkey index ${schema}.${table}`

const RETRY_MS = 250
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * Work on a connection of its own while nobody else applies advice to the table. The lock is the session's, so it ends with
 * the connection, and holds for as long as the server goes on with what a lost client has begun.
 * @param bounds how long statements wait for locks, and how long this waits for the table's, in milliseconds
 * @throws Busy when somebody has it that long
 */
export const withTableLock = <Result>(
  sql: Sql,
  table: { schema: string; table: string },
  { lockMs, waitMs }: { lockMs: number; waitMs: number },
  work: (session: Session) => Promise<Result>,
): Promise<Result> =>
  withOwnConnection(sql, async (own) => {
    const lockKey = lockKeyOf(table)
    const untilMs = Date.now() + waitMs
    for (;;) {
      const { pid, isTaken } = await beginSession(own, { lockKey, lockMs })
      if (isTaken) return work({ own, pid })
      if (Date.now() >= untilMs)
        throw new Busy(`another build on ${table.schema}.${table.table} is under way`)
      await pause(RETRY_MS)
    }
  })
