import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Queryable, Transaction } from '../platform/db/connect.ts'
import { changePlatform } from '../platform/db/transaction.ts'
import { Problem } from '../platform/problem.ts'
import type { EntryRow } from './repository.ts'
import * as repository from './repository.ts'
import type { RegisterEntry, Status } from './schema.ts'

/** Whether an index shall be there in the end: that of an advice that is applied, or of a drop that is reverted. */
export const wantsIndex = ({ kind, status }: Pick<EntryRow, 'kind' | 'status'>): boolean =>
  (kind === 'create') !== (status === 'reverting')

/** A row without what nobody is shown. */
export const shown = ({
  runId: _run,
  scansHeld: _scans,
  queries: _queries,
  ...entry
}: EntryRow): RegisterEntry => entry

export const requireEntry = async (tx: Queryable, id: string): Promise<EntryRow> => {
  const entry = await repository.findEntry(tx, id)
  if (entry) return entry
  throw new Problem('not-found', 'recommendation-not-found', 'There is no such recommendation.')
}

/** What happened to an entry, in the words of the log. */
export type EventOf =
  | 'index.approved'
  | 'index.dismissed'
  | 'index.built'
  | 'index.dropped'
  | 'index.failed'
  | 'index.reverting'
  | 'index.reverted'
  | 'index.restored'
  | 'index.cleaning'

/** Moves an entry inside a change and tells the log. @throws Problem 409 when it does not stand there */
export const moveWithin = async (
  tx: Transaction,
  context: Context,
  before: EntryRow,
  {
    event,
    change,
    reason,
  }: { event: EventOf; change: repository.EntryChange; reason?: string | null },
): Promise<EntryRow> => {
  const after = await repository.changeEntry(tx, { id: before.id, from: [before.status] }, change)
  if (!after) throw new Problem('conflict', 'recommendation-state', 'It was changed meanwhile.')
  const { id, kind, schema, index, statement } = after
  await recordChange(tx, context, {
    event,
    resource: `index:${schema}.${index}`,
    before: { recommendation: id, kind, status: before.status },
    after: { recommendation: id, kind, status: after.status, statement, undo: after.undo },
    reason: reason ?? null,
  })
  return after
}

const SUCCEEDED = {
  create: { creating: 'index.built', reverting: 'index.reverted' },
  drop: { creating: 'index.dropped', reverting: 'index.restored' },
} as const

type Reached = { reason?: string | null; bytesBuilt?: number; buildMs?: number }

/** What was to be reached is so. Inside a change; the entry stands on creating or reverting. */
export const succeedWithin = (
  tx: Transaction,
  context: Context,
  entry: EntryRow,
  { reason = null, bytesBuilt, buildMs }: Reached,
): Promise<EntryRow> => {
  const at = context.now().toISOString()
  const isReverting = entry.status === 'reverting'
  return moveWithin(tx, context, entry, {
    event: SUCCEEDED[entry.kind][isReverting ? 'reverting' : 'creating'],
    reason,
    change: {
      status: isReverting ? 'reverted' : 'active',
      status_reason: reason,
      ...(isReverting
        ? { ended_at: at }
        : { built_at: at, verdict: entry.kind === 'create' ? 'pending' : null }),
      ...(wantsIndex(entry) ? { bytes_built: bytesBuilt ?? null, build_ms: buildMs ?? null } : {}),
    },
  })
}

/** It has come to nothing: what was approved has failed, what was to be reverted stands as before. */
export const failWithin = (tx: Transaction, context: Context, entry: EntryRow, reason: string) =>
  moveWithin(tx, context, entry, {
    event: 'index.failed',
    reason,
    change: {
      status: entry.status === 'reverting' ? 'active' : 'failed',
      status_reason: reason,
      ...(entry.status === 'reverting' ? {} : { ended_at: context.now().toISOString() }),
    },
  })

/** Changes an entry if it still stands where it is believed to. */
const changing = (
  context: Context,
  id: string,
  from: readonly Status[],
  work: (tx: Transaction, entry: EntryRow) => Promise<EntryRow>,
): Promise<EntryRow | undefined> =>
  changePlatform(context, async (tx) => {
    const entry = await repository.findEntry(tx, id)
    return entry && from.includes(entry.status) ? work(tx, entry) : undefined
  })

export const succeed = (context: Context, id: string, reached: Reached) =>
  changing(context, id, ['creating', 'reverting'], (tx, entry) =>
    succeedWithin(tx, context, entry, reached),
  )

export const fail = (context: Context, id: string, reason: string) =>
  changing(context, id, ['approved', 'creating', 'reverting'], (tx, entry) =>
    failWithin(tx, context, entry, reason),
  )

/** Says that work on it begins, and keeps what would undo it before anything is done. */
export const begin = (context: Context, id: string, undo: string | undefined) =>
  changing(context, id, ['approved', 'creating', 'reverting'], async (tx, entry) => {
    const status = entry.status === 'approved' ? 'creating' : entry.status
    const change = {
      status,
      status_reason: null,
      attempts: entry.attempts + 1,
      ...(undo === undefined ? {} : { undo }),
      progress: { phase: 'beginning', share: 0 },
    } as const
    return (await repository.changeEntry(tx, { id, from: [entry.status] }, change)) ?? entry
  })
