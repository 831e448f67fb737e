import type { RefusedIndex } from './advice.ts'
import { type Candidate, candidateText } from './candidate.ts'
import { coveredBy } from './covered.ts'
import type { Operand, Relation } from './relation.ts'

/** Indexes that could be made, and those that one could expect but that are not tried. */
export type Candidates = { candidates: Candidate[]; refused: RefusedIndex[] }

/** What is only ever compared for equality, a hash that is there finds as well. */
const isEqualityOnly = (relation: Relation, { keys }: Candidate): boolean => {
  const [key] = keys
  if (!key || keys.length > 1 || !('column' in key)) return false
  const is = (on: Operand) => 'column' in on && on.column === key.column
  const all = [...relation.predicates, ...relation.alternatives.flat(2)].filter(({ on }) => is(on))
  const isOrdered = [...relation.orders.flat().map(({ on }) => on), ...relation.groups.flat()].some(
    is,
  )
  return !isOrdered && all.every(({ kind }) => kind === 'equal' || kind === 'join')
}

/** Sorts out what is there already. */
export const sift = (relation: Relation, found: Candidate[]): Candidates => {
  const candidates: Candidate[] = []
  const refused: RefusedIndex[] = []
  for (const candidate of found) {
    const purpose = { isEqualityOnly: isEqualityOnly(relation, candidate) }
    const index = coveredBy(relation.table, candidate, purpose)
    if (!index) candidates.push(candidate)
    else
      refused.push({
        text: candidateText(candidate),
        code: 'covered-by-existing',
        reason: `The index ${index.name} does this already.`,
      })
  }
  return { candidates, refused }
}
