import { isKey } from './column.ts'
import type { Demand } from './demand.ts'
import { type Operand, operandText, type SortKey } from './relation.ts'

/** Keys of an index that is looked for. */
export type Keys = SortKey[]

/** So many columns of equality are tried with one another; a query may have hundreds. */
const PAIRED_MAX = 6
/** Keys of equality and order together. */
const ORDERED_KEYS_MAX = 4

const plain = (on: Operand): SortKey => ({ on, descending: false })

export const keysText = (keys: Keys): string =>
  keys.map(({ on, descending }) => `${operandText(on)}${descending ? ' desc' : ''}`).join(', ')

/** An index is read from either end, so that of an order and its reverse the one is kept that begins with ascending. */
const turned = (order: SortKey[]): SortKey[] =>
  order[0]?.descending
    ? order.map(({ on, descending }) => ({ on, descending: !descending }))
    : order

const withoutTwice = (keys: Keys): Keys => {
  const seen = new Set<string>()
  return keys.filter(({ on }) => !seen.has(operandText(on)) && seen.add(operandText(on)))
}

/** The order with what is equal anyway left out. */
const without = (order: SortKey[], equal: readonly Operand[]): SortKey[] => {
  const fixed = new Set(equal.map(operandText))
  return turned(order.filter(({ on }) => !fixed.has(operandText(on))))
}

const pairs = (operands: readonly Operand[]): Operand[][] =>
  operands.flatMap((one) => operands.filter((other) => other !== one).map((other) => [one, other]))

/** Columns of equality that may stand before a range or an order: all, each alone, each pair; none. */
const prefixesOf = ({ equal, joins }: Demand): Operand[][] => {
  const fixed = [...equal, ...joins].slice(0, PAIRED_MAX)
  const both = joins.slice(0, 2).flatMap((join) => [
    [join, ...equal],
    [...equal, join],
  ])
  return [[], ...fixed.map((each) => [each]), equal, ...pairs(fixed), ...both]
}

/** All keys that could serve a demand, at most `keysMax` of them; one more for an order behind equality. */
export const keysOf = (demand: Demand, keysMax: number): Keys[] => {
  const { relation, equal, joins, ranges, orders, groups } = demand
  const able = (operands: Operand[]) => operands.filter((each) => isKey(relation.table, each))
  const usable = { ...demand, equal: able(equal), joins: able(joins) }
  const tails: SortKey[][] = [
    ...able(ranges).map((each) => [plain(each)]),
    ...groups.map((group) => able(group).map(plain)),
    ...orders.filter((order) => order.every(({ on }) => isKey(relation.table, on))),
  ]
  const found = prefixesOf(usable).flatMap((prefix) => {
    const narrow = prefix.slice(0, keysMax)
    const head = narrow.map(plain)
    const widthMax = head.length > 0 ? Math.max(ORDERED_KEYS_MAX, keysMax) : keysMax
    return [
      head,
      ...tails.map((tail) =>
        [...head, ...without(tail, narrow)].slice(0, Math.min(widthMax, keysMax + 1)),
      ),
    ]
  })
  const single = [...usable.equal, ...usable.joins].map((each) => [plain(each)])
  const all = [...single, ...found].map(withoutTwice).filter((each) => each.length > 0)
  return [...new Map(all.map((each) => [keysText(each), each])).values()]
}
