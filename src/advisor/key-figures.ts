import type { Candidate, IndexKey } from './candidate.ts'
import { groupsOf } from './key-groups.ts'
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
  const groups = rows > 0 ? groupsOf(keys, rows, rows >= (table.rows ?? rows)) : []
  return { rows, widths, isDeduplicated, groups }
}
