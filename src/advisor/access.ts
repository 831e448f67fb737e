import { rowsOf } from './column.ts'
import type { HeldIndex } from './held-index.ts'
import { matched, throughIndex } from './index-access.ts'
import type { Predicate, Relation } from './relation.ts'
import { type Access, pagesOf, rowsLeft, type Units } from './units.ts'

/** Reads all rows, one page after the other. */
const sequential = (relation: Relation, predicates: readonly Predicate[], units: Units): Access => {
  const { seqPage, tuple, operator } = units
  const conditions = predicates.length + relation.alternatives.length
  const cost =
    pagesOf(relation) * seqPage + rowsOf(relation.table) * (tuple + operator * conditions)
  return { cost, rows: rowsLeft(relation, predicates), indexes: [], isOrdered: false }
}

/** Each arm of an OR by an index of its own. */
const throughArms = (
  relation: Relation,
  indexes: readonly HeldIndex[],
  predicates: readonly Predicate[],
  units: Units,
): Access[] =>
  relation.alternatives.flatMap((arms): Access[] => {
    const ways = arms.map((arm) =>
      indexes
        .flatMap((index) =>
          throughIndex({ ...relation, alternatives: [] }, index, [...arm, ...predicates], units)
            .filter(() => matched(relation, index, arm).used.size > 0)
            .filter(({ isOrdered }) => !isOrdered),
        )
        .reduce<Access | undefined>(
          (best, each) => (best && best.cost <= each.cost ? best : each),
          undefined,
        ),
    )
    if (ways.length === 0 || ways.some((way) => way === undefined)) return []
    return [
      {
        cost: ways.reduce((sum, way) => sum + way!.cost, 0),
        rows: rowsLeft(relation, predicates),
        indexes: ways.flatMap((way) => way!.indexes),
        isOrdered: false,
      },
    ]
  })

/** All ways to the rows of a table that these conditions leave. */
export const accesses = (
  relation: Relation,
  indexes: readonly HeldIndex[],
  predicates: readonly Predicate[],
  units: Units,
): Access[] => [
  sequential(relation, predicates, units),
  ...indexes.flatMap((index) => throughIndex(relation, index, predicates, units)),
  ...throughArms(relation, indexes, predicates, units),
]
