import * as v from 'valibot'
import { handle, type JobHandler } from '../platform/jobs/handler.ts'
import { jobType } from '../platform/jobs/job-type.ts'
import type { BuiltInSchedule } from '../platform/jobs/schedule.ts'
import { type DeliverySettings, deliverMessage } from './deliver.ts'
import { deliver, fanOut } from './queue.ts'
import { backoffMs } from './retry.ts'
import { deleteOldDeliveries } from './service.ts'
import { fanOutEvent } from './tell.ts'

const prune = jobType('webhooks.prune', 'maintenance', v.strictObject({}))

/**
 * What webhooks do in the background.
 * @param settings how messages leave, and the origin they name as their source
 */
export const webhookJobs = (settings: DeliverySettings & { origin: string }): JobHandler[] => [
  handle(fanOut, (job) => fanOutEvent(job, settings.origin)),
  handle(deliver, (job) => deliverMessage(job, settings), { backoffMs }),
  handle(prune, async ({ context, signal }) => ({
    deleted: await deleteOldDeliveries(context, signal),
  })),
]

/** Messages are kept for thirty days. */
export const webhookSchedules: BuiltInSchedule[] = [
  { name: 'webhooks.prune', cron: '23 3 * * *', queue: 'maintenance', job: prune({}) },
]
