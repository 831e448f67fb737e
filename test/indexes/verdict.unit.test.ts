import { describe, expect, test } from 'vitest'
import { type Compared, compare, verdictOf } from '../../src/indexes/verdict.ts'
import { incompleteBeta, varianceOf, welch } from '../../src/indexes/welch.ts'

const sumsOf = (values: readonly number[]) => ({
  count: values.length,
  sum: values.reduce((sum, value) => sum + value, 0),
  squares: values.reduce((sum, value) => sum + value * value, 0),
})

describe("Welch's test", () => {
  // Worked examples of the article "Welch's t-test" (Wikipedia), whose p-values are given to three digits.
  test.each([
    [
      [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4],
      [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5, 24.4],
      { t: 2.46, freedom: 25.0, p: 0.021 },
    ],
    [
      [17.2, 20.9, 22.6, 18.1, 21.7, 21.4, 23.5, 24.2, 14.7, 21.8],
      [
        21.5, 22.8, 21.0, 23.0, 21.6, 23.6, 22.5, 20.7, 23.4, 21.8, 20.7, 21.7, 21.5, 22.5, 23.6,
        21.5, 22.5, 23.5, 21.5, 21.8,
      ],
      { t: 1.57, freedom: 9.9, p: 0.149 },
    ],
  ])('has known values', (before, after, known) => {
    const { t, freedom, p } = welch(sumsOf(before), sumsOf(after))
    expect(t).toBeCloseTo(known.t, 2)
    expect(freedom).toBeCloseTo(known.freedom, 1)
    expect(p).toBeCloseTo(known.p, 3)
  })

  test('is of the t distribution: two-sided quantiles of the tables', () => {
    const pOf = (t: number, freedom: number) =>
      incompleteBeta(freedom / 2, 0.5, freedom / (freedom + t * t))
    for (const [t, freedom, p] of [
      [12.706, 1, 0.05],
      [2.228, 10, 0.05],
      [3.169, 10, 0.01],
      [2.042, 30, 0.05],
      [1.98, 120, 0.05],
      [0, 7, 1],
    ] as const)
      expect(pOf(t, freedom)).toBeCloseTo(p, 4)
  })

  test('of what does not vary is certain either way', () => {
    const [one, two] = [sumsOf([5, 5, 5]), sumsOf([6, 6, 6])]
    expect(welch(one, two).p).toBe(0)
    expect(welch(one, one).p).toBe(1)
    expect(varianceOf({ count: 3, sum: 0.3, squares: 0.03 })).toBeCloseTo(0)
  })
})

/** So many calls around a mean, with a deviation. */
const calls = (count: number, mean: number, deviation: number) =>
  sumsOf(Array.from({ length: count }, (_, n) => mean + (n % 2 === 0 ? deviation : -deviation)))

describe('a comparison', () => {
  test.each([
    ['29 calls', calls(29, 10, 1), calls(1000, 1, 0.1), 'too-few'],
    ['much less', calls(100, 10, 5), calls(100, 1, 0.5), 'faster'],
    ['a little less', calls(10_000, 10, 0.5), calls(10_000, 9.5, 0.5), 'same'],
    ['more, by chance', calls(30, 10, 9), calls(30, 12, 9), 'same'],
    ['more', calls(100, 10, 2), calls(100, 12, 2), 'slower'],
    ['a little more', calls(10_000, 10, 0.5), calls(10_000, 10.9, 0.5), 'same'],
  ])('of %s', (_, before, after, found) => {
    expect(compare({ fingerprint: 'f', before, after }).found).toBe(found)
  })
})

describe('a verdict', () => {
  const of = (found: Compared['found']): Compared => ({
    ...{ fingerprint: 'f', callsBefore: 99, callsAfter: 99, chance: 0.5, found },
    ...{ meanBeforeMs: 1, meanAfterMs: 2 },
  })
  const given = { daysSinceBuilt: 8, scans: 5, isPlanned: true, helped: [], others: [] }
  test.each([
    ['pending', { ...given, daysSinceBuilt: 6, scans: 0 }],
    ['pending', { ...given, daysSinceBuilt: 6, helped: [of('same')] }],
    ['pending', given],
    ['pending', { ...given, helped: [of('too-few')] }],
    ['helps', { ...given, daysSinceBuilt: 0.1, helped: [of('same'), of('faster')] }],
    ['unused', { ...given, scans: 0 }],
    ['no-gain', { ...given, helped: [of('same'), of('too-few')] }],
    ['makes-a-query-slower', { ...given, daysSinceBuilt: 1, helped: [of('faster'), of('slower')] }],
    ['makes-a-query-slower', { ...given, helped: [of('faster')], others: [of('slower')] }],
  ])('is %s', (verdict, evidence) => {
    expect(verdictOf(evidence).verdict).toBe(verdict)
  })
})
