import type { Context } from '../platform/context.ts'
import type { Sql, Transaction } from '../platform/db/connect.ts'
import * as points from './points-repository.ts'
import * as repository from './repository.ts'

/** Days for which hours are kept, and reports and reservations. */
export const HOURS_KEPT_DAYS = 90
const REPORTS_KEPT_DAYS = 60
const ORGANIZATIONS_AT_ONCE = 500
const ROWS_AT_ONCE = 5000

type Own = Pick<Context, 'sql'>

/** As long as it takes: this is no request, and nobody waits for it. */
const asPlatform = <Result>(sql: Sql, work: (tx: Transaction) => Promise<Result>) =>
  sql.begin(async (tx) => {
    await tx`select set_config('role', 'latchkey_platform', true)`
    return work(tx)
  }) as Promise<Result>

/** Measures every organization for the present hour, makes days of old hours, and deletes what is over. */
export const rollUp = async ({ sql }: Own, signal: AbortSignal) => {
  let [after, organizations, folded] = ['', 0, 0]
  for (;;) {
    signal.throwIfAborted()
    const ids = (
      await asPlatform(sql, (tx) => points.findOrganizationIds(tx, after, ORGANIZATIONS_AT_ONCE))
    ).map(({ id }) => id)
    if (ids.length === 0) break
    await asPlatform(sql, (tx) => points.measureGauges(tx, ids))
    await asPlatform(sql, (tx) => points.measureWorkspaces(tx, ids))
    folded += await asPlatform(sql, (tx) => points.foldHours(tx, ids, HOURS_KEPT_DAYS))
    organizations += ids.length
    after = ids.at(-1)!
  }
  const reports = await inParts(signal, () =>
    asPlatform(sql, (tx) => repository.deleteReports(tx, REPORTS_KEPT_DAYS, ROWS_AT_ONCE)),
  )
  const reservations = await inParts(signal, () =>
    asPlatform(sql, (tx) => repository.deleteReservations(tx, REPORTS_KEPT_DAYS, ROWS_AT_ONCE)),
  )
  return { organizations, folded, reports, reservations }
}

/** Ends reservations whose time is over: what they held is free again. Answers how many. */
export const expireReservations = ({ sql }: Own, signal: AbortSignal) =>
  inParts(signal, () => asPlatform(sql, (tx) => repository.expireReservations(tx, ROWS_AT_ONCE)))

/** Repeats a bounded statement until it finds less than its bound. */
const inParts = async (signal: AbortSignal, part: () => Promise<number>): Promise<number> => {
  let all = 0
  for (;;) {
    signal.throwIfAborted()
    const some = await part()
    all += some
    if (some < ROWS_AT_ONCE) return all
  }
}
