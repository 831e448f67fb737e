import { expect, test } from 'vitest'
import { type Candidate, candidateText } from '../../src/advisor/candidate.ts'
import { mergedCandidates } from '../../src/advisor/merged.ts'
import { index } from './shadow.ts'

const merged = (...candidates: Candidate[]) =>
  mergedCandidates(candidates).map(({ merged: each, of }) => [candidateText(each), of.length])

test('indexes with the same keys that carry different columns are one that carries both', () => {
  const one = index('t', ['a', 'b'], { include: ['c'] })
  const other = index('t', ['a', 'b'], { include: ['d', 'c'] })
  expect(merged(one, index('t', ['a', 'b'], { include: ['d'] }))).toEqual([
    ['on public.t (a, b) include (c, d)', 2],
  ])
  // What one of them does for both already is nothing new.
  expect(merged(one, other)).toEqual([])
})

test('keys at the beginning of others are theirs', () => {
  const short = index('t', ['a'], { include: ['c', 'b'] })
  expect(merged(short, index('t', ['a', 'b']))).toEqual([['on public.t (a, b) include (c)', 2]])
  expect(merged(index('t', ['a']), index('t', ['a', 'b']))).toEqual([])
})

test('indexes of other tables, rows, directions, kinds or beginnings stay apart', () => {
  const one = index('t', ['a'], { include: ['c'] })
  for (const other of [
    index('u', ['a'], { include: ['d'] }),
    index('t', ['b'], { include: ['d'] }),
    index('t', ['-a'], { include: ['d'] }),
    index('t', ['a'], { include: ['d'], where: 'x is null' }),
    index('t', ['a'], { method: 'hash' }),
  ])
    expect(merged(one, other)).toEqual([])
})

test('what would carry the table once more is none', () => {
  const carrying = (from: number) =>
    index('t', ['a'], { include: Array.from({ length: 4 }, (_, at) => `c${from + at}`) })
  expect(merged(carrying(0), carrying(4))).toEqual([])
})
