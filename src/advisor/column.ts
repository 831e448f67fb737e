import type { Operand, Predicate, Relation } from './relation.ts'
import type { TargetColumn, TargetTable } from './target.ts'

/** Values wider than this make an index as large as its table. */
const WIDTH_BYTES_MAX = 100
/** What the planner takes for the number of values it knows nothing of (DEFAULT_NUM_DISTINCT). */
const DISTINCT_UNKNOWN = 200

export const findColumn = (table: TargetTable, name: string): TargetColumn | undefined =>
  table.columns.find((each) => each.name === name)

export const rowsOf = (table: TargetTable): number => Math.max(table.rows ?? 0, 1)

/** How many different values there are. */
export const distinctOf = (table: TargetTable, on: Operand): number => {
  const known = 'column' in on ? findColumn(table, on.column)?.distinct : null
  return Math.max(Math.min(known || DISTINCT_UNKNOWN, rowsOf(table)), 1)
}

/** Whether a B-tree may have it as a key. */
export const isKey = (table: TargetTable, on: Operand): boolean => {
  if (!('column' in on)) return !/ ->? /.test(on.expression.replace(/ ->> /g, ' '))
  const column = findColumn(table, on.column)
  return column?.isSortable === true && (column.averageBytes ?? 0) <= WIDTH_BYTES_MAX
}

/** Share of rows with one of these values. */
const shareOfValues = (table: TargetTable, column: TargetColumn, predicate: Predicate): number => {
  const { common } = column
  const ofCommon = common.reduce((sum, { share }) => sum + share, 0)
  const others = Math.max(distinctOf(table, { column: column.name }) - common.length, 1)
  const rest = Math.max(1 - ofCommon - (column.nullShare ?? 0), 0) / others
  if (predicate.values.length === 0)
    return (
      ((1 - (column.nullShare ?? 0)) / distinctOf(table, { column: column.name })) * predicate.count
    )
  return predicate.values.reduce(
    (sum, value) => sum + (common.find((each) => each.value === value)?.share ?? rest),
    0,
  )
}

/** The planner's guesses where it knows nothing (selfuncs.h). */
const SHARES: Record<Predicate['kind'], number> = {
  ...{ equal: 0.005, join: 0.005, range: 1 / 3, null: 0.005, 'not-null': 0.995 },
  ...{ contains: 0.01, prefix: 0.01, anywhere: 0.05 },
}

/** The share of rows that this predicate alone leaves, 0 to 1. */
export const shareOf = (relation: Relation, predicate: Predicate): number => {
  const { table } = relation
  const column = 'column' in predicate.on ? findColumn(table, predicate.on.column) : undefined
  const share = ((): number => {
    if (!column) return SHARES[predicate.kind]
    const nulls = column.nullShare ?? SHARES.null
    if (predicate.kind === 'null') return nulls
    if (predicate.kind === 'not-null') return 1 - nulls
    if (predicate.kind === 'equal') return shareOfValues(table, column, predicate)
    if (predicate.kind === 'join') return (1 - nulls) / distinctOf(table, predicate.on)
    return SHARES[predicate.kind]
  })()
  return Math.min(Math.max(share, 1 / rowsOf(table) / 10), 1)
}
