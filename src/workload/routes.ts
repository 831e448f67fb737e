import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import * as schema from './schema.ts'
import * as service from './service.ts'

/** Mounted at /v1/optimizer. */
export const workloadRoutes = router()
  .get(
    '/queries',
    permit('optimizer:read', 'platform'),
    answers(200, pageOf(schema.Query), 'List the queries that ran, by what they cost'),
    validate('query', schema.ListQueries),
    async (c) => c.json(await service.listQueries(c.var.context, c.req.valid('query'))),
  )
  .get(
    '/queries/:fingerprint',
    permit('optimizer:read', 'platform'),
    answers(200, schema.QueryHistory, 'Read a query with its figures hour by hour'),
    validate('query', schema.OneQuery),
    validate('param', schema.Fingerprint),
    async (c) => {
      const asked = { ...c.req.valid('param'), ...c.req.valid('query') }
      return c.json(await service.getQuery(c.var.context, asked))
    },
  )
  .get(
    '/slow-queries',
    permit('optimizer:read', 'platform'),
    answers(200, pageOf(schema.SlowQuery), 'List statements of this server that took long'),
    validate('query', schema.ListSlow),
    async (c) => c.json(await service.listSlow(c.var.context, c.req.valid('query'))),
  )
