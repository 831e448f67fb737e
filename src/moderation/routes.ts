import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import * as categories from './categories.ts'
import * as publishers from './publishers.ts'
import * as ratings from './ratings.ts'
import * as schema from './schema.ts'
import * as service from './service.ts'
import * as withdraw from './withdraw.ts'

const PERMISSION = permit('marketplace:moderate', 'platform')

const caseRoutes = router()
  .get(
    '/',
    PERMISSION,
    answers(200, pageOf(schema.CaseSummary), 'List cases, the oldest first'),
    validate('query', schema.ListCases),
    async (c) => c.json(await service.listCases(c.var.context, c.req.valid('query'))),
  )
  .get(
    '/:case',
    PERMISSION,
    answers(200, schema.Case, 'Read a case with the bytes it is about'),
    validate('param', schema.OneCase),
    async (c) => c.json(await service.getCase(c.var.context, c.req.valid('param'))),
  )
  .post(
    '/:case/approve',
    PERMISSION,
    answers(200, schema.Case, 'Approve exactly the bytes you saw'),
    validate('param', schema.OneCase),
    validate('json', schema.ApproveCase),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await service.approveCase(c.var.context, input))
    },
  )
  .post(
    '/:case/reject',
    PERMISSION,
    answers(200, schema.Case, 'Reject with a reason'),
    validate('param', schema.OneCase),
    validate('json', schema.Refusal),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await service.rejectCase(c.var.context, input))
    },
  )

const templateRoutes = router()
  .post(
    '/:template/take-down',
    PERMISSION,
    answers(200, schema.Moderated, 'Take a template down, with a public reason'),
    validate('param', schema.OneTemplate),
    validate('json', schema.Refusal),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await withdraw.takeDown(c.var.context, input))
    },
  )
  .post(
    '/:template/restore',
    PERMISSION,
    answers(200, schema.Moderated, 'List again what was taken down'),
    validate('param', schema.OneTemplate),
    validate('json', schema.Lifting),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await withdraw.restoreTemplate(c.var.context, input))
    },
  )
  .post(
    '/:template/official',
    PERMISSION,
    answers(200, schema.Moderated, 'Mark a template as official, or not'),
    validate('param', schema.OneTemplate),
    validate('json', schema.PutOfficial),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await withdraw.setOfficial(c.var.context, input))
    },
  )

const versionRoutes = router()
  .post(
    '/:version/block',
    PERMISSION,
    answers(200, schema.Moderated, 'Block a version: nobody downloads it any more'),
    validate('param', schema.OneVersion),
    validate('json', schema.Block),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await withdraw.blockVersion(c.var.context, input))
    },
  )
  .post(
    '/:version/unblock',
    PERMISSION,
    answers(200, schema.Moderated, 'Lift the block of a version'),
    validate('param', schema.OneVersion),
    validate('json', schema.Lifting),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await withdraw.unblockVersion(c.var.context, input))
    },
  )

const publisherRoutes = router()
  .post(
    '/:organization/ban',
    PERMISSION,
    answers(200, schema.ModeratedPublisher, 'Keep a publisher from the marketplace'),
    validate('param', schema.OnePublisher),
    validate('json', schema.Refusal),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await publishers.banPublisher(c.var.context, input))
    },
  )
  .post(
    '/:organization/unban',
    PERMISSION,
    answers(200, schema.ModeratedPublisher, 'Let a publisher in again'),
    validate('param', schema.OnePublisher),
    validate('json', schema.Lifting),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await publishers.unbanPublisher(c.var.context, input))
    },
  )
  .post(
    '/:organization/verify',
    PERMISSION,
    answers(200, schema.ModeratedPublisher, 'Vouch for a publisher'),
    validate('param', schema.OnePublisher),
    validate('json', schema.Lifting),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await publishers.verifyPublisher(c.var.context, input))
    },
  )

const ratingRoutes = router()
  .post(
    '/:template/:subject/hide',
    PERMISSION,
    answers(204, null, 'Hide a rating: it does not count'),
    validate('param', schema.OneRating),
    validate('json', schema.HideRating),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      await ratings.hideRating(c.var.context, input)
      return c.body(null, 204)
    },
  )
  .post(
    '/:template/:subject/show',
    PERMISSION,
    answers(204, null, 'Show a rating again'),
    validate('param', schema.OneRating),
    async (c) => {
      await ratings.showRating(c.var.context, c.req.valid('param'))
      return c.body(null, 204)
    },
  )

const categoryRoutes = router()
  .put(
    '/:category',
    PERMISSION,
    answers(200, schema.Category, 'Make or edit a category'),
    validate('param', schema.OneCategory),
    validate('json', schema.PutCategory),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await categories.putCategory(c.var.context, input))
    },
  )
  .delete(
    '/:category',
    PERMISSION,
    answers(204, null, 'End a category; what is in it goes to another'),
    validate('param', schema.OneCategory),
    validate('query', schema.DeleteCategory),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('query') }
      await categories.deleteCategory(c.var.context, input)
      return c.body(null, 204)
    },
  )

/** Mounted at /v1/marketplace/moderation, for operators. */
export const moderationRoutes = router()
  .route('/cases', caseRoutes)
  .route('/templates', templateRoutes)
  .route('/versions', versionRoutes)
  .route('/publishers', publisherRoutes)
  .route('/ratings', ratingRoutes)
  .route('/categories', categoryRoutes)
  .get(
    '/stats',
    PERMISSION,
    answers(200, schema.Stats, 'How the queue stands, and how it was decided'),
    async (c) => c.json(await service.getStats(c.var.context)),
  )
