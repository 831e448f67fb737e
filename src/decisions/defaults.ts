import { Problem } from '../platform/problem.ts'

/** Values that the questions of a batch may inherit, all counted: they are read anew for every question. */
const REPEATED_VALUES_MAX = 1_000_000
/** Nothing reads what is nested deeper. */
const DEPTH_MAX = 20
/** So many characters of a text count as one more value. */
const CHARACTERS_OF_A_VALUE = 64

/** @throws Problem 400 for defaults that would be read too often */
export const refuseRepeated = (defaults: object, questions: number): void => {
  if (countValues(defaults, 0) * questions > REPEATED_VALUES_MAX)
    throw new Problem(
      'invalid',
      'defaults-too-large',
      'The defaults are too large for so many questions; ask in smaller batches.',
    )
}

const countValues = (value: unknown, depth: number): number => {
  if (typeof value === 'string') return 1 + value.length / CHARACTERS_OF_A_VALUE
  if (typeof value !== 'object' || value === null || depth > DEPTH_MAX) return 1
  let count = 1
  for (const part of Object.values(value)) count += countValues(part, depth + 1)
  return count
}
