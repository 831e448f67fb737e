import type { Queryable } from '../platform/db/connect.ts'
import type { CaseSummary, Category } from './schema.ts'

const CASE = (tx: Queryable) => tx`
  c.id, c.kind, c.state, json_build_object('id', t.id, 'name', t.name, 'handle', p.handle) as template, v.version,
  c.reason_code, c.note, c.opened_by, c.opened_at, c.decided_by, c.decided_at, c.decision_note`
const FROM = (tx: Queryable) => tx`
  from moderation_cases c join templates t on t.id = c.template_id
  left join publishers p on p.organization_id = t.organization_id
  left join template_versions v on v.id = c.version_id`

/** A case with what its decision touches. */
export type StoredCase = CaseSummary & {
  templateId: string
  versionId: string | null
  organizationId: string
  visibility: string
  checks: Record<string, unknown>[]
  proposed: Record<string, unknown> | null
  appeals: string | null
}

export const listCases = (
  tx: Queryable,
  filter: {
    kind: string | null
    state: string | null
    template: string | null
    publisher: string | null
    after: string
    limit: number
  },
) => tx<CaseSummary[]>`
  select ${CASE(tx)} ${FROM(tx)}
  where c.id > ${filter.after} and (${filter.kind}::text is null or c.kind = ${filter.kind})
    and (${filter.state}::text is null or c.state = ${filter.state})
    and (${filter.template}::text is null or c.template_id = ${filter.template})
    and (${filter.publisher}::text is null or t.organization_id = ${filter.publisher} or p.handle = ${filter.publisher})
  order by c.id limit ${filter.limit}`

/** The other cases of a template, the newest first. */
export const listHistory = (tx: Queryable, templateId: string, caseId: string) => tx<CaseSummary[]>`
  select ${CASE(tx)} ${FROM(tx)} where c.template_id = ${templateId} and c.id <> ${caseId} order by c.id desc limit 50`

export const findCase = async (tx: Queryable, id: string) => {
  const [found] = await tx<StoredCase[]>`
    select ${CASE(tx)}, c.template_id, c.version_id, t.organization_id, t.visibility, c.checks, c.proposed, c.appeals ${FROM(tx)}
    where c.id = ${id}`
  return found
}

/** Takes a case, so that it is decided once. */
export const lockCase = (tx: Queryable, id: string) => tx`
  select 1 from moderation_cases where id = ${id} for update`

export type StoredVersion = {
  id: string
  version: string
  integrity: string
  sizeBytes: number
  capabilities: string[]
  inputs: unknown[]
  changelog: string
  definition: string
  status: string
  statusReason: string | null
}

export const findVersion = async (tx: Queryable, id: string) => {
  const [found] = await tx<(StoredVersion & { templateId: string })[]>`
    select id, template_id, version, integrity, size_bytes, capabilities, inputs, changelog, definition, status, status_reason
    from template_versions where id = ${id}`
  return found
}

/** The newest version that was approved before this one. */
export const findApprovedBefore = async (tx: Queryable, templateId: string, versionId: string) => {
  const [found] = await tx<Pick<StoredVersion, 'version' | 'integrity' | 'capabilities'>[]>`
    select version, integrity, capabilities from template_versions
    where template_id = ${templateId} and id <> ${versionId} and approved_integrity is not null
    order by major desc, minor desc, patch desc, (prerelease is null) desc limit 1`
  return found
}

export const decideCase = (
  tx: Queryable,
  decision: {
    id: string
    state: string
    by: string
    reasonCode: string | null
    note: string | null
  },
) => tx`
  update moderation_cases set state = ${decision.state}, decided_by = ${decision.by}, decided_at = now(),
    reason_code = coalesce(${decision.reasonCode}, reason_code), decision_note = ${decision.note}
  where id = ${decision.id}`

export const approveVersion = (tx: Queryable, id: string) => tx`
  update template_versions set status = 'published', approved_integrity = integrity, published_at = coalesce(published_at, now()),
    updated_at = now() where id = ${id}`

export const setVersionStatus = (
  tx: Queryable,
  version: { id: string; status: string; reason: string | null },
) => tx`
  update template_versions set status = ${version.status}, status_reason = ${version.reason}, updated_at = now()
  where id = ${version.id}`

export type Moderable = {
  id: string
  name: string
  organizationId: string
  handle: string | null
  visibility: string
  listing: string
  isOfficial: boolean
}

export const lockTemplate = async (tx: Queryable, id: string) => {
  const [found] = await tx<Moderable[]>`
    select t.id, t.name, t.organization_id, p.handle, t.visibility, t.listing, t.is_official
    from templates t left join publishers p on p.organization_id = t.organization_id where t.id = ${id} for update of t`
  return found
}

export const setListing = (
  tx: Queryable,
  template: { id: string; listing: string; reason: string | null },
) => tx`
  update templates set listing = ${template.listing}, listing_reason = ${template.reason}, version = version + 1, updated_at = now()
  where id = ${template.id}`

/** What its newest published version uses: the catalog filters by it. */
export const setIntegrations = (tx: Queryable, id: string) => tx`
  update templates set content_updated_at = now(), integrations = coalesce((
      select array(select substr(c, 13) from jsonb_array_elements_text(v.capabilities) c where starts_with(c, 'integration:') order by 1)
      from template_versions v where v.template_id = ${id} and v.status = 'published' and v.approved_integrity is not null
      order by v.major desc, v.minor desc, v.patch desc, (v.prerelease is null) desc limit 1), '{}')
  where id = ${id}`

export const setOfficial = (tx: Queryable, id: string, official: boolean) => tx`
  update templates set is_official = ${official}, version = version + 1, updated_at = now() where id = ${id}`

/** What a listed template shows once an edit is approved. */
export const applyEdit = (
  tx: Queryable,
  id: string,
  next: { name?: string; summary?: string; category?: string; tags?: string[]; license?: string },
) => tx`
  update templates set name = coalesce(${next.name ?? null}::text, name), summary = coalesce(${next.summary ?? null}::text, summary),
    category = coalesce(${next.category ?? null}::text, category), tags = coalesce(${next.tags ?? null}::text[], tags),
    license = coalesce(${next.license ?? null}::text, license),
    content_updated_at = now(), version = version + 1, updated_at = now() where id = ${id}`

export const applyDescription = (tx: Queryable, id: string, description: string) => tx`
  insert into template_descriptions (template_id, description) values (${id}, ${description})
  on conflict (template_id) do update set description = excluded.description`

export const isMember = async (tx: Queryable, organizationId: string, subject: string) => {
  const [found] = await tx`
    select 1 from members where organization_id = ${organizationId} and subject = ${subject}`
  return found !== undefined
}

export const insertReport = (
  tx: Queryable,
  report: { id: string; templateId: string; openedBy: string; reasonCode: string; note: string },
) => tx`insert into moderation_cases ${tx({ kind: 'report', ...report })}`

export const findPublisher = async (tx: Queryable, reference: string) => {
  const [found] = await tx<
    {
      organizationId: string
      handle: string
      status: string
      verifiedAt: string | null
      verifiedBy: string | null
    }[]
  >`
    select p.organization_id, p.handle, p.status, p.verified_at, p.verified_by
    from publishers p join organizations o on o.id = p.organization_id
    where o.id = ${reference} or o.slug = ${reference} for update of p`
  return found
}

export const setPublisherStatus = (
  tx: Queryable,
  publisher: { organizationId: string; status: string; reason: string | null },
) => tx`
  update publishers set status = ${publisher.status}, status_reason = ${publisher.reason}, version = version + 1, updated_at = now()
  where organization_id = ${publisher.organizationId}`

export const setPublisherVerified = (tx: Queryable, organizationId: string) => tx`
  update publishers set verified_at = now(), verified_by = 'moderator', version = version + 1, updated_at = now()
  where organization_id = ${organizationId}`

export const listListed = (tx: Queryable, organizationId: string) => tx<{ id: string }[]>`
  select id from templates where organization_id = ${organizationId} and listing = 'listed' order by id`

export const upsertCategory = async (
  tx: Queryable,
  category: { slug: string; name: string; parent: string | null },
) => {
  const [stored] = await tx<Category[]>`
    insert into categories ${tx(category)}
    on conflict (slug) do update set name = excluded.name, parent = excluded.parent returning slug, number, name, parent`
  return stored!
}

/** The categories above one, itself first. */
export const listAncestors = (tx: Queryable, slug: string) => tx<{ slug: string }[]>`
  with recursive up as (
    select slug, parent, 1 as depth from categories where slug = ${slug}
    union all select c.slug, c.parent, depth + 1 from categories c join up on c.slug = up.parent where depth < 20)
  select slug from up`

export const findCategory = async (tx: Queryable, slug: string) => {
  const [found] = await tx<Category[]>`
    select slug, number, name, parent from categories where slug = ${slug}`
  return found
}

export const moveTemplates = (tx: Queryable, from: string, to: string) => tx`
  update templates set category = ${to} where category = ${from}`

export const moveCategories = (tx: Queryable, from: string, to: string) => tx`
  update categories set parent = ${to} where parent = ${from} and slug <> ${to}`

export const deleteCategory = (tx: Queryable, slug: string) => tx`
  delete from categories where slug = ${slug}`

export const setRatingHidden = async (
  tx: Queryable,
  rating: { templateId: string; subject: string; isHidden: boolean },
) => {
  const [found] = await tx<{ organizationId: string }[]>`
    update ratings set hidden_at = case when ${rating.isHidden} then now() end
    where template_id = ${rating.templateId} and subject = ${rating.subject} returning organization_id`
  return found
}

export const countOpen = (tx: Queryable) => tx<
  { kind: 'submission' | 'edit' | 'report' | 'appeal'; cases: number; oldestAgeSeconds: number }[]
>`
  select kind, count(*)::int as cases, extract(epoch from now() - min(opened_at))::int as oldest_age_seconds
  from moderation_cases where state = 'open' group by kind order by kind`

export const countDecisions = (tx: Queryable) => tx<
  { kind: never; state: never; reasonCode: string | null; cases: number }[]
>`
  select kind, state, reason_code, count(*)::int as cases from moderation_cases
  where decided_at > now() - interval '90 days' group by 1, 2, 3 order by 1, 2, 3`

export const countModerators = (tx: Queryable) => tx<
  { moderator: string; cases: number; medianHours: number }[]
>`
  select decided_by as moderator, count(*)::int as cases,
    round((percentile_cont(0.5) within group (order by extract(epoch from decided_at - opened_at)) / 3600)::numeric, 2)::float8 as median_hours
  from moderation_cases where decided_at > now() - interval '90 days' group by 1 order by 2 desc, 1 limit 100`

export const countAppeals = async (tx: Queryable) => {
  const [counted] = await tx<{ decided: number; turned: number }[]>`
    select count(*)::int as decided, (count(*) filter (where state = 'approved'))::int as turned
    from moderation_cases where kind = 'appeal' and decided_at > now() - interval '90 days'`
  return counted!
}
