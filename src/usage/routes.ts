import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import { etag } from '../platform/version.ts'
import {
  CommitReservation,
  Limits,
  ListPoints,
  ListUsage,
  OneReservation,
  Planned,
  PlanQuery,
  Points,
  PutLimits,
  PutPlan,
  Reported,
  ReportUsage,
  Reserved,
  ReserveUsage,
  Used,
} from './schema.ts'
import * as service from './service.ts'

/** Mounted at /v1/organizations/:organization/plan. */
export const planRoutes = router().put(
  '/',
  permit('org:plan:update', 'platform'),
  answers(200, Planned, 'Put an organization on a plan, or see what that would freeze'),
  validate('query', PlanQuery),
  validate('json', PutPlan),
  async (c) => {
    const input = { ...c.req.valid('query'), ...c.req.valid('json') }
    const { version, ...planned } = await service.putPlan(c.var.context, input)
    return c.json(planned, 200, etag({ version }))
  },
)

/** Mounted at /v1/organizations/:organization/limits. */
export const limitRoutes = router()
  .get(
    '/',
    permit('org:usage:read'),
    answers(200, Limits, 'List limits with what is used of them'),
    async (c) => {
      const { items, version } = await service.listLimits(c.var.context)
      return c.json({ items }, 200, etag({ version }))
    },
  )
  .put(
    '/',
    permit('org:plan:update', 'platform'),
    answers(200, Limits, 'Override single limits of an organization'),
    validate('json', PutLimits),
    async (c) => {
      const { items, version } = await service.putLimits(c.var.context, c.req.valid('json'))
      return c.json({ items }, 200, etag({ version }))
    },
  )

/** Mounted at /v1/organizations/:organization/usage. */
export const usageRoutes = router()
  .get(
    '/',
    permit('org:usage:read'),
    answers(200, pageOf(Used), 'List use over time'),
    validate('query', ListUsage),
    async (c) => c.json(await service.listUsage(c.var.context, c.req.valid('query'))),
  )
  .post(
    '/',
    permit('org:usage:report'),
    answers(200, Reported, 'Report use, once per Idempotency-Key; refused where there is no room'),
    validate('json', ReportUsage),
    async (c) => c.json(await service.reportUsage(c.var.context, c.req.valid('json'))),
  )
  .post(
    '/reservations',
    permit('org:usage:report'),
    answers(201, Reserved, 'Reserve use for work that takes time; 200 where there is no room'),
    validate('json', ReserveUsage),
    async (c) => {
      const reserved = await service.reserveUsage(c.var.context, c.req.valid('json'))
      return c.json(reserved, reserved.allowed ? 201 : 200)
    },
  )
  .post(
    '/reservations/:reservation/commit',
    permit('org:usage:report'),
    answers(200, Reserved, 'Count what was used of a reservation'),
    validate('param', OneReservation),
    validate('json', CommitReservation),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await service.commitReservation(c.var.context, input))
    },
  )
  .post(
    '/reservations/:reservation/release',
    permit('org:usage:report'),
    answers(200, Reserved, 'Give a reservation back'),
    validate('param', OneReservation),
    async (c) => c.json(await service.releaseReservation(c.var.context, c.req.valid('param'))),
  )

/** Mounted at /v1/organizations/:organization/analytics. */
export const analyticsRoutes = router().get(
  '/',
  permit('org:usage:read'),
  answers(200, Points, 'List roll-ups of an organization'),
  validate('query', ListPoints),
  async (c) => c.json(await service.listPoints(c.var.context, c.req.valid('query'))),
)

/** Mounted at /v1/organizations/:organization/workspaces/:workspace/analytics. */
export const workspaceAnalyticsRoutes = router().get(
  '/',
  permit('workspace:analytics'),
  answers(200, Points, 'List roll-ups of a workspace'),
  validate('query', ListPoints),
  async (c) => {
    const input = { workspaceId: c.var.workspaceId, ...c.req.valid('query') }
    return c.json(await service.listPoints(c.var.context, input))
  },
)
