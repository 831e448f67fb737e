import type { Progress } from './schema.ts'
import type { BuildProgress } from './session-repository.ts'

/**
 * The phases of a concurrent build in their order (PostgreSQL, 28.4.4), each with the share of all work that is done when it
 * ends. The shares are judged, the order is not: so a bar never goes back.
 */
const PHASES: readonly [begins: string, endsAt: number][] = [
  ['initializing', 0.01],
  ['waiting for writers before build', 0.02],
  ['building index: initializing', 0.03],
  ['building index: scanning table', 0.35],
  ['building index: sorting', 0.45],
  ['building index: loading', 0.6],
  ['building index', 0.6],
  ['waiting for writers before validation', 0.62],
  ['index validation: scanning index', 0.72],
  ['index validation: sorting', 0.76],
  ['index validation: scanning table', 0.95],
  ['waiting for old snapshots', 0.98],
  ['waiting for readers', 0.99],
]

const shareWithin = ({ blocksTotal, blocksDone, tuplesTotal, tuplesDone }: BuildProgress) => {
  const done = blocksTotal > 0 ? blocksDone / blocksTotal : tuplesDone / Math.max(tuplesTotal, 1)
  return Math.min(1, Math.max(0, done))
}

/** How far a build is, 0 to 1, as the server's own progress view tells. */
export const progressOf = (build: BuildProgress): Progress => {
  const at = PHASES.findIndex(([begins]) => build.phase.startsWith(begins))
  if (at < 0) return { phase: build.phase, share: 0 }
  const from = PHASES[at - 1]?.[1] ?? 0
  const share = from + (PHASES[at]![1] - from) * shareWithin(build)
  return { phase: build.phase, share: Math.round(share * 1000) / 1000 }
}
