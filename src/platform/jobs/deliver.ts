import type { Sql } from '../db/connect.ts'
import type { Message } from './executor.ts'
import { startJobs, type Taker } from './repository.ts'
import type { StartedJob } from './run.ts'

type Waiting = {
  message: Message
  settle: (job: StartedJob | undefined) => void
  fail: (error: unknown) => void
}

/**
 * Starts jobs that an executor delivers one by one, many with one statement: while one is on its way, the next ones
 * gather. Answers nothing for a message that does not count any more.
 */
export const createStarter = (sql: Sql, taker: Taker, leaseMs?: number) => {
  let waiting: Waiting[] = []
  let starting = false

  const startAll = async () => {
    while (waiting.length > 0) {
      const batch = waiting
      waiting = []
      try {
        const jobs = await startJobs(
          sql,
          batch.map(({ message }) => message),
          taker,
          leaseMs,
        )
        const byId = new Map(jobs.map((job) => [job.id, job]))
        for (const { message, settle } of batch) {
          settle(byId.get(message.id))
          // The same message twice in a batch starts one job once.
          byId.delete(message.id)
        }
      } catch (error) {
        for (const { fail } of batch) fail(error)
      }
    }
    starting = false
  }

  return (message: Message): Promise<StartedJob | undefined> =>
    new Promise((settle, fail) => {
      waiting.push({ message, settle, fail })
      if (starting) return
      starting = true
      void startAll()
    })
}
