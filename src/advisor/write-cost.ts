import type { Candidate } from './candidate.ts'
import { findTable, type Target, type TargetTable } from './target.ts'

/** Planner units that a row costs more for each index: measured, one unit being about 2.2 µs (README of the benchmark). */
const PER_INSERT = 2
const PER_UPDATE = 2.5

/** Columns that queries of the workload change, by table (`schema.name`). */
export type UpdatedColumns = ReadonlyMap<string, ReadonlySet<string>>

const keyOf = ({ schema, name }: { schema: string; name: string }) => `${schema}.${name}`

/** What was found out before: it is asked for each step of a choice. */
const known = new WeakMap<TargetTable, WeakMap<Candidate, Set<string>>>()

const followed = (table: TargetTable, candidate: Candidate): Set<string> => {
  const own = known.get(table) ?? new WeakMap<Candidate, Set<string>>()
  known.set(table, own)
  const found = own.get(candidate) ?? followedBy(table, candidate)
  own.set(candidate, found)
  return found
}

/** The columns that an index must follow: an expression may be of any. */
const followedBy = (table: TargetTable, { keys, include, where }: Candidate): Set<string> => {
  const texts = [where ?? '', ...keys.map((key) => ('expression' in key ? key.expression : ''))]
  const mentioned = table.columns.filter(({ name }) => texts.some((text) => text.includes(name)))
  return new Set([
    ...keys.flatMap((key) => ('column' in key ? key.column : [])),
    ...include,
    ...mentioned.map(({ name }) => name),
  ])
}

const ofTable = (
  table: TargetTable,
  candidates: readonly Candidate[],
  updated: ReadonlySet<string>,
): number => {
  const { inserted, updated: updates, hotUpdated } = table.writes
  const apart = Math.max(updates - hotUpdated, 0)
  // Where an index follows a column that is changed, rows move that did not have to: all indexes of the table learn it.
  const isMoved = candidates.some((each) =>
    [...followed(table, each)].some((column) => updated.has(column)),
  )
  const moved = isMoved ? hotUpdated * (candidates.length + table.indexes.length) : 0
  const each = inserted * PER_INSERT + apart * PER_UPDATE
  return candidates.length * each + moved * PER_UPDATE
}

/** What writes cost more with these indexes, in planner units, by the rows written since statistics were last reset. */
export const writeCostOf = (
  target: Target,
  candidates: readonly Candidate[],
  updated: UpdatedColumns,
): number =>
  [...Map.groupBy(candidates, ({ table }) => keyOf(table))].reduce((sum, [key, own]) => {
    const table = findTable(target, own[0]!.table)
    return table ? sum + ofTable(table, own, updated.get(key) ?? new Set()) : sum
  }, 0)
