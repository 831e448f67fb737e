import type { IndexFigures } from './size.ts'
import type { TargetColumn } from './target.ts'

type Group = IndexFigures['groups'][number]

/** How many times too few distinct values a sample tells of a long tail. */
const TOLD_TOO_SMALL_MAX = 4

/** Of so many rows in so many places, each as likely, the places that are taken. */
const taken = (places: number, rows: number) =>
  rows === 0 ? 0 : places * -Math.expm1(-rows / places)

/**
 * The other rows by the parts of a histogram, where numbers are the rarer the farther they lie apart. Of a sample the number of such
 * values is told too small; that they are all numbers of their part, too large: undefined where this tells fewer or many more.
 */
const groupsOfParts = (
  { bounds }: TargetColumn,
  rows: number,
  values: number,
): Group[] | undefined => {
  const rowsOfPart = rows / (bounds.length - 1)
  const groups = bounds.slice(1).map((bound, at) => {
    const found = Math.max(taken(Math.max(bound - bounds[at]!, 1), rowsOfPart), 1)
    return { values: found, rowsEach: Math.max(rowsOfPart / found, 1) }
  })
  const found = groups.reduce((sum, each) => sum + each.values, 0)
  return found > values && found <= TOLD_TOO_SMALL_MAX * values ? groups : undefined
}

/** Rows that share a value, of one column: its common values each, nulls, and the others alike. */
const groupsOfColumn = (
  column: TargetColumn | undefined,
  rows: number,
  isOfAll: boolean,
): Group[] => {
  // Of an expression nothing is known: it may be another for each row.
  if (!column) return [{ values: Math.max(rows, 1), rowsEach: 1 }]
  const { common, nullShare, distinct } = column
  const commonShare = common.reduce((sum, each) => sum + each.share, 0)
  const restRows = rows * Math.max(1 - commonShare - (nullShare ?? 0), 0)
  const restValues = Math.max((distinct ?? rows) - common.length, 1)
  const rest = Math.max(isOfAll ? Math.min(restValues, restRows) : taken(restValues, restRows), 1)
  return [
    ...common.map((each) => ({ values: 1, rowsEach: each.share * rows })),
    { values: 1, rowsEach: (nullShare ?? 0) * rows },
    ...(groupsOfParts(column, restRows, rest) ?? [{ values: rest, rowsEach: restRows / rest }]),
  ].filter(({ rowsEach }) => rowsEach > 0)
}

/** Groups of about as many rows each as one, so that there are few of them; values and rows stay. */
const gathered = (groups: readonly Group[]): Group[] =>
  [...Map.groupBy(groups, ({ rowsEach }) => Math.round(2 * Math.log2(rowsEach))).values()].map(
    (alike) => {
      const values = alike.reduce((sum, each) => sum + each.values, 0)
      const rows = alike.reduce((sum, each) => sum + each.values * each.rowsEach, 0)
      return { values, rowsEach: rows / values }
    },
  )

/**
 * Rows that share a value of both: of the n rows of a value of the first, a value of the second that a share s of all rows has is
 * expected to be there 1 − (1 − s)ⁿ times.
 */
const groupsOfBoth = (first: readonly Group[], second: readonly Group[], rows: number): Group[] =>
  gathered(
    first.flatMap(({ values, rowsEach }) =>
      second.map((other) => {
        const share = Math.min(other.rowsEach / rows, 1)
        const found = -Math.expm1(rowsEach * Math.log1p(-share))
        return {
          values: values * other.values * found,
          rowsEach: Math.max((rowsEach * share) / found, 1),
        }
      }),
    ),
  )

/**
 * Rows that share the values of these columns, of so many rows of a table; undefined stands for an expression. Columns are taken to be
 * independent of each other, beginning with the one of the most values.
 * @param isOfAll whether these are all rows, so that every value is among them
 */
export const groupsOf = (
  columns: readonly (TargetColumn | undefined)[],
  rows: number,
  isOfAll: boolean,
): Group[] => {
  const valuesOf = (groups: readonly Group[]) => groups.reduce((sum, { values }) => sum + values, 0)
  const [first = [], ...rest] = columns
    .map((column) => groupsOfColumn(column, rows, isOfAll))
    .sort((one, other) => valuesOf(other) - valuesOf(one))
  return rest.reduce((groups, each) => groupsOfBoth(groups, gathered(each), rows), first)
}
