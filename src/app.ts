import { Hono, type Context as HonoContext } from 'hono'
import { LRUCache } from 'lru-cache'
import { createIdentifier, identifyKey } from './api-keys/service.ts'
import { handlersOf, jobContext, permitsNow, SCHEDULES } from './app/jobs.ts'
import { managementRoutes } from './app/management.ts'
import { n8nCatalog } from './app/marketplace.ts'
import { VIOLATIONS } from './app/violations.ts'
import { createDenials, type Denials } from './audit/service.ts'
import { authzenRoutes } from './authzen/routes.ts'
import { decisionRoutes } from './decisions/routes.ts'
import { openDecisions, type Policies } from './decisions/service.ts'
import type { Engine } from './engine/engine.ts'
import { declineRoutes } from './invitations/routes.ts'
import { openOptimizer } from './optimizer/service.ts'
import { paymentRoutes } from './orders/routes.ts'
import { manualPayments, type PaymentProvider } from './orders/service.ts'
import type { AddressRange } from './platform/address-range.ts'
import type { OpenCache } from './platform/cache/open.ts'
import type { Actor, Outgoing } from './platform/context.ts'
import type { MacKey } from './platform/crypto/mac.ts'
import type { SealKey } from './platform/crypto/seal.ts'
import type { Sql } from './platform/db/connect.ts'
import { beforeDeadline } from './platform/db/deadline.ts'
import { type ResolveTxt, resolveTxtOverHttps } from './platform/dns.ts'
import { clientAddressOf } from './platform/http/client-address.ts'
import { createGate, type Gate } from './platform/http/gate.ts'
import { headerOf } from './platform/http/headers.ts'
import { healthRoutes, type Readiness } from './platform/http/health.ts'
import { createJwtVerifier, type JwtSettings } from './platform/http/jwt.ts'
import { documentOf } from './platform/http/openapi.ts'
import type { Quotas } from './platform/http/rate-limit.ts'
import { referenceRoutes } from './platform/http/reference.ts'
import { respondToError, respondToUnknown } from './platform/http/respond.ts'
import { type Env, router } from './platform/http/router.ts'
import type { QueueName } from './platform/jobs/queue.ts'
import type { RunOptions } from './platform/jobs/run.ts'
import type { Log } from './platform/log.ts'
import type { SendMail } from './platform/mail/mail.ts'
import type { Metrics } from './platform/metrics.ts'
import type { Problem } from './platform/problem.ts'
import { fetchSend, type Send } from './platform/send.ts'
import type { OpenShadow } from './platform/shadow.ts'
import type { SqlParser } from './platform/sql-parser.ts'
import { createMetering } from './usage/service.ts'
import { tellWebhooks } from './webhooks/service.ts'

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
  /** Delivers letters; without it their jobs wait for a worker that has it. */
  sendMail?: SendMail | undefined
  /** Where people accept invitations, with `{token}` in it. */
  invitationUrl?: string | undefined
  /** Lets webhooks lead into private networks, and without TLS: for development, and where nobody else has an account. */
  webhookPrivateAddresses?: boolean
  /** Posts to the servers of customers. Default: the runtime's `fetch`, which must keep private networks out of reach. */
  send?: Send
  /** The other end of a request's connection; without it no address is known, and allow lists let nobody in. */
  peerAddress?: (c: HonoContext) => string | undefined
  /** Where a runtime ends with a request what it has begun: what keeps that alive. */
  waitUntil?: (c: HonoContext) => (promise: Promise<unknown>) => void
  /** Proxies whose word on the client's address counts. */
  trustedProxies?: readonly AddressRange[] | undefined
  /** Looks up TXT records. Default: over HTTPS, as runtimes without DNS need it. */
  resolveTxt?: ResolveTxt
  /** Who takes the money for templates. Default: an operator says when an invoice was paid. */
  payments?: PaymentProvider
  /** Quotas of rate limits that count instead of those in the source, by the name of the limit. */
  quotas?: Quotas | undefined
  /** Attributes that callers cannot say: `subject.role`, `resource.owner`. */
  storedOnlyAttributes?: readonly string[]
  selfServiceOrganizations?: boolean
  /** The plan an organization starts on. Default: free. */
  defaultPlan?: string
  /** What is kept of costly answers, here and for other nodes. */
  cache: OpenCache
  /** Reads the queries of operators; without it, as on Workers, there are no plans of them. */
  sqlParser?: SqlParser | undefined
  /** Makes a shadow of a database, to ask its planner what indexes would do; without it advice is computed, and unverified. */
  openShadow?: OpenShadow | undefined
  policyBytesMax?: number
  /** Of which organizations only slices are held. Default: of large ones. */
  slices?: 'always' | 'large' | 'never'
  /** From how many grants, members and resources together an organization is large. */
  sliceRowsMin?: number
  /** So many an organization may have that is held whole at all. Default: any number. */
  wholeRowsMax?: number
  stalenessMs?: number
  /** Where a runtime ties what a request has begun to that request: milliseconds others wait for it (JOIN_MS_ON_WORKERS). */
  joinMs?: number
  now?: () => Date
  metrics?: Metrics
  /** The text of `/metrics` where several processes are one server; without it, this process tells of itself. */
  metricsOfAll?: (() => Promise<string>) | undefined
  readiness?: (sql: Sql) => Promise<Readiness>
  /** The script of the browsable reference; without it there is no `/docs`. */
  referenceScript?: () => Promise<string>
}

const DNS_OVER_HTTPS = 'https://cloudflare-dns.com/dns-query'

const addressOf =
  ({ peerAddress, trustedProxies = [] }: AppOptions) =>
  (c: HonoContext) =>
    clientAddressOf(
      {
        peer: peerAddress?.(c),
        forwardedFor: headerOf(c, 'x-forwarded-for'),
        forwarded: headerOf(c, 'forwarded'),
      },
      trustedProxies,
    )

const mailOf = ({ sendMail, invitationUrl, publicUrl = '' }: AppOptions) =>
  sendMail && {
    send: sendMail,
    // After the # it reaches no log of a server.
    invitationUrl: invitationUrl ?? `${publicUrl}/console/invitations#{token}`,
  }

const advisorOf = ({ sqlParser: parser, openShadow }: AppOptions) =>
  parser && { parser, openShadow }

/** The server: what it is given, put together. Its modules stand in app/management.ts. */
export const createApp = (options: AppOptions) => {
  const { engine, log, metrics, cache, now = () => new Date() } = options
  const nowMs = options.now ? () => now().getTime() : Date.now
  const { sql } = options
  const sqlOf =
    typeof sql === 'function' && 'begin' in sql
      ? () => sql as Sql
      : (sql as (c: HonoContext) => Sql)
  const tellers: ((home: string, revision: number | null) => void)[] = []
  const { policies, access } = openDecisions(engine, {
    bytesMax: options.policyBytesMax ?? 1_000_000_000,
    slices: options.slices ?? 'large',
    sliceRowsMin: options.sliceRowsMin ?? 2_000_000,
    wholeRowsMax: options.wholeRowsMax,
    stalenessMs: options.stalenessMs ?? 1000,
    joinMs: options.joinMs,
    // Over REST nobody can be told: revisions are asked for there instead.
    revisionStore: cache.line?.canHear === false ? cache.line : undefined,
    selfService: options.selfServiceOrganizations ?? true,
    defaultPlan: options.defaultPlan ?? 'free',
    now: nowMs,
    announce: (home, revision) => {
      if (revision !== null) cache.caches.heard(home, revision)
      for (const tell of tellers) tell(home, revision)
    },
  })
  const wakers: ((queues: readonly QueueName[]) => void)[] = []
  const outgoing: Outgoing = {
    recorded: tellWebhooks,
    wake: (queues) => {
      if (queues.length > 0) for (const wake of wakers) wake(queues)
    },
  }
  const privateAddresses = options.webhookPrivateAddresses ?? false
  const webhooks = {
    privateAddresses,
    origin: options.publicUrl?.replace(/\/+$/, '') ?? 'urn:latchkey',
    send: options.send ?? fetchSend({ privateAddresses }),
    userAgent: `Latchkey/${options.version}`,
  }
  const gate = createGate({
    sql: sqlOf,
    access,
    outgoing,
    caches: cache.caches,
    auditKey: options.auditKey,
    sealKey: options.sealKey,
    log,
    now,
    nowMs,
    addressOf: addressOf(options),
    waitUntil: options.waitUntil,
    quotas: options.quotas,
    identify: identifierOf(policies, options),
    organizationId: async (context, reference) => (await policies.find(context.sql, reference))?.id,
  })

  /** Brings up to date what is counted without the registry. */
  const measure = async () => {
    metrics?.observe(policies.counts, policies.size())
    metrics?.observeCaches(cache.caches.statistics(), cache.caches.health().isDegraded)
    await metrics?.jobs.refresh()
  }
  const app = new Hono<Env>()
  const denials = createDenials()
  const onError = respondToError(log, VIOLATIONS, noteRefusal(gate, denials, log))
  app.onError(onError)
  app.route(
    '/',
    healthRoutes(
      (c) => readinessOf(options, sqlOf(c)),
      () => metricsText(options, measure),
    ),
  )
  app.route('/', decisionRoutes(gate, policies))
  app.route('/', authzenRoutes(gate, policies, options))
  app.route('/v1/invitations', router().use('/decline', gate.anonymous).route('/', declineRoutes))
  const payments = options.payments ?? manualPayments()
  app.route(
    '/v1/marketplace/payments',
    router().use('*', gate.anonymous).route('/', paymentRoutes(payments)),
  )
  const resolveTxt = options.resolveTxt ?? resolveTxtOverHttps(DNS_OVER_HTTPS)
  const handlers = handlersOf({
    ...{ resolveTxt, webhooks, mail: mailOf(options), advisor: advisorOf(options) },
    sqlParser: options.sqlParser,
  })
  app.route(
    '/v1',
    managementRoutes(gate, policies, {
      webhooks,
      handlers,
      resolveTxt,
      cache,
      payments,
      optimizer: openOptimizer(options.sqlParser, now()),
    }),
  )
  app.route('/n8n/:readKey', n8nCatalog(gate))
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
    handlers,
    schedules: SCHEDULES,
    /** What a runtime needs to run jobs over a database. */
    runOptions: (own: Sql): RunOptions => ({
      sql: own,
      handlers,
      contextOf: (job) =>
        jobContext(job, { sql: own, log, access, outgoing, auditKey, sealKey, now }),
      permits: permitsNow,
    }),
    /** Tells of queues in which jobs were just committed. */
    onWake: (wake: (queues: readonly QueueName[]) => void) => void wakers.push(wake),
  }
  const changes = {
    /** Tells of commits that were made here. */
    onCommit: (tell: (home: string, revision: number | null) => void) => void tellers.push(tell),
    heard: (home: string, revision: number | null) => {
      if (revision !== null) cache.caches.heard(home, revision)
      policies.heard(home, revision)
    },
    unsure: policies.unsure,
  }
  const metering = createMetering(policies, { now, log })
  return { app, fetch, policies, access, outgoing, gate, denials, jobs, changes, metering, measure }
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

/** API keys and tokens of the configured issuer, through one function. */
const identifierOf = (policies: Policies, { jwt, cache, joinMs }: AppOptions) => {
  const key = createIdentifier({
    verify: identifyKey,
    joinMs,
    peekRevision: (organizationId) =>
      organizationId === null
        ? policies.peekPlatform()?.revision
        : policies.peek(organizationId)?.revision,
    revision: async (sql, organizationId) =>
      organizationId === null
        ? (await policies.currentPlatform(sql)).revision
        : (await policies.find(sql, organizationId))?.revision,
  })
  const verifyJwt = jwt && createJwtVerifier(jwt, cache.caches)
  const people = new LRUCache<string, { actor: Actor; untilMs: number }>({ max: 50_000 })
  return (sql: Sql, token: string, nowMs: number) => {
    if (!verifyJwt || !token.startsWith('eyJ')) return key(sql, token, nowMs)
    const known = people.get(token)
    if (known && known.untilMs > nowMs) return known.actor
    return verifyJwt(sql, token, new Date(nowMs)).then((identity) => {
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

const metricsText = async ({ metrics, metricsOfAll }: AppOptions, measure: () => Promise<void>) => {
  if (!metrics) return { contentType: 'text/plain', text: '' }
  const { contentType } = metrics.registry
  if (metricsOfAll) return { contentType, text: await metricsOfAll() }
  await measure()
  return { contentType, text: await metrics.registry.metrics() }
}
