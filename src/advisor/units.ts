import { rowsOf, shareOf } from './column.ts'
import type { HeldIndex } from './held-index.ts'
import type { Predicate, Relation } from './relation.ts'

/** The planner's units (costsize.c), as they are set. */
export type Units = {
  seqPage: number
  randomPage: number
  tuple: number
  indexTuple: number
  operator: number
}

/** A way to come by a table's rows. */
export type Access = {
  cost: number
  rows: number
  indexes: HeldIndex[]
  /** Whether they come in the order of the index. */
  isOrdered: boolean
}

export const unitsOf = (settings: Record<string, string>): Units => {
  const of = (name: string, usual: number) => Number(settings[name] ?? usual) || usual
  return {
    seqPage: of('seq_page_cost', 1),
    randomPage: of('random_page_cost', 4),
    tuple: of('cpu_tuple_cost', 0.01),
    indexTuple: of('cpu_index_tuple_cost', 0.005),
    operator: of('cpu_operator_cost', 0.0025),
  }
}

export const pagesOf = ({ table }: Relation) => Math.max(table.pages, 1)

const product = (shares: readonly number[]) => shares.reduce((all, each) => all * each, 1)

/** Of each OR the share that its arms leave together. */
const alternativesShare = (relation: Relation): number =>
  product(
    relation.alternatives.map((arms) => {
      const none = product(
        arms.map((arm) => 1 - product(arm.map((each) => shareOf(relation, each)))),
      )
      return arms.some((arm) => arm.length === 0) ? 1 : 1 - none
    }),
  )

/** Rows that all conditions on the table leave. */
export const rowsLeft = (relation: Relation, predicates: readonly Predicate[]): number => {
  const shares = predicates.map((each) => shareOf(relation, each))
  return Math.max(rowsOf(relation.table) * product(shares) * alternativesShare(relation), 1)
}
