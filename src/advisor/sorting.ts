import { sideOf } from './operand.ts'
import type { Block, Operand, Relation, SortKey } from './relation.ts'
import type { Output, Scope } from './scope.ts'
import { type Fields, fieldsIn, isFields, lastNameIn, listIn, namesIn, nodeIn } from './sql-node.ts'

type Key = SortKey & { relation: Relation }

/** What a key of ORDER BY or GROUP BY means: an ordinal, the name of an output, or a value. */
const placeOf = (value: unknown, scope: Scope, outputs: readonly Output[]) => {
  const ordinal = (fieldsIn(value, 'A_Const')?.ival as Fields | undefined)?.ival
  const names = namesIn(fieldsIn(value, 'ColumnRef')?.fields)
  const output =
    typeof ordinal === 'number'
      ? outputs[ordinal - 1]
      : names.length === 1
        ? outputs.find(({ name }) => name === names[0])
        : undefined
  const [column] = output?.columns ?? []
  if (column) return { relation: column.relation, on: { column: column.column } as Operand }
  return output ? undefined : sideOf(value, scope).places[0]
}

/** Nulls stand where an index has them: last of ascending, first of descending. */
const isUsualNulls = (fields: Fields) =>
  fields.sortby_nulls === undefined ||
  fields.sortby_nulls === 'SORTBY_NULLS_DEFAULT' ||
  (fields.sortby_nulls === 'SORTBY_NULLS_FIRST') === (fields.sortby_dir === 'SORTBY_DESC')

const keyOf = (value: unknown, scope: Scope, outputs: readonly Output[]): Key | undefined => {
  const fields = fieldsIn(value, 'SortBy') ?? {}
  const place = placeOf(fields.node, scope, outputs)
  if (!place || !isUsualNulls(fields)) return undefined
  return { ...place, descending: fields.sortby_dir === 'SORTBY_DESC' }
}

const upTo = <Item>(items: readonly (Item | undefined)[], is: (item: Item) => boolean): Item[] => {
  const end = items.findIndex((each) => each === undefined || !is(each))
  return (end < 0 ? items : items.slice(0, end)) as Item[]
}

/** An order is of use to a table as far as its first keys are that table's. */
const noteOrder = (keys: readonly (Key | undefined)[]): void => {
  const [first] = keys
  if (!first) return
  const own = upTo(keys, ({ relation }) => relation === first.relation)
  first.relation.orders.push(own.map(({ on, descending }) => ({ on, descending })))
}

const noteGroup = (values: unknown[], scope: Scope, outputs: readonly Output[]): void => {
  const places = values
    .flatMap((each) => (fieldsIn(each, 'GroupingSet') ? [] : [each]))
    .map((each) => placeOf(each, scope, outputs))
  const [first] = places
  if (!first) return
  const own = places.flatMap((each) => (each?.relation === first.relation ? [each.on] : []))
  first.relation.groups.push(own)
}

const windowsIn = (value: unknown): Fields[] => {
  if (Array.isArray(value)) return value.flatMap(windowsIn)
  if (!isFields(value)) return []
  const own = isFields(value.over) ? [value.over] : []
  return [
    ...own,
    ...Object.entries(value).flatMap(([kind, inner]) =>
      kind === 'SubLink' ? [] : windowsIn(inner),
    ),
  ]
}

const asList = (fields: Fields | undefined): Fields[] => (fields ? [fields] : [])

const ascending = (node: unknown) => ({ SortBy: { node } })

const noteWindows = (fields: Fields, scope: Scope): void => {
  const named = listIn(fields.windowClause).flatMap((each) => asList(fieldsIn(each, 'WindowDef')))
  for (const window of [...windowsIn(fields.targetList), ...named]) {
    const keys = [...listIn(window.partitionClause).map(ascending), ...listIn(window.orderClause)]
    noteOrder(keys.map((each) => keyOf(each, scope, [])))
  }
}

const AGGREGATES = new Set(
  `count sum avg min max any_value array_agg string_agg json_agg jsonb_agg bool_and bool_or every stddev variance
  json_object_agg jsonb_object_agg percentile_cont percentile_disc mode`.split(/\s+/),
)

/** The least and greatest value of a column stand at an end of its index. */
const noteExtremes = (fields: Fields, scope: Scope): boolean => {
  const calls = listIn(fields.targetList).flatMap((each) =>
    asList(fieldsIn(fieldsIn(each, 'ResTarget')?.val, 'FuncCall')),
  )
  for (const call of calls)
    if (['min', 'max'].includes(lastNameIn(call.funcname)) && !call.over)
      noteOrder([keyOf(ascending(listIn(call.args)[0]), scope, [])])
  return calls.some((call) => !call.over && AGGREGATES.has(lastNameIn(call.funcname)))
}

const limitOf = (value: unknown): number | null => {
  if (value === undefined || fieldsIn(value, 'A_Const')?.isnull) return null
  const { ival } = fieldsIn(value, 'A_Const') ?? {}
  return ival === undefined ? Number.NaN : Number((ival as Fields).ival ?? 0)
}

/** Reads in which order and groups a SELECT wants its rows, and how many. */
export const readOrder = (
  fields: Fields,
  scope: Scope,
  outputs: readonly Output[],
  block: Block,
  readValue: (value: unknown) => void,
): void => {
  const sorts = listIn(fields.sortClause)
  const groups = listIn(fields.groupClause)
  const distinct = listIn(fields.distinctClause)
  const plain = [...sorts.map((each) => fieldsIn(each, 'SortBy')?.node), ...groups, ...distinct]
  readValue([plain.filter((each) => nodeIn(each)?.kind !== 'A_Const'), fields.windowClause])

  const keys = sorts.map((each) => keyOf(each, scope, outputs))
  noteOrder(keys)
  if (sorts.length > 0) {
    const known = upTo(keys, () => true)
    block.order = { keys: known, isWhole: known.length === keys.length }
  }
  noteGroup(groups, scope, outputs)
  noteWindows(fields, scope)
  const isDistinct = fields.distinctClause !== undefined
  const isOn = distinct.some((each) => nodeIn(each) !== undefined)
  if (isOn && sorts.length === 0)
    noteOrder(distinct.map((each) => keyOf(ascending(each), scope, outputs)))
  if (isDistinct && !isOn)
    noteGroup(
      outputs.map((_, at) => ({ A_Const: { ival: { ival: at + 1 } } })),
      scope,
      outputs,
    )
  const isAggregated = noteExtremes(fields, scope)
  block.isGrouped = isAggregated || groups.length > 0 || isDistinct
  block.limit = limitOf(fields.limitCount)
}
