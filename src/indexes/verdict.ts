import type { Verdict } from './schema.ts'
import { meanOf, type Sums, welch } from './welch.ts'

/** Calls on each side below which nothing is compared. */
const CALLS_MIN = 30
/** A difference that is likelier than this by chance is none. */
const CHANCE_MAX = 0.01
/** A query is slower from this share on, and faster from that. */
const SLOWER_SHARE = 0.1
const FASTER_SHARE = 0.1
/** Days after which an index must have shown what it is good for. */
export const TRIAL_DAYS = 7

/** A query's times before and after an index was built. */
export type Measured = {
  fingerprint: string
  before: Sums
  after: Sums
}

export type Compared = {
  fingerprint: string
  callsBefore: number
  meanBeforeMs: number | null
  callsAfter: number
  meanAfterMs: number | null
  /** How likely such a difference is by chance; null where too little was measured. */
  chance: number | null
  found: 'faster' | 'slower' | 'same' | 'too-few'
}

const round = (ms: number) => Math.round(ms * 1000) / 1000
const mean = (sums: Sums) => (sums.count === 0 ? null : round(meanOf(sums)))

/** Compares the times of a query before and after. */
export const compare = ({ fingerprint, before, after }: Measured): Compared => {
  const told = {
    fingerprint,
    callsBefore: before.count,
    meanBeforeMs: mean(before),
    callsAfter: after.count,
    meanAfterMs: mean(after),
  }
  if (Math.min(before.count, after.count) < CALLS_MIN)
    return { ...told, chance: null, found: 'too-few' }
  const { p } = welch(before, after)
  const [was, is] = [meanOf(before), meanOf(after)]
  const isCertain = p < CHANCE_MAX
  const found =
    isCertain && is > was * (1 + SLOWER_SHARE)
      ? 'slower'
      : isCertain && is < was * (1 - FASTER_SHARE)
        ? 'faster'
        : 'same'
  return { ...told, chance: p, found }
}

/** What is known of an index some time after it was built. */
export type Evidence = {
  daysSinceBuilt: number
  scans: number
  /** Whether the planner would use it now for a query that it was advised for; null where none could be asked. */
  isPlanned: boolean | null
  helped: readonly Compared[]
  others: readonly Compared[]
}

/** What an index has come to: harm at once, help as soon as it shows, and nothing only after its trial. */
export const verdictOf = (evidence: Evidence): { verdict: Verdict; reason: string } => {
  const { daysSinceBuilt, scans, isPlanned, helped, others } = evidence
  const slower = [...helped, ...others].find(({ found }) => found === 'slower')
  if (slower)
    return {
      verdict: 'makes-a-query-slower',
      reason: `the query ${slower.fingerprint} took ${slower.meanBeforeMs} ms on average before it was built, and takes ${slower.meanAfterMs} ms since`,
    }
  const faster = helped.find(({ found }) => found === 'faster')
  if (faster)
    return {
      verdict: 'helps',
      reason: `the query ${faster.fingerprint} took ${faster.meanBeforeMs} ms on average before it was built, and takes ${faster.meanAfterMs} ms since`,
    }
  if (daysSinceBuilt < TRIAL_DAYS)
    return { verdict: 'pending', reason: `it is looked at for ${TRIAL_DAYS} days` }
  if (scans === 0)
    return { verdict: 'unused', reason: `it was not scanned once in ${TRIAL_DAYS} days` }
  if (helped.some(({ found }) => found === 'same'))
    return {
      verdict: 'no-gain',
      reason: `no query that it was advised for has become faster in ${TRIAL_DAYS} days`,
    }
  return {
    verdict: 'pending',
    reason: `it is used${isPlanned ? ' and planned with' : ''}, but too little was measured to say more`,
  }
}
