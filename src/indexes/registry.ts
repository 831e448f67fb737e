import type { Context } from '../platform/context.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import { positionOf, toPage } from '../platform/page.ts'
import * as repository from './registry-repository.ts'
import type { DatabaseIndex, ListIndexes, Mark } from './schema.ts'

const marksOf = (row: repository.IndexRow): Mark[] => [
  ...(row.isAdvised ? (['advised'] as const) : []),
  ...(row.isValid ? [] : (['invalid'] as const)),
  ...(row.duplicateOf === null ? [] : (['duplicate'] as const)),
  ...(row.isUnused ? (['unused'] as const) : []),
]

const shown = (row: repository.IndexRow): DatabaseIndex => {
  const { oid: _oid, isAdvised: _isAdvised, isUnused: _isUnused, ...index } = row
  return { ...index, marks: marksOf(row) }
}

/** After every index: the largest come first. */
const FIRST = { bytes: Number.MAX_SAFE_INTEGER, oid: 0 }

const afterOf = (cursor: string | undefined) => {
  const [bytes, oid] = positionOf(cursor).split(' ').map(Number)
  return bytes && oid ? { bytes, oid } : FIRST
}

/** Every index of the database but its own, the largest first, with what there is to say of each. */
export const listIndexes = ({ sql }: Pick<Context, 'sql'>, input: ListIndexes) =>
  inPlatform(sql, async (tx) => {
    const { limit, cursor, mark, table } = input
    const range = { ...afterOf(cursor), mark: mark ?? null, table: table ?? null, limit: limit + 1 }
    const rows = await repository.listIndexes(tx, range)
    const page = toPage([...rows], limit, ({ bytes, oid }) => `${bytes} ${oid}`)
    return { ...page, items: page.items.map(shown) }
  })
