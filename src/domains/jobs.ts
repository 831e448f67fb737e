import * as v from 'valibot'
import type { ResolveTxt } from '../platform/dns.ts'
import { handle, type JobHandler } from '../platform/jobs/handler.ts'
import { jobType } from '../platform/jobs/job-type.ts'
import type { BuiltInSchedule } from '../platform/jobs/schedule.ts'
import { recheckDomains } from './service.ts'

const recheck = jobType('domains.recheck', 'maintenance', v.strictObject({}))

export const domainJobs = (resolveTxt: ResolveTxt): JobHandler[] => [
  handle(recheck, ({ context, signal }) => recheckDomains(context, resolveTxt, signal)),
]

/** Every hour some of them; each domain once a day. */
export const domainSchedules: BuiltInSchedule[] = [
  { name: 'domains.recheck', cron: '23 * * * *', queue: 'maintenance', job: recheck({}) },
]
