import type { Log } from '../log.ts'
import { type BreakerState, createBreaker } from './breaker.ts'
import type { RemoteStore } from './remote-store.ts'
import { LateError, within } from './within.ts'

/** The store was not asked, because it is known to be away. */
export class StoreAwayError extends Error {
  constructor() {
    super('the remote store is away and was not asked')
  }
}

export type GuardOptions = {
  log: Log
  /** Milliseconds a command may take. Default 50. */
  timeoutMs?: number
  failuresMax?: number
  openMs?: number
  now?: () => number
}

/** A breaker as it is shown: its state, and what it has cost so far. */
export type BreakerReport = BreakerState & {
  /** Commands that were not sent. */
  readonly refusals: number
  /** Commands that failed, and those among them of which nothing was heard in time. */
  readonly errors: number
  readonly timeouts: number
  /** Reads that were answered with a miss instead, and writes of values that were left out. */
  readonly failedReads: number
  readonly failedWrites: number
}

export type GuardedStore = RemoteStore & {
  readonly breaker: { report(): BreakerReport; reset(): void }
}

/**
 * A store that costs its callers a bounded time: each command has a deadline, and one that is away is not asked. What only
 * makes answers faster fails quietly and is counted: a read is a miss, a value is not kept. What takes something away, or
 * tells others (`delete`, `raise`, `increment`, `publish`, `subscribe`, `ping`), rejects: its caller must know.
 */
export const guardStore = (store: RemoteStore, options: GuardOptions): GuardedStore => {
  const { log, timeoutMs = 50 } = options
  const counts = { refusals: 0, errors: 0, timeouts: 0, failedReads: 0, failedWrites: 0 }
  const breaker = createBreaker({
    ...options,
    ping: () => within(timeoutMs, store.ping()),
    onChange: ({ state, failures }) => {
      if (state === 'open') log.warn({ failures, kind: store.kind }, 'the cache store is away')
      if (state === 'closed') log.info({ kind: store.kind }, 'the cache store is back')
    },
  })

  const guarded = async <Answer>(command: () => Promise<Answer>): Promise<Answer> => {
    if (!breaker.passes()) {
      counts.refusals++
      throw new StoreAwayError()
    }
    try {
      const answer = await within(timeoutMs, command())
      breaker.succeeded()
      return answer
    } catch (error) {
      counts.errors++
      log.debug({ err: error }, 'the cache store failed')
      if (error instanceof LateError) {
        counts.timeouts++
        breaker.overdue()
      } else breaker.failed()
      throw error
    }
  }

  /** Asks the store whether it answers, where that is not being asked already: a node that is asked nothing finds out, too. */
  const look = () => {
    if (breaker.passes()) void guarded(() => store.ping()).catch(() => {})
  }
  const tried = new Set<string>()
  /**
   * Its connection is its own, and whoever listens keeps trying: the breaker neither keeps it from that nor believes it. But
   * a line that is opened once more was lost, so commands may be, too; and while one stands, a breaker that has been open for
   * its time sees whether its store is back.
   */
  const subscribe: RemoteStore['subscribe'] =
    store.subscribe &&
    (async (channel, hear, onLost) => {
      if (tried.has(channel)) look()
      tried.add(channel)
      const { prove, stop } = await store.subscribe!(channel, hear, onLost)
      const proveAndLook = () => {
        breaker.passes()
        return prove()
      }
      return { prove: proveAndLook, stop }
    })

  return {
    kind: store.kind,
    breaker: { report: () => ({ ...breaker.state(), ...counts }), reset: breaker.reset },
    getMany: (keys) =>
      guarded(() => store.getMany(keys)).catch(() => {
        counts.failedReads++
        return keys.map(() => null)
      }),
    set: (key, value, ttlMs) =>
      guarded(() => store.set(key, value, ttlMs)).catch(() => {
        counts.failedWrites++
      }),
    delete: (keys) => guarded(() => store.delete(keys)),
    increment: (key, ttlMs) => guarded(() => store.increment(key, ttlMs)),
    raise: (numbers, ttlMs) => guarded(() => store.raise(numbers, ttlMs)),
    publish: (channel, message) => guarded(() => store.publish(channel, message)),
    ...(subscribe ? { subscribe } : {}),
    ping: () => guarded(() => store.ping()),
    close: () => store.close(),
  }
}
