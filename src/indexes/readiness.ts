import type { Queryable } from '../platform/db/connect.ts'
import { Postponed } from '../platform/jobs/handler.ts'
import * as catalog from './catalog-repository.ts'
import { Refused } from './failure.ts'
import type { EntryRow } from './repository.ts'

/** Seconds after which a transaction is old: a concurrent build waits for all that are. */
const OLD_SECONDS = 60
const POSTPONED_MS = 30_000
/** Builds at once in the database. */
const BUILDS_MAX = 2
/** Advised indexes may take this share of the database, as much as all the rest, and so many bytes in any case. */
const SHARE_MAX = 0.5
const BYTES_ALWAYS = 64 * 1024 * 1024

/** What may be another where it is told: tests. */
export type Bounds = { oldSeconds?: number; shareMax?: number; bytesAlways?: number }

const megabytes = (bytes: number) => `${Math.ceil(bytes / 1_048_576)} MB`

const refuseTable = (entry: EntryRow, { kind, isOwner, isInRecovery }: catalog.Readiness) => {
  const name = `${entry.schema}.${entry.table}`
  if (isInRecovery) throw new Refused('this server is a replica; indexes are built on the primary')
  if (kind === null) throw new Refused(`the table ${name} is not there any more`)
  if (kind === 'p')
    throw new Refused(`${name} is partitioned: build it on each partition, then attach those`)
  if (kind !== 'r' && kind !== 'm') throw new Refused(`${name} is no table`)
  if (!isOwner) throw new Refused(`the account of this server does not own ${name}`)
}

/**
 * The server does not tell how much room its disk has, so what is bounded is what advised indexes take of the database; a
 * disk that is full all the same ends the build with 53100, and what was built of it is dropped.
 */
const refuseSize = (
  { bytes }: EntryRow,
  { databaseBytes, advisedBytes }: catalog.Readiness,
  { shareMax = SHARE_MAX, bytesAlways = BYTES_ALWAYS }: Bounds,
) => {
  const bytesMax = Math.max(bytesAlways, databaseBytes * shareMax)
  if (advisedBytes + bytes > bytesMax)
    throw new Refused(
      `with about ${megabytes(bytes)} more, advised indexes would take over ${megabytes(bytesMax)}, which is the most they may`,
    )
}

/** What passes by itself. @throws Postponed, which is no failed attempt */
export const postponeForOthers = ({
  builds,
  oldestSeconds,
  oldestPid,
  buildingPid,
}: catalog.Readiness) => {
  if (buildingPid !== null)
    throw new Postponed(`process ${buildingPid} builds an index on the same table`, POSTPONED_MS)
  if (builds >= BUILDS_MAX)
    throw new Postponed(`${builds} indexes are being built; each reads a whole table`, POSTPONED_MS)
  if (oldestSeconds !== null)
    throw new Postponed(
      `a transaction of process ${oldestPid} is open for ${oldestSeconds} s, and a build would wait for it`,
      POSTPONED_MS,
    )
}

/** The table as it is now. @throws Refused where nothing can be built or dropped there */
export const requireTable = async (own: Queryable, entry: EntryRow, bounds: Bounds) => {
  const secondsMax = bounds.oldSeconds ?? OLD_SECONDS
  const readiness = await catalog.findReadiness(own, { ...entry, secondsMax })
  refuseTable(entry, readiness)
  return readiness
}

/** Refuses what is too large to be built, and puts off what cannot be built now. */
export const requireRoom = (entry: EntryRow, readiness: catalog.Readiness, bounds: Bounds) => {
  if (entry.kind === 'create') refuseSize(entry, readiness, bounds)
  postponeForOthers(readiness)
}
