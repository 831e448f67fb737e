import type { Environment } from '../engine/line.ts'

/** How long an answer lasts while the policy stands still: noted by the decisions that make it up. */
export type Lasting = {
  /** Whether it can be answered again at all: false once a condition has read the time, or what a caller says. */
  isLasting: boolean
  /** When the first membership ends that it hung on, in milliseconds since the epoch. */
  untilMs: number
}

/** Nothing has been decided yet. */
export const createLasting = (): Lasting => ({
  isLasting: true,
  untilMs: Number.POSITIVE_INFINITY,
})

/**
 * The same environment. A condition notes by reading, so that one which ends before it comes to the time does not hang on
 * it.
 */
export const watched = (environment: Environment, lasting: Lasting): Environment => ({
  ...environment,
  get now() {
    lasting.isLasting = false
    return environment.now
  },
  get context() {
    lasting.isLasting = false
    return environment.context
  },
})
