import type { Queryable } from '../platform/db/connect.ts'

/** Everybody who could hold anything here: members, whoever has a grant, and the platform's operators. In order. */
export const findCandidates = async (
  tx: Queryable,
  { organizationId, after, limit }: { organizationId: string; after: string; limit: number },
) => {
  const rows = await tx<{ subject: string }[]>`
    select subject from (
      (select subject from members where organization_id = ${organizationId} and subject > ${after}
        order by subject limit ${limit})
      union
      (select distinct subject from grants where organization_id = ${organizationId} and subject > ${after}
        and subject !~ '^(team|role):' order by subject limit ${limit})
      union
      (select distinct subject from grants where organization_id is null and subject > ${after}
        order by subject limit ${limit})) everybody
    order by subject limit ${limit}`
  return rows.map(({ subject }) => subject)
}

/** Every resource of a type that is registered or has a grant of its own. In order. */
export const findResources = async (
  tx: Queryable,
  filter: { organizationId: string; type: string; after: string; limit: number },
) => {
  const { organizationId, type, after, limit } = filter
  const rows = await tx<{ id: string }[]>`
    select id from (
      (select id::text collate "C" as id from resources
        where organization_id = ${organizationId} and type = ${type} and id > ${after} order by 1 limit ${limit})
      union
      (select distinct resource_id::text collate "C" from grants
        where organization_id = ${organizationId} and resource_type = ${type} and resource_id > ${after}
        order by 1 limit ${limit})) everything
    order by id limit ${limit}`
  return rows.map(({ id }) => id)
}

/** Where the organization and the platform stand, and when the next of the grants that count in it ends, within a span. */
export const findNextEnd = async (
  tx: Queryable,
  {
    organizationId,
    afterMs,
    untilMs,
  }: { organizationId: string; afterMs: number; untilMs: number },
) => {
  const [row] = await tx<
    { revision: number | null; platformRevision: number; endsAtMs: number | null }[]
  >`
    select o.revision, p.revision as platform_revision, (
      select min(extract(epoch from g.expires_at) * 1000)::float8 from grants g
      where (g.organization_id = ${organizationId} or g.organization_id is null)
        and g.expires_at > to_timestamp(${afterMs}::float8 / 1000)
        and g.expires_at <= to_timestamp(${untilMs}::float8 / 1000)) as ends_at_ms
    from platform p left join organizations o on o.id = ${organizationId}`
  return row!
}
