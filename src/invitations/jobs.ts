import * as v from 'valibot'
import { handle, type JobHandler } from '../platform/jobs/handler.ts'
import { jobType } from '../platform/jobs/job-type.ts'
import type { BuiltInSchedule } from '../platform/jobs/schedule.ts'
import { type MailOptions, mailInvitation, sendInvitation } from './mail.ts'
import { expireInvitations } from './service.ts'

const expire = jobType('invitations.expire', 'maintenance', v.strictObject({}))

/** Where there is nothing to send mail with, its jobs wait for a worker that has it. */
export const invitationJobs = (mail: MailOptions | undefined): JobHandler[] => [
  handle(expire, async ({ context, signal }) => ({
    expired: await expireInvitations(context, signal),
  })),
  ...(mail
    ? [
        handle(sendInvitation, ({ context, payload }) =>
          mailInvitation(context, mail, payload.invitation),
        ),
      ]
    : []),
]

export const invitationSchedules: BuiltInSchedule[] = [
  { name: 'invitations.expire', cron: '*/5 * * * *', queue: 'maintenance', job: expire({}) },
]
