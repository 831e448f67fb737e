import {
  type Advice,
  type AdviceProgress,
  type AdvisorSettings,
  adviseDatabase,
  type WorkloadQuery,
} from '../advisor/service.ts'
import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import { changePlatform, inPlatform } from '../platform/db/transaction.ts'
import { Fatal, type RunningJob } from '../platform/jobs/handler.ts'
import { parametersMaxOf, type SqlParser } from '../platform/sql-parser.ts'
import { listRankedQueries } from '../workload/service.ts'
import { proposalsOf } from './proposals.ts'
import * as repository from './repository.ts'
import type { AskAdvice } from './schema.ts'

/** Queries of the workload that are looked at: those that took the most time. */
const QUERIES_MAX = 100
const PROGRESS_MS = 1000

/** Of texts that cannot be read the fingerprint is their place: they are passed over with the reason. */
const fingerprintOf = (parser: SqlParser, text: string, at: number) =>
  parser.fingerprint(text).catch(() => `query-${at + 1}`)

/** The given queries, or those that ran. The same query given twice is one that is called as often as both. */
const workloadOf = async (
  context: Context,
  parser: SqlParser,
  { queries, hours }: AskAdvice,
): Promise<WorkloadQuery[]> => {
  if (!queries) {
    const ranked = await listRankedQueries(context, { hours, limit: QUERIES_MAX })
    return ranked.map(({ query, ...rest }) => ({ ...rest, text: query }))
  }
  const known = new Map<string, WorkloadQuery>()
  for (const [at, { query: text, calls = 1 }] of queries.entries()) {
    const fingerprint = await fingerprintOf(parser, text, at)
    const before = known.get(fingerprint)?.calls ?? 0
    known.set(fingerprint, {
      ...{ fingerprint, text, parametersMax: parametersMaxOf(text) },
      calls: before + calls,
    })
  }
  return [...known.values()]
}

const HOUR_MS = 3_600_000

/** Calls are of the last hours, writes of all the time since they are counted. */
const writesShareOf = ({ queries, hours }: AskAdvice, countedSince: string | null, now: Date) => {
  if (queries?.every(({ calls }) => calls === undefined)) return 0
  const countedMs = countedSince === null ? 0 : now.getTime() - Date.parse(countedSince)
  return Math.min(1, (hours * HOUR_MS) / Math.max(countedMs, 1))
}

/** Writes down how far it is, once a second at most; a word that is lost does not matter. */
const progressOf = (
  { context, progress }: Pick<RunningJob, 'context' | 'progress'>,
  id: string,
) => {
  let saidAtMs = 0
  return (said: AdviceProgress) => {
    const nowMs = performance.now()
    if (nowMs - saidAtMs < PROGRESS_MS) return
    saidAtMs = nowMs
    const share = said.total === 0 ? 0 : said.done / said.total
    inPlatform(context.sql, (tx) => repository.noteProgress(tx, id, said)).catch(() => {})
    progress(share, said.phase).catch(() => {})
  }
}

const keep = (
  context: Context,
  id: string,
  { advice, input, isEmbedded }: { advice: Advice; input: AskAdvice; isEmbedded: boolean },
) =>
  changePlatform(context, async (tx) => {
    const kept = await repository.putProposals(tx, id, await proposalsOf(advice, isEmbedded))
    // Advice for given queries says nothing of the others.
    if (!input.queries) await repository.supersede(tx, id)
    await repository.finishRun(tx, id, {
      ...{ how: advice.how, costBefore: advice.before, costAfter: advice.after },
      ...{ queries: advice.queries, refused: advice.refused, notes: advice.notes },
      ...{ plans: advice.plans, elapsedMs: Math.round(advice.elapsedMs) },
    })
    await recordChange(tx, context, {
      event: 'advice.given',
      resource: `run:${id}`,
      after: { run: id, recommendations: kept.length, how: advice.how },
    })
    return kept.length
  })

/** Does what a run was asked for: as a job, since it takes seconds. */
export const runAdvice = async (
  settings: AdvisorSettings | undefined,
  job: RunningJob<{ run: string }>,
): Promise<{ recommendations: number }> => {
  const { context, signal } = job
  const id = job.payload.run
  const run = await inPlatform(context.sql, (tx) => repository.beginRun(tx, id))
  if (!run) return { recommendations: 0 }
  try {
    if (!settings) throw new Fatal('Queries are read by a parser that this runtime does not have.')
    const { input } = run
    const { budgetBytes, indexesMax, smallTables, consent } = input
    const workload = await workloadOf(context, settings.parser, input)
    const { target, ...advice } = await adviseDatabase(context.sql, settings, workload, {
      limits: {
        ...(budgetBytes === undefined ? {} : { budgetBytes }),
        ...(indexesMax === undefined ? {} : { indexesMax }),
      },
      writesShare: ({ countedSince }) => writesShareOf(input, countedSince, context.now()),
      ...{ smallTables, consent, signal, now: context.now(), onProgress: progressOf(job, id) },
    })
    const { isEmbedded } = target
    return { recommendations: await keep(context, id, { advice, input, isEmbedded }) }
  } catch (error) {
    // Tried again by somebody who asks again: what failed once for a reason of its own fails again.
    const why = error instanceof Error ? error.message : String(error)
    await inPlatform(context.sql, (tx) => repository.failRun(tx, id, why.slice(0, 500)))
    throw error instanceof Fatal ? error : new Fatal(why)
  }
}
