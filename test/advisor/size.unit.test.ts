import { expect, test } from 'vitest'
import { brinSize, btreeLevels, btreeSize } from '../../src/advisor/size.ts'

const long = [{ bytes: 8, align: 8 }]
const of = (rows: number, values: number, isDeduplicated = true) =>
  btreeSize({ rows, widths: long, isDeduplicated, groups: [{ values, rowsEach: rows / values }] })

// Pages and heights are those of PostgreSQL 15 (`pg_relation_size`, `bt_metap`) for bigint keys that were built at once.
test.each([
  ['values that are all different', of(100_000, 100_000), 276, 1],
  ['values of a thousand rows each', of(100_000, 100), 91, 1],
  ['values of two rows each', of(100_000, 50_000), 249, 1],
  ['values that are never stored once', of(100_000, 100, false), 276, 1],
  ['no rows', of(0, 1), 1, 0],
])('a B-tree of %s', (_, { pages, levels }, expected, height) => {
  expect(Math.abs(pages / expected - 1)).toBeLessThan(0.06)
  expect(levels).toBe(height)
})

test('the height of a B-tree follows from its pages', () => {
  expect([1, 2, 276, 50_000, 10_000_000].map((pages) => btreeLevels(pages, long))).toEqual([
    0, 0, 1, 2, 3,
  ])
})

test('summaries of blocks take next to nothing', () => {
  expect(brinSize(100_000, long).pages).toBeLessThan(12)
})
