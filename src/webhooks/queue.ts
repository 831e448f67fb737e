import * as v from 'valibot'
import type { Transaction } from '../platform/db/connect.ts'
import { enqueueMany } from '../platform/jobs/enqueue.ts'
import { jobType } from '../platform/jobs/job-type.ts'
import * as repository from './repository.ts'
import { ATTEMPTS_MAX } from './retry.ts'

/** An event becomes a message for each webhook that listens. */
export const fanOut = jobType('webhook.fan-out', 'webhook', v.strictObject({ eventId: v.string() }))

/** One message is sent, again and again until it arrives. */
export const deliver = jobType(
  'webhook.deliver',
  'webhook',
  v.strictObject({ deliveryId: v.string() }),
)

const TIMEOUT_MS = 30_000
/** Messages under way to one endpoint at once: one that hangs leaves room for the others. */
const LANES = 4

/** The last letters of an id are random. */
const laneOf = (webhookId: string, id: string) =>
  `${webhookId}:${(id.codePointAt(id.length - 1) ?? 0) % LANES}`

/** Leaves a job for each message, in the transaction that wrote them. */
export const enqueueDeliveries = async (
  tx: Transaction,
  { organizationId, requestId }: { organizationId: string; requestId: string },
  deliveries: readonly { id: string; webhookId: string }[],
) => {
  const jobs = deliveries.map(({ id, webhookId }) => ({
    job: deliver({ deliveryId: id }),
    organizationId,
    requestId,
    exclusiveKey: laneOf(webhookId, id),
    attemptsMax: ATTEMPTS_MAX,
    timeoutMs: TIMEOUT_MS,
  }))
  const enqueued = await enqueueMany(tx, 'webhook', jobs)
  const noted = deliveries.map(({ id }, index) => ({ id, jobId: enqueued[index]!.id }))
  await repository.noteJobs(tx, organizationId, noted)
}
