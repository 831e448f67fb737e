import type { Transaction } from '../platform/db/connect.ts'
import * as catalog from './catalog-repository.ts'
import { Refused, reasonOf } from './failure.ts'
import type { EntryRow } from './repository.ts'
import { quoted, readDefinition } from './statement.ts'

/** Milliseconds that trying an index out on an empty table waits for locks. */
const PROBE_LOCK_MS = 2000

/** Ends a part of a transaction that shall leave nothing. */
class Undone extends Error {}

/**
 * Tries a definition out on an empty table of the same columns, which is undone: so columns, operator classes and conditions
 * are checked by the database before anything is built, and written as the catalog writes them.
 * @returns the name of an index of the table that is the same, if there is one
 * @throws Refused in the words of the database
 */
export const findTwin = async (tx: Transaction, entry: EntryRow): Promise<string | undefined> => {
  const { schema, table, definition } = entry
  const read = readDefinition(definition)
  if (!read || read.schema !== schema || read.table !== table)
    throw new Refused('its definition is not that of an index on its table')
  let twin: string | undefined
  try {
    await tx.savepoint(async (point) => {
      await point`select set_config('lock_timeout', ${`${PROBE_LOCK_MS}`}, true)`
      const like = `${quoted(schema)}.${quoted(table)}`
      await catalog.runOne(point, `create temp table ${catalog.PROBE} (like ${like})`)
      await catalog.runOne(point, `create index on pg_temp.${catalog.PROBE} ${read.rest}`)
      twin = await catalog.findTwinOfProbe(point, entry)
      throw new Undone()
    })
  } catch (error) {
    if (!(error instanceof Undone)) throw asRefusal(error)
  }
  return twin
}

const asRefusal = (error: unknown) =>
  /^(?:42|22|0A|54)/.test(String((error as { code?: unknown }).code))
    ? new Refused(`the index cannot be built: ${reasonOf(error)}`)
    : error
