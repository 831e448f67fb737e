import * as v from 'valibot'
import { handle, type JobHandler } from '../platform/jobs/handler.ts'
import { jobType } from '../platform/jobs/job-type.ts'
import type { BuiltInSchedule } from '../platform/jobs/schedule.ts'
import { endDeletedOrganizations } from './service.ts'

const endDeleted = jobType('organizations.end-deleted', 'maintenance', v.strictObject({}))

export const organizationJobs: JobHandler[] = [
  handle(endDeleted, async ({ context, signal }) => ({
    ended: await endDeletedOrganizations(context, signal),
  })),
]

/** What was deleted thirty days ago goes for good. */
export const organizationSchedules: BuiltInSchedule[] = [
  {
    name: 'organizations.end-deleted',
    cron: '7 * * * *',
    queue: 'maintenance',
    job: endDeleted({}),
  },
]
