import type { Violations } from '../platform/db/violation.ts'

/** What the database refuses about scenarios. */
export const scenarioViolations: Violations = {
  scenarios_size: [
    'unprocessable',
    'definition-too-large',
    'The definition is too large.',
    '/definition',
  ],
}
