import type { Queryable } from '../platform/db/connect.ts'

/** What the download decision looks at, of a template that row-level security lets the caller's organization see. */
export type DownloadableTemplate = {
  id: string
  organizationId: string
  kind: 'scenario' | 'role_pack'
  name: string
  license: string
  pricing: 'free' | 'paid'
  visibility: 'private' | 'unlisted' | 'public'
  listing: string
  listingReason: string | null
  /** A live, unsuspended entitlement of the caller's organization. */
  isEntitled: boolean
  isInstalled: boolean
}

/** One version, with what an installer is shown of it. */
export type DownloadableVersion = {
  id: string
  version: string
  status: 'draft' | 'submitted' | 'published' | 'rejected' | 'yanked' | 'blocked'
  statusReason: string | null
  isApproved: boolean
  isInstalled: boolean
}

/** What a version holds: only after the download decision. */
export type Content = {
  definition: string
  integrity: string
  capabilities: string[]
  inputs: unknown[]
}

export const findTemplate = async (tx: Queryable, organizationId: string, id: string) => {
  const [found] = await tx<DownloadableTemplate[]>`
    select t.id, t.organization_id, t.kind, t.name, t.license, t.pricing, t.visibility, t.listing, t.listing_reason,
      exists (select 1 from entitlements e where e.template_id = t.id and e.organization_id = ${organizationId}
        and e.revoked_at is null and e.suspended_at is null and coalesce(e.expires_at > now(), true)) as is_entitled,
      exists (select 1 from installations i where i.template_id = t.id and i.organization_id = ${organizationId}
        and i.status = 'active') as is_installed
    from templates t where t.id = ${id}`
  return found
}

export const listVersions = (tx: Queryable, organizationId: string, templateId: string) => tx<
  DownloadableVersion[]
>`
  select v.id, v.version, v.status, v.status_reason, v.approved_integrity is not null as is_approved,
    exists (select 1 from installations i where i.organization_id = ${organizationId} and i.template_id = v.template_id
      and i.version_id = v.id and i.status = 'active') as is_installed
  from template_versions v where v.template_id = ${templateId}`

export const findContent = async (tx: Queryable, versionId: string) => {
  const [found] = await tx<Content[]>`
    select definition, integrity, capabilities, inputs from template_versions where id = ${versionId}`
  return found!
}

export const listPrices = (tx: Queryable, templateId: string) => tx<
  { currency: string; amountMinor: number }[]
>`
  select currency, amount_minor::float8 as amount_minor from prices
  where template_id = ${templateId} and retired_at is null order by currency`

/** An organization counts once a day, whatever it does. */
export const countUse = (
  tx: Queryable,
  use: { templateId: string; organizationId: string; what: string },
) => tx`
  insert into template_day_organizations (template_id, day, what, organization_id)
  values (${use.templateId}, (now() at time zone 'UTC')::date, ${use.what}, ${use.organizationId}) on conflict do nothing`
