import { Removal, Report } from '../moderation/schema.ts'
import { listRemovals, reportTemplate } from '../moderation/service.ts'
import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { answerTagged } from '../platform/http/tagged.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import { Content } from '../templates/schema.ts'
import * as schema from './schema.ts'
import * as service from './service.ts'

export { fromAnywhere, n8nRoutes } from './n8n-routes.ts'

const READ = permit('template:read')
const RATE = permit('template:rate')
const ASKED = validate('query', schema.Asked)
const TEMPLATE = validate('param', schema.OneTemplate)
const VERSION = validate('param', schema.OneVersion)

const versionRoutes = router()
  .get(
    '/',
    READ,
    answers(200, schema.CatalogVersions, 'List the versions that others may have, newest first'),
    TEMPLATE,
    validate('query', schema.ListVersions),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('query') }
      return c.json(await service.listVersions(c.var.context, input))
    },
  )
  .get(
    '/:version',
    READ,
    answers(200, schema.CatalogVersion, 'Read a version (exact, a range or latest)'),
    VERSION,
    ASKED,
    async (c) => c.json(await service.getVersion(c.var.context, c.req.valid('param'))),
  )
  .get(
    '/:version/content',
    READ,
    answers(200, Content, 'Download a version'),
    VERSION,
    ASKED,
    async (c) => {
      const content = await service.getContent(c.var.context, c.req.valid('param'))
      return answerTagged(c, content, content.integrity)
    },
  )
  .get(
    '/:version/difference',
    READ,
    answers(200, schema.Difference, 'Tell what changes from one version to another'),
    VERSION,
    validate('query', schema.DifferenceFrom),
    async (c) => {
      const input = { ...c.req.valid('query'), ...c.req.valid('param') }
      return c.json(await service.getDifference(c.var.context, input))
    },
  )

const templateRoutes = router()
  .get(
    '/',
    READ,
    answers(200, schema.Card, 'Read all that is shown of a template'),
    TEMPLATE,
    ASKED,
    async (c) => answerTagged(c, await service.getCard(c.var.context, c.req.valid('param'))),
  )
  .get(
    '/ratings',
    READ,
    answers(200, pageOf(schema.RatingItem), 'List ratings, the newest first'),
    TEMPLATE,
    validate('query', schema.ListRatings),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('query') }
      return c.json(await service.listRatings(c.var.context, input))
    },
  )
  .put(
    '/rating',
    RATE,
    answers(200, schema.Rated, 'Rate a template, or change your rating'),
    TEMPLATE,
    ASKED,
    validate('json', schema.PutRating),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await service.putRating(c.var.context, input))
    },
  )
  .delete(
    '/rating',
    RATE,
    answers(200, schema.Rated, 'Take your rating back'),
    TEMPLATE,
    ASKED,
    async (c) => c.json(await service.deleteRating(c.var.context, c.req.valid('param'))),
  )
  .post(
    '/reports',
    READ,
    answers(201, Report, 'Tell the moderators of a template'),
    TEMPLATE,
    ASKED,
    validate('json', schema.Report),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await reportTemplate(c.var.context, input), 201)
    },
  )
  .route('/versions', versionRoutes)

/** Mounted at /v1/templates, inside the organization that is asked for. */
export const catalogRoutes = router()
  .get(
    '/',
    READ,
    answers(200, schema.CatalogPage, 'Search the marketplace'),
    validate('query', schema.SearchCatalog),
    async (c) => c.json(await service.searchCatalog(c.var.context, c.req.valid('query'))),
  )
  .get(
    '/categories',
    READ,
    answers(200, schema.Categories, 'Read the tree of categories with what is listed in them'),
    ASKED,
    async (c) => c.json(await service.getCategories(c.var.context)),
  )
  .get(
    '/removals',
    READ,
    answers(200, pageOf(Removal), 'Read the public log of what was removed, the newest first'),
    validate('query', schema.ListRemovals),
    async (c) => c.json(await listRemovals(c.var.context, c.req.valid('query'))),
  )
  .get(
    '/by-name/:handle/:slug',
    READ,
    answers(200, schema.Card, 'Read all that is shown of a template, by its name'),
    validate('param', schema.NamedTemplate),
    ASKED,
    async (c) => answerTagged(c, await service.getNamedCard(c.var.context, c.req.valid('param'))),
  )
  .route('/:template', templateRoutes)
