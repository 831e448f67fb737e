import type { Queryable } from '../platform/db/connect.ts'
import type { Template } from './schema.ts'

/** A template as its organization sees it. */
export type StoredTemplate = Omit<
  Template,
  'official' | 'derivedFrom' | 'successor' | 'rating' | 'installs' | 'pendingEdit'
> & {
  isOfficial: boolean
  derivedTemplateId: string | null
  derivedVersion: string | null
  successorId: string | null
  ratingScore: number
  ratingCount: number
  installCount: number
  editCaseId: string | null
  editProposed: Partial<Template> | null
  editOpenedAt: string | null
  /** Some version of it may be had by others, or could be once. */
  isApproved: boolean
  /** A submission of one of its versions waits for a moderator. */
  isSubmitted: boolean
}

const SELECT = (tx: Queryable) => tx`
  select t.id, t.number, t.slug, t.kind, t.name, t.summary, coalesce(d.description, '') as description, t.category, t.tags,
    t.integrations, t.license, t.pricing, t.visibility, t.listing, t.listing_reason, t.is_official, t.deprecated_at,
    t.deprecation_note, t.successor_id, t.rating_score, t.rating_count, t.install_count, t.created_at, t.updated_at,
    t.content_updated_at, t.version, b.template_id as derived_template_id, b.version as derived_version,
    e.id as edit_case_id, e.proposed as edit_proposed, e.opened_at as edit_opened_at,
    (select v.version from template_versions v where v.template_id = t.id and v.status = 'published' and v.prerelease is null
      order by v.major desc, v.minor desc, v.patch desc limit 1) as latest,
    exists (select 1 from template_versions v where v.template_id = t.id and v.approved_integrity is not null) as is_approved,
    exists (select 1 from moderation_cases c where c.template_id = t.id and c.kind = 'submission' and c.state = 'open') as is_submitted
  from templates t left join template_descriptions d on d.template_id = t.id
    left join template_versions b on b.id = t.derived_from
    left join moderation_cases e on e.template_id = t.id and e.kind = 'edit' and e.state = 'open'`

export const findTemplate = async (
  tx: Queryable,
  template: { organizationId: string; id: string },
) => {
  const [found] = await tx<StoredTemplate[]>`
    ${SELECT(tx)} where t.organization_id = ${template.organizationId} and t.id = ${template.id}`
  return found
}

export const listTemplates = (
  tx: Queryable,
  range: {
    organizationId: string
    kind?: string | undefined
    listing?: string | undefined
    q?: string | undefined
    after: string
    limit: number
  },
) => tx<StoredTemplate[]>`
  ${SELECT(tx)} where t.organization_id = ${range.organizationId} and t.id > ${range.after}
    and (${range.kind ?? null}::text is null or t.kind = ${range.kind ?? null})
    and (${range.listing ?? null}::text is null or t.listing = ${range.listing ?? null})
    and (${range.q ?? null}::text is null or strpos(lower(t.name || ' ' || t.summary || ' ' || t.slug), lower(${range.q ?? null})) > 0)
  order by t.id limit ${range.limit}`

/** A template's own columns, as they are written. */
export type TemplateRow = {
  organizationId: string
  id: string
  slug: string
  kind: string
  name: string
  summary: string
  category: string
  tags: string[]
  license: string
  derivedFrom: string | null
}

export const insertTemplate = (tx: Queryable, row: TemplateRow) => tx`
  insert into templates (organization_id, id, slug, kind, name, summary, category, tags, license, derived_from)
  values (${row.organizationId}, ${row.id}, ${row.slug}, ${row.kind}, ${row.name}, ${row.summary}, ${row.category},
    ${row.tags}::text[], ${row.license}, ${row.derivedFrom})`

type One = { organizationId: string; id: string }

export const updateTexts = (
  tx: Queryable,
  next: One & Pick<TemplateRow, 'name' | 'summary' | 'category' | 'tags' | 'license'>,
) => tx`
  update templates set name = ${next.name}, summary = ${next.summary}, category = ${next.category}, tags = ${next.tags}::text[],
    license = ${next.license}, version = version + 1, updated_at = now()
  where organization_id = ${next.organizationId} and id = ${next.id}`

export const putDescription = (tx: Queryable, templateId: string, description: string) => tx`
  insert into template_descriptions (template_id, description) values (${templateId}, ${description})
  on conflict (template_id) do update set description = excluded.description`

/** Only its version, where what was edited waits for a moderator. */
export const touchTemplate = (tx: Queryable, { organizationId, id }: One) => tx`
  update templates set version = version + 1, updated_at = now() where organization_id = ${organizationId} and id = ${id}`

export const updateVisibility = (tx: Queryable, next: One & { visibility: string }) => tx`
  update templates set visibility = ${next.visibility}, version = version + 1, updated_at = now()
  where organization_id = ${next.organizationId} and id = ${next.id}`

export const updateListing = (tx: Queryable, next: One & { listing: string }) => tx`
  update templates set listing = ${next.listing}, version = version + 1, updated_at = now()
  where organization_id = ${next.organizationId} and id = ${next.id}`

export const updateDeprecation = (
  tx: Queryable,
  next: One & { note: string | null; successorId: string | null },
) => tx`
  update templates set deprecation_note = ${next.note}, successor_id = ${next.successorId},
    deprecated_at = case when ${next.note}::text is null then null else coalesce(deprecated_at, now()) end,
    version = version + 1, updated_at = now()
  where organization_id = ${next.organizationId} and id = ${next.id}`

/** What it holds now: that of its newest published version, of which others know the approved ones only. */
export const updateContent = (tx: Queryable, next: One & { integrations: string[] }) => tx`
  update templates set integrations = ${next.integrations}::text[], content_updated_at = now()
  where organization_id = ${next.organizationId} and id = ${next.id}`

export const deleteTemplate = (tx: Queryable, { organizationId, id }: One) =>
  tx`delete from templates where organization_id = ${organizationId} and id = ${id}`

export const listCategories = async (tx: Queryable) => {
  const rows = await tx<{ slug: string }[]>`select slug from categories order by slug`
  return rows.map(({ slug }) => slug)
}

/** Names of listed templates of other publishers that have more installations, and about as many characters. */
export const findNamesOfOthers = (
  tx: Queryable,
  own: { organizationId: string; installs: number; charactersMin: number; charactersMax: number },
) => tx<{ id: string; name: string }[]>`
  select id, name from templates
  where listing = 'listed' and organization_id <> ${own.organizationId} and install_count > ${own.installs}
    and length(name) between ${own.charactersMin} and ${own.charactersMax}`

/** The license of the version something was derived from, where that may still be seen. */
export const findDerivedLicense = async (tx: Queryable, templateId: string) => {
  const [found] = await tx<{ license: string; name: string }[]>`
    select b.license, b.name from templates t join template_versions v on v.id = t.derived_from
      join templates b on b.id = v.template_id
    where t.id = ${templateId}`
  return found
}
