const [SECOND, MINUTE, HOUR] = [1000, 60_000, 3_600_000]

/** Milliseconds between the attempts of a message: three days in all. */
const WAITS_MS = [
  ...[5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR],
  ...[10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR],
]
export const ATTEMPTS_MAX = WAITS_MS.length + 1

/** What an endpoint asks for may be as long as our own longest wait. */
const ASKED_MS_MAX = 24 * HOUR
/** Each wait is up to so much shorter or longer, so that what failed together does not come back together. */
const JITTER = 0.1

/** Milliseconds until the next attempt, after so many failed ones. */
export const backoffMs = (attempts: number, random = Math.random): number => {
  const waitMs = WAITS_MS[Math.min(attempts, WAITS_MS.length) - 1]!
  return Math.round(waitMs * (1 - JITTER + 2 * JITTER * random()))
}

/** The milliseconds a header Retry-After asks for (RFC 9110 §10.2.3: seconds, or a date), at most a day; 0 for none. */
export const askedMs = (retryAfter: string | null, now: Date): number => {
  if (retryAfter === null) return 0
  const ms = /^\d+$/.test(retryAfter)
    ? Number(retryAfter) * SECOND
    : Date.parse(retryAfter) - now.getTime()
  return Number.isNaN(ms) ? 0 : Math.min(ASKED_MS_MAX, Math.max(0, ms))
}
