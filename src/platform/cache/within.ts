/** An answer that did not come in time. Whether the question was heard is unknown. */
export class LateError extends Error {
  constructor(ms: number) {
    super(`no answer in ${ms} ms`)
  }
}

/** What the promise gives. @throws LateError when it takes longer */
export const within = <Value>(ms: number, promise: Promise<Value>): Promise<Value> => {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      // A process that was busy for so long has the answer in its hands already: it reads it before it judges.
      timer = setTimeout(() => reject(new LateError(ms)), 0)
    }, ms)
  })
  promise.catch(() => {})
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
