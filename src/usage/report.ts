import type { Context } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'
import { countInOrganization, inOrganization } from '../platform/db/transaction.ts'
import { newId } from '../platform/id.ts'
import { didYouMean } from '../platform/nearest.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import * as repository from './repository.ts'
import type {
  CommitReservation,
  OneReservation,
  Reported,
  ReportUsage,
  Reserved,
  ReserveUsage,
} from './schema.ts'
import { isLimitReached } from './violations.ts'

/** Growth needs an organization that may grow; what gives back is taken from one that is closed for changes, too. */
const GROWING = ['active']
const SHRINKING = ['active', 'read_only']

/** The same in the words of the answer. */
const standingOf = (
  allowed: boolean,
  of: { limit: number | null; used: number; reserved: number; resetsAt: string | null },
): Reported => ({
  allowed,
  limit: of.limit,
  used: of.used,
  remaining: of.limit === null ? null : Math.max(0, of.limit - of.used - of.reserved),
  resetsAt: of.resetsAt,
})

/** A meter that services report, as it stands. @throws Problem 422 */
const requireReported = async (tx: Queryable, organizationId: string, name: string) => {
  const meters = await repository.findMeters(tx, { organizationId })
  const meter = meters.find((each) => each.meter === name)
  const reported = meters.filter(({ countedBy }) => countedBy === 'reports')
  if (!meter) {
    const names = reported.map((each) => each.meter)
    const detail = `There is no such meter.${didYouMean(name, names)}`
    throw unprocessable('meter-unknown', '/meter', detail)
  }
  if (meter.countedBy === 'rows')
    throw unprocessable(
      'meter-counted',
      '/meter',
      `It is counted here; reported are ${reported.map((each) => each.meter).join(' and ')}.`,
    )
  const { value, unitsPerLimit, used, reserved, resetsAt } = meter
  const limit = value === null ? null : value * unitsPerLimit
  return { limit, used, reserved, resetsAt }
}

/** What stands where there was no room. Nothing was counted, and the key may be sent again when there is. */
const refused = (context: Context, meter: string) =>
  inOrganization(context, async (tx, organizationId) =>
    standingOf(false, await requireReported(tx, organizationId, meter)),
  )

const answering = async <Answer>(
  context: Context,
  meter: string,
  work: () => Promise<Answer>,
): Promise<Answer | Reported> => {
  try {
    return await work()
  } catch (error) {
    if (!isLimitReached(error)) throw error
    return refused(context, meter)
  }
}

/**
 * Counts what a service used, once per key of the organization: sent again, it answers what it answered. Where there is no
 * room nothing is counted, and that is an answer, not an error.
 */
export const reportUsage = async (
  context: Context,
  { meter, amount }: ReportUsage,
): Promise<Reported> => {
  const key = context.idempotency?.key
  if (key === undefined)
    throw new Problem(
      'invalid',
      'idempotency-key-needed',
      'Send an Idempotency-Key: a report that is sent twice is counted once.',
    )
  // The report is its own memory: of a refused one nothing is kept.
  const counting = { ...context, idempotency: undefined }
  const allowedWhile = amount > 0 ? GROWING : SHRINKING
  return answering(context, meter, () =>
    countInOrganization(
      counting,
      async (tx, organizationId) => {
        await requireReported(tx, organizationId, meter)
        if (amount < 0 && meter !== 'storageBytes')
          throw unprocessable('amount-negative', '/amount', 'Only storageBytes can be given back.')
        await repository.insertReport(tx, {
          organizationId,
          idempotencyKey: key,
          meter,
          amount,
          reportedBy: context.actor.subject,
        })
        const counted = await repository.findReport(tx, organizationId, key)
        if (counted.meter !== meter || counted.amount !== amount)
          throw new Problem(
            'unprocessable',
            'idempotency-key-reused',
            'This Idempotency-Key was used with another report of the organization.',
          )
        return standingOf(true, { ...counted, limit: counted.limitUnits })
      },
      { allowedWhile },
    ),
  )
}

/** Keeps room for work that takes time, until it is committed, released or over. */
export const reserveUsage = (
  context: Context,
  { meter, amount, expiresInSeconds }: ReserveUsage,
): Promise<Reserved> =>
  answering(context, meter, () =>
    countInOrganization(
      context,
      async (tx, organizationId) => {
        await requireReported(tx, organizationId, meter)
        const id = newId('rsv')
        await repository.insertReservation(tx, {
          id,
          organizationId,
          meter,
          amount,
          reservedBy: context.actor.subject,
          seconds: expiresInSeconds,
        })
        return { id, ...standingOf(true, await requireReported(tx, organizationId, meter)) }
      },
      { allowedWhile: GROWING },
    ),
  )

/** Counts what was really used of a reservation, and gives the rest back. */
export const commitReservation = (
  context: Context,
  { reservation, used }: OneReservation & CommitReservation,
) => end(context, reservation, { status: 'committed', used })

/** Gives a whole reservation back. */
export const releaseReservation = (context: Context, { reservation }: OneReservation) =>
  end(context, reservation, { status: 'released', used: 0 })

const endedOrUnknown = async (tx: Queryable, organizationId: string, id: string) =>
  (await repository.hasReservation(tx, organizationId, id))
    ? new Problem('conflict', 'reservation-ended', 'The reservation has ended already.')
    : new Problem('not-found', 'reservation-not-found', 'There is no such reservation.')

const end = (
  context: Context,
  id: string,
  { status, used }: { status: 'committed' | 'released'; used?: number | undefined },
): Promise<Reserved> =>
  countInOrganization(
    context,
    async (tx, organizationId) => {
      const found = await repository.lockReservation(tx, organizationId, id)
      if (!found) throw await endedOrUnknown(tx, organizationId, id)
      if (used !== undefined && used > found.amount)
        throw unprocessable('used-above-amount', '/used', 'It is more than was reserved.')
      await repository.endReservation(tx, {
        organizationId,
        id,
        status,
        used: used ?? found.amount,
      })
      return { id, ...standingOf(true, await requireReported(tx, organizationId, found.meter)) }
    },
    { allowedWhile: SHRINKING },
  )
