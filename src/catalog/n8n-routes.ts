import { answers, permitEveryone } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import * as service from './n8n.ts'
import * as schema from './n8n-schema.ts'
import { fromAnywhere, requireReadKey } from './read-key.ts'

const EVERYONE = permitEveryone('the read key in the path says who asks')
const NUMBER = validate('param', schema.OneNumber)

/** Mounted at /n8n/:readKey, behind the gate's `keyInPath`: the catalog as n8n expects a host of templates to be. */
export const n8nRoutes = router()
  .use('*', requireReadKey)
  .get('/health', EVERYONE, answers(200, schema.Health, 'Tell that templates are here'), (c) =>
    c.json({ status: 'OK' as const }),
  )
  .get(
    '/templates/search',
    EVERYONE,
    answers(200, schema.Workflows, 'Search workflows, page by page'),
    validate('query', schema.SearchWorkflows),
    async (c) => c.json(await service.searchWorkflows(c.var.context, c.req.valid('query'))),
  )
  .get(
    '/templates/categories',
    EVERYONE,
    answers(200, schema.N8nCategories, 'List categories'),
    async (c) => c.json(await service.listN8nCategories(c.var.context)),
  )
  .get(
    '/templates/collections',
    EVERYONE,
    answers(200, schema.Collections, 'List collections: there are none'),
    (c) => c.json({ collections: [] }),
  )
  .get(
    '/templates/collections/:collection',
    EVERYONE,
    answers(200, schema.Collections, 'Read a collection: there is none'),
    validate('param', schema.OneCollection),
    async (c) => c.json(service.getCollection()),
  )
  .get(
    '/templates/workflows/:number',
    EVERYONE,
    answers(200, schema.Workflow, 'Read a workflow to be looked at'),
    NUMBER,
    async (c) => c.json(await service.getWorkflow(c.var.context, c.req.valid('param'))),
  )
  .get(
    '/workflows/templates/:number',
    EVERYONE,
    answers(200, schema.Importable, 'Read a workflow to be imported'),
    NUMBER,
    async (c) => c.json(await service.getImportable(c.var.context, c.req.valid('param'))),
  )

export { fromAnywhere }
