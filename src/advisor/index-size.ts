import type { Candidate } from './candidate.ts'
import { figuresOf } from './key-figures.ts'
import { brinSize, btreeSize, ginSize, gistSize, hashSize, type IndexSize } from './size.ts'
import type { TargetTable } from './target.ts'

/** What a value of so many bytes has of elements: words, members or, of letters, all their threes. */
const ELEMENT_BYTES = 8
const ELEMENTS_MAX = 50_000

/** The size of an index on this table of which it holds so many rows. */
export const indexSize = (
  candidate: Candidate,
  table: TargetTable,
  known: { rows: number; expressionBytes: readonly number[] },
): IndexSize => {
  const figures = figuresOf(candidate, table, known)
  const { rows, widths } = figures
  if (candidate.method === 'btree') return btreeSize(figures)
  if (candidate.method === 'hash') return hashSize(rows)
  if (candidate.method === 'brin') return brinSize(table.pages, widths)
  if (candidate.method === 'gist') return gistSize(rows, widths)
  const bytes = widths.reduce((sum, width) => sum + width.bytes, 0)
  const isOfLetters = candidate.keys.some(({ operatorClass }) => operatorClass === 'gin_trgm_ops')
  const each = isOfLetters ? bytes + 2 : Math.max(bytes / ELEMENT_BYTES, 1)
  return ginSize(rows, each, Math.min(rows * each, ELEMENTS_MAX), isOfLetters ? 4 : ELEMENT_BYTES)
}
