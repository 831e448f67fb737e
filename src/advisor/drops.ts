import type { DropAdvice, WorkloadQuery } from './advice.ts'
import { quoteIdentifier, quoteTable } from './candidate.ts'
import { isFree, isPrefix, isSame, supportsForeignKey } from './droppable.ts'
import { type Costed, PlanError, type Planner } from './planner.ts'
import type { Target, TargetIndex, TargetTable } from './target.ts'

export type DropOptions = {
  now: Date
  /** Who says what queries would cost without an index; without it no index is dropped for a wider one. */
  planner?: Planner
  workload?: readonly WorkloadQuery[]
}

/** An index that was not used for so long is not used. */
const UNUSED_DAYS = 35
const DAY_MS = 24 * 60 * 60 * 1000
/** No query may get dearer by more, once an index is gone for a wider one. */
const DEARER_SHARE_MAX = 0.02

const adviceFor = (index: TargetIndex, code: DropAdvice['code'], reason: string): DropAdvice => ({
  index: `${index.table.schema}.${index.name}`,
  table: `${index.table.schema}.${index.table.name}`,
  ...{ code, reason, bytes: index.bytes },
  statement: `drop index concurrently ${quoteTable({ schema: index.table.schema, name: index.name })}`,
  undo: index.definition.replace(/^(CREATE (?:UNIQUE )?INDEX) /, '$1 CONCURRENTLY '),
})

/** Of indexes that are the same, the one that stays: what is needed, what is used most, then the name that comes first. */
const duplicatesIn = ({ indexes }: TargetTable): DropAdvice[] => {
  const valid = indexes.filter(({ isValid }) => isValid)
  const rank = (index: TargetIndex) => (isFree(index) ? 1 : 0)
  const sorted = valid.toSorted(
    (a, b) => rank(a) - rank(b) || b.scans - a.scans || (a.name < b.name ? -1 : 1),
  )
  return sorted.flatMap((index, at) => {
    const kept = sorted.slice(0, at).find((each) => isSame(each, index))
    if (!kept || !isFree(index)) return []
    return [
      adviceFor(index, 'duplicate', `${quoteIdentifier(kept.name)} has the same keys and stays.`),
    ]
  })
}

/** Says whether all queries cost about the same without these indexes; of one that must be seen, that some query used it. */
const createSparing = ({ planner, workload = [] }: DropOptions) => {
  const known = new Map<WorkloadQuery, Costed | null>()

  const planned = async (query: WorkloadQuery, without: readonly string[]) => {
    try {
      return await planner!.plan(query, { with: [], without })
    } catch (error) {
      if (error instanceof PlanError) return null
      throw error
    }
  }

  return async (without: readonly string[], toBeSeen?: string): Promise<boolean> => {
    if (!planner || workload.length === 0) return false
    for (const query of workload) if (!known.has(query)) known.set(query, await planned(query, []))
    const isSeen = [...known.values()].some((each) => each?.indexes.includes(toBeSeen ?? ''))
    if (toBeSeen !== undefined && !isSeen) return false
    for (const query of workload) {
      const before = known.get(query)
      // What a plan does not use may go.
      if (!before?.indexes.some((each) => without.includes(each))) continue
      const after = await planned(query, without)
      if (!after || after.cost > before.cost * (1 + DEARER_SHARE_MAX)) return false
    }
    return true
  }
}

const coveredIn = async (
  { indexes }: TargetTable,
  gone: Set<string>,
  isSpared: ReturnType<typeof createSparing>,
): Promise<DropAdvice[]> => {
  const found: DropAdvice[] = []
  const isThere = (each: TargetIndex) =>
    each.isValid && !gone.has(`${each.table.schema}.${each.name}`)
  const narrow = indexes.filter((each) => isThere(each) && isFree(each) && each.method === 'btree')
  for (const index of narrow) {
    const wide = indexes.find(
      (each) =>
        each !== index &&
        isThere(each) &&
        each.keys.length + each.include.length > index.keys.length + index.include.length &&
        isPrefix(index, each) &&
        index.include.every((column) =>
          [...each.include, ...each.keys.map((key) => key.column)].includes(column),
        ),
    )
    const name = `${index.table.schema}.${index.name}`
    // One that carries columns was made to be read alone, by queries that may not be of this workload; the wider one is longer.
    const toBeSeen = index.include.length > 0 ? name : undefined
    if (!wide || !(await isSpared([...gone, name], toBeSeen))) continue
    gone.add(name)
    const reason = `${quoteIdentifier(wide.name)} begins with the same keys, and no query gets dearer by more than 2 % with it.`
    found.push(adviceFor(index, 'covered', reason))
  }
  return found
}

const unusedIn = (table: TargetTable, days: number): TargetIndex[] => {
  const isRead = table.indexes.some(({ scans }) => scans > 0)
  if (days < UNUSED_DAYS || !isRead) return []
  return table.indexes.filter(
    (index) =>
      index.isValid && index.scans === 0 && isFree(index) && !supportsForeignKey(table, index),
  )
}

/** Indexes that are there and could go, and why; each of them with the statement that makes it again. */
export const adviseDrops = async (target: Target, options: DropOptions): Promise<DropAdvice[]> => {
  const { countedSince } = target
  const days =
    countedSince === null ? 0 : (options.now.getTime() - Date.parse(countedSince)) / DAY_MS
  const isSpared = createSparing(options)
  const found: DropAdvice[] = []
  for (const table of target.tables) {
    const invalid = table.indexes
      .filter((index) => !index.isValid && isFree(index))
      .map((index) =>
        adviceFor(
          index,
          'invalid',
          'It was never finished: it costs writes, and no query can use it.',
        ),
      )
    const duplicates = duplicatesIn(table)
    const gone = new Set([...invalid, ...duplicates].map(({ index }) => index))
    const covered = await coveredIn(table, gone, isSpared)
    const unused = unusedIn(table, days)
      .filter((index) => !gone.has(`${index.table.schema}.${index.name}`))
      .map((index) =>
        adviceFor(
          index,
          'unused',
          `No query has used it in ${Math.floor(days)} days, while the table was read.`,
        ),
      )
    found.push(...invalid, ...duplicates, ...covered, ...unused)
  }
  return found
}
