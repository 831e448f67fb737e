import * as v from 'valibot'
import { handle, type JobHandler } from '../platform/jobs/handler.ts'
import { jobType } from '../platform/jobs/job-type.ts'
import type { BuiltInSchedule } from '../platform/jobs/schedule.ts'
import { expireReservations, rollUp } from './roll-up.ts'

const Nothing = v.strictObject({})
const rollingUp = jobType('usage.roll-up', 'analytics', Nothing)
const expiring = jobType('usage.expire-reservations', 'maintenance', Nothing)

export const usageJobs: JobHandler[] = [
  handle(rollingUp, ({ context, signal }) => rollUp(context, signal)),
  handle(expiring, async ({ context, signal }) => ({
    expired: await expireReservations(context, signal),
  })),
]

/** A reservation that is over holds nobody up already; this gives its room back to what is shown. */
export const usageSchedules: BuiltInSchedule[] = [
  { name: 'usage.roll-up', cron: '3 * * * *', queue: 'analytics', job: rollingUp({}) },
  {
    name: 'usage.expire-reservations',
    cron: '* * * * *',
    queue: 'maintenance',
    job: expiring({}),
  },
]
