import { Hono, type Context as HonoContext } from 'hono'
import { LRUCache } from 'lru-cache'
import { apiKeyRoutes } from './api-keys/routes.ts'
import { createIdentifier, identifyKey } from './api-keys/service.ts'
import { createDenials, type Denials } from './audit/service.ts'
import { authzenRoutes } from './authzen/routes.ts'
import { decisionRoutes } from './decisions/routes.ts'
import { openDecisions, type Policies } from './decisions/service.ts'
import type { Engine } from './engine/engine.ts'
import { grantJobs, grantSchedules } from './grants/jobs.ts'
import { grantRoutes } from './grants/routes.ts'
import { grantViolations } from './grants/service.ts'
import { importRoutes } from './imports/routes.ts'
import { leaveRoutes, memberRoutes } from './members/routes.ts'
import { memberViolations } from './members/service.ts'
import { organizationJobs, organizationSchedules } from './organizations/jobs.ts'
import { organizationRoutes, organizationsRoutes } from './organizations/routes.ts'
import { organizationViolations } from './organizations/service.ts'
import { permissionRoutes } from './permissions/routes.ts'
import type { Access, Actor, Context, Outgoing } from './platform/context.ts'
import type { MacKey } from './platform/crypto/mac.ts'
import type { SealKey } from './platform/crypto/seal.ts'
import type { Sql } from './platform/db/connect.ts'
import { beforeDeadline } from './platform/db/deadline.ts'
import { inOrganization } from './platform/db/transaction.ts'
import type { Violations } from './platform/db/violation.ts'
import { createGate, type Gate } from './platform/http/gate.ts'
import { healthRoutes, type Readiness } from './platform/http/health.ts'
import { createJwtVerifier, type JwtSettings } from './platform/http/jwt.ts'
import { documentOf } from './platform/http/openapi.ts'
import { referenceRoutes } from './platform/http/reference.ts'
import { respondToError, respondToUnknown } from './platform/http/respond.ts'
import { type Env, router } from './platform/http/router.ts'
import type { JobHandler } from './platform/jobs/handler.ts'
import type { QueueName } from './platform/jobs/queue.ts'
import type { RunOptions, StartedJob } from './platform/jobs/run.ts'
import type { BuiltInSchedule } from './platform/jobs/schedule.ts'
import type { Log } from './platform/log.ts'
import type { Metrics } from './platform/metrics.ts'
import type { Problem } from './platform/problem.ts'
import { resourceRoutes } from './resources/routes.ts'
import { resourceViolations } from './resources/service.ts'
import { roleRoutes } from './roles/routes.ts'
import { roleViolations } from './roles/service.ts'
import { teamRoutes } from './teams/routes.ts'
import { teamViolations } from './teams/service.ts'
import { workspaceRoutes, workspacesRoutes } from './workspaces/routes.ts'
import { workspaceViolations } from './workspaces/service.ts'

/** What an entry gives the server: its connections, its clock, its log, its settings. */
export type AppOptions = {
  /** The pool; on Workers that of the request. */
  sql: Sql | ((c: HonoContext) => Sql)
  engine: Engine
  log: Log
  auditKey: MacKey
  /** Encrypts secrets that must be read again: those of webhooks. */
  sealKey: SealKey
  /** The version that `/openapi.json` names. */
  version: string
  jwt?: JwtSettings | undefined
  /** Where callers reach this server, for documents that must name it. */
  publicUrl?: string | undefined
  /** Attributes that callers cannot say: `subject.role`, `resource.owner`. */
  storedOnlyAttributes?: readonly string[]
  selfServiceOrganizations?: boolean
  policyBytesMax?: number
  stalenessMs?: number
  now?: () => Date
  metrics?: Metrics
  readiness?: (sql: Sql) => Promise<Readiness>
  /** The script of the browsable reference; without it there is no `/docs`. */
  referenceScript?: () => Promise<string>
}

/** Every rule of the database that callers can break, by its name. */
const VIOLATIONS: Violations = {
  ...organizationViolations,
  ...roleViolations,
  ...memberViolations,
  ...workspaceViolations,
  ...teamViolations,
  ...resourceViolations,
  ...grantViolations,
}

/** Every kind of job, and what brings it about by the clock. */
const JOBS: readonly JobHandler[] = [...organizationJobs, ...grantJobs]
const SCHEDULES: readonly BuiltInSchedule[] = [...organizationSchedules, ...grantSchedules]

/** The server: every module with its routes, in one visible list. */
export const createApp = (options: AppOptions) => {
  const { engine, log, metrics, now = () => new Date() } = options
  const nowMs = options.now ? () => now().getTime() : Date.now
  const { sql } = options
  const sqlOf =
    typeof sql === 'function' && 'begin' in sql
      ? () => sql as Sql
      : (sql as (c: HonoContext) => Sql)
  const { policies, access } = openDecisions(engine, {
    bytesMax: options.policyBytesMax ?? 1_000_000_000,
    stalenessMs: options.stalenessMs ?? 1000,
    selfService: options.selfServiceOrganizations ?? true,
    now: nowMs,
  })
  const wakers: ((queues: readonly QueueName[]) => void)[] = []
  const outgoing: Outgoing = {
    recorded: async () => {},
    wake: (queues) => {
      if (queues.length > 0) for (const wake of wakers) wake(queues)
    },
  }
  const gate = createGate({
    sql: sqlOf,
    access,
    outgoing,
    auditKey: options.auditKey,
    sealKey: options.sealKey,
    log,
    now,
    nowMs,
    identify: identifierOf(policies, options.jwt),
    organizationId: async (context, reference) => (await policies.find(context.sql, reference))?.id,
  })

  const app = new Hono<Env>()
  const denials = createDenials()
  const onError = respondToError(log, VIOLATIONS, noteRefusal(gate, denials, log))
  app.onError(onError)
  app.route(
    '/',
    healthRoutes(
      (c) => readinessOf(options, sqlOf(c)),
      async () => metricsText(metrics, policies),
    ),
  )
  app.route('/', decisionRoutes(gate, policies))
  app.route('/', authzenRoutes(gate, policies, options))
  app.route('/v1', managementRoutes(gate))
  let document: ReturnType<typeof documentOf> | undefined
  if (options.referenceScript) app.route('/docs', referenceRoutes(options.referenceScript))
  app.get('/openapi.json', async (c) => {
    document ??= documentOf(app, options.version)
    return c.json(await document)
  })
  app.notFound(respondToUnknown(app.routes))
  // A router of their own: among all routes Hono falls back to a slower one.
  const asked = new Hono<Env>()
  asked.onError(onError)
  asked.notFound(respondToUnknown(app.routes))
  asked.route('/', decisionRoutes(gate, policies))
  const fetch: typeof app.fetch = (request, ...rest) =>
    (/^[^/]+\/\/[^/]+\/check(?:\/batch)?$/.test(request.url) ? asked : app).fetch(request, ...rest)
  const { auditKey, sealKey } = options
  const jobs = {
    handlers: new Map(JOBS.map((handler) => [handler.type.jobName, handler])),
    schedules: SCHEDULES,
    /** What a runtime needs to run jobs over a database. */
    runOptions: (own: Sql): RunOptions => ({
      sql: own,
      handlers: jobs.handlers,
      contextOf: (job) =>
        jobContext(job, { sql: own, log, access, outgoing, auditKey, sealKey, now }),
      permits: permitsNow,
    }),
    /** Tells of queues in which jobs were just committed. */
    onWake: (wake: (queues: readonly QueueName[]) => void) => void wakers.push(wake),
  }
  return { app, fetch, policies, access, outgoing, gate, denials, jobs }
}

/** Whose power the server's own jobs have: they hold the database, and are bounded by nobody's permissions. */
export const unbounded = (access: Access): Access => ({
  ...access,
  permits: async () => true,
  ceiling: async () => ({ holds: () => true, mayGiveOwnership: true }),
})

/** Who the server is where it acts by itself. */
export const SERVER: Actor = {
  subject: 'service:latchkey',
  apiKeyId: null,
  organizationId: null,
  restrictedTo: null,
}

/** A job runs in its actor's name and within that actor's permissions; without one, in the server's own. */
const jobContext = (
  job: StartedJob,
  shared: Pick<Context, 'sql' | 'log' | 'access' | 'outgoing' | 'auditKey' | 'sealKey' | 'now'>,
): Context => ({
  ...shared,
  access: job.actor ? shared.access : unbounded(shared.access),
  actor: job.actor ?? SERVER,
  organizationId: job.organizationId ?? '',
  requestId: job.requestId ?? job.id,
})

/** Asked of the policy as the database has it at this moment: a job may have waited long. */
const permitsNow: RunOptions['permits'] = async (context, { permission, workspaceId }) => {
  const organizationId = context.organizationId || null
  const place = { organizationId, workspaceId }
  if (organizationId === null) return context.access.permits(context, permission!, place)
  const ceiling = await inOrganization(context, (tx) => context.access.ceiling(context, tx))
  return ceiling.holds({ permission: permission!, place })
}

/** Leaves an event of a refusal, without making whoever is refused wait. */
const noteRefusal =
  (gate: Gate, denials: Denials, log: Log) =>
  (problem: Problem, c: HonoContext): void => {
    const { code, extras } = problem
    gate
      .refused(c, problem)
      .then((context) => denials.note(context, { code, permission: extras.permission }))
      .catch((error: unknown) => log.warn({ err: error }, 'a refusal is not in the log'))
  }

/** Everything under /v1: the caller is known before any route runs. */
const managementRoutes = (gate: Gate) => {
  const workspace = router().use('*', gate.workspace).route('/', workspaceRoutes)
  const organization = router()
    .use('*', gate.organization)
    .route('/', organizationRoutes)
    .route('/members', memberRoutes)
    .route('/leave', leaveRoutes)
    .route('/roles', roleRoutes)
    .route('/teams', teamRoutes)
    .route('/workspaces', workspacesRoutes)
    .route('/workspaces/:workspace', workspace)
    .route('/resources', resourceRoutes)
    .route('/grants', grantRoutes)
    .route('/api-keys', apiKeyRoutes)
    .route('/', importRoutes)
  return router()
    .use('*', gate.logged)
    .use('*', gate.authenticate)
    .route('/', permissionRoutes)
    .route('/organizations', organizationsRoutes)
    .route('/organizations/:organization', organization)
}

/** API keys and tokens of the configured issuer, through one function. */
const identifierOf = (policies: Policies, jwt: JwtSettings | undefined) => {
  const key = createIdentifier({
    verify: identifyKey,
    peekRevision: (organizationId) =>
      organizationId === null
        ? policies.peekPlatform()?.revision
        : policies.peek(organizationId)?.revision,
    revision: async (sql, organizationId) =>
      organizationId === null
        ? (await policies.currentPlatform(sql)).revision
        : (await policies.find(sql, organizationId))?.revision,
  })
  const verifyJwt = jwt && createJwtVerifier(jwt)
  const people = new LRUCache<string, { actor: Actor; untilMs: number }>({ max: 50_000 })
  return (sql: Sql, token: string, nowMs: number) => {
    if (!verifyJwt || !token.startsWith('eyJ')) return key(sql, token, nowMs)
    const known = people.get(token)
    if (known && known.untilMs > nowMs) return known.actor
    return verifyJwt(token, new Date(nowMs)).then((identity) => {
      if (identity) people.set(token, identity)
      return identity?.actor
    })
  }
}

const readinessOf = async ({ readiness }: AppOptions, sql: Sql): Promise<Readiness> => {
  try {
    if (readiness) return await beforeDeadline(readiness(sql))
    await beforeDeadline(sql`select 1`)
    return { ready: true, reasons: [], degraded: [] }
  } catch {
    return { ready: false, reasons: ['the database cannot be reached'], degraded: [] }
  }
}

const metricsText = async (metrics: Metrics | undefined, policies: Policies) => {
  if (!metrics) return { contentType: 'text/plain', text: '' }
  metrics.observe(policies.counts, policies.size())
  return { contentType: metrics.registry.contentType, text: await metrics.registry.metrics() }
}
