import { type Constant, constantOf, quoteText } from './expression.ts'
import { type Side, sideOf } from './operand.ts'
import type { Operand, Predicate, Relation } from './relation.ts'
import type { Scope } from './scope.ts'
import { type Fields, fieldsIn, lastNameIn, listIn } from './sql-node.ts'

/** A predicate and the table it is about. */
export type Placed = { relation: Relation; predicate: Predicate }

const RANGES: Record<string, string> = { '<': '>', '>': '<', '<=': '>=', '>=': '<=' }
const CONTAINS = new Set(['@>', '<@', '&&', '?', '?|', '?&', '@@', '@?'])
const LIKES = new Set(['~~', '~~*', '~', '~*'])

/** A predicate, made of what is known of it. */
export const predicateOf = (
  on: Operand,
  kind: Predicate['kind'],
  operator: string,
  more: Partial<Predicate> = {},
): Predicate => ({ on, kind, operator, values: [], count: 1, sql: null, other: null, ...more })

const kindOf = (
  operator: string,
  constant: Constant | undefined,
): Predicate['kind'] | undefined => {
  if (operator === '=') return 'equal'
  if (operator in RANGES) return 'range'
  if (CONTAINS.has(operator)) return 'contains'
  if (operator === '~~' && constant && /^[^%_\\]/.test(constant.value))
    return /[%_\\]/.test(constant.value) ? 'prefix' : 'equal'
  return LIKES.has(operator) ? 'anywhere' : undefined
}

/** What this comparison says of the tables on its left. */
const ofSide = (left: Side, operator: string, right: Side): Placed[] =>
  left.places.flatMap(({ relation, on }): Placed[] => {
    const kind = kindOf(operator, right.constant)
    // A row compared with itself is found by no index.
    if (!kind || right.mentions.has(relation)) return []
    if (right.mentions.size > 0) {
      const [place] = right.places
      const other =
        place && 'column' in place.on ? { relation: place.relation, column: place.on.column } : null
      if (kind !== 'equal') return []
      return [{ relation, predicate: predicateOf(on, 'join', operator, { other }) }]
    }
    const values = right.constant ? [right.constant.value] : []
    const sql = right.constant ? `${operator} ${right.constant.sql}` : null
    return [{ relation, predicate: predicateOf(on, kind, operator, { values, sql }) }]
  })

/** What a comparison of two sides says of either's tables. */
const compared = (lexpr: unknown, operator: string, rexpr: unknown, scope: Scope): Placed[] => {
  const [left, right] = [sideOf(lexpr, scope), sideOf(rexpr, scope)]
  const turned = operator === '=' ? '=' : RANGES[operator]
  return [...ofSide(left, operator, right), ...(turned ? ofSide(right, turned, left) : [])]
}

const rowItems = (value: unknown) => {
  const fields = fieldsIn(value, 'RowExpr')
  return fields && listIn(fields.args)
}

/** `(a, b) = (1, 2)`: each of its own; `(a, b) > (1, 2)`: a is what is looked for. */
const comparedRows = (left: unknown[], operator: string, right: unknown[], scope: Scope) => {
  const pairs = left.map((each, at) => [each, right[at]] as const)
  const counted = operator === '=' ? pairs : pairs.slice(0, 1)
  const loose = operator === '<' || operator === '>' ? `${operator}=` : operator
  return counted.flatMap(([one, other]) => compared(one, loose, other, scope))
}

const SEVERAL = 10

/** Values of an array written as a constant: `'{1,2}'`. */
const arrayOf = (value: unknown): Constant[] | undefined => {
  const array = fieldsIn(value, 'A_ArrayExpr')
  if (array) {
    const constants = listIn(array.elements).map(constantOf)
    return constants.every((each) => each !== undefined) ? (constants as Constant[]) : undefined
  }
  const cast = fieldsIn(value, 'TypeCast')
  const literal = constantOf(cast ? cast.arg : value)?.value
  if (literal === undefined || !/^\{[^"\\{}]*\}$/.test(literal)) return cast && arrayOf(cast.arg)
  return literal
    .slice(1, -1)
    .split(',')
    .map((each) => ({ value: each, sql: quoteText(each) }))
}

/** IN and = ANY: one of several values. */
const oneOf = (lexpr: unknown, given: unknown, scope: Scope): Placed[] => {
  const items = fieldsIn(given, 'List')
  const constants = items ? listIn(items.items).map(constantOf) : arrayOf(given)
  const known = constants?.flatMap((each) => each ?? []) ?? []
  const count = items ? listIn(items.items).length : (constants?.length ?? SEVERAL)
  const sql =
    constants && known.length === count ? `in (${known.map((each) => each.sql).join(', ')})` : null
  const [row] = items ? listIn(items.items) : []
  const rows = [rowItems(lexpr), rowItems(row)]
  if (rows[0] && rows[1]) return comparedRows(rows[0], '=', rows[1], scope)
  const left = sideOf(lexpr, scope)
  const right = sideOf(given, scope)
  return left.places
    .filter(({ relation }) => !right.mentions.has(relation))
    .map(({ relation, on }): Placed => {
      const kind = right.mentions.size > 0 ? 'join' : 'equal'
      const values = known.map(({ value }) => value)
      return { relation, predicate: predicateOf(on, kind, '=', { values, count, sql }) }
    })
}

/** What a comparison says of the tables in it. */
export const comparisonIn = (fields: Fields, scope: Scope): Placed[] => {
  const { kind, lexpr, rexpr } = fields
  const operator = lastNameIn(fields.name)
  if (kind === 'AEXPR_IN' || kind === 'AEXPR_OP_ANY')
    return operator === '=' ? oneOf(lexpr, rexpr, scope) : []
  if (kind === 'AEXPR_BETWEEN' || kind === 'AEXPR_BETWEEN_SYM') {
    const [low, high] = listIn(fieldsIn(rexpr, 'List')?.items)
    return [...compared(lexpr, '>=', low, scope), ...compared(lexpr, '<=', high, scope)]
  }
  if (kind !== 'AEXPR_OP' && kind !== 'AEXPR_LIKE' && kind !== 'AEXPR_ILIKE') return []
  const [left, right] = [rowItems(lexpr), rowItems(rexpr)]
  if (left && right) return comparedRows(left, operator, right, scope)
  return compared(lexpr, operator, rexpr, scope)
}
