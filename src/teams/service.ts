import { recordChange } from '../audit/service.ts'
import {
  ceilingOf,
  deniedToSubject,
  givenBySubject,
  guardOwners,
  refuseAboveCeiling,
} from '../decisions/ceiling.ts'
import { requireMember } from '../members/service.ts'
import type { Context } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'
import { changeOrganization, inOrganization } from '../platform/db/transaction.ts'
import type { Violations } from '../platform/db/violation.ts'
import { didYouMean } from '../platform/nearest.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import * as repository from './repository.ts'
import type { ListTeamMembers, ListTeams, OneTeamMember, PutTeam } from './schema.ts'

/** What the database refuses about teams. */
export const teamViolations: Violations = {
  teams_not_its_own_parent: [
    'unprocessable',
    'inheritance-cycle',
    'A team cannot be its own parent.',
    '/parent',
  ],
  teams_parent_in_the_same_organization: [
    'unprocessable',
    'team-unknown',
    'There is no such team.',
    '/parent',
  ],
  team_members_are_members: [
    'unprocessable',
    'member-unknown',
    'Not a member of the organization.',
    '/user',
  ],
}

const notFound = () => new Problem('not-found', 'team-not-found', 'There is no such team.')

/** Teams: named, nestable sets of members. Members of a team hold what the team and its parents hold. */
export const listTeams = (context: Context, { limit, cursor, parent }: ListTeams) =>
  inOrganization(context, async (tx, organizationId) => {
    const range = { organizationId, parent, after: positionOf(cursor), limit: limit + 1 }
    return toPage(await repository.listTeams(tx, range), limit, ({ slug }) => slug)
  })

export const getTeam = (context: Context, { team }: { team: string }) =>
  inOrganization(context, (tx, organizationId) => requireTeam(tx, organizationId, team))

const requireTeam = async (tx: Queryable, organizationId: string, slug: string) => {
  const team = await repository.findTeam(tx, organizationId, slug)
  if (!team) throw notFound()
  return team
}

/**
 * A team that a body names.
 * @throws Problem 422 with the nearest known slugs
 */
export const resolveTeam = async (
  tx: Queryable,
  organizationId: string,
  slug: string,
  pointer: string,
) => {
  const team = await repository.findTeam(tx, organizationId, slug)
  if (team) return team
  const slugs = await repository.findSlugs(tx, organizationId)
  throw unprocessable('team-unknown', pointer, `There is no such team.${didYouMean(slug, slugs)}`)
}

/** Creates or edits a team. A new parent gives the team what the parent holds, so the ceiling applies. */
export const putTeam = (context: Context, { team: slug, ...input }: PutTeam) =>
  changeOrganization(context, async (tx, organizationId) => {
    const ceiling = await ceilingOf(context, tx)
    const before = await repository.findTeam(tx, organizationId, slug)
    refuseStale(context, before?.version)
    const parent = input.parent === undefined ? (before?.parent ?? null) : input.parent
    if (parent !== null && parent !== before?.parent) {
      if (parent !== slug) await resolveTeam(tx, organizationId, parent, '/parent')
      refuseAboveCeiling(
        ceiling,
        await givenBySubject(tx, organizationId, `team:${parent}`),
        '/parent',
      )
    }
    if (before?.parent && parent !== before.parent)
      refuseAboveCeiling(
        ceiling,
        await deniedToSubject(tx, organizationId, `team:${before.parent}`),
        '/parent',
      )
    const name = input.name ?? before?.name ?? slug
    const refuseHarm = await guardOwners(tx, ceiling, organizationId)
    const team = await repository.upsertTeam(tx, { organizationId, slug, name, parent })
    await refuseHarm()
    await recordChange(tx, context, {
      event: before ? 'team.updated' : 'team.created',
      resource: `team:${slug}`,
      before,
      after: team,
    })
    return { created: !before, team }
  })

/** Deletes a team and the grants to it. One with children stays. What the team was denied is given back, so the ceiling applies. */
export const deleteTeam = (context: Context, { team: slug }: { team: string }) =>
  changeOrganization(context, async (tx, organizationId) => {
    const ceiling = await ceilingOf(context, tx)
    const team = await requireTeam(tx, organizationId, slug)
    refuseStale(context, team.version)
    refuseAboveCeiling(ceiling, await deniedToSubject(tx, organizationId, `team:${slug}`))
    if (await repository.hasChildren(tx, organizationId, slug))
      throw new Problem(
        'conflict',
        'team-has-children',
        'Other teams have this one as their parent.',
      )
    await repository.deleteTeam(tx, organizationId, slug)
    await recordChange(tx, context, {
      event: 'team.deleted',
      resource: `team:${slug}`,
      before: team,
    })
  })

export const listTeamMembers = (context: Context, { team, limit, cursor }: ListTeamMembers) =>
  inOrganization(context, async (tx, organizationId) => {
    await requireTeam(tx, organizationId, team)
    const range = { organizationId, team, after: positionOf(cursor), limit: limit + 1 }
    return toPage(await repository.listTeamMembers(tx, range), limit, ({ subject }) => subject)
  })

/** Puts a member into a team: gives them what the team holds, so the ceiling applies. */
export const putTeamMember = (context: Context, { team, user }: OneTeamMember) =>
  changeOrganization(context, async (tx, organizationId) => {
    const ceiling = await ceilingOf(context, tx)
    await requireTeam(tx, organizationId, team)
    await requireMember(tx, organizationId, user)
    refuseAboveCeiling(ceiling, await givenBySubject(tx, organizationId, `team:${team}`))
    const refuseHarm = await guardOwners(tx, ceiling, organizationId)
    const added = await repository.insertTeamMember(tx, { organizationId, team, subject: user })
    await refuseHarm()
    await recordChange(tx, context, {
      event: 'team-member.created',
      resource: `team-member:${team}/${user}`,
      subject: user,
      after: { team, subject: user, added },
    })
    return { subject: user }
  })

/** Takes a member out of a team: gives back what the team is denied, so the ceiling applies. */
export const deleteTeamMember = (context: Context, { team, user }: OneTeamMember) =>
  changeOrganization(context, async (tx, organizationId) => {
    const ceiling = await ceilingOf(context, tx)
    refuseAboveCeiling(ceiling, await deniedToSubject(tx, organizationId, `team:${team}`))
    const removed = await repository.deleteTeamMember(tx, { organizationId, team, subject: user })
    if (!removed)
      throw new Problem('not-found', 'team-member-not-found', 'The team has no such member.')
    await recordChange(tx, context, {
      event: 'team-member.deleted',
      resource: `team-member:${team}/${user}`,
      subject: user,
      before: { team, subject: user },
    })
  })
