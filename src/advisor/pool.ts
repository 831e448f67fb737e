import { type Candidate, candidateText } from './candidate.ts'
import { operandText, type Relation } from './relation.ts'
import type { Shortlist } from './shortlist.ts'
import type { Target } from './target.ts'
import type { Examined } from './workload.ts'

/** PostgreSQL 18 finds rows by the second column of an index, too. */
const SKIPS_FROM_VERSION = 180_000

const isOf = ({ table }: Relation, candidate: Candidate) =>
  table.schema === candidate.table.schema && table.name === candidate.table.name

const wordsOf = ({ predicates, alternatives, orders, groups }: Relation): Set<string> =>
  new Set(
    [
      ...[...predicates, ...alternatives.flat(2)].map(({ on }) => on),
      ...orders.flat().map(({ on }) => on),
      ...groups.flat(),
    ].map(operandText),
  )

const keyWords = ({ keys }: Candidate) =>
  keys.map((key) => ('column' in key ? key.column : operandText(key)))

/** Whether the table need not be read for what the query wants of it. */
const answersAlone = ({ referenced }: Relation, { keys, include }: Candidate) => {
  const held = new Set([...include, ...keys.flatMap((key) => ('column' in key ? key.column : []))])
  return referenced.size > 0 && [...referenced].every((each) => held.has(each))
}

const isConcerned = (relation: Relation, candidate: Candidate, version: number): boolean => {
  if (!isOf(relation, candidate) || candidate.where !== null) return false
  const words = wordsOf(relation)
  const keys = version >= SKIPS_FROM_VERSION ? keyWords(candidate) : keyWords(candidate).slice(0, 1)
  return keys.some((each) => words.has(each)) || answersAlone(relation, candidate)
}

/** What was found out before: it is asked for each step of the choice. */
const concerned = new WeakMap<readonly Relation[], Map<string, boolean>>()

/**
 * Whether a candidate may change what the query costs: it was found useful for it, or was not looked at for it and begins with what
 * it compares or sorts by.
 */
export const concerns = (
  candidate: Candidate,
  { relations }: Examined,
  { kept, seen }: Shortlist,
  { version }: Target,
): boolean => {
  const text = candidateText(candidate)
  if (kept.has(text)) return true
  if (seen.has(text)) return false
  const known = concerned.get(relations) ?? new Map<string, boolean>()
  concerned.set(relations, known)
  const before = known.get(text)
  if (before !== undefined) return before
  const answer = relations.some((relation) => isConcerned(relation, candidate, version))
  known.set(text, answer)
  return answer
}
