import { type Constant, constantOf, expressionText } from './expression.ts'
import type { Column, Operand, Relation } from './relation.ts'
import { namedOf, resolve, type Scope } from './scope.ts'
import { type Fields, fieldsIn, isFields, lastNameIn, namesIn, nodeIn } from './sql-node.ts'

/** One side of a comparison. */
export type Side = {
  /** Where it is columns or expressions of tables: of several, if a union made it. */
  places: { relation: Relation; on: Operand }[]
  constant: Constant | undefined
  /** All tables that it speaks of. */
  mentions: Set<Relation>
}

/** The names of all columns below a value, subqueries left out. */
export const columnNamesIn = (value: unknown): string[][] => {
  if (Array.isArray(value)) return value.flatMap(columnNamesIn)
  if (!isFields(value)) return []
  return Object.entries(value).flatMap(([kind, inner]) => {
    if (kind === 'ColumnRef') return [namesIn((inner as Fields).fields)]
    return kind === 'SubLink' ? [] : columnNamesIn(inner)
  })
}

/** A cast to text that changes nothing: plans write it over every varchar. */
const withoutTextCast = (value: unknown, scope: Scope): unknown => {
  const cast = fieldsIn(value, 'TypeCast')
  const type = lastNameIn((cast?.typeName as Fields | undefined)?.names)
  if (!cast || type !== 'text') return value
  const [column] = columnsOf(cast.arg, scope)
  return column && namedOf(column)?.category === 'S' ? cast.arg : value
}

const columnsOf = (value: unknown, scope: Scope): Column[] => {
  const fields = fieldsIn(value, 'ColumnRef')
  return fields ? resolve(scope, namesIn(fields.fields)) : []
}

const expressionOf = (value: unknown, scope: Scope, mentions: Set<Relation>) => {
  const [relation] = mentions
  if (!relation || mentions.size !== 1) return []
  const text = expressionText(value, (names) => {
    const [column] = resolve(scope, names)
    return column && namedOf(column)
  })
  return text === undefined ? [] : [{ relation, on: { expression: text } }]
}

/** What one side of a comparison is. */
export const sideOf = (given: unknown, scope: Scope): Side => {
  const value = withoutTextCast(given, scope)
  const columns = columnsOf(value, scope)
  const mentions = new Set(
    columnNamesIn(value).flatMap((names) => resolve(scope, names).map(({ relation }) => relation)),
  )
  const constant = constantOf(value)
  const isColumn = nodeIn(value)?.kind === 'ColumnRef'
  const places = isColumn
    ? columns.map(({ relation, column }) => ({ relation, on: { column } }))
    : constant
      ? []
      : expressionOf(value, scope, mentions)
  return { places, constant, mentions }
}
