import type { Furnished, Part } from '../node.ts'
import type { MetricValues } from '../platform/metrics.ts'

// Everything that the primary process and its workers say to each other. After an upgrade in place an older primary speaks
// with newer workers: kinds are added, never changed.

/** What a worker is told when it is born. Whoever takes its place has its number, too: 1 to N. */
export type Assignment = Omit<Part, 'metricsOfAll'>

/** The variable of a worker's environment that holds its assignment. */
export const ASSIGNMENT = 'LATCHKEY_ASSIGNMENT'

/** What a worker says. */
export type FromWorker =
  /** It serves. */
  | { kind: 'ready'; running: Furnished }
  /** What it has counted: because it was asked, or because it ends. */
  | { kind: 'counted'; metrics: MetricValues }
  /** Somebody asks it for the metrics of all. */
  | { kind: 'sum-wanted'; id: number }

/** What the primary says. That a worker shall end it says with SIGTERM, as anybody may. */
export type FromPrimary =
  /** Tell what you have counted. */
  | { kind: 'count-wanted' }
  /** The metrics of all, as text. */
  | { kind: 'sum'; id: number; text: string }
