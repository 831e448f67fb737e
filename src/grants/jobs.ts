import * as v from 'valibot'
import { handle, type JobHandler } from '../platform/jobs/handler.ts'
import { jobType } from '../platform/jobs/job-type.ts'
import type { BuiltInSchedule } from '../platform/jobs/schedule.ts'
import { endExpiredGrants } from './service.ts'

const endExpired = jobType('grants.end-expired', 'maintenance', v.strictObject({}))

export const grantJobs: JobHandler[] = [
  handle(endExpired, async ({ context, signal }) => ({
    ended: await endExpiredGrants(context, signal),
  })),
]

/** A grant that has ended decides nothing already; this takes it out of the lists and tells the log. */
export const grantSchedules: BuiltInSchedule[] = [
  { name: 'grants.end-expired', cron: '* * * * *', queue: 'maintenance', job: endExpired({}) },
]
