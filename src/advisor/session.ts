import type { Queryable } from '../platform/db/connect.ts'
import { indexUses, renameIndexes } from './plan-indexes.ts'
import { type Costed, PlanError, type PlannedQuery } from './planner.ts'
import { explainPrepared, runOne } from './session-repository.ts'

/** Statement, lock and cancellation classes are of the question; what else fails is of the connection. */
const OF_THE_QUESTION = /^(?:0A|21|22|23|25|2B|34|42|44|53400|54|55|57014|P0|XX)/

/** What the database says of a question becomes the question's fault; that it is away does not. */
export const asPlanError = (error: unknown): unknown => {
  const { code, message } = error as { code?: unknown; message?: string }
  return typeof code === 'string' && code.length === 5 && OF_THE_QUESTION.test(code)
    ? new PlanError(message)
    : error
}

/** The plan of a query in a transaction, of now: it is prepared anew each time, and does not outlive the transaction. */
export const planIn = async (
  sql: Queryable,
  query: PlannedQuery,
): Promise<Record<string, unknown>> => {
  const name = `plan_${crypto.randomUUID().replaceAll('-', '')}`
  await runOne(sql, `prepare ${name} as ${query.text}`)
  await runOne(sql, `savepoint ${name}`)
  try {
    return await explainPrepared(sql, name, query)
  } catch (error) {
    await runOne(sql, `rollback to ${name}`)
    throw error
  } finally {
    await runOne(sql, `deallocate ${name}`)
  }
}

/** What a plan says, where some of its indexes are candidates: by the names they have in it. */
export const costedOf = (
  plan: Record<string, unknown>,
  textOf: (schema: string, index: string) => string | undefined,
): Costed => {
  const uses = indexUses(plan).map(({ schema, index }) => ({
    name: `${schema}.${index}`,
    text: textOf(schema, index),
  }))
  return {
    cost: Number(plan['Total Cost']),
    candidates: [...new Set(uses.flatMap(({ text }) => text ?? []))],
    indexes: [...new Set(uses.flatMap(({ name, text }) => (text === undefined ? [name] : [])))],
    plan: renameIndexes(plan, textOf),
  }
}
