import postgres from 'postgres'
import type { Sql } from './connect.ts'

/** Seconds that the end of such a connection waits for what is still being run on it. */
const END_SECONDS = 1

/**
 * Work on a connection that nobody else uses, made like those of a pool, outside transactions, and closed afterwards: for
 * statements that refuse to run in a transaction, take long, and need settings of their own. A connection that is reserved
 * from the pool would keep those, and ends the process where it breaks while it is reserved (porsager/postgres#1154).
 * When it is lost, the next statement gets another one, with another `pg_backend_pid()`. Not for embedded storage, which has one
 * connection only.
 */
export const withOwnConnection = async <Result>(
  sql: Sql,
  work: (own: Sql) => Promise<Result>,
): Promise<Result> => {
  const options = { ...sql.options, max: 1, idle_timeout: null, max_lifetime: null }
  const own = postgres({
    ...options,
    onclose: () => {},
    onnotify: () => {},
  } as never) as unknown as Sql
  try {
    return await work(own)
  } finally {
    await own.end({ timeout: END_SECONDS })
  }
}
