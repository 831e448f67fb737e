import { listForeign, readGate } from '../optimizer/service.ts'
import type { Queryable, Sql } from '../platform/db/connect.ts'
import { Problem } from '../platform/problem.ts'
import { type OpenShadow, ShadowError } from '../platform/shadow.ts'
import type { SqlParser } from '../platform/sql-parser.ts'
import type { Advice, AdviceLimits, QueryAdvice, WorkloadQuery } from './advice.ts'
import { type AdviceProgress, advise } from './advise.ts'
import { openBuiltPlanner } from './built-planner.ts'
import { openFormulaPlanner } from './formula.ts'
import { openHypopgPlanner } from './hypopg-planner.ts'
import { PlanError, type Planner } from './planner.ts'
import { readTarget } from './read-target.ts'
import { readReplay } from './replay.ts'
import { openShadowPlanner } from './shadow-planner.ts'
import type { Target } from './target.ts'

export type { Advice, AdvisedIndex, DropAdvice, QueryAdvice, WorkloadQuery } from './advice.ts'
export type { AdviceProgress } from './advise.ts'
export { createStatement } from './candidate.ts'

/** What advising needs of a runtime. */
export type AdvisorSettings = {
  parser: SqlParser
  /** Without it, as on Workers, costs are computed from statistics, and advice is unverified. */
  openShadow: OpenShadow | undefined
}

export type DatabaseAdviceOptions = {
  limits?: Partial<AdviceLimits>
  /** Whether tables are looked at, too, that are read whole in no time. */
  smallTables?: boolean
  /**
   * Which share of the writes that the database has counted belongs to the same time as the calls; 0 where nobody knows how often
   * the queries run, so that nothing can be weighed against writes. Default 1.
   */
  writesShare?: (target: Target) => number
  /** Whoever runs the database agrees that small tables are locked for a moment to try indexes on them for real. */
  consent?: boolean
  onProgress?: (progress: AdviceProgress) => void
  signal?: AbortSignal
  now?: Date
}

type Opened = { planner: Planner; notes: string[] }

const STATEMENT_MS = 60_000

/** What is read of the database, as of one instant; nothing of it is a row of anybody's. */
const readDatabase = (sql: Sql) =>
  sql.begin('isolation level repeatable read read only', async (tx) => {
    const reader = tx as unknown as Queryable
    await reader`select set_config('statement_timeout', ${`${STATEMENT_MS}`}, true)`
    return { target: await readTarget(reader), replay: await readReplay(reader) }
  }) as Promise<{ target: Target; replay: Awaited<ReturnType<typeof readReplay>> }>

const openPlanner = async (
  { parser, openShadow }: AdvisorSettings,
  { target, replay }: Awaited<ReturnType<typeof readDatabase>>,
): Promise<Opened> => {
  if (openShadow) {
    try {
      const planner = await openShadowPlanner(openShadow, target, replay)
      return { planner, notes: planner.notes }
    } catch (error) {
      if (!(error instanceof ShadowError)) throw error
      const notes = [`There is no shadow of this database (${error.message}).`]
      return { planner: openFormulaPlanner(target, parser), notes }
    }
  }
  return { planner: openFormulaPlanner(target, parser), notes: [] }
}

/** A second opinion, where the database has one: HypoPG, or with consent the index itself. */
const openConfirming = async (
  sql: Sql,
  target: Target,
  consent: boolean,
): Promise<{ planner?: Planner; notes: string[] }> => {
  try {
    if (target.extensions.includes('hypopg'))
      return { planner: await openHypopgPlanner(sql, target), notes: [] }
    if (consent) return { planner: openBuiltPlanner(sql, target, { consent }), notes: [] }
    return { notes: [] }
  } catch (error) {
    if (!(error instanceof PlanError)) throw error
    return { notes: [`There is no second opinion: ${error.message}`] }
  }
}

const passedOver = ({ text, fingerprint, calls }: WorkloadQuery, why: string): QueryAdvice => ({
  ...{ fingerprint, text, calls, before: 0, after: 0, uses: [] },
  passedOver: why,
})

/** Queries that may be planned, and why the others are passed over: planning calls functions, in the database itself, too. */
const gated = async (sql: Sql, parser: SqlParser, workload: readonly WorkloadQuery[]) => {
  const read: { query: WorkloadQuery; functions: string[] }[] = []
  const refused: QueryAdvice[] = []
  for (const query of workload) {
    try {
      read.push({ query, functions: (await readGate(parser, query.text)).functions })
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      refused.push(passedOver(query, error.detail))
    }
  }
  const names = [...new Set(read.flatMap(({ functions }) => functions))]
  const foreign = new Set(await listForeign(sql, names))
  const allowed: WorkloadQuery[] = []
  for (const { query, functions } of read) {
    const name = functions.find((each) => foreign.has(each))
    if (name === undefined) allowed.push(query)
    else refused.push(passedOver(query, `The database has a function ${name} of its own.`))
  }
  return { allowed, refused }
}

const UNWEIGHED =
  'How often the queries run was not said, so what indexes cost those who write was not weighed.'

const scaled = (target: Target, share: number): Target => ({
  ...target,
  tables: target.tables.map((table) => ({
    ...table,
    writes: {
      inserted: table.writes.inserted * share,
      updated: table.writes.updated * share,
      hotUpdated: table.writes.hotUpdated * share,
      deleted: table.writes.deleted * share,
    },
  })),
})

/**
 * Advises indexes for a database: reads its shape and figures, tries what could help in a shadow of it, asks HypoPG for a second
 * opinion where it is installed, and says what to make, what to drop, and why not more. Changes nothing.
 */
export const adviseDatabase = async (
  sql: Sql,
  settings: AdvisorSettings,
  workload: readonly WorkloadQuery[],
  { limits, consent = false, writesShare = () => 1, ...options }: DatabaseAdviceOptions = {},
): Promise<Advice & { target: Target }> => {
  const { allowed, refused } = await gated(sql, settings.parser, workload)
  options.onProgress?.({ phase: 'reading', done: 0, total: allowed.length })
  const read = await readDatabase(sql)
  const share = writesShare(read.target)
  const database = { ...read, target: scaled(read.target, share) }
  const { target } = database
  const { planner, notes } = await openPlanner(settings, database)
  try {
    const confirming = await openConfirming(sql, target, consent)
    try {
      const confirm = confirming.planner
      const advice = await advise(settings.parser, target, planner, allowed, limits, {
        ...options,
        ...(confirm ? { confirm } : {}),
      })
      return {
        ...advice,
        target,
        queries: [...advice.queries, ...refused],
        notes: [
          ...advice.notes,
          ...notes,
          ...confirming.notes,
          ...(share === 0 ? [UNWEIGHED] : []),
        ],
      }
    } finally {
      await confirming.planner?.close()
    }
  } finally {
    await planner.close()
  }
}
