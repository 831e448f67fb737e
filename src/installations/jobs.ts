import * as v from 'valibot'
import { handle, type JobHandler } from '../platform/jobs/handler.ts'
import { jobType } from '../platform/jobs/job-type.ts'
import type { BuiltInSchedule } from '../platform/jobs/schedule.ts'
import { markVersion, spread } from './advisories.ts'
import { markBlocked, spreadAdvisory } from './marks.ts'
import { noticeUpdates } from './notice.ts'

const notice = jobType('installations.notice-updates', 'maintenance', v.strictObject({}))

export const installationJobs: JobHandler[] = [
  handle(spreadAdvisory, async ({ context, payload, signal }) => ({
    marked: await spread(context, payload, signal),
  })),
  handle(markBlocked, async ({ context, payload, signal }) => ({
    marked: await markVersion(context, payload, signal),
  })),
  handle(notice, ({ context, signal }) => noticeUpdates(context, signal)),
]

/** What is published is looked for here, so that nobody who installs has to ask. */
export const installationSchedules: BuiltInSchedule[] = [
  {
    name: 'installations.notice-updates',
    cron: '*/10 * * * *',
    queue: 'maintenance',
    job: notice({}),
  },
]
