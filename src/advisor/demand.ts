import { shareOf } from './column.ts'
import {
  type Operand,
  operandText,
  type Predicate,
  type Relation,
  type SortKey,
} from './relation.ts'

/** What must be true of the rows of a table together: of an OR one arm, alone and with what stands around it. */
export type Demand = {
  relation: Relation
  /** Compared with one value, or a few; the most telling first. */
  equal: Operand[]
  joins: Operand[]
  ranges: Operand[]
  predicates: Predicate[]
  orders: SortKey[][]
  groups: Operand[][]
}

const once = (operands: Operand[]): Operand[] => [
  ...new Map(operands.map((each) => [operandText(each), each])).values(),
]

const demandOf = (
  relation: Relation,
  predicates: Predicate[],
  { orders, groups }: Pick<Relation, 'orders' | 'groups'>,
): Demand => {
  const telling = predicates.toSorted((a, b) => shareOf(relation, a) - shareOf(relation, b))
  const of = (...kinds: Predicate['kind'][]) =>
    once(telling.filter(({ kind }) => kinds.includes(kind)).map(({ on }) => on))
  const equal = of('equal', 'null')
  const isEqual = new Set(equal.map(operandText))
  const joins = of('join').filter((each) => !isEqual.has(operandText(each)))
  return { relation, equal, joins, ranges: of('range', 'prefix'), predicates, orders, groups }
}

const OR_ARMS_MAX = 10

/** All demands of a query on one table. */
export const demandsOf = (relation: Relation): Demand[] => {
  const { predicates, alternatives } = relation
  const nothing = { orders: [], groups: [] }
  const arms = alternatives.flatMap((each) =>
    each.filter((arm) => arm.length > 0).slice(0, OR_ARMS_MAX),
  )
  return [
    demandOf(relation, predicates, relation),
    ...arms.map((arm) => demandOf(relation, arm, nothing)),
    ...(predicates.length > 0
      ? arms.map((arm) => demandOf(relation, [...predicates, ...arm], nothing))
      : []),
  ]
}
