import type { Queryable } from '../platform/db/connect.ts'
import type { Team } from './schema.ts'

const COLUMNS = ['slug', 'name', 'parent', 'version', 'createdAt', 'updatedAt'] as const

export const findTeam = async (tx: Queryable, organizationId: string, slug: string) => {
  const [team] = await tx<Team[]>`
    select ${tx(COLUMNS)} from teams where organization_id = ${organizationId} and slug = ${slug}`
  return team
}

export const findSlugs = async (tx: Queryable, organizationId: string) => {
  const rows = await tx<
    { slug: string }[]
  >`select slug from teams where organization_id = ${organizationId}`
  return rows.map(({ slug }) => slug)
}

export const listTeams = (
  tx: Queryable,
  filter: { organizationId: string; parent?: string | undefined; after: string; limit: number },
) => tx<Team[]>`
  select ${tx(COLUMNS)} from teams
  where organization_id = ${filter.organizationId} and slug > ${filter.after}
    and (${filter.parent ?? null}::text is null or parent = ${filter.parent ?? null})
  order by slug limit ${filter.limit}`

export const upsertTeam = async (
  tx: Queryable,
  team: { organizationId: string; slug: string; name: string; parent: string | null },
) => {
  const [stored] = await tx<Team[]>`
    insert into teams ${tx(team)}
    on conflict (organization_id, slug) do update
      set name = excluded.name, parent = excluded.parent, version = teams.version + 1, updated_at = now()
    returning ${tx(COLUMNS)}`
  return stored!
}

export const hasChildren = async (tx: Queryable, organizationId: string, slug: string) => {
  const rows =
    await tx`select 1 from teams where organization_id = ${organizationId} and parent = ${slug} limit 1`
  return rows.length > 0
}

export const deleteTeam = (tx: Queryable, organizationId: string, slug: string) =>
  tx`delete from teams where organization_id = ${organizationId} and slug = ${slug}`

/** Returns nothing when the subject sits in the team already. */
export const insertTeamMember = async (
  tx: Queryable,
  member: { organizationId: string; team: string; subject: string },
) => {
  const rows =
    await tx`insert into team_members ${tx(member)} on conflict do nothing returning 1 as added`
  return rows.length > 0
}

export const deleteTeamMember = async (
  tx: Queryable,
  member: { organizationId: string; team: string; subject: string },
) => {
  const rows = await tx`
    delete from team_members where organization_id = ${member.organizationId} and team = ${member.team}
      and subject = ${member.subject} returning 1 as removed`
  return rows.length > 0
}

export const listTeamMembers = (
  tx: Queryable,
  filter: { organizationId: string; team: string; after: string; limit: number },
) => tx<{ subject: string }[]>`
  select subject from team_members
  where organization_id = ${filter.organizationId} and team = ${filter.team} and subject > ${filter.after}
  order by subject limit ${filter.limit}`
