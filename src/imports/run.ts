import type { Transaction } from '../platform/db/connect.ts'
import type { Faults } from './faults.ts'
import { type Pace, ROWS_MAX, slicesOf } from './pace.ts'
import type { Kind } from './schema.ts'
import type { Scope } from './stored.ts'

/** One import under way: its transaction, what was found wrong so far, and its place in the event loop. */
export type Run = {
  readonly tx: Transaction
  readonly organizationId: string
  readonly nowMs: number
  readonly faults: Faults
  readonly pace: Pace
  readonly permissions: ReadonlyMap<string, Scope>
  /** With whether they are strict. */
  readonly resourceTypes: ReadonlyMap<string, boolean>
}

/** What an object of the document comes to: nothing, a new row, or another one in place of the stored one. */
export type Change<Row> = {
  /** Its place in its list. */
  readonly index: number
  readonly before: Row | undefined
  readonly after: Row
  /** Whether anything of it differs from what is stored. */
  changed: boolean
}

/** Looks up many keys, some thousands in a statement. */
export const lookUp = async <Item, Row>(
  { pace }: Pick<Run, 'pace'>,
  items: readonly Item[],
  find: (slice: Item[]) => Promise<readonly Row[]>,
): Promise<Row[]> => {
  const rows: Row[] = []
  for (const slice of slicesOf(items, ROWS_MAX)) {
    for (const row of await find(slice)) rows.push(row)
    await pace()
  }
  return rows
}

/** Notes an object that the document names a second time. Answers whether it was the first. */
export const isFirst = (
  { faults }: Pick<Run, 'faults'>,
  seen: Map<string, number>,
  { key, kind, index }: { key: string; kind: Kind; index: number },
): boolean => {
  const first = seen.get(key)
  seen.set(key, first ?? index)
  if (first !== undefined)
    faults.add(`/${kind}/${index}`, `The document has this already at /${kind}/${first}.`)
  return first === undefined
}
