import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import { etag } from '../platform/version.ts'
import {
  ListTeamMembers,
  ListTeams,
  OneTeam,
  OneTeamMember,
  PutTeam,
  Team,
  TeamMember,
} from './schema.ts'
import * as service from './service.ts'

/** Mounted at /v1/organizations/:organization/teams. */
export const teamRoutes = router()
  .get(
    '/',
    permit('team:read'),
    answers(200, pageOf(Team), 'List teams'),
    validate('query', ListTeams),
    async (c) => c.json(await service.listTeams(c.var.context, c.req.valid('query'))),
  )
  .get(
    '/:team',
    permit('team:read'),
    answers(200, Team, 'Read a team'),
    validate('param', OneTeam),
    async (c) => {
      const team = await service.getTeam(c.var.context, c.req.valid('param'))
      return c.json(team, 200, etag(team))
    },
  )
  .put(
    '/:team',
    permit('team:manage'),
    answers(200, Team, 'Create or edit a team'),
    validate('param', OneTeam),
    validate('json', PutTeam),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      const { created, team } = await service.putTeam(c.var.context, input)
      return c.json(team, created ? 201 : 200, etag(team))
    },
  )
  .delete(
    '/:team',
    permit('team:manage'),
    answers(204, null, 'Delete a team'),
    validate('param', OneTeam),
    async (c) => {
      await service.deleteTeam(c.var.context, c.req.valid('param'))
      return c.body(null, 204)
    },
  )
  .get(
    '/:team/members',
    permit('team:read'),
    answers(200, pageOf(TeamMember), 'List the members of a team'),
    validate('param', OneTeam),
    validate('query', ListTeamMembers),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('query') }
      return c.json(await service.listTeamMembers(c.var.context, input))
    },
  )
  .put(
    '/:team/members/:user',
    permit('team:manage'),
    answers(200, TeamMember, 'Put a member into a team'),
    validate('param', OneTeamMember),
    async (c) => c.json(await service.putTeamMember(c.var.context, c.req.valid('param'))),
  )
  .delete(
    '/:team/members/:user',
    permit('team:manage'),
    answers(204, null, 'Take a member out of a team'),
    validate('param', OneTeamMember),
    async (c) => {
      await service.deleteTeamMember(c.var.context, c.req.valid('param'))
      return c.body(null, 204)
    },
  )
