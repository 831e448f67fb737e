import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import * as schema from './schema.ts'
import * as service from './service.ts'

/** Mounted at /v1/optimizer. */
export const optimizerRoutes = (settings: service.OptimizerSettings) =>
  router()
    .post(
      '/plans',
      permit('optimizer:analyze', 'platform'),
      answers(200, schema.QueryPlan, 'How the database would answer a query, and what to look at'),
      validate('json', schema.ExplainQuery),
      async (c) => c.json(await service.explainQuery(settings, c.var.context, c.req.valid('json'))),
    )
    .delete(
      '/plans',
      permit('optimizer:analyze', 'platform'),
      answers(204, null, 'Forget the plans that this process keeps'),
      async (c) => {
        await service.clearPlans(settings, c.var.context)
        return c.body(null, 204)
      },
    )
    .get(
      '/stats',
      permit('optimizer:read', 'platform'),
      answers(200, schema.OptimizerStats, 'What was explained, how often from the cache, how fast'),
      (c) => c.json(service.getStats(settings)),
    )
