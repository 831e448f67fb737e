import { expect, test } from 'vitest'
import { ATTEMPTS_MAX, askedMs, backoffMs } from '../../src/webhooks/retry.ts'

const HOUR = 3_600_000
const waits = (random: number) =>
  Array.from({ length: ATTEMPTS_MAX - 1 }, (_, index) => backoffMs(index + 1, () => random))

test('ten attempts are spread over three days', () => {
  expect(ATTEMPTS_MAX).toBe(10)
  expect(waits(0.5).map((ms) => ms / 1000)).toEqual([
    5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400,
  ])
  const hours = waits(0.5).reduce((sum, ms) => sum + ms, 0) / HOUR
  expect(hours).toBeGreaterThan(72)
  expect(hours).toBeLessThan(78)
})

test('each wait is up to a tenth shorter or longer', () => {
  const [shortest, longest] = [waits(0), waits(1)]
  waits(0.5).forEach((ms, index) => {
    expect(shortest[index]).toBe(Math.round(ms * 0.9))
    expect(longest[index]).toBe(Math.round(ms * 1.1))
  })
})

test.each([
  [null, 0],
  ['120', 120_000],
  ['0', 0],
  ['999999999', 24 * HOUR],
  ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
  ['Wed, 31 Dec 2025 23:00:00 GMT', 0],
  ['soon', 0],
  ['-5', 0],
  ['1e9', 0],
])('Retry-After: %s is %i ms', (header, ms) => {
  expect(askedMs(header, new Date('2026-01-01T00:00:00Z'))).toBe(ms)
})
