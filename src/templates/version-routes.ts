import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import { etag } from '../platform/version.ts'
import {
  Case,
  CheckedVersion,
  Checks,
  Content,
  CreateVersion,
  ListVersions,
  OneTemplate,
  OneVersion,
  PatchVersion,
  Submit,
  Version,
  Withdraw,
} from './schema.ts'
import * as service from './service.ts'

const tagOf = ({ edit }: { edit: number }) => etag({ version: edit })

/** Mounted at /v1/organizations/:organization/templates/:template/versions. */
export const versionRoutes = router()
  .get(
    '/',
    permit('template:read'),
    answers(200, pageOf(Version), 'List the versions of a template, drafts too'),
    validate('param', OneTemplate),
    validate('query', ListVersions),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('query') }
      return c.json(await service.listOwnVersions(c.var.context, input))
    },
  )
  .post(
    '/',
    permit('template:create'),
    answers(201, CheckedVersion, 'Make a draft of a version'),
    validate('param', OneTemplate),
    validate('json', CreateVersion),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      const version = await service.createVersion(c.var.context, input)
      return c.json(version, 201, tagOf(version))
    },
  )
  .get(
    '/:version',
    permit('template:read'),
    answers(200, Version, 'Read a version, without its definition'),
    validate('param', OneVersion),
    async (c) => {
      const version = await service.getVersion(c.var.context, c.req.valid('param'))
      return c.json(version, 200, tagOf(version))
    },
  )
  .get(
    '/:version/content',
    permit('template:read'),
    answers(200, Content, 'Read the definition of a version'),
    validate('param', OneVersion),
    async (c) => {
      const content = await service.getContent(c.var.context, c.req.valid('param'))
      return c.json(content, 200, { etag: `"${content.integrity}"` })
    },
  )
  .patch(
    '/:version',
    permit('template:update'),
    answers(200, CheckedVersion, 'Change a draft of a version'),
    validate('param', OneVersion),
    validate('json', PatchVersion),
    async (c) => {
      const { version: to, ...changes } = c.req.valid('json')
      const input = { ...changes, ...c.req.valid('param'), to }
      const version = await service.patchVersion(c.var.context, input)
      return c.json(version, 200, tagOf(version))
    },
  )
  .delete(
    '/:version',
    permit('template:update'),
    answers(204, null, 'Delete a draft of a version'),
    validate('param', OneVersion),
    async (c) => {
      await service.deleteVersion(c.var.context, c.req.valid('param'))
      return c.body(null, 204)
    },
  )
  .post(
    '/:version/checks',
    permit('template:update'),
    answers(200, Checks, 'Ask what the checks say of a version'),
    validate('param', OneVersion),
    async (c) => c.json(await service.checkVersion(c.var.context, c.req.valid('param'))),
  )
  .post(
    '/:version/publish',
    permit('scenario:template:publish'),
    answers(200, Version, 'Publish a version inside the organization'),
    validate('param', OneVersion),
    async (c) => {
      const version = await service.publishVersion(c.var.context, c.req.valid('param'))
      return c.json(version, 200, tagOf(version))
    },
  )
  .post(
    '/:version/submit',
    permit('template:submit'),
    answers(201, Case, 'Ask moderators to let others have a version'),
    validate('param', OneVersion),
    validate('json', Submit),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await service.submitVersion(c.var.context, input), 201)
    },
  )
  .post(
    '/:version/withdraw',
    permit('template:submit'),
    answers(200, Case, 'Take a submission back'),
    validate('param', OneVersion),
    async (c) => c.json(await service.withdrawVersion(c.var.context, c.req.valid('param'))),
  )
  .post(
    '/:version/yank',
    permit('template:yank'),
    answers(200, Version, 'Withdraw a version: nobody installs it any more'),
    validate('param', OneVersion),
    validate('json', Withdraw),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      const version = await service.yankVersion(c.var.context, input)
      return c.json(version, 200, tagOf(version))
    },
  )
  .post(
    '/:version/restore',
    permit('template:yank'),
    answers(200, Version, 'Take the withdrawal of a version back'),
    validate('param', OneVersion),
    validate('json', Withdraw),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      const version = await service.restoreVersion(c.var.context, input)
      return c.json(version, 200, tagOf(version))
    },
  )
