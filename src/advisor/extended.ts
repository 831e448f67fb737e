import { type Candidate, candidateText } from './candidate.ts'
import { isKey } from './column.ts'
import type { Relation } from './relation.ts'
import { candidateOf, wantsAll } from './shapes.ts'
import { sift } from './sift.ts'

/** Keys that are made wider by one. */
const WIDENED_KEYS_MAX = 2

const comparedColumns = ({ predicates, alternatives, orders, groups }: Relation): string[] => {
  const compared = [...predicates, ...alternatives.flat(2), ...orders.flat()].map(({ on }) => on)
  const all = [...compared, ...groups.flat()]
  return [...new Set(all.flatMap((on) => ('column' in on ? on.column : [])))]
}

/** Each of the candidates of at most two keys with one more column that its query speaks of: it may answer alone then. */
export const extendedCandidates = (
  relations: readonly Relation[],
  candidates: readonly Candidate[],
  { keysMax }: { keysMax: number },
): Candidate[] => {
  const found = relations.flatMap((relation) => {
    const { table, referenced } = relation
    const own = candidates.filter(
      (each) =>
        each.table.schema === table.schema &&
        each.table.name === table.name &&
        each.method === 'btree' &&
        each.include.length === 0 &&
        each.where === null &&
        each.keys.length < keysMax &&
        each.keys.length <= WIDENED_KEYS_MAX,
    )
    const columns = wantsAll(relation) ? comparedColumns(relation) : [...referenced]
    const wider = own.flatMap(({ keys }) =>
      columns
        .filter((column) => isKey(table, { column }))
        .filter((column) => !keys.some((key) => 'column' in key && key.column === column))
        .map((column) => candidateOf(table, [...keys, { column }])),
    )
    return sift(relation, wider).candidates
  })
  return [...new Map(found.map((each) => [candidateText(each), each])).values()]
}
