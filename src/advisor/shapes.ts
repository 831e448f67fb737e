import type { Candidate, IndexKey } from './candidate.ts'
import { predicateSql } from './canonical.ts'
import { distinctOf, findColumn, shareOf } from './column.ts'
import type { Demand } from './demand.ts'
import type { Keys } from './keys.ts'
import { operandText, type Predicate, type Relation } from './relation.ts'
import type { TargetTable } from './target.ts'

/** A partial index is of use where few rows are in it. */
const PARTIAL_SHARE_MAX = 0.2
const LASTING_VALUES_MAX = 20
/** So many columns, and bytes of them, may an index carry so that the table need not be read. */
const CARRIED_MAX = 4
const CARRIED_BYTES_MAX = 64
/** Where whole rows are wanted the index is the table once more: of narrow rows only. */
const WHOLE_BYTES_MAX = 32

/** The key as an index has it. */
export const indexKey = ({ on, descending }: Keys[number]): IndexKey => ({
  ...('column' in on ? { column: on.column } : { expression: on.expression }),
  ...(descending ? { descending: true } : {}),
})

export const candidateOf = (
  { schema, name }: TargetTable,
  keys: readonly IndexKey[],
  more: Partial<Candidate> = {},
): Candidate => ({
  table: { schema, name },
  method: 'btree',
  keys,
  include: [],
  where: null,
  ...more,
})

/** What is carried whole, however long it is. */
const LONG = /^(?:json|jsonb|xml|bytea|tsvector)$/
const UNKNOWN_BYTES = 32

const widthOf = (table: TargetTable, columns: readonly string[]) =>
  columns.reduce((sum, name) => {
    const { type = '', averageBytes } = findColumn(table, name) ?? {}
    return sum + (LONG.test(type) ? Number.POSITIVE_INFINITY : (averageBytes ?? UNKNOWN_BYTES))
  }, 0)

/** Whether the query wants whole rows. */
export const wantsAll = ({ table, referenced }: Relation) => referenced.size >= table.columns.length

/** The same keys with all else that the query speaks of, where that is little: the table need not be read then. */
export const covering = (relation: Relation, keys: readonly IndexKey[]): Candidate[] => {
  const { table, referenced } = relation
  const held = new Set(keys.flatMap((key) => ('column' in key ? key.column : [])))
  const carried = [...referenced].filter((name) => !held.has(name)).toSorted()
  const bytesMax = wantsAll(relation) ? WHOLE_BYTES_MAX : CARRIED_BYTES_MAX
  const isLittle = carried.length <= CARRIED_MAX && widthOf(table, carried) <= bytesMax
  return carried.length > 0 && isLittle ? [candidateOf(table, keys, { include: carried })] : []
}

/** A value that queries always ask for, such as a state; of a column with many values the next query asks for another one. */
const isLasting = (table: TargetTable, { on, kind, sql }: Predicate): boolean => {
  if (sql === null || kind !== 'equal')
    return sql !== null && (kind === 'null' || kind === 'not-null')
  const column = 'column' in on ? findColumn(table, on.column) : undefined
  // Of numbers few are there only because few have come yet.
  const isWord = column !== undefined && ['S', 'B', 'E'].includes(column.category)
  return isWord && distinctOf(table, on) <= LASTING_VALUES_MAX
}

/** The same keys of the rows only that the query always asks for, with what else it speaks of, and without. */
export const partial = (demand: Demand, keys: Keys): Candidate[] => {
  const { relation, predicates } = demand
  const rare = predicates.filter(
    (each) => isLasting(relation.table, each) && shareOf(relation, each) < PARTIAL_SHARE_MAX,
  )
  return rare.flatMap((each) => {
    const rest = keys.filter(({ on }) => operandText(on) !== operandText(each.on))
    const own = (rest.length > 0 ? rest : keys).map(indexKey)
    const where = predicateSql(each)
    return [
      candidateOf(relation.table, own, { where }),
      ...covering(relation, own).map((carrying) => ({ ...carrying, where })),
    ]
  })
}
