import type { Candidate, IndexKey } from './candidate.ts'
import type { IndexFigures } from './size.ts'
import type { TargetColumn, TargetTable } from './target.ts'

/** Types whose equal values may look different, or that hold others: a B-tree stores each of their rows (nbtutils.c). */
const NEVER_DEDUPLICATED = /^(?:numeric|real|double precision|jsonb)|\[\]$|range$/
/** Bytes of types that have a length of their own, which is also what their place is a multiple of. */
const FIXED: Record<string, number> = {
  bigint: 8,
  'timestamp with time zone': 8,
  'timestamp without time zone': 8,
  'double precision': 8,
  'time without time zone': 8,
  integer: 4,
  date: 4,
  real: 4,
  oid: 4,
  smallint: 2,
  boolean: 1,
}
/** Bytes that the planner takes for a value it knows nothing of. */
const UNKNOWN_BYTES = 32

const findColumn = (table: TargetTable, name: string): TargetColumn | undefined =>
  table.columns.find((column) => column.name === name)

const columnOfKey = (table: TargetTable, key: IndexKey) =>
  'column' in key ? findColumn(table, key.column) : undefined

export const widthOf = ({ type, category, averageBytes }: TargetColumn) => {
  const fixed = FIXED[type] ?? (category === 'E' ? 4 : undefined)
  return { bytes: fixed ?? averageBytes ?? UNKNOWN_BYTES, align: fixed ?? 1 }
}

/** Of so many rows in so many places, each as likely, the places that are taken. */
const taken = (places: number, rows: number) =>
  rows === 0 ? 0 : places * -Math.expm1(-rows / places)

/** Rows that share a value, of one column: its common values each, nulls, and the others alike. */
const groupsOfColumn = (column: TargetColumn, rows: number, share: number) => {
  const { common, nullShare, distinct } = column
  const commonShare = common.reduce((sum, each) => sum + each.share, 0)
  const restRows = rows * Math.max(1 - commonShare - (nullShare ?? 0), 0)
  const restValues = Math.max((distinct ?? rows) * (share < 1 ? 1 : 1) - common.length, 1)
  const rest = Math.max(share < 1 ? taken(restValues, restRows) : Math.min(restValues, restRows), 1)
  return [
    ...common.map((each) => ({ values: 1, rowsEach: each.share * rows })),
    { values: 1, rowsEach: (nullShare ?? 0) * rows },
    { values: rest, rowsEach: restRows / rest },
  ].filter(({ rowsEach }) => rowsEach > 0)
}

/**
 * What the size of an index on this table is computed from. Keys of several columns are taken to be independent, so that the
 * size is rather too large than too small where one column says much of the other.
 */
export const figuresOf = (
  candidate: Candidate,
  table: TargetTable,
  { rows, expressionBytes }: { rows: number; expressionBytes: readonly number[] },
): IndexFigures => {
  const keys = candidate.keys.map((key) => columnOfKey(table, key))
  const carried = candidate.include.map((name) => findColumn(table, name))
  let expression = 0
  const widths = [...keys, ...carried].map((column) =>
    column ? widthOf(column) : { bytes: expressionBytes[expression++] ?? UNKNOWN_BYTES, align: 1 },
  )
  const isDeduplicated =
    carried.length === 0 && keys.every((column) => !NEVER_DEDUPLICATED.test(column?.type ?? ''))
  const share = table.rows ? rows / table.rows : 1
  const [only] = keys
  if (keys.length === 1 && only)
    return { rows, widths, isDeduplicated, groups: groupsOfColumn(only, rows, share) }
  const places = keys.reduce(
    (product, column) => product * Math.max(column?.distinct ?? rows, 1),
    1,
  )
  const largest = Math.max(1, ...keys.map((column) => column?.distinct ?? rows))
  const values = Math.min(Math.max(taken(places, rows), share < 1 ? 1 : largest), Math.max(rows, 1))
  return { rows, widths, isDeduplicated, groups: [{ values, rowsEach: rows / values }] }
}
