import { handle, type JobHandler } from '../platform/jobs/handler.ts'
import type { BuiltInSchedule } from '../platform/jobs/schedule.ts'
import { applyAdvice } from './build.ts'
import { cleanUp } from './clean.ts'
import { build, clean, drop, reconciling, revert, verifying } from './job-types.ts'
import { reconcile } from './reconcile.ts'
import { verifyIndexes } from './verify.ts'

const MINUTE_MS = 60_000
/** Milliseconds until the next try: what was waited for in vain is not gone a second later. */
const backoffMs = (attempts: number) => attempts * MINUTE_MS

export const indexJobs: JobHandler[] = [
  handle(build, (job) => applyAdvice(job), { backoffMs }),
  handle(drop, (job) => applyAdvice(job), { backoffMs }),
  handle(revert, (job) => applyAdvice(job), { backoffMs }),
  handle(clean, ({ context, payload }) => cleanUp(context, payload.recommendation), { backoffMs }),
  handle(reconciling, ({ context, signal }) => reconcile(context, signal)),
  handle(verifying, ({ context, signal }) => verifyIndexes(context, signal)),
]

/** What was begun and left, by a worker that was lost, is finished or taken away; what was built is looked at. */
export const indexSchedules: BuiltInSchedule[] = [
  { name: 'indexes.reconcile', cron: '* * * * *', queue: 'maintenance', job: reconciling({}) },
  { name: 'indexes.verify', cron: '41 * * * *', queue: 'maintenance', job: verifying({}) },
]
