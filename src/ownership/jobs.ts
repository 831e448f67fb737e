import * as v from 'valibot'
import { handle, type JobHandler } from '../platform/jobs/handler.ts'
import { jobType } from '../platform/jobs/job-type.ts'
import type { BuiltInSchedule } from '../platform/jobs/schedule.ts'
import { expireOffers } from './service.ts'

const expire = jobType('ownership.expire-offers', 'maintenance', v.strictObject({}))

export const ownershipJobs: JobHandler[] = [
  handle(expire, async ({ context, signal }) => ({
    expired: await expireOffers(context, signal),
  })),
]

export const ownershipSchedules: BuiltInSchedule[] = [
  { name: 'ownership.expire-offers', cron: '*/15 * * * *', queue: 'maintenance', job: expire({}) },
]
