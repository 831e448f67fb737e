/** What is counted of one namespace since the process began. */
export type Counts = {
  memoryHits: number
  memoryMisses: number
  memoryStores: number
  /** Entries that were pushed out, or not taken in. */
  evictions: number
  remoteHits: number
  remoteMisses: number
  remoteStores: number
  /** Values that did not open. */
  tampered: number
  loads: number
  loadErrors: number
  /** Callers who waited for a load of another one. */
  shared: number
  /** Loads given up because what they read was out of date. */
  superseded: number
  /** Answers marked as stale. */
  stale: number
  /** Answers that are not kept: too large, or not fit. */
  unkept: number
}

/** Counts of one minute. */
export type MinuteCounts = {
  readonly startsAtMs: number
  readonly memoryHits: number
  readonly remoteHits: number
  readonly loads: number
  readonly loadErrors: number
}

const MINUTE_MS = 60_000
const MINUTES = 24 * 60
const COLUMNS = ['memoryHits', 'remoteHits', 'loads', 'loadErrors'] as const
type Column = (typeof COLUMNS)[number]
/** Loads of which it is remembered how long they took. */
const LOADS_REMEMBERED = 512

const noCounts = (): Counts => ({
  ...{ memoryHits: 0, memoryMisses: 0, memoryStores: 0, evictions: 0 },
  ...{ remoteHits: 0, remoteMisses: 0, remoteStores: 0, tampered: 0 },
  ...{ loads: 0, loadErrors: 0, shared: 0, superseded: 0, stale: 0, unkept: 0 },
})

export type Statistics = ReturnType<typeof createStatistics>

/** Counts one namespace: in all, by the minute for a day, and how long its loads take. */
export const createStatistics = () => {
  const counts = noCounts()
  const minutes = new Uint32Array(MINUTES * COLUMNS.length)
  const loadMs = new Float32Array(LOADS_REMEMBERED)
  let [loads, expectedLoadMs, minute] = [0, 0, 0]

  const turnTo = (next: number) => {
    const passed = Math.min(next - minute, MINUTES)
    for (let back = 0; back < passed; back++) {
      const row = ((next - back) % MINUTES) * COLUMNS.length
      minutes.fill(0, row, row + COLUMNS.length)
    }
    minute = next
  }
  const percentile = (share: number) => {
    const known = loadMs.slice(0, Math.min(loads, LOADS_REMEMBERED)).sort()
    return known[Math.max(0, Math.ceil(share * known.length) - 1)] ?? null
  }

  return {
    counts,
    /** Counts one of what is shown by the minute. */
    count: (column: Column, nowMs: number): void => {
      counts[column]++
      const next = Math.floor(nowMs / MINUTE_MS)
      if (next > minute) turnTo(next)
      minutes[(minute % MINUTES) * COLUMNS.length + COLUMNS.indexOf(column)]!++
    },
    /** Notes how long a load took, in milliseconds. */
    loaded: (ms: number): void => {
      loadMs[loads++ % LOADS_REMEMBERED] = ms
      expectedLoadMs = loads === 1 ? ms : expectedLoadMs * 0.8 + ms * 0.2
    },
    /** Milliseconds the next load is likely to take: the last ones count most. */
    expectedLoadMs: () => expectedLoadMs,
    /** Milliseconds; null before the first load. */
    loadTimes: () => ({ p50Ms: percentile(0.5), p99Ms: percentile(0.99) }),
    /** The last 24 hours, the oldest minute first; minutes in which nothing was asked are zero. */
    series: (nowMs: number): MinuteCounts[] => {
      const last = Math.floor(nowMs / MINUTE_MS)
      if (last > minute) turnTo(last)
      return Array.from({ length: MINUTES }, (_, back) => {
        const at = last - MINUTES + 1 + back
        const row = (((at % MINUTES) + MINUTES) % MINUTES) * COLUMNS.length
        const [memoryHits = 0, remoteHits = 0, loads = 0, loadErrors = 0] = minutes.subarray(row)
        return { startsAtMs: at * MINUTE_MS, memoryHits, remoteHits, loads, loadErrors }
      })
    },
  }
}
