import type { Queryable } from '../platform/db/connect.ts'
import type { OwnershipOffer } from './schema.ts'

const SHOWN = (tx: Queryable) =>
  tx`offered_by as "from", offered_to as "to", former_owner_role, created_at, expires_at, version`

/** The offer that stands: what is overdue does not. */
export const findOffer = async (tx: Queryable, organizationId: string) => {
  const [found] = await tx<OwnershipOffer[]>`
    select ${SHOWN(tx)} from ownership_offers where organization_id = ${organizationId} and expires_at > clock_timestamp()`
  return found
}

/** Writes the one offer of an organization; an earlier one is replaced. */
export const upsertOffer = async (
  tx: Queryable,
  offer: {
    organizationId: string
    offeredBy: string
    offeredTo: string
    formerOwnerRole: string | null
    days: number
  },
) => {
  const [row] = await tx<OwnershipOffer[]>`
    insert into ownership_offers (organization_id, offered_by, offered_to, former_owner_role, expires_at)
    values (${offer.organizationId}, ${offer.offeredBy}, ${offer.offeredTo}, ${offer.formerOwnerRole},
      now() + make_interval(days => ${offer.days}))
    on conflict (organization_id) do update set offered_by = excluded.offered_by, offered_to = excluded.offered_to,
      former_owner_role = excluded.former_owner_role, created_at = now(), expires_at = excluded.expires_at,
      version = ownership_offers.version + 1
    returning ${SHOWN(tx)}`
  return row!
}

/** Takes the offer that was made to a subject; of two that try, one gets it. */
export const takeOffer = async (tx: Queryable, organizationId: string, offeredTo: string) => {
  const [taken] = await tx<OwnershipOffer[]>`
    delete from ownership_offers
    where organization_id = ${organizationId} and offered_to = ${offeredTo} and expires_at > clock_timestamp()
    returning ${SHOWN(tx)}`
  return taken
}

/** Ends the offer of an organization, whoever it was made to. */
export const deleteOffer = async (tx: Queryable, organizationId: string) => {
  const [deleted] = await tx<OwnershipOffer[]>`
    delete from ownership_offers where organization_id = ${organizationId} returning ${SHOWN(tx)}`
  return deleted
}

/** Ends the offer of an organization if its days are over. */
export const deleteOverdue = async (tx: Queryable, organizationId: string) => {
  const [deleted] = await tx<OwnershipOffer[]>`
    delete from ownership_offers where organization_id = ${organizationId} and expires_at <= clock_timestamp()
    returning ${SHOWN(tx)}`
  return deleted
}

/** Organizations whose offer is overdue. */
export const findOverdue = (tx: Queryable, limit: number) => tx<{ organizationId: string }[]>`
  select f.organization_id from ownership_offers f join organizations o on o.id = f.organization_id
  where f.expires_at <= clock_timestamp() and o.status in ('active', 'read_only')
  order by f.expires_at, f.organization_id limit ${limit}`
