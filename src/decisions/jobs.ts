import * as v from 'valibot'
import type { Context } from '../platform/context.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import { handle, type JobHandler } from '../platform/jobs/handler.ts'
import { jobType } from '../platform/jobs/job-type.ts'
import type { BuiltInSchedule } from '../platform/jobs/schedule.ts'
import * as repository from './repository.ts'

const pruning = jobType('decisions.prune-changes', 'maintenance', v.strictObject({}))

/** Hours a change is listed. A node that has read nothing for half as long reads everything anew (`policies.ts`). */
const LISTED_HOURS = 24
/** Rows one statement takes away. */
const SLICE_ROWS = 10_000

/** Forgets what every node has long read. Answers how many changes. */
const pruneChanges = async ({ sql }: Pick<Context, 'sql'>, signal: AbortSignal) => {
  let pruned = 0
  for (let last = SLICE_ROWS; last === SLICE_ROWS; pruned += last) {
    signal.throwIfAborted()
    last = await inPlatform(sql, (tx) => repository.deleteChanges(tx, LISTED_HOURS, SLICE_ROWS))
  }
  return { pruned }
}

export const decisionJobs: JobHandler[] = [
  handle(pruning, ({ context, signal }) => pruneChanges(context, signal)),
]

export const decisionSchedules: BuiltInSchedule[] = [
  {
    name: 'decisions.prune-changes',
    cron: '27 * * * *',
    queue: 'maintenance',
    job: pruning({}),
  },
]
