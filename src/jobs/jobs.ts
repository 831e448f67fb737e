import * as v from 'valibot'
import { handle, type JobHandler } from '../platform/jobs/handler.ts'
import { jobType } from '../platform/jobs/job-type.ts'
import type { BuiltInSchedule } from '../platform/jobs/schedule.ts'
import { buryDead, checkBooks, compactBooks, prune, tendPartitions } from './upkeep.ts'

const Nothing = v.strictObject({})
const partitions = jobType('jobs.partitions', 'maintenance', Nothing)
const compact = jobType('jobs.compact', 'maintenance', Nothing)
const bury = jobType('jobs.bury', 'maintenance', Nothing)
const pruning = jobType('jobs.prune', 'maintenance', Nothing)
const reconciling = jobType('jobs.reconcile', 'maintenance', Nothing)

export const jobJobs: JobHandler[] = [
  handle(partitions, ({ context }) => tendPartitions(context)),
  handle(compact, ({ context, signal }) => compactBooks(context, signal)),
  handle(bury, ({ context, signal }) => buryDead(context, signal)),
  handle(pruning, ({ context }) => prune(context)),
  handle(reconciling, ({ context }) => checkBooks(context)),
]

/** The queue keeps itself in order. */
export const jobSchedules: BuiltInSchedule[] = [
  { name: 'jobs.partitions', cron: '23 */6 * * *', queue: 'maintenance', job: partitions({}) },
  { name: 'jobs.compact', cron: '*/5 * * * *', queue: 'maintenance', job: compact({}) },
  { name: 'jobs.bury', cron: '37 3 * * *', queue: 'maintenance', job: bury({}) },
  { name: 'jobs.prune', cron: '47 * * * *', queue: 'maintenance', job: pruning({}) },
  { name: 'jobs.reconcile', cron: '17 * * * *', queue: 'maintenance', job: reconciling({}) },
]
