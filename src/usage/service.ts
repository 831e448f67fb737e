import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changePlatform, inOrganization } from '../platform/db/transaction.ts'
import { didYouMean } from '../platform/nearest.ts'
import { unprocessable } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import * as repository from './repository.ts'
import { type Limit, PLANS, type Planned, type PutLimits, type PutPlan } from './schema.ts'

export { listPoints, listUsage } from './history.ts'
export { createMetering } from './metering.ts'
export { commitReservation, releaseReservation, reportUsage, reserveUsage } from './report.ts'
export { isLimitReached, usageViolations } from './violations.ts'

const shown = (row: repository.MeterRow): Limit => {
  const { limit, value, unitsPerLimit, isOverridden, overrideEndsAt } = row
  const [used, reserved] = [row.used / unitsPerLimit, row.reserved / unitsPerLimit]
  return {
    limit,
    value,
    source: isOverridden ? 'override' : 'plan',
    overrideEndsAt,
    used,
    reserved,
    remaining:
      value === null
        ? null
        : Math.max(0, value * unitsPerLimit - row.used - row.reserved) / unitsPerLimit,
  }
}

/** Limits are looked up when they are needed: the override if it has not ended, else the plan's. */
const readLimits = async (tx: Transaction, organizationId: string) => {
  const meters = await repository.findMeters(tx, { organizationId })
  const { version } = await repository.findPlan(tx, organizationId)
  return { items: meters.map(shown), version }
}

/** What each limit is, and how much of it is used; with the version at which it is edited. */
export const listLimits = (context: Context) => inOrganization(context, readLimits)

const requirePlan = (plan: string) => {
  if (!PLANS.some((known) => known === plan))
    throw unprocessable('plan-unknown', '/plan', `There is no such plan.${didYouMean(plan, PLANS)}`)
}

/** Puts an organization on another plan, and says what that freezes: use above a limit stays and does not grow. */
export const putPlan = async (context: Context, { plan, dryRun }: PutPlan) => {
  requirePlan(plan)
  const { organizationId } = context
  return changePlatform(context, async (tx): Promise<Planned & { version: number }> => {
    const before = await repository.lockPlan(tx, organizationId)
    refuseStale(context, before.version)
    const frozen = (await repository.findMeters(tx, { organizationId, plan })).flatMap((row) =>
      row.value !== null && row.used + row.reserved > row.value * row.unitsPerLimit
        ? [
            {
              limit: row.limit,
              value: row.value,
              used: (row.used + row.reserved) / row.unitsPerLimit,
            },
          ]
        : [],
    )
    if (dryRun || before.plan === plan) return { plan, frozen, version: before.version }
    const version = await repository.updatePlan(tx, organizationId, plan)
    await recordChange(tx, context, {
      event: 'organization.plan-changed',
      resource: `organization:${organizationId}`,
      before: { plan: before.plan },
      after: { plan, frozen },
    })
    return { plan, frozen, version }
  })
}

/**
 * Overrides single limits, whatever the plan: those that are named, the others stay as they are. One whose end is not in the
 * future ends at once.
 */
export const putLimits = async (context: Context, { limits, endsAt, reason }: PutLimits) => {
  const { organizationId, actor } = context
  return changePlatform(context, async (tx) => {
    refuseStale(context, (await repository.lockPlan(tx, organizationId)).version)
    const known = (await repository.findMeters(tx, { organizationId })).map(({ limit }) => limit)
    for (const [name] of limits) requireLimit(name, known)
    const before = await repository.findOverrides(tx, organizationId)
    await repository.upsertOverrides(
      tx,
      limits.map(([limitKey, value]) => ({
        organizationId,
        limitKey,
        value,
        expiresAt: endsAt,
        setBy: actor.subject,
        reason,
      })),
    )
    await repository.raiseVersion(tx, organizationId)
    await recordChange(tx, context, {
      event: 'organization.limits-changed',
      resource: `organization:${organizationId}`,
      before: { overrides: before },
      after: { overrides: await repository.findOverrides(tx, organizationId) },
      reason,
    })
    return readLimits(tx, organizationId)
  })
}

const requireLimit = (name: string, known: readonly string[]) => {
  if (known.includes(name)) return
  const pointer = `/limits/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
  throw unprocessable('limit-unknown', pointer, `There is no such limit.${didYouMean(name, known)}`)
}
