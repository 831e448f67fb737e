import type { Queryable } from '../platform/db/connect.ts'
import type { Case, Check } from './schema.ts'

const RETURNED = (tx: Queryable) => tx`
  id, kind, template_id as template, appeals, state, note, proposed, checks, opened_by, opened_at`

export type NewCase = {
  id: string
  kind: 'submission' | 'edit' | 'appeal'
  templateId: string
  versionId?: string
  proposed?: object
  appeals?: string
  openedBy: string
  note?: string | undefined
  checks?: readonly Check[]
}

/** Opens a case for moderators. */
export const insertCase = async (tx: Queryable, opened: NewCase) => {
  const { proposed } = opened
  const [inserted] = await tx<Omit<Case, 'version'>[]>`
    insert into moderation_cases (id, kind, template_id, version_id, proposed, appeals, opened_by, note, checks)
    values (${opened.id}, ${opened.kind}, ${opened.templateId}, ${opened.versionId ?? null},
      ${proposed === undefined ? null : tx.json(proposed as never)}, ${opened.appeals ?? null}, ${opened.openedBy},
      ${opened.note ?? null}, ${tx.json((opened.checks ?? []) as never)})
    returning ${RETURNED(tx)}`
  return inserted!
}

/** Takes back an open submission of a version; nothing where there is none, because it was decided meanwhile. */
export const withdrawSubmission = async (tx: Queryable, versionId: string) => {
  const [withdrawn] = await tx<Omit<Case, 'version'>[]>`
    update moderation_cases set state = 'withdrawn'
    where version_id = ${versionId} and kind = 'submission' and state = 'open' returning ${RETURNED(tx)}`
  return withdrawn
}

/** Takes back an open edit, which another one takes the place of. */
export const withdrawEdit = (tx: Queryable, id: string) => tx`
  update moderation_cases set state = 'withdrawn' where id = ${id} and kind = 'edit' and state = 'open'`

/** A removal of something of the organization's that still holds. */
export const findRemoval = async (
  tx: Queryable,
  removal: { id: string; organizationId: string; templateId: string },
) => {
  const [found] = await tx<{ id: string }[]>`
    select id from removals where id = ${removal.id} and organization_id = ${removal.organizationId}
      and template_id = ${removal.templateId} and lifted_at is null`
  return found
}
