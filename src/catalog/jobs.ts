import * as v from 'valibot'
import { handle, type JobHandler } from '../platform/jobs/handler.ts'
import { jobType } from '../platform/jobs/job-type.ts'
import type { BuiltInSchedule } from '../platform/jobs/schedule.ts'
import { refreshCatalog } from './refresh.ts'

const refresh = jobType('catalog.refresh', 'maintenance', v.strictObject({}))

export const catalogJobs: JobHandler[] = [
  handle(refresh, ({ context, signal }) => refreshCatalog(context, signal)),
]

/** What templates are sorted by depends on their age, too. */
export const catalogSchedules: BuiltInSchedule[] = [
  { name: 'catalog.refresh', cron: '7 * * * *', queue: 'maintenance', job: refresh({}) },
]
