import type { AdviceLimits } from './advice.ts'
import type { Target } from './target.ts'

/** What advice keeps to unless it is told otherwise; the bytes depend on the database (limitsOf). */
export const LIMITS: Omit<AdviceLimits, 'budgetBytes'> = {
  indexesMax: 30,
  indexesPerTableMax: 30,
  keysMax: 3,
  gainShareMin: 0.01,
  queryGainShareMin: 0.2,
  regressionShareMax: 0.1,
}

const BUDGET_BYTES_MIN = 64 * 1024 * 1024

/** The limits for this database: new indexes may take as much as it does, and 64 MiB in any case (docs/decisions/0015). */
export const limitsOf = (target: Target, given: Partial<AdviceLimits> = {}): AdviceLimits => ({
  ...LIMITS,
  budgetBytes: Math.max(target.bytes, BUDGET_BYTES_MIN),
  ...given,
})
