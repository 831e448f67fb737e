import type { Advice, AdviceLimits } from '../src/advisor/advice.ts'
import type { Candidate } from '../src/advisor/candidate.ts'
import { openHypopgPlanner } from '../src/advisor/hypopg-planner.ts'
import type { Planner } from '../src/advisor/planner.ts'
import { readTarget } from '../src/advisor/read-target.ts'
import { readReplay } from '../src/advisor/replay.ts'
import { adviseDatabase, type WorkloadQuery } from '../src/advisor/service.ts'
import { runOne } from '../src/advisor/session-repository.ts'
import { openShadowPlanner } from '../src/advisor/shadow-planner.ts'
import { connect, type Sql } from '../src/platform/db/connect.ts'
import { openShadow } from '../src/platform/db/shadow/open.ts'
import { createSqlParser } from '../src/platform/node/sql-parser.ts'
import { type Asked, byConditions, byPasses, bySingleColumns } from './advice-anchors.ts'
import { step } from './progress.ts'

export const parser = createSqlParser()

/** What was advised for whom, and in which time. */
export type Asking = {
  name: string
  advice: Advice
  candidates: Candidate[]
  seconds: number
}

/** Asks the advisor as the product does, from reading the catalogs to the answer. */
export const askAdvisor = async (
  sql: Sql,
  workload: readonly WorkloadQuery[],
  name: string,
  { isOfReads = false, ...limits }: Partial<AdviceLimits> & { isOfReads?: boolean } = {},
): Promise<Asking> => {
  const asking = step(`advice: ${name}`, workload.length)
  const startedAtMs = performance.now()
  const advice = await adviseDatabase(sql, { parser, openShadow }, workload, {
    limits,
    // Against the best known for reads, which knows nothing of writes either.
    ...(isOfReads ? { writesShare: () => 0 } : {}),
    onProgress: ({ phase, done, total }) =>
      asking.at(total > 0 ? (workload.length * done) / total : 0, `${name}: ${phase}`),
  })
  const seconds = (performance.now() - startedAtMs) / 1000
  asking.done()
  if (advice.how !== 'shadow') throw new Error(`the advisor had no shadow: ${advice.notes}`)
  const candidates = advice.indexes.map(({ candidate }) => candidate)
  return { name, advice, candidates, seconds }
}

/** The database as it is now in a shadow of the benchmark's own. */
export const openOwnShadow = async (sql: Sql) => {
  const target = await readTarget(sql)
  const planner = await openShadowPlanner(openShadow, target, await readReplay(sql))
  return { target, planner }
}

export type AnchorSets = Record<'conditions' | 'singles' | 'passes', Candidate[]>

/** What the rules of others advise; they ask HypoPG as those do, where the server has it, else the shadow. */
export const askAnchors = async (
  url: string,
  shadow: Planner,
  asked: readonly Omit<Asked, 'planner'>[],
): Promise<{ how: Planner['how']; sets: AnchorSets[] }> => {
  const sql = connect({ url }, { connectionsMax: 2 })
  const asking = step('advice of other rules', asked.length * 3)
  try {
    const [row] = await sql<{ isThere: boolean }[]>`
      select exists (select from pg_available_extensions where name = 'hypopg') as is_there`
    if (row!.isThere) await runOne(sql, 'create extension hypopg')
    const planner = row!.isThere ? await openHypopgPlanner(sql, asked[0]!.target) : shadow
    const sets: AnchorSets[] = []
    for (const each of asked) {
      const own = { ...each, planner }
      asking.at(sets.length * 3)
      sets.push({
        conditions: await byConditions(own),
        singles: await bySingleColumns(own),
        passes: await byPasses(own),
      })
    }
    if (planner !== shadow) await planner.close()
    // With it the advisor would ask a second time, which is not measured here.
    await runOne(sql, 'drop extension if exists hypopg')
    return { how: planner.how, sets }
  } finally {
    asking.done()
    await sql.end()
  }
}
