import type { Candidate } from './candidate.ts'
import type { How } from './planner.ts'

/** A query of the workload with how often it runs. */
export type WorkloadQuery = {
  fingerprint: string
  text: string
  /** The highest `$n` in it. */
  parametersMax: number
  calls: number
}

/** What advice may not exceed, and from when it is worth giving. */
export type AdviceLimits = {
  /** New indexes of a run. */
  indexesMax: number
  /** New indexes of one table. */
  indexesPerTableMax: number
  /** Bytes of all new indexes together. */
  budgetBytes: number
  /** Keys of one index. */
  keysMax: number
  /** A further index must take away this share of what all queries cost now. */
  gainShareMin: number
  /** At least one query must get cheaper by this share. */
  queryGainShareMin: number
  /** No query may get dearer by more than this share. */
  regressionShareMax: number
}

/** What one query costs before and after. */
export type QueryAdvice = {
  fingerprint: string
  text: string
  calls: number
  before: number
  after: number
  /** Texts of the advised indexes that it would use. */
  uses: string[]
  /** Why it was not looked at; null where it was. */
  passedOver: string | null
}

/** An index that is advised. */
export type AdvisedIndex = {
  candidate: Candidate
  text: string
  /** What all queries cost less with it, the others being there: calls times planner units. */
  gain: number
  /** What writes cost more with it, in the same units. */
  writeCost: number
  bytes: number
  how: How
  confidence: 'high' | 'medium' | 'unverified'
  /** Fingerprints of the queries it helps. */
  helps: string[]
  /** Why this index, in words. */
  reason: string
}

/** Why an index that one could expect is not advised. */
export type RefusedIndex = { text: string; code: RefusalCode; reason: string }
export type RefusalCode =
  | 'no-gain'
  | 'gain-too-small'
  | 'over-budget'
  | 'too-many'
  | 'makes-a-query-dearer'
  | 'covered-by-existing'
  | 'only-by-hand'

/** An index that is there and could go. */
export type DropAdvice = {
  index: string
  table: string
  code: 'duplicate' | 'covered' | 'unused' | 'invalid'
  bytes: number
  /** Why, and what stays instead. */
  reason: string
  /** The statement that drops it, and the one that makes it again. */
  statement: string
  undo: string
}

/** What a run has come to. */
export type Advice = {
  how: How
  indexes: AdvisedIndex[]
  refused: RefusedIndex[]
  drops: DropAdvice[]
  queries: QueryAdvice[]
  /** Calls times cost of all queries. */
  before: number
  after: number
  /** How often a planner was asked. */
  plans: number
  elapsedMs: number
  /** What whoever reads this should know, in words: statistics that are missing, queries that were passed over. */
  notes: string[]
}
