/** What is known of a store that may be away. */
export type BreakerState = {
  /** Closed: it is asked. Open: it is not. Half-open: it is being asked whether it is back, by nobody's request. */
  readonly state: 'closed' | 'open' | 'half-open'
  readonly sinceMs: number
  /** Failures in a row. */
  readonly failures: number
  /** Whether an answer is overdue, so that nothing more is asked until a ping has come back. */
  readonly isSuspect: boolean
}

export type BreakerOptions = {
  /** Asks the store whether it answers; rejects when it does not in time. */
  ping: () => Promise<void>
  /** Failures in a row after which it opens. Default 5. */
  failuresMax?: number
  /** Milliseconds it stays open. Default 10,000. */
  openMs?: number
  now?: () => number
  onChange?: (state: BreakerState) => void
}

/** Milliseconds after which a ping of which nothing is heard counts as lost: on Workers it ends with its request. */
const PING_LOST_MS = 5000

/**
 * Keeps callers from a store that is away (a circuit breaker; Nygard, Release It!, 2007). It differs in one thing from the
 * libraries: after a single late answer it does not let the next callers wait for theirs, too, but asks by itself until the
 * store answers or has failed often enough to open. So a store that is frozen costs one wait, not one for each failure,
 * and one that hiccups is asked again as soon as it is over. No request is ever the probe.
 */
export const createBreaker = (options: BreakerOptions) => {
  const { ping, failuresMax = 5, openMs = 10_000, now = Date.now, onChange } = options
  let state: BreakerState['state'] = 'closed'
  let [sinceMs, failures, isSuspect, pingedAtMs] = [now(), 0, false, Number.NEGATIVE_INFINITY]
  let probe = 0

  const known = (): BreakerState => ({ state, sinceMs, failures, isSuspect })
  const become = (next: BreakerState['state']) => {
    if (next === state) return
    state = next
    sinceMs = now()
    onChange?.(known())
  }
  const succeeded = () => {
    failures = 0
    isSuspect = false
    become('closed')
  }
  const failed = () => {
    failures++
    if (state !== 'closed' || failures >= failuresMax) {
      isSuspect = false
      become('open')
    }
  }
  const startProbe = () => {
    const mine = ++probe
    pingedAtMs = now()
    const over = (then: () => void) => {
      if (mine !== probe) return
      pingedAtMs = Number.NEGATIVE_INFINITY
      then()
      if (isSuspect && state === 'closed') startProbe()
    }
    ping().then(
      () => over(succeeded),
      () => over(failed),
    )
  }
  const isProbing = () => now() - pingedAtMs < PING_LOST_MS

  return {
    state: known,
    /** Whether the store may be asked now. Where it is time to see whether it is back, that is begun. */
    passes: (): boolean => {
      if (state === 'closed' && !isSuspect) return true
      if (isProbing()) return false
      if (state === 'open' && now() - sinceMs < openMs) return false
      if (state === 'open') become('half-open')
      startProbe()
      return false
    },
    /** Told of each answer; of one that was asked before the breaker opened, nothing is concluded. */
    succeeded: () => {
      if (state === 'closed' && !isSuspect) failures = 0
    },
    failed: () => {
      if (state === 'closed') failed()
    },
    /** Told of each answer that did not come in time. */
    overdue: () => {
      if (state !== 'closed' || isSuspect) return
      failed()
      if (state !== 'closed') return
      isSuspect = true
      startProbe()
    },
    /** By hand: it is asked again at once. */
    reset: () => {
      probe++
      pingedAtMs = Number.NEGATIVE_INFINITY
      succeeded()
    },
  }
}
