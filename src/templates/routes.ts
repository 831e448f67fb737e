import type { ResolveTxt } from '../platform/dns.ts'
import { answers, permit } from '../platform/http/permit.ts'
import { limited, perOrganization } from '../platform/http/rate-limit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import { etag } from '../platform/version.ts'
import {
  Appeal,
  Case,
  CreateTemplate,
  Deprecate,
  ListTemplates,
  OneTemplate,
  PatchTemplate,
  Publisher,
  PutPublisher,
  PutVisibility,
  Template,
  TemplateSummary,
  Verification,
  VerifyPublisher,
} from './schema.ts'
import * as service from './service.ts'
import { versionRoutes } from './version-routes.ts'

/** Mounted at /v1/organizations/:organization/publisher. */
export const publisherRoutes = (resolveTxt: ResolveTxt) =>
  router()
    .get(
      '/',
      permit('marketplace:publish'),
      answers(200, Publisher, 'Read the handle under which templates are published'),
      async (c) => {
        const publisher = await service.getPublisher(c.var.context)
        return c.json(publisher, 200, etag(publisher))
      },
    )
    .put(
      '/',
      permit('marketplace:publish'),
      answers(200, Publisher, 'Take a handle to publish templates under'),
      validate('json', PutPublisher),
      async (c) => {
        const publisher = await service.putPublisher(c.var.context, c.req.valid('json'))
        return c.json(publisher, 200, etag(publisher))
      },
    )
    .post(
      '/verify',
      permit('marketplace:publish'),
      answers(200, Verification, 'Prove who publishes by a domain of the organization'),
      validate('json', VerifyPublisher),
      limited('publisher-verify', { quota: 10, windowSeconds: 60, of: perOrganization }),
      async (c) => {
        const input = c.req.valid('json')
        const verification = await service.verifyPublisher(c.var.context, resolveTxt, input)
        return c.json(verification, 200, etag(verification))
      },
    )

/** Mounted at /v1/organizations/:organization/templates. */
export const templateRoutes = router()
  .get(
    '/',
    permit('template:read'),
    answers(200, pageOf(TemplateSummary), 'List the templates of the organization, drafts too'),
    validate('query', ListTemplates),
    async (c) => c.json(await service.listTemplates(c.var.context, c.req.valid('query'))),
  )
  .post(
    '/',
    permit('template:create'),
    answers(201, Template, 'Make a template, of a definition or a scenario if one is named'),
    validate('json', CreateTemplate),
    async (c) => {
      const template = await service.createTemplate(c.var.context, c.req.valid('json'))
      return c.json(template, 201, etag(template))
    },
  )
  .get(
    '/:template',
    permit('template:read'),
    answers(200, Template, 'Read a template of the organization'),
    validate('param', OneTemplate),
    async (c) => {
      const template = await service.getTemplate(c.var.context, c.req.valid('param'))
      return c.json(template, 200, etag(template))
    },
  )
  .patch(
    '/:template',
    permit('template:update'),
    answers(200, Template, 'Change the words of a template; of a listed one, propose a change'),
    validate('param', OneTemplate),
    validate('json', PatchTemplate),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      const template = await service.editTemplate(c.var.context, input)
      return c.json(template, 200, etag(template))
    },
  )
  .delete(
    '/:template',
    permit('template:update'),
    answers(204, null, 'Delete a template that others never could have'),
    validate('param', OneTemplate),
    async (c) => {
      await service.deleteTemplate(c.var.context, c.req.valid('param'))
      return c.body(null, 204)
    },
  )
  .put(
    '/:template/visibility',
    permit('marketplace:publish'),
    answers(200, Template, 'Say who may see a template'),
    validate('param', OneTemplate),
    validate('json', PutVisibility),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      const template = await service.putVisibility(c.var.context, input)
      return c.json(template, 200, etag(template))
    },
  )
  .post(
    '/:template/deprecate',
    permit('template:yank'),
    answers(200, Template, 'Advise against a template, or take that back'),
    validate('param', OneTemplate),
    validate('json', Deprecate),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      const template = await service.deprecate(c.var.context, input)
      return c.json(template, 200, etag(template))
    },
  )
  .post(
    '/:template/unlist',
    permit('marketplace:publish'),
    answers(200, Template, 'Take a template off the list'),
    validate('param', OneTemplate),
    async (c) => {
      const template = await service.unlist(c.var.context, c.req.valid('param'))
      return c.json(template, 200, etag(template))
    },
  )
  .post(
    '/:template/relist',
    permit('marketplace:publish'),
    answers(200, Template, 'Put a template back on the list'),
    validate('param', OneTemplate),
    async (c) => {
      const template = await service.relist(c.var.context, c.req.valid('param'))
      return c.json(template, 200, etag(template))
    },
  )
  .post(
    '/:template/appeals',
    permit('template:submit'),
    answers(201, Case, 'Ask moderators to look again at a removal'),
    validate('param', OneTemplate),
    validate('json', Appeal),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await service.appeal(c.var.context, input), 201)
    },
  )
  .route('/:template/versions', versionRoutes)
