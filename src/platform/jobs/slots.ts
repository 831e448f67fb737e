import type { Load } from './repository.ts'

/** Slots are planned to be busy this share of the time. */
const BUSY = 0.7
/** Seconds in which a backlog should be worked off. */
const DRAIN_SECONDS = 10
/** Milliseconds between two steps down. */
const STEP_DOWN_MS = 60_000
/** Milliseconds of event-loop lag (p99), or of waiting for the database, above which nothing is scaled up. */
const STRAIN_MS_MAX = { lag: 50, database: 250 } as const

/**
 * How many slots a queue needs over all workers: what arrives, at 70 % busy, and what waits, worked off in ten seconds.
 * Little's law for the first part: jobs in service = arrivals per second × seconds each takes.
 */
export const slotsWanted = (load: Load): number => {
  const seconds = load.durationMs / 1000
  const wanted = Math.ceil(
    (load.ratePerSecond * seconds) / BUSY + (load.backlog * seconds) / DRAIN_SECONDS,
  )
  const least = Math.max(load.slotsMin, load.backlog > 0 ? 1 : 0)
  return Math.min(load.slotsMax, Math.max(least, wanted))
}

/** What holds a worker back from taking more at once, in milliseconds. */
export type Strain = { lagMs: number; databaseMs: number }

/** Grows a queue's slots at once and shrinks them by one a minute; does not grow a worker that is out of breath. */
export const createScale = (now: () => number) => {
  let slots = 0
  let steppedDownAtMs = 0
  return (load: Load, { lagMs, databaseMs }: Strain): number => {
    const mine = Math.ceil(slotsWanted(load) / load.workers)
    const strained = lagMs > STRAIN_MS_MAX.lag || databaseMs > STRAIN_MS_MAX.database
    const least = Math.max(1, Math.min(load.slotsMin, load.slotsMax))
    if (mine > slots && (!strained || slots < least)) {
      slots = strained ? least : mine
      steppedDownAtMs = now()
    } else if (mine < slots && now() - steppedDownAtMs >= STEP_DOWN_MS) {
      slots--
      steppedDownAtMs = now()
    }
    slots = Math.max(1, Math.min(slots, load.slotsMax))
    return slots
  }
}
