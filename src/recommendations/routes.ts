import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import { etag } from '../platform/version.ts'
import * as schema from './schema.ts'
import * as service from './service.ts'

const recommendations = router()
  .post(
    '/',
    permit('optimizer:analyze', 'platform'),
    answers(202, schema.Run, 'Ask for advice on indexes, as a job'),
    validate('json', schema.AskAdvice),
    async (c) => c.json(await service.askAdvice(c.var.context, c.req.valid('json')), 202),
  )
  .get(
    '/',
    permit('optimizer:read', 'platform'),
    answers(200, pageOf(schema.Recommendation), 'List what is advised, newest first'),
    validate('query', schema.ListRecommendations),
    async (c) => c.json(await service.listRecommendations(c.var.context, c.req.valid('query'))),
  )
  .get(
    '/:recommendation',
    permit('optimizer:read', 'platform'),
    answers(200, schema.Recommendation, 'Read one piece of advice'),
    validate('param', schema.OneRecommendation),
    async (c) => {
      const found = await service.getRecommendation(c.var.context, c.req.valid('param'))
      return c.json(found, 200, etag(found))
    },
  )
  .post(
    '/:recommendation/approve',
    permit('optimizer:apply', 'platform'),
    answers(202, schema.Recommendation, 'Apply it, as a job; a drop is held for seven days first'),
    validate('param', schema.OneRecommendation),
    async (c) => {
      const found = await service.approveRecommendation(c.var.context, c.req.valid('param'))
      return c.json(found, 202, etag(found))
    },
  )
  .post(
    '/:recommendation/dismiss',
    permit('optimizer:apply', 'platform'),
    answers(200, schema.Recommendation, 'Remember that it is not wanted'),
    validate('json', schema.Dismiss),
    validate('param', schema.OneRecommendation),
    async (c) => {
      const given = { ...c.req.valid('param'), ...c.req.valid('json') }
      const found = await service.dismissRecommendation(c.var.context, given)
      return c.json(found, 200, etag(found))
    },
  )

const runs = router()
  .get(
    '/',
    permit('optimizer:read', 'platform'),
    answers(200, pageOf(schema.RunSummary), 'List runs of the advisor, newest first'),
    validate('query', schema.ListRuns),
    async (c) => c.json(await service.listRuns(c.var.context, c.req.valid('query'))),
  )
  .get(
    '/:run',
    permit('optimizer:read', 'platform'),
    answers(200, schema.Run, 'Read a run with each query before and after, and what was refused'),
    validate('param', schema.OneRun),
    async (c) => c.json(await service.getRun(c.var.context, c.req.valid('param'))),
  )

/** Mounted at /v1/optimizer. */
export const recommendationRoutes = router()
  .route('/recommendations', recommendations)
  .route('/runs', runs)
