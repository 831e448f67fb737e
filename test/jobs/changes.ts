import type { TestServer } from '../support/server.ts'
import { jobsOf } from './fixtures.ts'

/** Jobs of an organization in every state that something can be made of. */
export type PreparedJobs = {
  ready: string
  scheduled: string
  dead: string
  schedule: string
}

let schedules = 0

/** Makes what the changes below are about. */
export const prepareJobs = async (
  server: TestServer,
  organizationId: string,
): Promise<PreparedJobs> => {
  const { add, addDead } = jobsOf(server)
  await server.sql`update job_queues set paused = queue = 'email'`
  const schedule = `every.route.${schedules++}`
  const body = { job: 'grants.end-expired', cron: '0 0 1 1 *' }
  await server.call(`PUT /v1/jobs/schedules/${schedule}`, body)
  return {
    schedule,
    dead: await addDead({ organizationId }),
    ready: await add({ organizationId }),
    scheduled: await add({ organizationId, runAt: new Date('2090-01-01T00:00:00Z') }),
  }
}

type Given = { path: string; id: string; jobs: PreparedJobs }
type Sample = (given: Given) => [what: string, body?: unknown]

/** The changes of one job, which are mounted twice. */
const ofOne = (route: string, at: (given: Given) => string): Record<string, Sample> => ({
  [`POST ${route}/jobs/:job/cancel`]: (g) => [`POST ${at(g)}/jobs/${g.jobs.ready}/cancel`],
  [`POST ${route}/jobs/:job/retry`]: (g) => [`POST ${at(g)}/jobs/${g.jobs.dead}/retry`],
  [`POST ${route}/jobs/:job/promote`]: (g) => [`POST ${at(g)}/jobs/${g.jobs.scheduled}/promote`],
})

/** One request that changes something, per route of jobs that can. */
export const JOB_CHANGES: Record<string, Sample> = {
  ...ofOne('/v1/organizations/:organization', ({ path }) => path),
  ...ofOne('/v1', () => '/v1'),
  'DELETE /v1/jobs/:job': ({ jobs }) => [`DELETE /v1/jobs/${jobs.dead}`],
  'POST /v1/jobs/bulk': ({ id }) => [
    'POST /v1/jobs/bulk',
    { action: 'cancel', filter: { organization: id } },
  ],
  'POST /v1/jobs/redrive': () => ['POST /v1/jobs/redrive', { queue: 'default' }],
  'PATCH /v1/jobs/queues/:queue': () => ['PATCH /v1/jobs/queues/audit', { slotsMax: 6 }],
  'POST /v1/jobs/queues/:queue/pause': () => ['POST /v1/jobs/queues/default/pause'],
  'POST /v1/jobs/queues/:queue/resume': () => ['POST /v1/jobs/queues/email/resume'],
  'POST /v1/jobs/queues/:queue/drain': () => ['POST /v1/jobs/queues/default/drain'],
  'PUT /v1/jobs/organizations/:organization': ({ id }) => [
    `PUT /v1/jobs/organizations/${id}`,
    { weight: 2 },
  ],
  'PUT /v1/jobs/schedules/:schedule': ({ jobs }) => [
    `PUT /v1/jobs/schedules/${jobs.schedule}`,
    { job: 'grants.end-expired', cron: '1 0 1 1 *' },
  ],
  'DELETE /v1/jobs/schedules/:schedule': ({ jobs }) => [
    `DELETE /v1/jobs/schedules/${jobs.schedule}`,
  ],
  'POST /v1/jobs/schedules/:schedule/run': ({ jobs }) => [
    `POST /v1/jobs/schedules/${jobs.schedule}/run`,
  ],
}
