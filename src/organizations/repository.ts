import type { Queryable } from '../platform/db/connect.ts'
import type { Organization, PatchOrganization } from './schema.ts'

const COLUMNS = [
  'id',
  'slug',
  'name',
  'description',
  'logo',
  'status',
  'statusReason',
  'plan',
  'deleteAfter',
  'version',
  'createdAt',
  'updatedAt',
] as const

export const insertOrganization = (
  tx: Queryable,
  organization: { id: string; slug: string; name: string; description: string; plan: string },
) => tx`insert into organizations ${tx(organization)}`

export const insertOwner = (tx: Queryable, organizationId: string, subject: string) =>
  tx`insert into members (organization_id, subject, is_owner) values (${organizationId}, ${subject}, true)`

export const findOrganization = async (tx: Queryable, id: string) => {
  const [found] = await tx<
    Organization[]
  >`select ${tx(COLUMNS)} from organizations where id = ${id}`
  return found
}

/** The organizations a subject is a member of. */
export const listOrganizationsOf = (
  tx: Queryable,
  filter: { subject: string; after: string; limit: number },
) => tx<Organization[]>`
  select ${tx(COLUMNS)} from organizations
  where id > ${filter.after} and id in (select organization_id from members where subject = ${filter.subject})
  order by id limit ${filter.limit}`

export const listOrganizations = (tx: Queryable, filter: { after: string; limit: number }) =>
  tx<Organization[]>`
  select ${tx(COLUMNS)} from organizations where id > ${filter.after} order by id limit ${filter.limit}`

export const updateOrganization = async (tx: Queryable, id: string, patch: PatchOrganization) => {
  const [updated] = await tx<Organization[]>`
    update organizations set ${tx(patch)}, version = version + 1, updated_at = now()
    where id = ${id} returning ${tx(COLUMNS)}`
  return updated!
}

export const updateStatus = async (
  tx: Queryable,
  { id, status, reason }: { id: string; status: string; reason: string | null },
) => {
  const [updated] = await tx<Organization[]>`
    update organizations set status = ${status}, status_reason = ${reason}, delete_after = null,
      version = version + 1, updated_at = now()
    where id = ${id} returning ${tx(COLUMNS)}`
  return updated!
}

/** Restores what was about to be deleted; an owner may write these columns, the reason is the platform's. */
export const restore = async (tx: Queryable, id: string) => {
  const [updated] = await tx<Organization[]>`
    update organizations set status = 'active', delete_after = null, version = version + 1, updated_at = now()
    where id = ${id} returning ${tx(COLUMNS)}`
  return updated!
}

/** Marks for deletion; the rows stay until then. */
export const markForDeletion = async (tx: Queryable, id: string, days: number) => {
  const [updated] = await tx<Organization[]>`
    update organizations set status = 'pending_deletion', delete_after = now() + make_interval(days => ${days}),
      version = version + 1, updated_at = now()
    where id = ${id} returning ${tx(COLUMNS)}`
  return updated!
}

export const findIdBySlug = async (tx: Queryable, slug: string) => {
  const [found] = await tx<{ id: string }[]>`select id from organizations where slug = ${slug}`
  return found?.id
}

/** Organizations whose last day has passed. */
export const findOverdue = (tx: Queryable, limit: number) => tx<{ id: string }[]>`
  select id from organizations where status = 'pending_deletion' and delete_after <= clock_timestamp()
  order by delete_after, id limit ${limit}`

/** Deletes an organization with everything in it, unless it was restored in the meantime. */
export const deleteIfOverdue = async (tx: Queryable, id: string) => {
  const deleted = await tx`
    delete from organizations where id = ${id} and status = 'pending_deletion' and delete_after <= clock_timestamp()
    returning 1 as deleted`
  return deleted.length > 0
}
