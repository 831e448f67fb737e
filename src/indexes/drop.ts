import type { Sql } from '../platform/db/connect.ts'
import * as catalog from './catalog-repository.ts'
import { Refused } from './failure.ts'
import type { EntryRow } from './repository.ts'
import { dropStatement } from './statement.ts'

/** Refuses to drop what something needs, and what has been used since that was approved. */
export const refuseDrop = (entry: EntryRow, state: catalog.IndexState): void => {
  const { kind, status, code, scansHeld } = entry
  if (kind === 'create') return
  if (state.isNeeded)
    throw new Refused(
      'a constraint, replication or a partition needs the index, or it keeps values unique',
    )
  if (status === 'approved' && code === 'unused' && scansHeld !== null && state.scans > scansHeld)
    throw new Refused(`it was scanned ${state.scans - scansHeld} times since that was approved`)
}

const DROP_TRIES = 3

/** Drops an index without keeping anybody from the table; waited for in vain, it tries again. */
export const dropConcurrently = async (
  own: Sql,
  entry: { schema: string; index: string },
  run: (text: string) => Promise<unknown> = (text) => catalog.runOne(own, text),
): Promise<void> => {
  for (let tries = 1; ; tries++)
    try {
      await run(dropStatement(entry, { concurrently: true }))
      return
    } catch (error) {
      const isInTheWay = ['55P03', '40P01'].includes(String((error as { code?: unknown }).code))
      if (!isInTheWay || tries >= DROP_TRIES) throw error
    }
}
