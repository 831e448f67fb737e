import { Problem } from '../problem.ts'

/** Milliseconds a read may take before it is given up: a frozen database must not freeze its callers. */
export const READ_DEADLINE_MS = 5000

/**
 * The work's result, or a 503 after the deadline. Only for reads: giving up waiting for a write would leave open whether
 * it was made.
 */
export const beforeDeadline = async <Result>(
  work: Promise<Result>,
  deadlineMs = READ_DEADLINE_MS,
): Promise<Result> => {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new Problem(
            'unavailable',
            'database-unavailable',
            'The database does not answer; try again.',
          ),
        ),
      deadlineMs,
    )
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
