import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'
import { changePlatform, inPlatform } from '../platform/db/transaction.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import type { SqlParser } from '../platform/sql-parser.ts'
import { explain } from './explain.ts'
import { findFindings } from './findings.ts'
import { estimatedRowsOf, indexesOf, tablesOf } from './plan.ts'
import { createPlanCache, type PlanCache } from './plan-cache.ts'
import { refusalOf } from './refusal.ts'
import * as repository from './repository.ts'
import type { ExplainQuery, OptimizerStats, QueryPlan } from './schema.ts'
import { readStatement, type Statement } from './statement.ts'
import { createTurns, type Turns } from './turns.ts'

/** Reads a query and refuses what must not be planned: more than one statement, functions that do something. */
export { readStatement as readGate } from './statement.ts'

/** Which of these functions of PostgreSQL the database has another of by the same name: a call could mean that one. */
export const listForeign = async (tx: Queryable, names: readonly string[]): Promise<string[]> =>
  (await repository.listForeignFunctions(tx, names)).map(({ name }) => name)

/** The parser, where the runtime has it, and the plans that are kept. */
export type OptimizerSettings = { parser: SqlParser | undefined; plans: PlanCache; turns: Turns }

/** What the endpoints of one process share. */
export const openOptimizer = (parser: SqlParser | undefined, since: Date): OptimizerSettings => ({
  parser,
  plans: createPlanCache(since),
  turns: createTurns(),
})

const parserOf = ({ parser }: OptimizerSettings): SqlParser => {
  if (parser) return parser
  throw new Problem(
    'unavailable',
    'optimizer-unavailable',
    'Queries are read by a parser that this runtime does not have; ask a server on Node.',
  )
}

const refuseParameters = (
  { parametersMax }: Statement,
  { parameters, analyze }: ExplainQuery,
): void => {
  if (parameters && parameters.length !== parametersMax)
    throw unprocessable(
      'query-parameters',
      '/parameters',
      `The query has ${parametersMax} parameters.`,
    )
  if (!parameters && analyze && parametersMax > 0)
    throw unprocessable(
      'query-parameters',
      '/parameters',
      'A query is run with all its parameters.',
    )
}

/** Reads what a plan over these tables depends on besides the query, and refuses what must not be planned here. */
const situationOf = (
  { sql }: Context,
  { functions, notRun }: Statement,
  { analyze }: ExplainQuery,
  tables: readonly repository.Table[],
): Promise<repository.Situation> => {
  if (analyze && notRun) throw unprocessable('query-not-run', '/analyze', `${notRun}.`)
  return inPlatform(sql, async (tx) => {
    const situation = await repository.findSituation(tx, tables)
    if (analyze && situation.isEmbedded)
      throw unprocessable(
        'query-not-run',
        '/analyze',
        'Embedded storage cannot end a query that takes too long.',
      )
    const [foreign] = await repository.listForeignFunctions(tx, functions)
    if (foreign)
      throw unprocessable(
        'query-refused',
        '/query',
        `${foreign.name} is also the name of a function that PostgreSQL did not bring along.`,
      )
    return situation
  })
}

type Made = { plan: QueryPlan; tables: repository.Table[] }

const makePlan = async (
  parser: SqlParser,
  { sql, now }: Context,
  { text, fingerprint, parametersMax }: Statement,
  { parameters, analyze }: ExplainQuery,
): Promise<Made> => {
  const outcome = await explain(sql, { text, parameters, parametersMax, analyze })
  const { explained, placed } = outcome
  const tables = tablesOf(placed)
  const plan: QueryPlan = {
    fingerprint,
    cached: false,
    plannedAt: now().toISOString(),
    generic: !parameters && parametersMax > 0,
    analyzed: analyze,
    totalCost: explained.Plan['Total Cost'],
    estimatedRows: estimatedRowsOf(explained.Plan),
    executionMs: explained['Execution Time'] ?? null,
    tables: tables.map(({ schema, name }) => `${schema}.${name}`),
    indexes: indexesOf(placed),
    findings: await findFindings(parser, outcome),
    plan: explained.Plan,
  }
  return { plan, tables }
}

/** Keeps a plan, unless what it may have been made of changed while it was made. */
const keepPlan = async (
  { plans }: OptimizerSettings,
  { sql }: Context,
  key: string,
  { plan, tables }: Made,
  before: repository.Situation,
): Promise<void> => {
  const after = await inPlatform(sql, (tx) => repository.findSituation(tx, tables))
  if (after.schema !== before.schema || after.statistics !== before.statistics) return
  plans.keep(key, { plan, tables, ownStatistics: after.ownStatistics }, after)
}

const kindOf = (value: unknown) => (value === null ? 'null' : typeof value)

/** What is run is measured anew each time; a plan is kept for all queries that differ in their constants only. */
const findOrMakePlan = async (
  settings: OptimizerSettings,
  context: Context,
  input: ExplainQuery,
): Promise<QueryPlan> => {
  const parser = parserOf(settings)
  const statement = await readStatement(parser, input.query)
  refuseParameters(statement, input)
  const { fingerprint, constants } = statement
  const key = JSON.stringify([fingerprint, constants, input.parameters?.map(kindOf) ?? null])
  const tables = settings.plans.tablesOf(key)
  const situation = await situationOf(context, statement, input, tables)
  const kept = settings.plans.find(key, situation)
  if (kept && !input.analyze && !input.fresh) return { ...kept, cached: true }
  const made = await settings.turns(() => makePlan(parser, context, statement, input))
  if (!input.analyze) await keepPlan(settings, context, key, made, situation)
  return made.plan
}

/** The text of a query may hold what is nobody's business, so the log names its fingerprint. */
const recordAsked = (context: Context, { fingerprint, analyzed, cached }: QueryPlan) =>
  changePlatform(context, async (tx) => {
    await recordChange(tx, context, {
      event: 'optimizer.asked',
      resource: `plan:${fingerprint}`,
      after: { fingerprint, analyzed, cached },
    })
  })

const recordRefused = (context: Context, { code, detail }: Problem) =>
  changePlatform(context, async (tx) => {
    await recordChange(tx, context, {
      event: 'optimizer.refused',
      resource: 'plan:none',
      after: { code },
      reason: detail,
    })
  })

/** How the database would answer a query. What is refused is in the log, too: somebody may be trying doors. */
export const explainQuery = async (
  settings: OptimizerSettings,
  context: Context,
  input: ExplainQuery,
): Promise<QueryPlan> => {
  const startedAtMs = performance.now()
  const plan = await findOrMakePlan(settings, context, input).catch(async (error: unknown) => {
    const problem = refusalOf(error) ?? error
    if (problem instanceof Problem && problem.kind === 'unprocessable') {
      settings.plans.refused()
      await recordRefused(context, problem)
    }
    throw problem
  })
  settings.plans.answered(plan, performance.now() - startedAtMs)
  await recordAsked(context, plan)
  return plan
}

/** Forgets what this process has planned. */
export const clearPlans = async ({ plans }: OptimizerSettings, context: Context): Promise<void> => {
  const cleared = plans.clear()
  await changePlatform(context, async (tx) => {
    await recordChange(tx, context, {
      event: 'optimizer.cleared',
      resource: 'plan:all',
      before: { plans: cleared },
    })
  })
}

export const getStats = ({ plans }: OptimizerSettings): OptimizerStats => plans.stats()
