import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changePlatform, inPlatform } from '../platform/db/transaction.ts'
import { newId } from '../platform/id.ts'
import type { IndexState } from './catalog-repository.ts'
import { moveWithin } from './entry.ts'
import { gather } from './evidence.ts'
import type { EntryRow } from './repository.ts'
import * as repository from './repository.ts'
import type { Verdict } from './schema.ts'
import { dropStatement } from './statement.ts'
import { verdictOf } from './verdict.ts'

const PAGE = 100

/** Of advice that an index of somebody else's has met nothing is said. */
const NOT_OURS = { verdict: 'pending', reason: 'there is no index of its name' } as const

const DROPPED: Partial<Record<Verdict, string>> = {
  unused: 'unused',
  'no-gain': 'no-gain',
  'makes-a-query-slower': 'no-gain',
}

/** Advises to drop what did not help; nothing is ever dropped without being approved. */
const proposeDrop = async (
  tx: Transaction,
  context: Context,
  entry: EntryRow,
  { code, reason, state }: { code: string; reason: string; state: IndexState },
) => {
  const { schema, table, index } = entry
  const { definition } = state
  const id = newId('rec')
  const statement = dropStatement(entry, { concurrently: true })
  const given = { id, schema, table, index, definition, statement, undo: definition }
  const proposed = await repository.proposeDrop(tx, { ...given, bytes: state.bytes, code, reason })
  if (!proposed) return
  await recordChange(tx, context, {
    event: 'index.questioned',
    resource: `index:${schema}.${index}`,
    after: { recommendation: id, kind: 'drop', code },
    reason,
  })
}

/** What was dropped by somebody else stands no more, so that it can be advised again. */
const endVanished = (context: Context, entry: EntryRow) =>
  changePlatform(context, async (tx) => {
    const reason = 'the index is not there any more'
    const ended = { status: 'reverted', status_reason: reason } as const
    const change = { ...ended, ended_at: context.now().toISOString() }
    const before = await repository.findEntry(tx, entry.id)
    if (before?.status === 'active')
      await moveWithin(tx, context, before, { event: 'index.reverted', change, reason })
  })

/** What was built, looked at again: does the planner use it, was it scanned, are queries faster. */
const verifyIndex = async (context: Context, entry: EntryRow): Promise<Verdict | 'gone'> => {
  const { state, planned, measured, evidence } = await gather(context, entry)
  if (!state && entry.bytesBuilt !== null) {
    await endVanished(context, entry)
    return 'gone'
  }
  const { verdict, reason } = state ? verdictOf(evidence) : NOT_OURS
  const verifiedAt = context.now().toISOString()
  const verification = { planned, measured, scans: evidence.scans, reason, verifiedAt }
  const code = DROPPED[verdict]
  await changePlatform(context, async (tx) => {
    await repository.keepVerification(tx, { id: entry.id, verdict, verification })
    if (code && state) await proposeDrop(tx, context, entry, { code, reason, state })
  })
  return verdict
}

/** Looks at all that was built. Answers how many came to what. */
export const verifyIndexes = async (context: Context, signal: AbortSignal) => {
  const verdicts: Partial<Record<Verdict | 'gone', number>> = {}
  for (let after = ''; ; ) {
    const entries = await inPlatform(context.sql, (tx) =>
      repository.listActive(tx, { after, limit: PAGE }),
    )
    for (const entry of entries) {
      signal.throwIfAborted()
      const verdict = await verifyIndex(context, entry)
      verdicts[verdict] = (verdicts[verdict] ?? 0) + 1
    }
    const last = entries.at(-1)
    if (!last || entries.length < PAGE) return verdicts
    after = last.id
  }
}
