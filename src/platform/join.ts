import { LateError, within } from './cache/within.ts'

/**
 * Waits for what another caller has begun. Where a runtime ties that to the request of whoever began it (Workers), it may never come
 * to its end, and who does nothing but wait for it is taken for hung. So there one waits with a clock of one's own, and begins anew
 * after that.
 * @param waitMs milliseconds; undefined where what was begun comes to its end by itself
 */
export const join = async <Result>(
  running: Promise<Result>,
  waitMs: number | undefined,
  anew: () => Promise<Result>,
): Promise<Result> => {
  if (waitMs === undefined) return running
  try {
    return await within(waitMs, running)
  } catch (error) {
    if (!(error instanceof LateError)) throw error
    return anew()
  }
}

/** Milliseconds a request on Workers waits for what another has begun. */
export const JOIN_MS_ON_WORKERS = 1000
