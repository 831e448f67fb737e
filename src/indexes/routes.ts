import { answersEvents, eventStream } from '../platform/http/event-stream.ts'
import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import { etag } from '../platform/version.ts'
import * as schema from './schema.ts'
import * as service from './service.ts'
import { watchIndex } from './watch.ts'

/** Mounted at /v1/optimizer/indexes. */
export const indexRoutes = router()
  .get(
    '/',
    permit('optimizer:read', 'platform'),
    answers(200, pageOf(schema.DatabaseIndex), 'List the indexes of the database, largest first'),
    validate('query', schema.ListIndexes),
    async (c) => c.json(await service.listIndexes(c.var.context, c.req.valid('query'))),
  )
  .get(
    '/:id',
    permit('optimizer:read', 'platform'),
    answers(200, schema.OneRegistered, 'Read what was made of a recommendation'),
    validate('param', schema.OneEntry),
    async (c) => {
      const entry = await service.getIndex(c.var.context, c.req.valid('param'))
      return c.json(entry, 200, etag(entry))
    },
  )
  .get(
    '/:id/progress',
    permit('optimizer:read', 'platform'),
    answersEvents('Watch a build, as server-sent events'),
    validate('param', schema.OneEntry),
    async (c) => {
      const watching = new AbortController()
      const { signal } = watching
      const events = await watchIndex(c.var.context, c.req.valid('param'), { signal })
      return eventStream(c, events, watching)
    },
  )
  .post(
    '/:id/revert',
    permit('optimizer:apply', 'platform'),
    answers(200, schema.RegisterEntry, 'Undo what was built or dropped, as a job'),
    validate('param', schema.OneEntry),
    async (c) => {
      const entry = await service.revertIndex(c.var.context, c.req.valid('param'))
      return c.json(entry, 200, etag(entry))
    },
  )
  .delete(
    '/:id',
    permit('optimizer:apply', 'platform'),
    answers(202, schema.RegisterEntry, 'Drop what a failed build of ours has left, as a job'),
    validate('param', schema.OneEntry),
    async (c) => {
      const entry = await service.cleanIndex(c.var.context, c.req.valid('param'))
      return c.json(entry, 202, etag(entry))
    },
  )
