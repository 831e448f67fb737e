import type { Context } from '../platform/context.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import { findIndex, type IndexState } from './catalog-repository.ts'
import { planNow } from './plan.ts'
import type { EntryRow } from './repository.ts'
import { type Compared, compare, type Evidence, TRIAL_DAYS } from './verdict.ts'
import * as repository from './verify-repository.ts'

/** Queries of one index that the planner is asked of: each takes milliseconds, and a run may name hundreds. */
const PLANNED_MAX = 20
const DAY_MS = 86_400_000

type Looked = {
  state: IndexState | undefined
  queries: repository.KnownQuery[]
  hours: repository.Hours[]
}

const helpedOf = ({ queries }: EntryRow) => new Set(queries.map(({ fingerprint }) => fingerprint))

const look = ({ sql }: Context, entry: EntryRow): Promise<Looked> =>
  inPlatform(sql, async (tx) => {
    const { runId, table, builtAt, createdAt } = entry
    const given = { fingerprints: [...helpedOf(entry)], runId, table }
    const queries = [...(await repository.listQueries(tx, given))]
    const hours = await repository.listHours(tx, {
      fingerprints: queries.map(({ fingerprint }) => fingerprint),
      builtAt: builtAt ?? createdAt,
      days: TRIAL_DAYS,
    })
    return { state: await findIndex(tx, entry), queries, hours: [...hours] }
  })

const enough = ({ callsBefore, callsAfter }: repository.Hours) => Math.min(callsBefore, callsAfter)

/** The same calls may be counted by this server and by the database: of each query one of them counts, which knows more. */
const comparedOf = (hours: readonly repository.Hours[]): Compared[] =>
  [...Map.groupBy(hours, ({ fingerprint }) => fingerprint).values()].map((sources) => {
    const most = sources.reduce((best, each) => (enough(each) > enough(best) ? each : best))
    return compare({
      fingerprint: most.fingerprint,
      before: { count: most.callsBefore, sum: most.msBefore, squares: most.squaresBefore },
      after: { count: most.callsAfter, sum: most.msAfter, squares: most.squaresAfter },
    })
  })

/** Whether the planner uses the index now, for each of the queries it was advised for whose text is known. */
const planAll = async (
  { sql }: Context,
  entry: EntryRow,
  queries: readonly repository.KnownQuery[],
) => {
  const planned = []
  for (const { fingerprint, before } of entry.queries.slice(0, PLANNED_MAX)) {
    const text = queries.find((query) => query.fingerprint === fingerprint)?.text
    const now = text === undefined ? undefined : await planNow(sql, text)
    if (now)
      planned.push({
        fingerprint,
        before,
        after: now.cost,
        uses: now.indexes.includes(entry.index),
      })
  }
  return planned
}

/** What there is to judge an index by: the catalog's state of it, what the planner would do now, and what was measured. */
export const gather = async (context: Context, entry: EntryRow) => {
  const { state, queries, hours } = await look(context, entry)
  const planned = await planAll(context, entry, queries)
  const measured = comparedOf(hours)
  const helped = helpedOf(entry)
  const sinceMs = context.now().getTime() - Date.parse(entry.builtAt ?? entry.createdAt)
  const evidence: Evidence = {
    daysSinceBuilt: sinceMs / DAY_MS,
    scans: state?.scans ?? 0,
    isPlanned: planned.length === 0 ? null : planned.some(({ uses }) => uses),
    helped: measured.filter(({ fingerprint }) => helped.has(fingerprint)),
    others: measured.filter(({ fingerprint }) => !helped.has(fingerprint)),
  }
  return { state, planned, measured, evidence }
}
