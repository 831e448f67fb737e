import type { Queryable } from '../platform/db/connect.ts'
import type { Removal } from './schema.ts'

export const insertRemoval = (
  tx: Queryable,
  removal: {
    id: string
    templateId: string
    organizationId: string
    templateName: string
    handle: string
    version: string | null
    reasonCode: string
    note: string
    removedBy: string
    former: string
    formerReason: string | null
  },
) => tx`insert into removals ${tx(removal)}`

/** What stood before the last removal of a template (or of one of its versions) that still counts. */
export const findFormer = async (tx: Queryable, templateId: string, version: string | null) => {
  const [found] = await tx<{ former: string | null; formerReason: string | null }[]>`
    select former, former_reason from removals
    where template_id = ${templateId} and version is not distinct from ${version} and lifted_at is null
    order by id desc limit 1`
  return found
}

/** Whether a template has what it may be listed by, and what became of its last submission. */
export const findReviewed = async (tx: Queryable, templateId: string) => {
  const [row] = await tx<{ hasApproved: boolean; submission: string | null }[]>`
    select exists (select from template_versions where template_id = ${templateId} and status in ('published', 'yanked')
        and approved_integrity is not null) as has_approved,
      (select state from moderation_cases where template_id = ${templateId} and kind = 'submission' order by id desc limit 1) as submission`
  return row!
}

/** Ends the removals of a template (or of one of its versions) that still count. */
export const liftRemovals = (
  tx: Queryable,
  removal: { templateId: string; version: string | null; by: string },
) => tx`
  update removals set lifted_at = now(), lifted_by = ${removal.by}
  where template_id = ${removal.templateId} and version is not distinct from ${removal.version} and lifted_at is null`

export const findRemoval = async (tx: Queryable, id: string) => {
  const [found] = await tx<
    { templateId: string; version: string | null; removedBy: string; isLifted: boolean }[]
  >`
    select template_id, version, removed_by, lifted_at is not null as is_lifted from removals where id = ${id}`
  return found
}

export const findVersionNamed = async (tx: Queryable, templateId: string, version: string) => {
  const [found] = await tx<{ id: string }[]>`
    select id from template_versions where template_id = ${templateId} and version = ${version}`
  return found
}

export const listRemovals = (tx: Queryable, range: { before: string; limit: number }) => tx<
  Removal[]
>`
  select id, template_id as template, template_name as name, handle as publisher, version, reason_code, note, at, lifted_at
  from removals where (${range.before} = '' or id < ${range.before}) order by id desc limit ${range.limit}`
