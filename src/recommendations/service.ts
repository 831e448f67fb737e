import { recordChange } from '../audit/service.ts'
import { approve, dismiss } from '../indexes/service.ts'
import type { Context } from '../platform/context.ts'
import { changePlatform, inPlatform } from '../platform/db/transaction.ts'
import { newId } from '../platform/id.ts'
import { enqueue } from '../platform/jobs/enqueue.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem } from '../platform/problem.ts'
import { giveAdvice } from './job-types.ts'
import * as repository from './repository.ts'
import type {
  AskAdvice,
  Dismiss,
  ListRecommendations,
  ListRuns,
  OneRecommendation,
  OneRun,
  Recommendation,
  Run,
} from './schema.ts'

/** Milliseconds a run may take. */
const RUN_MS = 600_000
/** After every id, so that the newest come first. */
const AFTER_ALL = 's'

/** Leaves a run of the advisor; a job does it, one at a time: a shadow takes memory. */
export const askAdvice = (context: Context, input: AskAdvice): Promise<Run> =>
  changePlatform(context, async (tx) => {
    const id = newId('run')
    const { actor, requestId } = context
    const job = await enqueue(tx, 'analytics', giveAdvice({ run: id }), {
      ...{ actor, permission: 'optimizer:analyze', requestId },
      ...{ exclusiveKey: 'advice', attemptsMax: 2, timeoutMs: RUN_MS },
    })
    await repository.insertRun(tx, { id, input, actor: actor.subject, jobId: job.id })
    const queries = input.queries?.length ?? null
    await recordChange(tx, context, {
      event: 'advice.asked',
      resource: `run:${id}`,
      after: { run: id, queries },
    })
    return (await repository.findRun(tx, id))!
  })

export const listRuns = ({ sql }: Context, { cursor, limit }: ListRuns) =>
  inPlatform(sql, async (tx) => {
    const before = positionOf(cursor) || AFTER_ALL
    const rows = await repository.listRuns(tx, { before, limit: limit + 1 })
    return toPage(rows, limit, ({ id }) => id)
  })

export const getRun = ({ sql }: Context, { run: id }: OneRun): Promise<Run> =>
  inPlatform(sql, async (tx) => {
    const run = await repository.findRun(tx, id)
    if (run) return run
    throw new Problem('not-found', 'run-not-found', 'There is no such run.')
  })

export const listRecommendations = (
  { sql }: Context,
  { cursor, limit, ...filter }: ListRecommendations,
) =>
  inPlatform(sql, async (tx) => {
    const before = positionOf(cursor) || AFTER_ALL
    const rows = await repository.listRecommendations(tx, { ...filter, before, limit: limit + 1 })
    return toPage(rows, limit, ({ id }) => id)
  })

export const getRecommendation = (
  { sql }: Context,
  { recommendation: id }: OneRecommendation,
): Promise<Recommendation> =>
  inPlatform(sql, async (tx) => {
    const found = await repository.findRecommendation(tx, id)
    if (found) return found
    throw new Problem('not-found', 'recommendation-not-found', 'There is no such recommendation.')
  })

/** Begins to apply it, as a job; a drop is held first. @throws Problem 409 where it is not to be decided any more */
export const approveRecommendation = async (
  context: Context,
  one: OneRecommendation,
): Promise<Recommendation> => {
  await approve(context, one)
  return getRecommendation(context, one)
}

/** Remembers that it is not wanted: it is not proposed again. */
export const dismissRecommendation = async (
  context: Context,
  given: OneRecommendation & Dismiss,
): Promise<Recommendation> => {
  await dismiss(context, given)
  return getRecommendation(context, given)
}
