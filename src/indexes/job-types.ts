import * as v from 'valibot'
import type { Context } from '../platform/context.ts'
import type { EnqueueOptions } from '../platform/jobs/enqueue.ts'
import { jobType } from '../platform/jobs/job-type.ts'
import { ATTEMPTS_MAX } from './build.ts'
import { DEADLINE_MS } from './make.ts'
import { RecommendationId } from './schema.ts'

const OfOne = v.strictObject({ recommendation: RecommendationId })
const Nothing = v.strictObject({})

export const build = jobType('indexes.build', 'maintenance', OfOne)
export const drop = jobType('indexes.drop', 'maintenance', OfOne)
export const revert = jobType('indexes.revert', 'maintenance', OfOne)
export const clean = jobType('indexes.clean', 'maintenance', OfOne)
export const reconciling = jobType('indexes.reconcile', 'maintenance', Nothing)
export const verifying = jobType('indexes.verify', 'maintenance', Nothing)

/** Milliseconds a job may take longer than what it runs, for cleaning up. */
const CLEANING_MS = 600_000

/** In the name of who decided it, who must still be allowed to when it begins; one at a time on a table. */
export const jobOptions = (
  { actor, requestId }: Pick<Context, 'actor' | 'requestId'>,
  { schema, table }: { schema: string; table: string },
): EnqueueOptions => ({
  actor,
  permission: 'optimizer:apply',
  exclusiveKey: `index ${schema}.${table}`,
  attemptsMax: ATTEMPTS_MAX,
  timeoutMs: DEADLINE_MS + CLEANING_MS,
  requestId,
})
