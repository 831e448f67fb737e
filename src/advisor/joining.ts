import { accesses } from './access.ts'
import { distinctOf } from './column.ts'
import type { HeldIndex } from './held-index.ts'
import {
  operandText,
  type Predicate,
  type References,
  type Relation,
  type SortKey,
} from './relation.ts'
import type { Access, Units } from './units.ts'

/** A way to all rows that are wanted. */
type Way = { cost: number; rows: number; indexes: HeldIndex[]; isOrdered: boolean }

type Tables = ReadonlyMap<Relation, readonly HeldIndex[]>

const own = ({ predicates }: Relation) => predicates.filter(({ kind }) => kind !== 'join')

/** Joins with tables that are there already fix a value for each of their rows. */
const joinsTo = ({ predicates }: Relation, done: ReadonlySet<Relation>): Predicate[] =>
  predicates.filter(
    ({ kind, other }) => kind === 'join' && other !== null && done.has(other.relation),
  )

const cheapest = <Item extends { cost: number }>(items: readonly Item[]): Item =>
  items.reduce((best, each) => (each.cost < best.cost ? each : best))

/** Whether an index has rows in this order, with what is equal anyway looked away from. */
const gives = (access: Access, relation: Relation, order: readonly SortKey[]): boolean => {
  const [index] = access.indexes
  if (!access.isOrdered || !index) return false
  const fixed = new Set(
    own(relation)
      .filter(({ kind, count }) => (kind === 'equal' && count === 1) || kind === 'null')
      .map(({ on }) => operandText(on)),
  )
  const wanted = order.filter(({ on }) => !fixed.has(operandText(on)))
  const keys = index.keys.filter(({ text }) => !fixed.has(text))
  const isSame = (turned: boolean) =>
    wanted.every(
      ({ on, descending }, at) =>
        keys[at]?.text === operandText(on) && keys[at].descending === (descending !== turned),
    )
  return isSame(false) || isSame(true)
}

/** One more table: looked up for each row, or read once and kept. */
const joined = (
  way: Way,
  next: Relation,
  done: ReadonlySet<Relation>,
  tables: Tables,
  units: Units,
): Way => {
  const joins = joinsTo(next, done)
  const indexes = tables.get(next)!
  const once = cheapest(accesses(next, indexes, own(next), units))
  const kept = {
    ...once,
    cost: once.cost + (way.rows + once.rows) * (units.tuple + units.operator),
  }
  const shared = joins.reduce((share, { on }) => share / distinctOf(next.table, on), 1)
  const rows = Math.max(
    joins.length > 0 ? way.rows * once.rows * shared : Math.max(way.rows, once.rows),
    1,
  )
  const looked = cheapest(accesses(next, indexes, [...own(next), ...joins], units))
  const each = { ...looked, cost: looked.cost * way.rows + way.rows * units.tuple }
  const isEach = joins.length > 0 && looked.indexes.length > 0 && each.cost < kept.cost
  const step = isEach ? each : kept
  return {
    cost: way.cost + step.cost,
    rows,
    indexes: [...way.indexes, ...step.indexes],
    isOrdered: way.isOrdered && isEach,
  }
}

const OTHERS_MAX = 12

/** Joins all other tables, always the one next that costs least. */
const joinAll = (start: Way, first: Relation, tables: Tables, units: Units): Way => {
  let way = start
  const done = new Set([first])
  const left = new Set([...tables.keys()].filter((each) => each !== first).slice(0, OTHERS_MAX))
  while (left.size > 0) {
    const linked = [...left].filter((each) => joinsTo(each, done).length > 0)
    const tried = (linked.length > 0 ? linked : [...left]).map((relation) => ({
      relation,
      way: joined(way, relation, done, tables, units),
    }))
    const best = tried.reduce((one, other) => (other.way.cost < one.way.cost ? other : one))
    way = best.way
    done.add(best.relation)
    left.delete(best.relation)
  }
  return way
}

const PART_WANTED = 0.1

/** What is done with the rows in the end: sorted, grouped, and only some of them taken. */
const finished = (way: Way, { blocks }: References, units: Units): Way => {
  const [top] = blocks
  if (!top) return way
  const sort = way.rows * Math.log2(Math.max(way.rows, 2)) * 2 * units.operator
  const isSorted = top.order === null || way.isOrdered
  const limit =
    top.limit === null ? way.rows : Number.isNaN(top.limit) ? way.rows * PART_WANTED : top.limit
  if (top.isGrouped || !isSorted)
    return { ...way, cost: way.cost + (isSorted ? way.rows * units.operator : sort) }
  return { ...way, cost: way.cost * Math.min(limit / way.rows, 1) + units.operator }
}

/** The cheapest way to answer a query, of those that this arithmetic knows. */
export const cheapestWay = (references: References, tables: Tables, units: Units): Way => {
  const order = references.blocks[0]?.order
  const ways = [...tables].flatMap(([relation, indexes]) => {
    const isOwn = order?.isWhole === true && order.keys.every((key) => key.relation === relation)
    return accesses(relation, indexes, own(relation), units).map((access) => {
      const isOrdered = isOwn && gives(access, relation, order.keys)
      return finished(joinAll({ ...access, isOrdered }, relation, tables, units), references, units)
    })
  })
  return cheapest(ways)
}
