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
