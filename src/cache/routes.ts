import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import * as change from './change.ts'
import * as schema from './schema.ts'
import * as service from './service.ts'

const read = permit('cache:read', 'platform')
const update = permit('cache:update', 'platform')
const invalidate = permit('cache:invalidate', 'platform')

/** What is seen of the caches of this process. */
const shown = (settings: service.CacheSettings) =>
  router()
    .get(
      '/stats',
      read,
      answers(200, schema.CacheNamespaces, 'What each namespace holds, and how often it answers'),
      validate('query', schema.AskStats),
      (c) => c.json(service.listNamespaces(settings, c.req.valid('query'))),
    )
    .get(
      '/series',
      read,
      answers(200, schema.Series, 'Hits and loads of a namespace by the minute'),
      validate('query', schema.AskSeries),
      (c) => c.json(service.getSeries(settings, c.req.valid('query'))),
    )
    .get(
      '/health',
      read,
      answers(200, schema.CacheHealth, 'Whether the remote store answers'),
      (c) => c.json(service.getHealth(settings)),
    )
    .get('/breaker', read, answers(200, schema.Breaker, 'Whether the remote store is asked'), (c) =>
      c.json(service.getHealth(settings).breaker),
    )
    .get(
      '/hot-keys',
      read,
      answers(200, schema.HotKeys, 'The keys that are read most'),
      async (c) => c.json(await service.listHotKeys(settings)),
    )
    .get('/namespaces', read, answers(200, schema.CacheNamespaces, 'List the namespaces'), (c) =>
      c.json(service.listNamespaces(settings, {})),
    )
    .get(
      '/namespaces/:namespace',
      read,
      answers(200, schema.CacheNamespace, 'Read a namespace'),
      validate('param', schema.OneNamespace),
      (c) => c.json(service.getNamespace(settings, c.req.valid('param').namespace)),
    )
    .get(
      '/namespaces/:namespace/entry',
      read,
      answers(200, schema.Entry, 'What is known of one entry'),
      validate('param', schema.OneNamespace),
      validate('query', schema.OneEntry),
      async (c) => {
        const entry = { ...c.req.valid('param'), ...c.req.valid('query') }
        return c.json(await service.getEntry(settings, c.var.context, entry))
      },
    )
    .get(
      '/namespaces/:namespace/entry/value',
      permit('cache:value:read', 'platform'),
      answers(200, schema.EntryValue, 'The value of one entry'),
      validate('param', schema.OneNamespace),
      validate('query', schema.OneEntry),
      async (c) => {
        const entry = { ...c.req.valid('param'), ...c.req.valid('query') }
        return c.json(await service.getEntryValue(settings, c.var.context, entry))
      },
    )
    .post(
      '/simulations',
      read,
      answers(
        200,
        schema.Simulations,
        'What other sizes and policies would make of the last reads',
      ),
      validate('json', schema.SimulateRequest),
      async (c) => c.json(await service.simulateCache(settings, c.req.valid('json'))),
    )

/** What is done to them. */
const changed = (settings: change.CacheChangeSettings) =>
  router()
    .patch(
      '/namespaces/:namespace',
      update,
      answers(200, schema.CacheNamespace, 'Change room, lifetime or policy, here and for now'),
      validate('param', schema.OneNamespace),
      validate('json', schema.PatchNamespace),
      async (c) => {
        const patch = { ...c.req.valid('param'), ...c.req.valid('json') }
        return c.json(await change.configureNamespace(settings, c.var.context, patch))
      },
    )
    .delete(
      '/namespaces/:namespace/entry',
      invalidate,
      answers(204, null, 'Take an entry out'),
      validate('param', schema.OneNamespace),
      validate('query', schema.OneEntry),
      async (c) => {
        const entry = { ...c.req.valid('param'), ...c.req.valid('query') }
        await change.deleteEntry(settings, c.var.context, entry)
        return c.body(null, 204)
      },
    )
    .post(
      '/namespaces/:namespace/clear',
      invalidate,
      answers(200, schema.Cleared, 'Clear a namespace on all nodes'),
      validate('param', schema.OneNamespace),
      async (c) =>
        c.json(await change.clearByNamespace(settings, c.var.context, c.req.valid('param'))),
    )
    .post(
      '/tags/:tag/clear',
      invalidate,
      answers(200, schema.Cleared, 'Clear what carries a tag, on all nodes'),
      validate('param', schema.OneTag),
      async (c) => c.json(await change.clearByTag(settings, c.var.context, c.req.valid('param'))),
    )
    .post(
      '/organizations/:organization/clear',
      invalidate,
      answers(200, schema.Cleared, 'Clear all of an organization and raise its revision'),
      validate('param', schema.OneOrganization),
      async (c) =>
        c.json(await change.clearByOrganization(settings, c.var.context, c.req.valid('param'))),
    )
    .post(
      '/warm',
      permit('cache:warm', 'platform'),
      answers(200, schema.Warmed, 'Load an organization’s policy before the first question'),
      validate('json', schema.WarmRequest),
      async (c) =>
        c.json(await change.warmOrganization(settings, c.var.context, c.req.valid('json'))),
    )
    .post(
      '/breaker/reset',
      update,
      answers(200, schema.CacheHealth, 'Ask the remote store again at once'),
      async (c) => c.json(await change.resetBreaker(settings, c.var.context)),
    )

/** Mounted at /v1/cache. */
export const cacheRoutes = (settings: change.CacheChangeSettings) =>
  router().route('/', shown(settings)).route('/', changed(settings))
