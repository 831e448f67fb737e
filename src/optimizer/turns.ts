import { Problem } from '../platform/problem.ts'

/** Plans that a process makes at once: its connections are there for others. */
const RUNNING_MAX = 2
const RETRY_AFTER_SECONDS = 5

/** Does some work, unless as much is being done as may be. */
export type Turns = <Result>(work: () => Promise<Result>) => Promise<Result>

/** @throws Problem 429 instead of letting anybody wait */
export const createTurns = (): Turns => {
  let running = 0
  return async (work) => {
    if (running >= RUNNING_MAX)
      throw new Problem(
        'limited',
        'optimizer-busy',
        `${RUNNING_MAX} queries are being explained here already; try again.`,
        { retryAfterSeconds: RETRY_AFTER_SECONDS },
      )
    running++
    try {
      return await work()
    } finally {
      running--
    }
  }
}
