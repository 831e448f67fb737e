import type { Violations } from '../platform/db/violation.ts'
import { Problem } from '../platform/problem.ts'

const LIMIT_REACHED = 'LK001'

/** What the database refuses about usage, whatever route asked. */
export const usageViolations: Violations = {
  [LIMIT_REACHED]: ({ detail = '{}' }) => {
    const limit = JSON.parse(detail) as { key: string; value: number; used: number }
    return new Problem(
      'conflict',
      'limit-reached',
      `The limit ${limit.key} of the organization is reached: ${limit.used} of ${limit.value} are used.`,
      { limit },
    )
  },
  LK009: ['conflict', 'reservation-ended', 'The reservation has ended already.'],
  usage_stays_countable: [
    'unprocessable',
    'usage-uncountable',
    'The sum would be too large to be counted exactly.',
    '/amount',
  ],
}

/** Whether the database refused a change because a limit is reached. */
export const isLimitReached = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === LIMIT_REACHED
