import type { Context } from '../platform/context.ts'
import type { Sql, Transaction } from '../platform/db/connect.ts'
import { findReconciliation, insertReconciliation } from './queue-repository.ts'
import * as repository from './upkeep-repository.ts'

type Own = Pick<Context, 'sql'>

const DAYS_AHEAD = 3
/** Days for which something is kept. */
const KEPT = {
  finished: 7,
  dead: 30,
  effects: 14,
  workers: 1,
  slots: 30,
  reconciliations: 30,
  idempotencyKeys: 1,
} as const

/** Seconds after which the books are kept in a coarser grain. */
const FOLDED = [
  { into: 'minute', olderThanSeconds: 5 * 60 },
  { into: 'hour', olderThanSeconds: 2 * 86_400 },
  { into: 'epoch', olderThanSeconds: 30 * 86_400 },
] as const

/** As long as it takes: this is no request, and nobody waits for it. */
const asPlatform = <Result>(sql: Sql, work: (tx: Transaction) => Promise<Result>) =>
  sql.begin(async (tx) => {
    await tx`select set_config('role', 'latchkey_platform', true)`
    return work(tx)
  }) as Promise<Result>

/** Makes the tables of the coming days and drops those of jobs that ended more than a week ago. */
export const tendPartitions = ({ sql }: Own) =>
  asPlatform(sql, async (tx) => {
    await repository.createPartitions(tx, DAYS_AHEAD)
    return { dropped: await repository.dropPartitions(tx, KEPT.finished) }
  })

/** Adds up old rows of the books; their sums stay what they are. */
export const compactBooks = async ({ sql }: Own, signal: AbortSignal) => {
  const folded: Record<string, number> = {}
  for (const step of FOLDED) {
    signal.throwIfAborted()
    folded[step.into] = await asPlatform(sql, (tx) => repository.foldMinutes(tx, step))
  }
  return folded
}

const BURIED_AT_ONCE = 1000

/** Takes jobs that were dead for thirty days out of the queues. */
export const buryDead = async ({ sql }: Own, signal: AbortSignal) => {
  let buried = 0
  for (;;) {
    signal.throwIfAborted()
    const now = await asPlatform(sql, (tx) => repository.buryJobs(tx, KEPT.dead, BURIED_AT_ONCE))
    buried += now
    if (now < BURIED_AT_ONCE) return { buried }
  }
}

/** Deletes what nobody asks for any more. Policy changes stay: a node that slept must find them all. */
export const prune = async ({ sql }: Own) => {
  const counts = await asPlatform(sql, async (tx) => ({
    effects: (await repository.deleteEffects(tx, KEPT.effects)).count,
    workers: (await repository.deleteWorkers(tx, KEPT.workers)).count,
    slots: (await repository.deleteSlots(tx, KEPT.slots)).count,
    reconciliations: (await repository.deleteReconciliations(tx, KEPT.reconciliations)).count,
    idempotencyKeys: (await repository.deleteIdempotencyKeys(tx, KEPT.idempotencyKeys)).count,
    rateLimits: (await repository.deleteRateLimits(tx)).count,
  }))
  return counts
}

/** Compares the books with the rows, and remembers what was found. */
export const checkBooks = async ({ sql, log }: Pick<Context, 'sql' | 'log'>) => {
  const found = await asPlatform(sql, async (tx) => {
    const reconciliation = await findReconciliation(tx)
    await insertReconciliation(tx, reconciliation.difference)
    return reconciliation
  })
  if (found.difference !== 0)
    log.error({ ...found }, 'jobs are missing, or more than were added: the books do not add up')
  return found
}
