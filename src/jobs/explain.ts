import type { Context } from '../platform/context.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import { jobNotFound, reading } from './mount.ts'
import { findJob } from './repository.ts'
import type { Explanation, OneJob } from './schema.ts'
import { findSituation } from './situation.ts'
import { whyEnded, whyWaiting } from './why-waiting.ts'

/**
 * Why a job waits, what must change first coming first. Others' jobs take part in it as numbers only, so the second look
 * is the platform's.
 */
export const explainJob = async (context: Context, { job: id }: OneJob): Promise<Explanation> => {
  const find = () => reading(context, (tx) => findJob(tx, context.organizationId || undefined, id))
  const job = await find()
  if (!job) throw jobNotFound()
  const situation = await inPlatform(context.sql, (tx) => findSituation(tx, id))
  if (situation) return whyWaiting(situation)
  // It has ended, perhaps between the two looks.
  const ended = await find()
  if (!ended) throw jobNotFound()
  return whyEnded(ended.state, ended.finishedAt ?? context.now().toISOString())
}
