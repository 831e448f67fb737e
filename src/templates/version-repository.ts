import type { Queryable } from '../platform/db/connect.ts'
import type { Input } from './fill.ts'
import type { Version } from './schema.ts'
import type { VersionParts } from './versions.ts'

/** A version as its organization sees it; the definition is read apart. */
export type StoredVersion = Omit<Version, 'template' | 'approved' | 'review'> & {
  templateId: string
  isApproved: boolean
  caseId: string | null
  caseState: 'open' | 'approved' | 'rejected' | 'withdrawn' | null
  caseReasonCode: string | null
  caseNote: string | null
  caseOpenedAt: string | null
  caseDecidedAt: string | null
}

/** What the server makes of a definition. */
export type Made = {
  /** Canonical JSON. */
  definition: string
  integrity: string
  sizeBytes: number
  capabilities: readonly string[]
  inputs: readonly Input[]
}

const SELECT = (tx: Queryable) => tx`
  select v.id, v.template_id, v.version, v.status, v.status_reason, v.approved_integrity is not null as is_approved, v.integrity,
    v.size_bytes, v.capabilities, v.inputs, v.changelog, v.published_at, v.created_at, v.updated_at, v.edit,
    c.id as case_id, c.state as case_state, c.reason_code as case_reason_code, c.decision_note as case_note,
    c.opened_at as case_opened_at, c.decided_at as case_decided_at
  from template_versions v left join lateral (
    select * from moderation_cases m where m.version_id = v.id and m.kind = 'submission' order by m.opened_at desc, m.id desc limit 1) c on true`

export const findVersion = async (
  tx: Queryable,
  { templateId, version }: { templateId: string; version: string },
) => {
  const [found] = await tx<StoredVersion[]>`
    ${SELECT(tx)} where v.template_id = ${templateId} and v.version = ${version}`
  return found
}

export const listVersions = (
  tx: Queryable,
  range: { templateId: string; after: string; limit: number },
) => tx<StoredVersion[]>`
  ${SELECT(tx)} where v.template_id = ${range.templateId} and v.id > ${range.after} order by v.id limit ${range.limit}`

export const findDefinition = async (tx: Queryable, id: string) => {
  const [found] = await tx<{ definition: string }[]>`
    select definition from template_versions where id = ${id}`
  return found!.definition
}

/** Of every version that was ever published, what decides how far the next one must step. */
export const listReleased = (tx: Queryable, templateId: string) => tx<
  { version: string; isApproved: boolean; capabilities: string[]; inputs: Input[] }[]
>`
  select version, approved_integrity is not null as is_approved, capabilities, inputs from template_versions
  where template_id = ${templateId} and status in ('published', 'yanked') and prerelease is null`

export const insertVersion = (
  tx: Queryable,
  {
    parts,
    made,
    ...row
  }: {
    id: string
    templateId: string
    parts: VersionParts
    made: Made
    changelog: string
  },
) => tx`
  insert into template_versions (id, template_id, major, minor, patch, prerelease, definition, integrity, size_bytes, capabilities,
    inputs, changelog)
  values (${row.id}, ${row.templateId}, ${parts.major}, ${parts.minor}, ${parts.patch}, ${parts.prerelease}, ${made.definition},
    ${made.integrity}, ${made.sizeBytes}, ${tx.json(made.capabilities as never)}, ${tx.json(made.inputs as never)}, ${row.changelog})`

export const updateDraft = (
  tx: Queryable,
  { id, parts, changelog }: { id: string; parts: VersionParts; changelog: string },
) => tx`
  update template_versions set major = ${parts.major}, minor = ${parts.minor}, patch = ${parts.patch},
    prerelease = ${parts.prerelease}, changelog = ${changelog}, status = 'draft', edit = edit + 1, updated_at = now()
  where id = ${id}`

export const updateDefinition = (tx: Queryable, { id, made }: { id: string; made: Made }) => tx`
  update template_versions set definition = ${made.definition}, integrity = ${made.integrity}, size_bytes = ${made.sizeBytes},
    capabilities = ${tx.json(made.capabilities as never)}, inputs = ${tx.json(made.inputs as never)}
  where id = ${id}`

/** A new status, with the moment it was first published. */
export const updateStatus = (
  tx: Queryable,
  next: { id: string; status: string; reason: string | null },
) => tx`
  update template_versions set status = ${next.status}, status_reason = ${next.reason}, edit = edit + 1, updated_at = now(),
    published_at = case when ${next.status} = 'published' then coalesce(published_at, now()) else published_at end
  where id = ${next.id}`

export const deleteVersion = (tx: Queryable, id: string) =>
  tx`delete from template_versions where id = ${id}`
