import { catalogJobs, catalogSchedules } from '../catalog/jobs.ts'
import { decisionJobs, decisionSchedules } from '../decisions/jobs.ts'
import { domainJobs, domainSchedules } from '../domains/jobs.ts'
import { grantJobs, grantSchedules } from '../grants/jobs.ts'
import { indexJobs, indexSchedules } from '../indexes/jobs.ts'
import { installationJobs, installationSchedules } from '../installations/jobs.ts'
import { invitationJobs, invitationSchedules } from '../invitations/jobs.ts'
import { jobJobs, jobSchedules } from '../jobs/jobs.ts'
import { organizationJobs, organizationSchedules } from '../organizations/jobs.ts'
import { ownershipJobs, ownershipSchedules } from '../ownership/jobs.ts'
import { type Actor, type Context, unbounded } from '../platform/context.ts'
import { inOrganization } from '../platform/db/transaction.ts'
import type { ResolveTxt } from '../platform/dns.ts'
import type { JobHandler } from '../platform/jobs/handler.ts'
import type { RunOptions, StartedJob } from '../platform/jobs/run.ts'
import type { BuiltInSchedule } from '../platform/jobs/schedule.ts'
import type { SqlParser } from '../platform/sql-parser.ts'
import { recommendationJobs } from '../recommendations/jobs.ts'
import { usageJobs, usageSchedules } from '../usage/jobs.ts'
import { webhookJobs, webhookSchedules } from '../webhooks/jobs.ts'
import { workloadJobs, workloadSchedules } from '../workload/jobs.ts'

/** Every kind of job that needs nothing of the server but its context. */
const JOBS: readonly JobHandler[] = [
  ...organizationJobs,
  ...ownershipJobs,
  ...installationJobs,
  ...catalogJobs,
  ...grantJobs,
  ...jobJobs,
  ...decisionJobs,
  ...usageJobs,
  ...indexJobs,
]
/** What comes about by the clock. */
export const SCHEDULES: readonly BuiltInSchedule[] = [
  ...organizationSchedules,
  ...ownershipSchedules,
  ...installationSchedules,
  ...catalogSchedules,
  ...domainSchedules,
  ...grantSchedules,
  ...jobSchedules,
  ...decisionSchedules,
  ...usageSchedules,
  ...invitationSchedules,
  ...webhookSchedules,
  ...indexSchedules,
  ...workloadSchedules,
]

/** What single jobs need of the server. */
export type JobSettings = {
  resolveTxt: ResolveTxt
  mail: Parameters<typeof invitationJobs>[0]
  webhooks: Parameters<typeof webhookJobs>[0]
  sqlParser: SqlParser | undefined
  advisor: Parameters<typeof recommendationJobs>[0]
}

/** Every kind of job by its name. */
export const handlersOf = ({
  resolveTxt,
  mail,
  webhooks,
  sqlParser,
  advisor,
}: JobSettings): ReadonlyMap<string, JobHandler> =>
  new Map(
    [
      ...JOBS,
      ...domainJobs(resolveTxt),
      ...invitationJobs(mail),
      ...webhookJobs(webhooks),
      ...workloadJobs(sqlParser),
      ...recommendationJobs(advisor),
    ].map((handler) => [handler.type.jobName, handler]),
  )

/** Who the server is where it acts by itself. */
export const SERVER: Actor = {
  subject: 'service:latchkey',
  apiKeyId: null,
  organizationId: null,
  restrictedTo: null,
}

/** A job runs in its actor's name and within that actor's permissions; without one, in the server's own. */
export const jobContext = (
  job: StartedJob,
  shared: Pick<Context, 'sql' | 'log' | 'access' | 'outgoing' | 'auditKey' | 'sealKey' | 'now'>,
): Context => ({
  ...shared,
  access: job.actor ? shared.access : unbounded(shared.access),
  actor: job.actor ?? SERVER,
  organizationId: job.organizationId ?? '',
  requestId: job.requestId ?? job.id,
})

/**
 * Asked of the policy as the database has it at this moment: a job may have waited long. What this node knows may be behind
 * in either direction, so it neither permits nor refuses; asking it only makes sure that there is something to bring up to
 * date.
 */
export const permitsNow: RunOptions['permits'] = async (context, { permission, workspaceId }) => {
  const organizationId = context.organizationId || null
  const place = { organizationId, workspaceId }
  const known = await context.access.permits(context, permission!, place)
  if (organizationId === null) return known
  const ceiling = await inOrganization(context, (tx) => context.access.ceiling(context, tx))
  return ceiling.holds({ permission: permission!, place })
}
