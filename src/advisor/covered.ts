import { type Candidate, candidateText, type IndexKey } from './candidate.ts'
import type { TargetIndex, TargetTable } from './target.ts'

type HeldKey = TargetIndex['keys'][number]

const isSame = (key: IndexKey, held: HeldKey, turned: boolean): boolean =>
  ('column' in key ? held.column === key.column : held.expression === key.expression) &&
  (held.operatorClass ?? undefined) === key.operatorClass &&
  held.collation === null &&
  held.nullsFirst === held.descending &&
  (key.descending ?? false) === (held.descending !== turned)

/** What an index is asked for: a hash finds equal values only. */
export type Purpose = { isEqualityOnly: boolean }

/** Whether an index that is there does all that the candidate would do. */
export const covers = (
  index: TargetIndex,
  candidate: Candidate,
  { isEqualityOnly }: Purpose = { isEqualityOnly: false },
): boolean => {
  const { method, keys, include, where } = candidate
  if (!index.isValid || index.where !== where) return false
  const isHash = index.method === 'hash' && method === 'btree'
  if (isHash ? !(isEqualityOnly && keys.length === 1) : index.method !== method) return false
  if (keys.length > index.keys.length) return false
  const isOneOf = (turned: boolean) => keys.every((key, at) => isSame(key, index.keys[at]!, turned))
  const held = new Set([...index.include, ...index.keys.flatMap(({ column }) => column ?? [])])
  // One key is read from either end; so are several that are all turned.
  return (isOneOf(false) || isOneOf(true)) && include.every((each) => held.has(each))
}

/** The index of the table that does all that the candidate would do. */
export const coveredBy = (
  table: TargetTable,
  candidate: Candidate,
  purpose?: Purpose,
): TargetIndex | undefined => table.indexes.find((index) => covers(index, candidate, purpose))

/** Whether one candidate does all that the other would do. */
export const isWithin = (narrow: Candidate, wide: Candidate): boolean => {
  if (candidateText(narrow) === candidateText(wide)) return true
  if (narrow.method !== 'btree' || wide.method !== 'btree' || narrow.where !== wide.where)
    return false
  if (narrow.table.schema !== wide.table.schema || narrow.table.name !== wide.table.name)
    return false
  const text = (key: IndexKey | undefined) => JSON.stringify(key)
  const held = new Set([
    ...wide.include,
    ...wide.keys.flatMap((key) => ('column' in key ? key.column : [])),
  ])
  return (
    narrow.keys.every((key, at) => text(key) === text(wide.keys[at])) &&
    narrow.include.every((each) => held.has(each))
  )
}
