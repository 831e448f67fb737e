import type { Queryable } from '../platform/db/connect.ts'
import type { OwnRating, RatingItem } from './schema.ts'

/** One person's rating, whatever organization they gave it for. */
export const findRating = async (tx: Queryable, templateId: string, subject: string) => {
  const [found] = await tx<
    (OwnRating & { organizationId: string; hiddenAt: string | null; createdAt: string })[]
  >`
    select r.stars, r.body, v.version, r.organization_id, r.hidden_at, r.created_at, r.updated_at
    from ratings r left join template_versions v on v.id = r.version_id
    where r.template_id = ${templateId} and r.subject = ${subject}`
  return found
}

/** The version an organization has installed, or had last. */
export const findInstalled = async (tx: Queryable, organizationId: string, templateId: string) => {
  const [found] = await tx<{ versionId: string }[]>`
    select version_id from installations
    where organization_id = ${organizationId} and template_id = ${templateId} and status in ('active', 'removed')
    order by (status = 'active') desc, updated_at desc, id desc limit 1`
  return found
}

export const isMember = async (tx: Queryable, organizationId: string, subject: string) => {
  const [found] = await tx`
    select 1 from members where organization_id = ${organizationId} and subject = ${subject}`
  return found !== undefined
}

export const putRating = (
  tx: Queryable,
  rating: {
    templateId: string
    subject: string
    organizationId: string
    versionId: string
    stars: number
    body: string | null
  },
) => tx`
  insert into ratings ${tx(rating)}
  on conflict on constraint ratings_one_per_person do update
    set stars = excluded.stars, body = excluded.body, version_id = excluded.version_id, updated_at = now()`

export const deleteRating = (
  tx: Queryable,
  rating: { templateId: string; subject: string; organizationId: string },
) => tx`
  delete from ratings where template_id = ${rating.templateId} and subject = ${rating.subject}
    and organization_id = ${rating.organizationId}`

export const readScore = async (tx: Queryable, templateId: string) => {
  const [row] = await tx<{ score: number; count: number }[]>`
    select round(rating_score::numeric, 2)::float8 as score, rating_count as count from templates where id = ${templateId}`
  return row ?? { score: 0, count: 0 }
}

/** The newest first. Those of one instant are told apart by how many of them were read: whose they are stays here. */
export const listRatings = (
  tx: Queryable,
  range: {
    templateId: string
    subject: string
    showsSubjects: boolean
    until: string | null
    skip: number
    limit: number
  },
) => tx<(RatingItem & { at: string })[]>`
  select r.stars, r.body, v.version, r.subject = ${range.subject} as is_own,
    case when ${range.showsSubjects} or r.subject = ${range.subject} then r.subject end as subject, r.created_at, r.updated_at,
    to_char(r.updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at
  from ratings r join template_versions v on v.id = r.version_id
  where r.template_id = ${range.templateId} and r.hidden_at is null
    and (${range.until}::timestamptz is null or r.updated_at <= ${range.until}::timestamptz)
  order by r.updated_at desc, r.subject offset ${range.skip} limit ${range.limit}`
