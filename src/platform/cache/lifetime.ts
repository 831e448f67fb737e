import type { Stored } from './codec.ts'

/** How much earlier than needed an entry may be loaded anew; 1 is the optimum for loads of even length. */
const BETA = 1
/** A random number so near to zero that more is not to be expected: beyond 20 loads' time nothing is computed. */
const LOADS_MAX = 20

/** A lifetime up to a tenth shorter or longer, so that what was stored together does not end together. Milliseconds. */
export const spread = (ttlMs: number, random: () => number): number =>
  Math.max(1, Math.round(ttlMs * (0.9 + 0.2 * random())))

/**
 * Whether to load anew although the entry has not ended: the likelier, the nearer its end and the longer the load, so that
 * one caller does it early instead of all at once when it is late (XFetch; Vattani, Chierichetti, Lowenstein, Optimal
 * Probabilistic Cache Stampede Prevention, VLDB 2015).
 */
export const isDueEarly = (
  { loadMs, leftMs }: { loadMs: number; leftMs: number },
  random: () => number,
): boolean => leftMs < LOADS_MAX * loadMs && -BETA * loadMs * Math.log(random()) >= leftMs

/**
 * A stored value with its two times as they count for who reads it: no later than the writer named them, and no later than
 * the store, whose clock all nodes share, still keeps it. By the first alone it would live longer where a clock is behind;
 * by the second alone, where it was written late by a store that had been frozen, or whose own clock was set back.
 * @param askedAtMs by the reader's clock, before the store was asked
 */
export const boundByStore = (stored: Stored, leftMs: number, askedAtMs: number): Stored => {
  const earlierMs = Math.max(0, stored.usableUntilMs - (askedAtMs + leftMs))
  return {
    ...stored,
    expiresAtMs: stored.expiresAtMs - earlierMs,
    usableUntilMs: stored.usableUntilMs - earlierMs,
  }
}
