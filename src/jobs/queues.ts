import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changePlatform, inPlatform } from '../platform/db/transaction.ts'
import type { QueueName } from '../platform/jobs/queue.ts'
import { noteQueue } from '../platform/jobs/wake.ts'
import { Problem } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import { tenantOf } from './mount.ts'
import * as repository from './queue-repository.ts'
import type { OneQueue, PatchQueue, PutLimits, Queue } from './schema.ts'

const notFound = () => new Problem('not-found', 'queue-not-found', 'There is no such queue.')

export const listQueues = ({ sql }: Context) =>
  inPlatform(sql, async (tx) => ({
    items: await repository.findQueues(tx, null),
    nextCursor: null,
  }))

const findQueue = async (tx: Transaction, queue: string): Promise<Queue> => {
  const [found] = await repository.findQueues(tx, queue)
  if (!found) throw notFound()
  return found
}

export const getQueue = ({ sql }: Context, { queue }: OneQueue) =>
  inPlatform(sql, (tx) => findQueue(tx, queue))

/** What of a queue is set by people; the rest changes by itself and is nothing for the log. */
const settings = ({ queue, paused, slotsMin, slotsMax }: Queue) => ({
  queue,
  paused,
  slotsMin,
  slotsMax,
})

const change = (
  context: Context,
  queue: string,
  { event, work }: { event: string; work: (tx: Transaction) => Promise<unknown> },
) =>
  changePlatform(context, async (tx) => {
    const taken = await repository.lockQueue(tx, queue)
    if (!taken) throw notFound()
    refuseStale(context, taken.version)
    const before = await findQueue(tx, queue)
    const done = await work(tx)
    const after = await findQueue(tx, queue)
    if (after.version === before.version && !done) return { queue: after, done }
    const resource = `queue:${queue}`
    await recordChange(tx, context, {
      event,
      resource,
      before: settings(before),
      after: settings(after),
    })
    return { queue: after, done }
  })

/** Sets between how many slots a queue has, over all workers. */
export const patchQueue = async (context: Context, { queue, ...slots }: PatchQueue) => {
  const work = async (tx: Transaction) => {
    if (Object.keys(slots).length > 0) await repository.updateSlots(tx, queue, slots)
  }
  return (await change(context, queue, { event: 'queue.updated', work })).queue
}

const setPaused = (queue: string, paused: boolean) => async (tx: Transaction) => {
  const now = await repository.lockQueue(tx, queue)
  if (now?.paused !== paused) await repository.updatePaused(tx, queue, paused)
  if (!paused) noteQueue(tx, queue as QueueName)
}

/** Hands out no more jobs of a queue. What runs ends; what an executor was told already may still start. */
export const pauseQueue = async (context: Context, { queue }: OneQueue) =>
  (await change(context, queue, { event: 'queue.paused', work: setPaused(queue, true) })).queue

export const resumeQueue = async (context: Context, { queue }: OneQueue) =>
  (await change(context, queue, { event: 'queue.resumed', work: setPaused(queue, false) })).queue

/** Pauses a queue and takes back what executors were told: once nothing runs any more, nothing of it is at work. */
export const drainQueue = async (context: Context, { queue }: OneQueue) => {
  const work = async (tx: Transaction) => {
    await setPaused(queue, true)(tx)
    return repository.withdrawJobs(tx, queue)
  }
  const drained = await change(context, queue, { event: 'queue.drained', work })
  return { ...drained.queue, withdrawn: Number(drained.done) }
}

/** Sets an organization's weight, cap and rate in one queue or in all. */
export const putLimits = (context: Context, { organization, queue, ...limits }: PutLimits) =>
  changePlatform(context, async (tx) => {
    const tenant = (await tenantOf(tx, context, { organization, pointer: '/organization' }))!
    if (queue !== undefined && !(await repository.lockQueue(tx, queue))) throw notFound()
    const before = await repository.findLimits(tx, tenant)
    await repository.upsertLimits(tx, { tenant, queue: queue ?? null, ...limits })
    const after = await repository.findLimits(tx, tenant)
    // A cap that was lifted lets jobs start that waited for it.
    for (const changed of after) noteQueue(tx, changed.queue)
    const resource = `organization:${tenant}`
    await recordChange(tx, context, { event: 'job-limits.updated', resource, before, after })
    return { organization: tenant, queues: [...after] }
  })
