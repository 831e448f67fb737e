import type { Queryable } from '../platform/db/connect.ts'
import type { Advisory, Card, CatalogVersion, Category, Entitlement } from './schema.ts'
import { ITEM } from './search-repository.ts'

/** A card as one row holds it. */
export type StoredCard = Omit<
  Card,
  'versions' | 'capabilities' | 'inputs' | 'advisories' | 'entitlement' | 'derived'
>

export const findCard = async (tx: Queryable, id: string) => {
  const [found] = await tx<StoredCard[]>`
    select ${ITEM(tx)}, coalesce(d.description, '') as description, t.deprecation_note,
      (select s.id from templates s where s.id = t.successor_id) as successor,
      case when b.id is not null then json_build_object('template', b.template_id, 'version', b.version) end as derived_from
    from templates t left join publishers p on p.organization_id = t.organization_id
      left join template_descriptions d on d.template_id = t.id left join template_versions b on b.id = t.derived_from
    where t.id = ${id}`
  return found
}

/** By its publisher's handle: an unlisted one is found by its id only. */
export const findNamed = async (
  tx: Queryable,
  named: { organizationId: string; handle: string; slug: string },
) => {
  const [found] = await tx<{ id: string }[]>`
    select t.id from templates t join publishers p on p.organization_id = t.organization_id
    where p.handle = ${named.handle} and t.slug = ${named.slug}
      and (t.visibility = 'public' or t.organization_id = ${named.organizationId})`
  return found
}

export const findNumbered = async (tx: Queryable, number: number) => {
  const [found] = await tx<{ id: string }[]>`
    select id from templates where number = ${number} and kind = 'scenario' and listing = 'listed'`
  return found
}

/** The versions of a template that may be known of: approved ones, and of one's own all that were published. */
export const listVersions = (tx: Queryable, templateId: string, isOwn: boolean) => tx<
  CatalogVersion[]
>`
  select version, status, status_reason, integrity, size_bytes, capabilities, inputs, changelog, published_at, created_at, updated_at
  from template_versions where template_id = ${templateId} and status in ('published', 'yanked', 'blocked')
    and (${isOwn} or approved_integrity is not null)`

export const listAdvisories = (tx: Queryable, templateId: string) => tx<Advisory[]>`
  select id, affected_range, severity, summary, fixed_in, published_at from advisories
  where template_id = ${templateId} and withdrawn_at is null order by published_at desc, id`

export const findEntitlement = async (
  tx: Queryable,
  organizationId: string,
  templateId: string,
) => {
  const [found] = await tx<Entitlement[]>`
    select source, license, expires_at, suspended_at is not null as is_suspended from entitlements
    where organization_id = ${organizationId} and template_id = ${templateId} and revoked_at is null
      and coalesce(expires_at > now(), true)`
  return found
}

export const countDerived = async (tx: Queryable, templateId: string) => {
  const [row] = await tx<{ derived: number }[]>`
    select count(*)::int as derived from templates t join template_versions v on v.id = t.derived_from
    where v.template_id = ${templateId} and t.listing = 'listed'`
  return row!.derived
}

/** An organization counts once a day, however often it looks. */
export const countView = (tx: Queryable, templateId: string, organizationId: string) => tx`
  insert into template_day_organizations (template_id, day, what, organization_id)
  values (${templateId}, (now() at time zone 'UTC')::date, 'views', ${organizationId}) on conflict do nothing`

/** Every category with the number of listed templates in it alone. */
export const listCategories = (tx: Queryable) => tx<
  (Omit<Category, 'children'> & { parent: string | null })[]
>`
  select c.slug, c.number, c.name, c.parent, coalesce(t.count, 0)::int as count from categories c
    left join (select category, count(*) from templates where listing = 'listed' group by category) t on t.category = c.slug
  order by c.name, c.slug`
