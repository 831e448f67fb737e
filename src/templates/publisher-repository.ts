import type { Queryable } from '../platform/db/connect.ts'
import type { Publisher } from './schema.ts'

const COLUMNS = [
  'handle',
  'domain',
  'verifiedAt',
  'verifiedBy',
  'status',
  'statusReason',
  'createdAt',
  'updatedAt',
  'version',
] as const

export const findPublisher = async (tx: Queryable, organizationId: string) => {
  const [found] = await tx<Publisher[]>`
    select ${tx(COLUMNS)} from publishers where organization_id = ${organizationId}`
  return found
}

type Written = { organizationId: string; handle: string; domain: string | null }

export const insertPublisher = async (tx: Queryable, publisher: Written) => {
  const [inserted] = await tx<Publisher[]>`
    insert into publishers ${tx(publisher)} returning ${tx(COLUMNS)}`
  return inserted!
}

export const updatePublisher = async (
  tx: Queryable,
  { organizationId, handle, domain }: Written,
) => {
  const [updated] = await tx<Publisher[]>`
    update publishers set handle = ${handle}, domain = ${domain}, version = version + 1, updated_at = now()
    where organization_id = ${organizationId} returning ${tx(COLUMNS)}`
  return updated!
}

/** Handles of others that people know: verified, or with something on the list. */
export const findKnownHandles = async (tx: Queryable, organizationId: string) => {
  const rows = await tx<{ handle: string }[]>`
    select p.handle from publishers p where p.organization_id <> ${organizationId} and (p.verified_at is not null
      or exists (select 1 from templates t where t.organization_id = p.organization_id and t.listing = 'listed'))
    order by p.handle`
  return rows.map(({ handle }) => handle)
}

/** Whether others know something of the organization's by its handle. */
export const hasListed = async (tx: Queryable, organizationId: string) => {
  const [row] = await tx<{ has: boolean }[]>`
    select exists (select 1 from templates where organization_id = ${organizationId}
      and listing in ('listed', 'delisted', 'taken_down')) as has`
  return row!.has
}
