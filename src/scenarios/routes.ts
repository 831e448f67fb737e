import { answers, permit, permitEveryone, permitOn } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import { etag } from '../platform/version.ts'
import {
  CreateScenario,
  ListScenarios,
  OneScenario,
  PatchScenario,
  Scenario,
  ScenarioSummary,
} from './schema.ts'
import * as service from './service.ts'

/** Mounted at /v1/organizations/:organization/workspaces/:workspace/scenarios. */
export const scenarioRoutes = router()
  .get(
    '/',
    permitEveryone('shows only scenarios the caller may read'),
    answers(200, pageOf(ScenarioSummary), 'List the scenarios you may read'),
    validate('query', ListScenarios),
    async (c) => {
      const input = { workspaceId: c.var.workspaceId, ...c.req.valid('query') }
      return c.json(await service.listScenarios(c.var.context, input))
    },
  )
  .post(
    '/',
    permit('scenario:create'),
    answers(201, Scenario, 'Make a scenario'),
    validate('json', CreateScenario),
    async (c) => {
      const input = { workspaceId: c.var.workspaceId, ...c.req.valid('json') }
      const scenario = await service.createScenario(c.var.context, input)
      return c.json(scenario, 201, etag(scenario))
    },
  )
  .get(
    '/:scenario',
    permitOn('scenario', 'scenario', 'scenario:read'),
    answers(200, Scenario, 'Read a scenario'),
    validate('param', OneScenario),
    async (c) => {
      const input = { workspaceId: c.var.workspaceId, ...c.req.valid('param') }
      const scenario = await service.getScenario(c.var.context, input)
      return c.json(scenario, 200, etag(scenario))
    },
  )
  .patch(
    '/:scenario',
    permitOn('scenario', 'scenario', 'scenario:update'),
    answers(200, Scenario, 'Change a scenario'),
    validate('param', OneScenario),
    validate('json', PatchScenario),
    async (c) => {
      const place = { workspaceId: c.var.workspaceId, ...c.req.valid('param') }
      const input = { ...place, ...c.req.valid('json') }
      const scenario = await service.updateScenario(c.var.context, input)
      return c.json(scenario, 200, etag(scenario))
    },
  )
  .delete(
    '/:scenario',
    permitOn('scenario', 'scenario', 'scenario:delete'),
    answers(204, null, 'End a scenario and the grants on it'),
    validate('param', OneScenario),
    async (c) => {
      const input = { workspaceId: c.var.workspaceId, ...c.req.valid('param') }
      await service.deleteScenario(c.var.context, input)
      return c.body(null, 204)
    },
  )
