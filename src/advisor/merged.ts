import { type Candidate, candidateText, type IndexKey } from './candidate.ts'

const sameTable = ({ table: one }: Candidate, { table: other }: Candidate) =>
  one.schema === other.schema && one.name === other.name

const isBeginning = (short: readonly IndexKey[], long: readonly IndexKey[]) =>
  short.every((key, at) => JSON.stringify(key) === JSON.stringify(long[at]))

/** Columns an index may carry: it is the table once more otherwise. */
const CARRIED_MAX = 6

const mergeOf = (one: Candidate, other: Candidate): Candidate | undefined => {
  if (one.method !== 'btree' || other.method !== 'btree' || one.where !== other.where) return
  if (!sameTable(one, other)) return
  const [short, long] = one.keys.length <= other.keys.length ? [one, other] : [other, one]
  if (!isBeginning(short.keys, long.keys)) return
  const held = new Set(long.keys.flatMap((key) => ('column' in key ? key.column : [])))
  const carried = new Set([...one.include, ...other.include].filter((name) => !held.has(name)))
  // What one of them has already is not made anew.
  if (carried.size > CARRIED_MAX || carried.size === long.include.length) return
  return { ...long, include: [...carried].toSorted() }
}

/**
 * Of indexes with the same keys, or one's keys at the beginning of the other's, that carry different columns the one that carries
 * them all, each with the texts of both it stands for.
 */
export const mergedCandidates = (
  candidates: readonly Candidate[],
): { merged: Candidate; of: string[] }[] =>
  candidates.flatMap((one, at) =>
    candidates.slice(at + 1).flatMap((other) => {
      const merged = mergeOf(one, other)
      return merged ? [{ merged, of: [candidateText(one), candidateText(other)] }] : []
    }),
  )
