import { type Candidate, candidateText } from './candidate.ts'
import { predicateSql } from './canonical.ts'
import { shareOf } from './column.ts'
import { indexSize } from './index-size.ts'
import { operandText, type Predicate, type Relation } from './relation.ts'
import { PAGE_BYTES } from './size.ts'
import type { TargetIndex, TargetTable } from './target.ts'

/** An index as arithmetic sees it, there or not. */
export type HeldIndex = {
  /** Of a candidate its text, else schema.name. */
  name: string
  isCandidate: boolean
  method: string
  keys: { text: string; descending: boolean; operatorClass: string | null }[]
  include: readonly string[]
  where: string | null
  bytes: number
}

/** Bytes of a value of an expression. */
const EXPRESSION_BYTES = 16

/** Share of rows that a partial index holds, where its condition is one that columns have statistics for. */
export const partialShare = (relation: Relation, where: string | null): number => {
  const known = [...relation.predicates, ...relation.alternatives.flat(2)].find(
    (each) => predicateSql(each) === where,
  )
  return where === null ? 1 : known ? shareOf(relation, known) : 0.1
}

export const candidateBytes = (candidate: Candidate, table: TargetTable, share: number): number => {
  const rows = Math.max((table.rows ?? 0) * share, 0)
  const expressionBytes = candidate.keys.flatMap((key) =>
    'expression' in key ? [EXPRESSION_BYTES] : [],
  )
  return indexSize(candidate, table, { rows, expressionBytes }).pages * PAGE_BYTES
}

export const heldCandidate = (candidate: Candidate, relation: Relation): HeldIndex => ({
  name: candidateText(candidate),
  isCandidate: true,
  method: candidate.method,
  keys: candidate.keys.map((key) => ({
    text: operandText('column' in key ? { column: key.column } : { expression: key.expression }),
    descending: key.descending ?? false,
    operatorClass: key.operatorClass ?? null,
  })),
  include: candidate.include,
  where: candidate.where,
  bytes: candidateBytes(candidate, relation.table, partialShare(relation, candidate.where)),
})

export const heldIndex = (index: TargetIndex): HeldIndex => ({
  name: `${index.table.schema}.${index.name}`,
  isCandidate: false,
  method: index.method,
  keys: index.keys.map(({ column, expression, descending, operatorClass }) => ({
    text: operandText(column === null ? { expression: expression ?? '' } : { column }),
    ...{ descending, operatorClass },
  })),
  include: index.include,
  where: index.where,
  bytes: index.bytes,
})

/** Whether it may be read for these conditions: a partial one needs its own among them. */
export const isUsable = ({ where }: HeldIndex, predicates: readonly Predicate[]): boolean =>
  where === null || predicates.some((each) => predicateSql(each) === where)

/** Whether the table need not be read. */
export const isWhole = ({ keys, include }: HeldIndex, { referenced }: Relation): boolean => {
  const held = new Set([...include, ...keys.map(({ text }) => text)])
  return [...referenced].every((each) => held.has(each))
}
