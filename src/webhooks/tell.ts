import { findEventBody } from '../audit/service.ts'
import type { Outgoing } from '../platform/context.ts'
import { noteInOrganization } from '../platform/db/transaction.ts'
import { newId } from '../platform/id.ts'
import { enqueue } from '../platform/jobs/enqueue.ts'
import { Postponed, type RunningJob } from '../platform/jobs/handler.ts'
import { Problem } from '../platform/problem.ts'
import { messageOf, patternsOf, readEvent } from './event.ts'
import { enqueueDeliveries, fanOut } from './queue.ts'
import * as repository from './repository.ts'

/** Before the messages themselves: an event is written down for everybody before the first of them waits. */
const PRIORITY = 4
const FULL_MS = 60_000

const isFull = (error: unknown) => error instanceof Problem && error.code === 'jobs-limit'

/**
 * Leaves word of an event, in the transaction of its change, if a webhook listens. One question to the database where none
 * does. A queue that is full refuses no change: nobody must keep a grant because an endpoint is away.
 */
export const tellWebhooks: Outgoing['recorded'] = async (tx, context, { id, event }) => {
  const { organizationId, requestId, log } = context
  if (organizationId === '') return
  if (!(await repository.hasListener(tx, organizationId, patternsOf(event)))) return
  const options = { organizationId, requestId, priority: PRIORITY }
  await enqueue(tx, 'webhook', fanOut({ eventId: id }), options).catch((error: unknown) => {
    if (!isFull(error)) throw error
    log.warn({ organizationId, event: id }, 'webhooks are not told: too many jobs are waiting')
  })
}

/** Makes one message for each webhook that listens, and their jobs, all or none. */
export const fanOutEvent = async (
  { context, payload, once }: RunningJob<{ eventId: string }>,
  origin: string,
) => {
  const { eventId } = payload
  return noteInOrganization(context, async (tx, organizationId) => {
    if (!(await once(tx))) return { deliveries: 0 }
    const event = readEvent(await findEventBody(tx, organizationId, eventId))
    const listeners = await repository.findListeners(tx, organizationId, patternsOf(event.event))
    const message = { organizationId, eventId, event: event.event, body: messageOf(event, origin) }
    const deliveries = await repository.insertDeliveries(
      tx,
      message,
      listeners.map((webhookId) => ({ id: newId('dlv'), webhookId })),
    )
    await enqueueDeliveries(tx, context, deliveries)
    return { deliveries: deliveries.length }
  }).catch((error: unknown) => {
    throw isFull(error) ? new Postponed('too many jobs of the organization wait', FULL_MS) : error
  })
}
