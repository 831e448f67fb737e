import { comparisonIn, type Placed, predicateOf } from './comparison.ts'
import { columnNamesIn, sideOf } from './operand.ts'
import { operandText, type Predicate, type Relation } from './relation.ts'
import type { Output, Scope } from './scope.ts'
import { type Fields, fieldsIn, listIn, nodeIn } from './sql-node.ts'

/** What a condition says: all of the predicates, and of each OR one arm. */
export type Condition = { all: Placed[]; ors: Placed[][][] }

/** Gives the columns that a subquery answers with; it is read once. */
export type ReadSublink = (fields: Fields) => Output[]

const NOTHING: Condition = { all: [], ors: [] }
const of = (all: Placed[]): Condition => ({ all, ors: [] })

const together = (conditions: Condition[]): Condition => ({
  all: conditions.flatMap(({ all }) => all),
  ors: conditions.flatMap(({ ors }) => ors),
})

const placed = (
  value: unknown,
  scope: Scope,
  make: (at: Placed['predicate']['on']) => Predicate,
): Placed[] =>
  sideOf(value, scope).places.map(({ relation, on }) => ({ relation, predicate: make(on) }))

/** `active`, `not active`, `active is true`. */
const truth = (value: unknown, isTrue: boolean, scope: Scope) => {
  if (nodeIn(value)?.kind !== 'ColumnRef') return NOTHING
  const more = { values: [isTrue ? 't' : 'f'], sql: `= ${isTrue}` }
  return of(placed(value, scope, (on) => predicateOf(on, 'equal', '=', more)))
}

const nullness = (fields: Fields, scope: Scope) => {
  const isNull = fields.nulltesttype === 'IS_NULL'
  const kind = isNull ? 'null' : 'not-null'
  const more = { sql: isNull ? 'is null' : 'is not null' }
  return of(placed(fields.arg, scope, (on) => predicateOf(on, kind, '', more)))
}

/** `x in (select y …)`: a join of x and y. */
const membership = (fields: Fields, scope: Scope, outputs: Output[]) => {
  const operator = listIn(fields.operName).length > 0 ? 'other' : '='
  if (fields.subLinkType !== 'ANY_SUBLINK' || operator !== '=') return NOTHING
  const row = fieldsIn(fields.testexpr, 'RowExpr')
  const tested = row ? listIn(row.args) : [fields.testexpr]
  return of(
    tested.flatMap((value, at) => {
      const columns = outputs[at]?.columns ?? []
      const outer = placed(value, scope, (on) =>
        predicateOf(on, 'join', '=', { other: columns[0] ?? null }),
      )
      const [first] = outer
      const other =
        first && 'column' in first.predicate.on
          ? { relation: first.relation, column: first.predicate.on.column }
          : null
      const inner = columns.map(({ relation, column }) => ({
        relation,
        predicate: predicateOf({ column }, 'join', '=', { other }),
      }))
      return [...outer, ...inner]
    }),
  )
}

/** Whether all arms say what one column equals: then the OR is an IN. */
const asOneOf = (arms: Placed[][]): Placed | undefined => {
  const [first] = arms[0] ?? []
  if (!first || arms.some((arm) => arm.length !== 1)) return undefined
  const isSame = ([each]: Placed[]) =>
    each!.relation === first.relation &&
    each!.predicate.kind === 'equal' &&
    operandText(each!.predicate.on) === operandText(first.predicate.on)
  if (!arms.every(isSame)) return undefined
  const all = arms.map(([each]) => each!.predicate)
  const texts = all.map(({ sql }) => /^= (?<value>.+)$/s.exec(sql ?? '')?.groups?.value)
  const sql = texts.every((each) => each !== undefined) ? `in (${texts.join(', ')})` : null
  const values = all.flatMap((each) => each.values)
  const count = all.reduce((sum, each) => sum + each.count, 0)
  return { relation: first.relation, predicate: { ...first.predicate, values, count, sql } }
}

const alternatives = (args: unknown[], scope: Scope, read: ReadSublink): Condition => {
  const arms = args.map((each) => readCondition(each, scope, read))
  const flat = arms.map(({ all }) => all)
  const one = asOneOf(flat)
  if (one && arms.every(({ ors }) => ors.length === 0)) return of([one])
  return { all: [], ors: [flat, ...arms.flatMap(({ ors }) => ors)] }
}

/** Reads what must be true of rows. What is only negated says nothing that an index finds. */
export const readCondition = (value: unknown, scope: Scope, read: ReadSublink): Condition => {
  const node = nodeIn(value)
  if (!node) return NOTHING
  const { kind, fields } = node
  const args = listIn(fields.args)
  if (kind === 'BoolExpr' && fields.boolop === 'AND_EXPR')
    return together(args.map((each) => readCondition(each, scope, read)))
  if (kind === 'BoolExpr' && fields.boolop === 'OR_EXPR') return alternatives(args, scope, read)
  if (kind === 'BoolExpr') return negation(args[0], scope, read)
  if (kind === 'A_Expr') return of(comparisonIn(fields, scope))
  if (kind === 'NullTest') return nullness(fields, scope)
  if (kind === 'BooleanTest' && fields.booltesttype === 'IS_TRUE')
    return truth(fields.arg, true, scope)
  if (kind === 'BooleanTest' && fields.booltesttype === 'IS_FALSE')
    return truth(fields.arg, false, scope)
  if (kind === 'ColumnRef') return truth(value, true, scope)
  return kind === 'SubLink' ? membership(fields, scope, read(fields)) : NOTHING
}

const negation = (value: unknown, scope: Scope, read: ReadSublink): Condition => {
  const sublink = fieldsIn(value, 'SubLink')
  return sublink ? membership(sublink, scope, read(sublink)) : truth(value, false, scope)
}

const relationsIn = (arms: Placed[][]): Relation[] => [
  ...new Set(arms.flat().map(({ relation }) => relation)),
]

/** Writes down with each table what the condition says of it. */
export const note = ({ all, ors }: Condition): void => {
  for (const { relation, predicate } of all) relation.predicates.push(predicate)
  for (const arms of ors)
    for (const relation of relationsIn(arms))
      relation.alternatives.push(
        arms.map((arm) =>
          arm.filter((each) => each.relation === relation).map(({ predicate }) => predicate),
        ),
      )
}

/** Writes down with each table which of its columns a value speaks of. */
export const noteReferenced = (
  value: unknown,
  resolveAll: (names: string[]) => { relation: Relation; column: string }[],
): void => {
  for (const names of columnNamesIn(value))
    for (const { relation, column } of resolveAll(names)) relation.referenced.add(column)
}
