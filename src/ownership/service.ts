import { recordChange } from '../audit/service.ts'
import {
  ceilingOf,
  givenByRole,
  refuseAboveCeiling,
  requireOwnership,
} from '../decisions/ceiling.ts'
import { findMembership, isActive, moveOwnership } from '../members/service.ts'
import type { Actor, Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changeOrganization, inOrganization, inPlatform } from '../platform/db/transaction.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import { resolveRole } from '../roles/service.ts'
import * as repository from './repository.ts'
import type { OfferOwnership, OwnershipOffer } from './schema.ts'

/** Days in which an offer can be accepted. */
const VALID_DAYS = 7

const notFound = () =>
  new Problem('not-found', 'offer-not-found', 'No ownership is offered here, or not to you.')

const record = (
  context: Context,
  tx: Transaction,
  event: { event: string; before?: OwnershipOffer | undefined; after?: OwnershipOffer },
  subject: string,
) =>
  recordChange(tx, context, {
    ...event,
    resource: `ownership-offer:${context.organizationId}`,
    subject,
  })

/** The offer that stands. */
export const getOffer = (context: Context) =>
  inOrganization(context, async (tx, organizationId) => {
    const offer = await repository.findOffer(tx, organizationId)
    if (!offer) throw notFound()
    return offer
  })

/**
 * Offers one's own ownership to another active member. Nothing changes until that member accepts; an earlier offer ends.
 */
export const offerOwnership = (
  context: Context,
  { to, formerOwnerRole }: OfferOwnership,
): Promise<OwnershipOffer> =>
  changeOrganization(context, async (tx, organizationId) => {
    const from = context.actor.subject
    await requireOwner(context, tx, organizationId)
    const nowMs = context.now().getTime()
    const member = await findMembership(tx, organizationId, to)
    if (!member || !to.startsWith('user:') || !isActive(member, nowMs))
      throw unprocessable('member-not-active', '/to', 'No person who is an active member.')
    if (member.isOwner)
      throw unprocessable('owner-already', '/to', 'Owns the organization already.')
    const before = await repository.findOffer(tx, organizationId)
    refuseStale(context, before?.version)
    if (formerOwnerRole !== null)
      await roleOf(context, tx, { organizationId, name: formerOwnerRole, giver: context.actor })
    const offer = await repository.upsertOffer(tx, {
      organizationId,
      offeredBy: from,
      offeredTo: to,
      formerOwnerRole,
      days: VALID_DAYS,
    })
    await record(context, tx, { event: 'ownership-offer.created', before, after: offer }, to)
    return offer
  })

/** Ownership is a person's own to give: no operator's, and no restricted key's. */
const requireOwner = async (context: Context, tx: Transaction, organizationId: string) => {
  const { subject, restrictedTo } = context.actor
  const member = await findMembership(tx, organizationId, subject)
  if (!member?.isOwner || member.status !== 'active' || restrictedTo !== null)
    throw new Problem('forbidden', 'not-an-owner', 'Only an owner hands over ownership.')
}

const POINTER = '/formerOwnerRole'

/** The role of a former owner, if the giver holds all it gives. */
const roleOf = async (
  context: Context,
  tx: Transaction,
  { organizationId, name, giver }: { organizationId: string; name: string; giver: Actor },
) => {
  if (name === 'owner')
    throw unprocessable('role-unknown', POINTER, 'Whoever hands over ownership keeps none.')
  const role = await resolveRole(tx, organizationId, { name, inWorkspace: false, pointer: POINTER })
  const ceiling = await ceilingOf({ ...context, actor: giver }, tx)
  const given = await givenByRole(tx, [role.home, role.scope, role.name], { organizationId })
  refuseAboveCeiling(ceiling, given, POINTER)
  return role
}

/**
 * Accepts: the flag moves in this one transaction, and the former owner gets the role of the offer. Needs the person's own
 * token: a key that leaked must not become an owner.
 */
export const acceptOwnership = async (context: Context): Promise<OwnershipOffer> => {
  const { subject, apiKeyId } = context.actor
  if (apiKeyId !== null || !subject.startsWith('user:'))
    throw new Problem('forbidden', 'person-needed', 'Accept with your own token, not with a key.')
  const { access, organizationId: place } = context
  const keptOut = await access.keptOut(context, place, { sparesOperators: false })
  if (keptOut) throw keptOut
  return changeOrganization(context, async (tx, organizationId) => {
    const offer = await repository.takeOffer(tx, organizationId, subject)
    if (!offer) throw notFound()
    const member = await findMembership(tx, organizationId, subject)
    if (!member || !isActive(member, context.now().getTime())) throw notFound()
    const giver = {
      subject: offer.from,
      apiKeyId: null,
      organizationId: null,
      restrictedTo: null,
    }
    requireOwnership(await ceilingOf({ ...context, actor: giver }, tx))
    const { formerOwnerRole } = offer
    const role =
      formerOwnerRole === null
        ? null
        : await roleOf(context, tx, { organizationId, name: formerOwnerRole, giver })
    await moveOwnership(context, tx, { organizationId, from: offer.from, to: subject, role })
    await record(context, tx, { event: 'ownership-offer.accepted', before: offer }, subject)
    return offer
  })
}

/** Says no. */
export const declineOwnership = (context: Context) =>
  changeOrganization(
    context,
    async (tx, organizationId) => {
      const { subject, restrictedTo } = context.actor
      const offer =
        restrictedTo === null ? await repository.takeOffer(tx, organizationId, subject) : undefined
      if (!offer) throw notFound()
      await record(context, tx, { event: 'ownership-offer.declined', before: offer }, subject)
    },
    { allowedWhile: ['active', 'read_only'] },
  )

/** Takes the offer back. */
export const withdrawOffer = (context: Context) =>
  changeOrganization(
    context,
    async (tx, organizationId) => {
      const before = await repository.findOffer(tx, organizationId)
      if (!before) throw notFound()
      refuseStale(context, before.version)
      await repository.deleteOffer(tx, organizationId)
      await record(context, tx, { event: 'ownership-offer.withdrawn', before }, before.to)
    },
    { shrinks: true },
  )

/** Offers ended in one run. */
const OVERDUE_MAX = 1000

/** Ends offers whose days are over; they could not be accepted any more already. Answers how many. */
export const expireOffers = async (context: Context, signal: AbortSignal): Promise<number> => {
  const overdue = await inPlatform(context.sql, (tx) => repository.findOverdue(tx, OVERDUE_MAX))
  let expired = 0
  for (const { organizationId } of overdue) {
    signal.throwIfAborted()
    const within = { ...context, organizationId }
    expired += await changeOrganization(
      within,
      async (tx) => {
        const before = await repository.deleteOverdue(tx, organizationId)
        if (!before) return 0
        await record(within, tx, { event: 'ownership-offer.expired', before }, before.to)
        return 1
      },
      { allowedWhile: ['active', 'read_only'] },
    )
  }
  return expired
}
