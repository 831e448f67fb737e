import type { Sql } from '../db/connect.ts'
import type { Message } from './executor.ts'
import type { QueueName } from './queue.ts'
import { dispatchJobs, undispatchJobs } from './repository.ts'

/** A producer's binding of Cloudflare Queues, as far as it is used here. */
export type QueueBinding = { sendBatch(messages: { body: Message }[]): Promise<unknown> }

/** Messages that Cloudflare Queues takes at once. */
const SEND_MAX = 100

/**
 * Hands the next jobs of these queues to Cloudflare Queues: ids and fences, never payloads. What cannot be handed over is
 * taken back, and told again by the next call.
 */
export const dispatchToCloudflare = async (
  sql: Sql,
  binding: QueueBinding,
  queues: readonly QueueName[],
): Promise<number> => {
  let sent = 0
  for (const queue of queues) {
    const messages = await dispatchJobs(sql, queue, SEND_MAX, 'cloudflare')
    if (messages.length === 0) continue
    try {
      await binding.sendBatch(messages.map(({ id, fence }) => ({ body: { id, fence } })))
      sent += messages.length
    } catch (error) {
      await undispatchJobs(sql, messages)
      throw error
    }
  }
  return sent
}
