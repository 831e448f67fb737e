import type { Context } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import type { SqlParser } from '../platform/sql-parser.ts'
import * as repository from './collect-repository.ts'
import { createQueryReader, type KnownQuery } from './read-query.ts'
import type { RankedQuery } from './repository.ts'
import { addShares, deleteOld, putQueries } from './write-repository.ts'

const STATEMENTS_MAX = 2000
/** Days that hours are kept, and of how many slow statements each one. */
const KEPT_DAYS = 35
const SLOW_KEPT = 10_000
const DELETED_AT_ONCE = 5000

/**
 * Adds what `pg_stat_statements` has counted since the last time, of everybody who uses the database; nothing without the extension.
 * Read as the connection's own role: the extension shows others only to whoever may read all statistics.
 */
export const collectStatements = async ({ sql, now }: Context, parser: SqlParser) => {
  const schema = await repository.findExtension(sql)
  if (schema === undefined) return { statements: 0, added: 0 }
  const counters = await repository.listCounters(sql, schema, STATEMENTS_MAX)
  const read = createQueryReader(parser)
  const known = new Map<string, KnownQuery>()
  const told: (repository.Counter & { fingerprint: string | null })[] = []
  for (const counter of counters) {
    const query = await read(counter.query)
    if (query) known.set(query.fingerprint, query)
    told.push({ ...counter, query: '', fingerprint: query?.fingerprint ?? null })
  }
  if (told.length === 0) return { statements: 0, added: 0 }
  const added = await inPlatform(sql, async (tx) => {
    if (known.size > 0) await putQueries(tx, [...known.values()])
    const deltas = await repository.exchangeCounters(tx, told)
    const shares = deltas.map((delta) => ({ ...delta, fingerprint: delta.fingerprint!, slow: 0 }))
    if (shares.length > 0)
      await addShares(tx, { source: 'database', hour: now().toISOString(), shares })
    return shares.length
  })
  return { statements: told.length, added }
}

/**
 * What `pg_stat_statements` of a database has counted since it was last reset, the same queries together, the dearest first;
 * undefined where it is not installed.
 */
export const readStatements = async (
  sql: Queryable,
  parser: SqlParser,
  limit: number,
): Promise<RankedQuery[] | undefined> => {
  const schema = await repository.findExtension(sql)
  if (schema === undefined) return undefined
  const read = createQueryReader(parser)
  const ranked = new Map<string, RankedQuery>()
  for (const { query: text, calls } of await repository.listCounters(sql, schema, STATEMENTS_MAX)) {
    const query = await read(text)
    if (!query) continue
    const before = ranked.get(query.fingerprint)?.calls ?? 0
    ranked.set(query.fingerprint, { ...query, calls: before + calls })
  }
  return [...ranked.values()].slice(0, limit)
}

/** Forgets what is old. */
export const pruneWorkload = async ({ sql }: Context, signal: AbortSignal) => {
  let pruned = 0
  const range = { days: KEPT_DAYS, slowMax: SLOW_KEPT, limit: DELETED_AT_ONCE }
  for (let deleted = 1; deleted > 0 && !signal.aborted; pruned += deleted)
    deleted = await inPlatform(sql, (tx) => deleteOld(tx, range))
  await inPlatform(sql, (tx) => repository.deleteCounters(tx, KEPT_DAYS))
  return { pruned }
}
