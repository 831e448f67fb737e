import type { Queryable } from '../db/connect.ts'
import type { QueueName } from './queue.ts'

const queues = new WeakMap<Queryable, Set<QueueName>>()

/** Remembers that a transaction leaves jobs in a queue, so that workers are woken once it is committed. */
export const noteQueue = (tx: Queryable, queue: QueueName): void => {
  const noted = queues.get(tx)
  if (noted) noted.add(queue)
  else queues.set(tx, new Set([queue]))
}

/** The queues in which a transaction left jobs. */
export const queuesOf = (tx: Queryable): QueueName[] => [...(queues.get(tx) ?? [])]
