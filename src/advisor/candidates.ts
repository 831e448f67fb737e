import { type Candidate, candidateText } from './candidate.ts'
import { type Demand, demandsOf } from './demand.ts'
import { extendedCandidates } from './extended.ts'
import { keysOf } from './keys.ts'
import type { Relation } from './relation.ts'
import { candidateOf, covering, indexKey, partial } from './shapes.ts'
import { type Candidates, sift } from './sift.ts'
import { specialCandidates } from './special.ts'
import type { Target, TargetTable } from './target.ts'

export type CandidateLimits = {
  /** Keys of one index. */
  keysMax: number
  /** Whether tables are looked at that are read whole in no time. */
  smallTables?: boolean
}

const PAGES_MIN = 100
const ROWS_MIN = 500
/** Whether the table is worth an index: large enough, and with figures to judge by. */
export const isWorthwhile = (table: TargetTable, { smallTables }: CandidateLimits): boolean => {
  if (smallTables) return true
  if (table.rows === null || table.rows < ROWS_MIN) return false
  return table.kind === 'partitioned' || table.pages >= PAGES_MIN
}

const ofDemand = (demand: Demand, { keysMax }: CandidateLimits): Candidate[] =>
  keysOf(demand, keysMax).flatMap((keys) => {
    const plain = keys.map(indexKey)
    return [
      candidateOf(demand.relation.table, plain),
      ...covering(demand.relation, plain),
      ...partial(demand, keys),
    ]
  })

const unique = <Item>(items: Item[], textOf: (item: Item) => string): Item[] => [
  ...new Map(items.map((each) => [textOf(each), each])).values(),
]

/** Joins what is found for several tables or queries, each once. */
export const joinCandidates = (parts: Candidates[]): Candidates => ({
  candidates: unique(
    parts.flatMap(({ candidates }) => candidates),
    candidateText,
  ),
  refused: unique(
    parts.flatMap(({ refused }) => refused),
    ({ text, code }) => `${code} ${text}`,
  ),
})

/** Indexes that answer to what the query itself compares, sorts and groups by. */
export const basicCandidates = (
  relations: readonly Relation[],
  target: Target,
  limits: CandidateLimits,
): Candidates =>
  joinCandidates(
    relations
      .filter(({ table }) => isWorthwhile(table, limits))
      .map((relation) => {
        const special = specialCandidates(relation, target)
        const found = demandsOf(relation).flatMap((demand) => ofDemand(demand, limits))
        const sifted = sift(relation, unique([...found, ...special.candidates], candidateText))
        return { ...sifted, refused: [...sifted.refused, ...special.refused] }
      }),
  )

/** All indexes that could be of use to the tables of these queries. */
export const candidatesOf = (
  relations: readonly Relation[],
  target: Target,
  limits: CandidateLimits,
): Candidates => {
  const basic = basicCandidates(relations, target, limits)
  const wider = extendedCandidates(relations, basic.candidates, limits)
  return joinCandidates([basic, { candidates: wider, refused: [] }])
}
