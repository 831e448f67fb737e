import type { Context } from '../platform/context.ts'
import { changePlatform, inPlatform } from '../platform/db/transaction.ts'
import type { Violations } from '../platform/db/violation.ts'
import { enqueue } from '../platform/jobs/enqueue.ts'
import { Problem } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import { findIndex } from './catalog-repository.ts'
import { moveWithin, requireEntry, shown } from './entry.ts'
import { build, clean, drop, jobOptions, revert } from './job-types.ts'
import * as repository from './repository.ts'
import type { OneEntry, RegisterEntry, Status } from './schema.ts'

export { indexNameOf } from './name.ts'
export { listIndexes } from './registry.ts'

/** Days between the approval of a drop and the drop: who needs the index after all has so long to notice. */
export const HOLD_DAYS = 7
const DAY_MS = 86_400_000

/** What the database refuses about advice. */
export const indexViolations: Violations = {
  recommendations_once: [
    'conflict',
    'recommendation-exists',
    'The same index is advised, or was built, by another recommendation.',
  ],
}

const refuseState = ({ status }: { status: Status }, from: readonly Status[], verb: string) => {
  if (from.includes(status)) return
  throw new Problem(
    'conflict',
    'recommendation-state',
    `A recommendation that is ${status} cannot be ${verb}.`,
    { status },
  )
}

type Named = { recommendation: string }

/**
 * Says that advice shall be applied, and leaves the job that does it: both are committed together. A drop is held for
 * HOLD_DAYS first.
 * @throws Problem 404, 409 `recommendation-state`, 412 `version-stale`
 */
export const approve = (context: Context, { recommendation: id }: Named): Promise<RegisterEntry> =>
  changePlatform(context, async (tx) => {
    const before = await requireEntry(tx, id)
    refuseStale(context, before.version)
    refuseState(before, ['proposed', 'failed'], 'approved')
    const isDrop = before.kind === 'drop'
    const now = context.now()
    const runAt = isDrop ? new Date(now.getTime() + HOLD_DAYS * DAY_MS) : undefined
    const state = isDrop ? await findIndex(tx, before) : undefined
    const job = await enqueue(tx, 'maintenance', (isDrop ? drop : build)({ recommendation: id }), {
      ...jobOptions(context, before),
      ...(runAt ? { runAt } : {}),
    })
    const change = {
      status: 'approved',
      status_reason: null,
      hold_until: runAt?.toISOString() ?? null,
      scans_held: state?.scans ?? null,
      job_id: job.id,
      attempts: 0,
      decided_by: context.actor.subject,
      decided_at: now.toISOString(),
      ended_at: null,
    } as const
    return shown(await moveWithin(tx, context, before, { event: 'index.approved', change }))
  })

/**
 * Remembers that advice is not wanted; also of a drop that is held, or of a build that has not begun.
 * @throws Problem 404, 409 `recommendation-state`, 412 `version-stale`
 */
export const dismiss = (
  context: Context,
  { recommendation: id, reason }: Named & { reason?: string | null | undefined },
): Promise<RegisterEntry> =>
  changePlatform(context, async (tx) => {
    const before = await requireEntry(tx, id)
    refuseStale(context, before.version)
    refuseState(before, ['proposed', 'failed', 'approved'], 'dismissed')
    if (before.status === 'approved' && before.jobId)
      await repository.withdrawJob(tx, before.jobId, 'the recommendation was dismissed')
    const at = context.now().toISOString()
    const change = {
      status: 'dismissed',
      status_reason: reason ?? null,
      decided_by: context.actor.subject,
      decided_at: at,
      ended_at: at,
    } as const
    const event = 'index.dismissed' as const
    return shown(await moveWithin(tx, context, before, { event, change, reason: reason ?? null }))
  })

/** Undoes what was applied: drops what was built, builds what was dropped. As a job. */
export const revertIndex = (context: Context, { id }: OneEntry): Promise<RegisterEntry> =>
  changePlatform(context, async (tx) => {
    const before = await requireEntry(tx, id)
    refuseStale(context, before.version)
    refuseState(before, ['active'], 'reverted')
    const job = await enqueue(
      tx,
      'maintenance',
      revert({ recommendation: id }),
      jobOptions(context, before),
    )
    const change = {
      status: 'reverting',
      status_reason: null,
      job_id: job.id,
      attempts: 0,
    } as const
    return shown(await moveWithin(tx, context, before, { event: 'index.reverting', change }))
  })

/** Drops what is left of a build of ours that has failed. As a job. @throws Problem 409 where nothing invalid of ours is there */
export const cleanIndex = (context: Context, { id }: OneEntry): Promise<RegisterEntry> =>
  changePlatform(context, async (tx) => {
    const before = await requireEntry(tx, id)
    refuseStale(context, before.version)
    refuseState(before, ['failed', 'dismissed', 'reverted'], 'cleaned up')
    const state = before.kind === 'create' ? await findIndex(tx, before) : undefined
    if (!state || state.isValid)
      throw new Problem(
        'conflict',
        'index-not-invalid',
        'There is no invalid index that this recommendation has left.',
      )
    const options = jobOptions(context, before)
    const job = await enqueue(tx, 'maintenance', clean({ recommendation: id }), options)
    const change = { status: before.status, job_id: job.id } as const
    return shown(await moveWithin(tx, context, before, { event: 'index.cleaning', change }))
  })

/** A recommendation as the register has it, with the index as it is now. */
export const getIndex = ({ sql }: Pick<Context, 'sql'>, { id }: OneEntry) =>
  inPlatform(sql, async (tx) => {
    const entry = await requireEntry(tx, id)
    const state = await findIndex(tx, entry)
    if (!state) return { ...shown(entry), current: null }
    const { isValid, bytes, scans, definition } = state
    return { ...shown(entry), current: { isValid, bytes, scans, definition } }
  })
