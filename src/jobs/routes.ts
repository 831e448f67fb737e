import type * as v from 'valibot'
import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import { etag } from '../platform/version.ts'
import * as bulk from './bulk.ts'
import { explainJob } from './explain.ts'
import * as measure from './measure.ts'
import * as queues from './queues.ts'
import * as schedules from './schedules.ts'
import * as schema from './schema.ts'
import * as service from './service.ts'

type Where = 'organization' | 'platform'

/** Lists and usage: the same at both mounts, but operators can narrow them to an organization. */
const listed = (
  where: Where,
  list: v.GenericSchema<object, schema.ListJobs>,
  usage: v.GenericSchema<object, schema.AskUsage>,
) =>
  router()
    .get(
      '/',
      permit('job:read', where),
      answers(200, pageOf(schema.JobSummary), 'List jobs, newest first'),
      validate('query', list),
      async (c) => c.json(await service.listJobs(c.var.context, c.req.valid('query'))),
    )
    .get(
      '/usage',
      permit('job:read', where),
      answers(200, schema.Usage, 'What runs, waits and was used, and the limits'),
      validate('query', usage),
      async (c) => c.json(await service.getUsage(c.var.context, c.req.valid('query'))),
    )

/** One job: the same at both mounts. */
const single = (where: Where) =>
  router()
    .get(
      '/:job',
      permit('job:read', where),
      answers(200, schema.Job, 'Read a job'),
      validate('param', schema.OneJob),
      async (c) => c.json(await service.getJob(c.var.context, c.req.valid('param'))),
    )
    .get(
      '/:job/attempts',
      permit('job:read', where),
      answers(200, pageOf(schema.Attempt), 'List the runs of a job that have ended'),
      validate('param', schema.OneJob),
      validate('query', schema.ListAttempts),
      async (c) => {
        const input = { ...c.req.valid('param'), ...c.req.valid('query') }
        return c.json(await service.listAttempts(c.var.context, input))
      },
    )
    .get(
      '/:job/explain',
      permit('job:read', where),
      answers(200, schema.Explanation, 'Why a job waits, and when it is expected to start'),
      validate('param', schema.OneJob),
      async (c) => c.json(await explainJob(c.var.context, c.req.valid('param'))),
    )
    .post(
      '/:job/cancel',
      permit('job:update', where),
      answers(200, schema.JobSummary, 'Cancel a job that has not ended'),
      validate('param', schema.OneJob),
      async (c) => c.json(await service.cancelJob(c.var.context, c.req.valid('param'))),
    )
    .post(
      '/:job/retry',
      permit('job:update', where),
      answers(200, schema.JobSummary, 'Try a dead or parked job again'),
      validate('param', schema.OneJob),
      async (c) => c.json(await service.retryJob(c.var.context, c.req.valid('param'))),
    )
    .post(
      '/:job/promote',
      permit('job:update', where),
      answers(200, schema.JobSummary, 'Start a scheduled job now'),
      validate('param', schema.OneJob),
      async (c) => c.json(await service.promoteJob(c.var.context, c.req.valid('param'))),
    )

/** Mounted at /v1/organizations/:organization/jobs. */
export const organizationJobRoutes = router()
  .route('/', listed('organization', schema.ListJobs, schema.AskUsage))
  .route('/', single('organization'))

/** Mounted at /v1/jobs/queues. */
const queueRoutes = router()
  .get(
    '/',
    permit('job:read', 'platform'),
    answers(200, pageOf(schema.Queue), 'List queues and how they stand'),
    async (c) => c.json(await queues.listQueues(c.var.context)),
  )
  .get(
    '/:queue',
    permit('job:read', 'platform'),
    answers(200, schema.Queue, 'Read a queue'),
    validate('param', schema.OneQueue),
    async (c) => {
      const queue = await queues.getQueue(c.var.context, c.req.valid('param'))
      return c.json(queue, 200, etag(queue))
    },
  )
  .patch(
    '/:queue',
    permit('job:queue:update', 'platform'),
    answers(200, schema.Queue, 'Set between how many slots a queue has'),
    validate('param', schema.OneQueue),
    validate('json', schema.PatchQueue),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      const queue = await queues.patchQueue(c.var.context, input)
      return c.json(queue, 200, etag(queue))
    },
  )
  .post(
    '/:queue/pause',
    permit('job:queue:update', 'platform'),
    answers(200, schema.Queue, 'Hand out no more jobs of a queue'),
    validate('param', schema.OneQueue),
    async (c) => {
      const queue = await queues.pauseQueue(c.var.context, c.req.valid('param'))
      return c.json(queue, 200, etag(queue))
    },
  )
  .post(
    '/:queue/resume',
    permit('job:queue:update', 'platform'),
    answers(200, schema.Queue, 'Hand out the jobs of a queue again'),
    validate('param', schema.OneQueue),
    async (c) => {
      const queue = await queues.resumeQueue(c.var.context, c.req.valid('param'))
      return c.json(queue, 200, etag(queue))
    },
  )
  .post(
    '/:queue/drain',
    permit('job:queue:update', 'platform'),
    answers(200, schema.Drained, 'Pause a queue and take back what was handed out but not started'),
    validate('param', schema.OneQueue),
    async (c) => {
      const queue = await queues.drainQueue(c.var.context, c.req.valid('param'))
      return c.json(queue, 200, etag(queue))
    },
  )

/** Mounted at /v1/jobs: what is asked of the whole server. */
const wholeRoutes = router()
  .post(
    '/bulk',
    permit(['job:update', 'job:delete'], 'platform'),
    answers(200, schema.Changed, 'Cancel, retry, promote or delete every job a filter finds'),
    validate('json', schema.Bulk),
    async (c) => c.json(await bulk.changeJobs(c.var.context, c.req.valid('json'))),
  )
  .post(
    '/redrive',
    permit('job:update', 'platform'),
    answers(200, schema.Changed, 'Try the dead jobs of a queue again'),
    validate('json', schema.Redrive),
    async (c) => c.json(await bulk.redriveQueue(c.var.context, c.req.valid('json'))),
  )
  .get(
    '/stats',
    permit('job:read', 'platform'),
    answers(200, pageOf(schema.Stats), 'Every queue in the last hour'),
    async (c) => c.json(await measure.getStats(c.var.context)),
  )
  .get(
    '/series',
    permit('job:read', 'platform'),
    answers(200, schema.Series, 'What was added, started and ended over time'),
    validate('query', schema.AskSeries),
    async (c) => c.json(await measure.getSeries(c.var.context, c.req.valid('query'))),
  )
  .get(
    '/workers',
    permit('job:read', 'platform'),
    answers(200, pageOf(schema.Worker), 'List workers'),
    validate('query', schema.ListWorkers),
    async (c) => c.json(await measure.listWorkers(c.var.context, c.req.valid('query'))),
  )
  .get(
    '/reconciliation',
    permit('job:read', 'platform'),
    answers(200, schema.Reconciliation, 'Whether every job that was added is accounted for'),
    async (c) => c.json(await measure.reconcile(c.var.context)),
  )
  .put(
    '/organizations/:organization',
    permit('job:queue:update', 'platform'),
    answers(
      200,
      schema.OrganizationLimits,
      'Set the weight, the cap and the rate of an organization',
    ),
    validate('param', schema.OneOrganization),
    validate('json', schema.PutLimits),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') }
      return c.json(await queues.putLimits(c.var.context, input))
    },
  )
  .delete(
    '/:job',
    permit('job:delete', 'platform'),
    answers(204, null, 'Delete a job that does not run'),
    validate('param', schema.OneJob),
    async (c) => {
      await service.deleteJob(c.var.context, c.req.valid('param'))
      return c.body(null, 204)
    },
  )

/** Mounted at /v1/jobs/schedules. */
const scheduleRoutes = (handlers: schedules.Handlers) =>
  router()
    .get(
      '/',
      permit('job:read', 'platform'),
      answers(200, pageOf(schema.Schedule), 'List schedules'),
      validate('query', schema.ListSchedules),
      async (c) => c.json(await schedules.listSchedules(c.var.context, c.req.valid('query'))),
    )
    .get(
      '/:schedule',
      permit('job:read', 'platform'),
      answers(200, schema.Schedule, 'Read a schedule'),
      validate('param', schema.OneSchedule),
      async (c) => {
        const schedule = await schedules.getSchedule(c.var.context, c.req.valid('param'))
        return c.json(schedule, 200, etag(schedule))
      },
    )
    .put(
      '/:schedule',
      permit('job:schedule:update', 'platform'),
      answers(200, schema.Schedule, 'Create or edit a schedule'),
      validate('param', schema.OneSchedule),
      validate('json', schema.PutSchedule),
      async (c) => {
        const input = { ...c.req.valid('param'), ...c.req.valid('json') }
        const schedule = await schedules.putSchedule(c.var.context, handlers, input)
        return c.json(schedule, 200, etag(schedule))
      },
    )
    .delete(
      '/:schedule',
      permit('job:schedule:update', 'platform'),
      answers(204, null, 'Delete a schedule'),
      validate('param', schema.OneSchedule),
      async (c) => {
        await schedules.deleteSchedule(c.var.context, c.req.valid('param'))
        return c.body(null, 204)
      },
    )
    .post(
      '/:schedule/run',
      permit('job:schedule:update', 'platform'),
      answers(202, schema.JobSummary, 'Make the job of a schedule now'),
      validate('param', schema.OneSchedule),
      async (c) => {
        const job = await schedules.runSchedule(c.var.context, handlers, c.req.valid('param'))
        return c.json(job, 202, { location: `/v1/jobs/${job.id}` })
      },
    )

/** Mounted at /v1/jobs: all organizations', and the platform's own. Words come before ids. */
export const jobRoutes = (handlers: schedules.Handlers) =>
  router()
    .route('/', listed('platform', schema.ListAllJobs, schema.AskAllUsage))
    .route('/queues', queueRoutes)
    .route('/schedules', scheduleRoutes(handlers))
    .route('/', wholeRoutes)
    .route('/', single('platform'))
