import type { Server } from 'node:http'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { serve } from '@hono/node-server'
import { getConnInfo } from '@hono/node-server/conninfo'
import type { Context as HonoContext } from 'hono'
import { parse as parseYaml } from 'yaml'
import { adoptOutsideKey, createFirstOperatorKey } from './api-keys/service.ts'
import { SERVER } from './app/jobs.ts'
import { type AppOptions, createApp } from './app.ts'
import { hasDemo, seedDemo } from './demo.ts'
import { createEngine } from './engine/engine.ts'
import { measureJobs } from './jobs/service.ts'
import { openPayments } from './orders/service.ts'
import { createNoStore } from './platform/cache/no-store.ts'
import { openCache } from './platform/cache/open.ts'
import { createRedisStore } from './platform/cache/redis-store.ts'
import { joinRevisionLine } from './platform/cache/revision-line.ts'
import { createUpstashStore } from './platform/cache/upstash-store.ts'
import type { Config } from './platform/config.ts'
import { type Context, unbounded } from './platform/context.ts'
import { fromHex } from './platform/crypto/hash.ts'
import { macKey } from './platform/crypto/mac.ts'
import { sealKey } from './platform/crypto/seal.ts'
import { openChangeLine } from './platform/db/change-line.ts'
import { connect, type Sql } from './platform/db/connect.ts'
import { startEmbedded } from './platform/db/embedded.ts'
import { isMigrated, migrate } from './platform/db/migrate.ts'
import { readMigrations } from './platform/db/migrations.ts'
import type { OnStatement } from './platform/db/observe.ts'
import { openShadow } from './platform/db/shadow/open.ts'
import { createBullmqExecutor } from './platform/jobs/bullmq.ts'
import { installSchedules, startScheduler } from './platform/jobs/schedule.ts'
import { openWakeLine } from './platform/jobs/wake-line.ts'
import { startWorkers } from './platform/jobs/workers.ts'
import type { Log } from './platform/log.ts'
import { createSmtp } from './platform/mail/smtp.ts'
import { createMetrics, type MetricValues } from './platform/metrics.ts'
import { createResolveTxt } from './platform/node/dns.ts'
import { keptSecret, listShipped, readShipped } from './platform/node/files.ts'
import { createLog } from './platform/node/log.ts'
import { createOutbox } from './platform/node/outbox.ts'
import { createSend } from './platform/node/send.ts'
import { createSqlParser } from './platform/node/sql-parser.ts'
import { installPacks, readPack } from './roles/service.ts'
import { createRecorder, createWorkloadWriter } from './workload/service.ts'

/** A running database, and how to let go of it. */
export type OpenDatabase = { sql: Sql; kind: 'embedded' | 'server'; close: () => Promise<void> }

/** Opens the database that the settings name: a server, or the embedded one in the data directory. */
export const openDatabase = async (
  config: Config,
  log: Log,
  onStatement?: OnStatement,
): Promise<OpenDatabase> => {
  const onNotice = (message: string) => log.debug({ message }, 'the database says')
  if (config.DATABASE_URL) {
    const sql = connect(
      { url: config.DATABASE_URL },
      { connectionsMax: config.DATABASE_CONNECTIONS_MAX, onNotice, onStatement },
    )
    return { sql, kind: 'server', close: () => sql.end({ timeout: 5 }) }
  }
  const embedded = await startEmbedded({ dataDir: config.DATA_DIR })
  const sql = connect(embedded.target, { onNotice, onStatement })
  const close = async () => {
    await sql.end({ timeout: 5 })
    await embedded.stop()
  }
  return { sql, kind: 'embedded', close }
}

/** The packs of `policies/`. */
export const readPacks = async () => {
  const names = (await listShipped('policies')).filter((name) => name.endsWith('.yaml')).sort()
  return Promise.all(
    names.map(async (name) =>
      readPack(
        parseYaml(await readShipped(`policies/${name}`)),
        await readShipped(`policies/${name.replace(/\.yaml$/, '.csv')}`),
      ),
    ),
  )
}

/** The key that authenticates audit events: from the settings, else made once and kept beside the data. */
export const readAuditKey = async (config: Config) => {
  const hex = config.AUDIT_MAC_KEY ?? (await keptSecret(config.DATA_DIR, 'audit-mac.key'))
  return macKey(fromHex(hex) as Uint8Array<ArrayBuffer>)
}

/** What secrets and cached values are encrypted with: from the settings, else made once and kept beside the data. */
const readDataKey = async (config: Config) =>
  config.DATA_KEY ?? (await keptSecret(config.DATA_DIR, 'data.key'))

/** Bytes of memory that cached values take where the settings say nothing. */
const CACHE_BYTES_MAX = 64_000_000

/** The caches, over the Redis of the settings if they name one. */
const openCacheOf = (config: Config, dataKey: string, log: Log) =>
  openCache({
    store: storeOf(config),
    environment: config.CACHE_ENVIRONMENT,
    dataKey,
    previousDataKey: config.DATA_KEY_PREVIOUS,
    bytesMax: config.CACHE_BYTES_MAX ?? CACHE_BYTES_MAX,
    timeoutMs: config.CACHE_COMMAND_TIMEOUT_MS,
    stalenessMs: config.STALENESS_MS,
    log,
  })

const storeOf = ({ REDIS_URL, UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN }: Config) => {
  if (REDIS_URL) return createRedisStore({ url: REDIS_URL })
  if (UPSTASH_REDIS_REST_URL)
    return createUpstashStore({ url: UPSTASH_REDIS_REST_URL, token: UPSTASH_REDIS_REST_TOKEN! })
  return createNoStore()
}

/** The mail server of the settings, else a folder beside the data. */
const createMail = (config: Config, log: Log) => {
  const from = config.MAIL_FROM ?? 'Latchkey <latchkey@localhost>'
  if (config.SMTP_URL) return createSmtp({ url: config.SMTP_URL, from })
  const send = createOutbox({
    folder: join(config.DATA_DIR, 'outbox'),
    from,
    log,
    showsLinks: config.NODE_ENV !== 'production',
  })
  return { send, stop: () => {} }
}

/** The other end of a request's connection; without one, as in a test, there is nobody. */
export const peerAddress = (c: HonoContext): string | undefined =>
  c.env?.incoming ? getConnInfo(c).remote.address : undefined

/** Where people reach this server. */
const urlOf = ({ PUBLIC_URL, HOST, PORT }: Config) =>
  PUBLIC_URL ?? `http://${HOST.includes(':') ? `[${HOST}]` : HOST}:${PORT}`

/** What this process does of the whole, where it is one worker of several; without it, it does everything. */
export type Part = {
  /** Which worker it is; log lines name it. */
  worker: number
  /** Whether it makes the first administrator's key, if there is none. */
  makesKey: boolean
  /** Whether it makes the demo organization, if the settings want one. */
  makesDemo: boolean
  /** The text of `/metrics` over all workers. */
  metricsOfAll: () => Promise<string>
}

/** A server that is put together and migrated, but does not listen yet. */
export const assemble = async (config: Config, database: OpenDatabase, log: Log, part?: Part) => {
  const migrations = await readMigrations()
  const applied = await migrate(database.sql, migrations)
  if (applied.length > 0) log.info({ applied }, 'database migrated')
  const metrics = createMetrics()
  metrics.jobs.measureBy(() => measureJobs(database.sql))
  const engine = createEngine({
    modelText: await readShipped('model.conf'),
    verify: config.ENGINE_VERIFY,
    onDifference: (difference) => {
      metrics.differences.inc()
      log.error({ difference }, 'the index and Casbin differ; Casbin was answered')
    },
  })
  log.info({ tier: engine.tier, reason: engine.tierReason }, 'engine ready')
  const mail = createMail(config, log)
  const dataKey = await readDataKey(config)
  const cache = await openCacheOf(config, dataKey, log)
  const state = { starting: true, draining: false, degraded: (): string[] => [] }
  const options: AppOptions = {
    sql: database.sql,
    engine,
    log,
    metrics,
    metricsOfAll: part?.metricsOfAll,
    auditKey: await readAuditKey(config),
    sealKey: await sealKey(dataKey, config.DATA_KEY_PREVIOUS),
    cache,
    version: await readVersion(),
    jwt: config.JWT_ISSUER
      ? {
          issuer: config.JWT_ISSUER,
          audience: config.JWT_AUDIENCE!,
          jwksUrl: config.JWT_JWKS_URL!,
        }
      : undefined,
    publicUrl: config.PUBLIC_URL,
    payments: openPayments(config),
    sendMail: mail.send,
    invitationUrl: config.INVITATION_URL ?? `${urlOf(config)}/console/invitations#{token}`,
    webhookPrivateAddresses: config.WEBHOOK_PRIVATE_ADDRESSES,
    send: createSend({ privateAddresses: config.WEBHOOK_PRIVATE_ADDRESSES }),
    peerAddress,
    trustedProxies: config.TRUSTED_PROXIES,
    resolveTxt: createResolveTxt(config.DNS_SERVERS),
    sqlParser: createSqlParser(),
    openShadow,
    storedOnlyAttributes: config.STORED_ONLY_ATTRIBUTES,
    selfServiceOrganizations: config.SELF_SERVICE_ORGANIZATIONS,
    defaultPlan: config.DEFAULT_PLAN,
    policyBytesMax: config.POLICY_BYTES_MAX,
    slices: 'large',
    sliceRowsMin: config.SLICE_ROWS_MIN,
    stalenessMs: config.STALENESS_MS,
    referenceScript: readReferenceScript,
    readiness: async (sql) => {
      const reasons = [
        ...(state.starting ? ['starting'] : []),
        ...(state.draining ? ['shutting down'] : []),
        ...((await isMigrated(sql, migrations)) ? [] : ['migrations are missing']),
      ]
      return {
        ready: reasons.length === 0,
        reasons,
        degraded: [...state.degraded(), ...cache.degraded()],
      }
    },
  }
  const server = createApp(options)
  const context: Context = {
    sql: database.sql,
    log,
    access: unbounded(server.access),
    outgoing: server.outgoing,
    auditKey: options.auditKey,
    sealKey: options.sealKey,
    actor: SERVER,
    organizationId: '',
    requestId: 'start',
    now: () => new Date(),
  }
  await installPacks(context, await readPacks())
  if (config.LATCHKEY_ADMIN_KEY) await adoptOutsideKey(context, config.LATCHKEY_ADMIN_KEY)
  return {
    ...server,
    context,
    metrics,
    mail,
    cache,
    isNew: applied.length === migrations.length,
    state,
  }
}

/** From the build beside the program, else from the development dependency. */
const readReferenceScript = () =>
  readShipped('dist/rapidoc.js').catch(() =>
    readShipped('node_modules/rapidoc/dist/rapidoc-min.js'),
  )

const readVersion = async () => {
  const { version } = JSON.parse(await readShipped('package.json')) as { version: string }
  return version
}

/** What a person is told of a server that serves. */
export type Furnished = {
  /** Where it is reached. */
  url: string
  version: string
  database: OpenDatabase['kind']
  /** The first administrator's key, if it was made now: it is shown once. */
  adminKey: string | undefined
  /** Whether the demo organization is there to ask about. */
  demo: boolean
}

/** A server that serves. */
export type Running = Furnished & {
  /** What this process has counted. */
  count: () => Promise<MetricValues>
  /** Finishes requests in flight, lets go of the database, and resolves. */
  stop: () => Promise<void>
}

/** Milliseconds that requests in flight get to finish. */
const DRAIN_MS = 10_000

/** Opens the database, puts the server together and serves; resolves when requests are served. */
export const start = async (config: Config, part?: Part): Promise<Running> => {
  const log = createLog(config.LOG_LEVEL, part?.worker)
  const recorder = createRecorder(config.SLOW_QUERY_MS)
  const database = await openDatabase(config, log, recorder.seen)
  const letGo = [database.close]
  try {
    const assembled = await assemble(config, database, log, part)
    const { fetch, context, denials, isNew, metering, state } = assembled
    const { makesKey = true, makesDemo = isNew } = part ?? {}
    const line = openLines(config, database, assembled)
    letGo.unshift(line.stop)
    const workers = await startJobs(config, database.sql, assembled)
    letGo.unshift(workers.stop)
    const counted = metering.start(database.sql)
    letGo.unshift(counted.stop)
    const { now } = context
    const workload = createWorkloadWriter(recorder, { parser: createSqlParser(), log, now })
    const measured = workload.start(database.sql)
    letGo.unshift(measured.stop)
    const server = await listen(fetch, config)
    const first =
      makesKey && !config.LATCHKEY_ADMIN_KEY
        ? await createFirstOperatorKey(context, {
            name: 'first administrator',
            role: 'super_admin',
          })
        : undefined
    if (makesDemo && config.LATCHKEY_DEMO) await seedDemo(context)
    const { port } = server.address() as { port: number }
    const [version, demo] = [await readVersion(), await hasDemo(context)]
    state.starting = false
    return {
      url: `http://${config.HOST.includes(':') ? `[${config.HOST}]` : config.HOST}:${port}`,
      version,
      database: database.kind,
      adminKey: first?.token,
      demo,
      count: async () => {
        await assembled.measure()
        return assembled.metrics.registry.getMetricsAsJSON()
      },
      stop: async () => {
        // Where one of several workers ends, the server goes on.
        state.draining = part === undefined
        await drain(server)
        await workers.stop()
        await line.stop()
        assembled.mail.stop()
        await denials.flush()
        await counted.stop()
        await measured.stop()
        await database.close()
      },
    }
  } catch (error) {
    for (const close of letGo) await close()
    throw error
  }
}

/** Tells other nodes of changes and hears of theirs, over the database and, if there is one, over Redis. */
const openLines = (
  { DATABASE_URL }: Config,
  { sql }: OpenDatabase,
  { changes, context, cache }: Pick<Assembled, 'changes' | 'context' | 'cache'>,
) => {
  const { log } = context
  if (cache.line) joinRevisionLine(cache.line, changes, log)
  // Embedded storage has no other nodes.
  const line = DATABASE_URL && openChangeLine({ sql, target: { url: DATABASE_URL }, log }, changes)
  if (line) changes.onCommit(line.announce)
  return {
    stop: async () => {
      if (line) await line.stop()
      await cache.stop()
    },
  }
}

type Assembled = Awaited<ReturnType<typeof assemble>>

/** Milliseconds that running jobs get to finish; what is not done then is given back and run elsewhere. */
const JOBS_DRAIN_MS = 10_000

/** Workers for the queues that the settings name, and the scheduler if they name any. */
const startJobs = async (
  config: Config,
  sql: Sql,
  {
    jobs,
    context,
    metrics,
    state,
  }: Pick<Awaited<ReturnType<typeof assemble>>, 'jobs' | 'context' | 'metrics' | 'state'>,
) => {
  const { log } = context
  await installSchedules(sql, jobs.schedules)
  const redis = config.REDIS_QUEUE_URL && { url: config.REDIS_QUEUE_URL, log }
  const line = redis ? openWakeLine(redis) : undefined
  // Jobs of the other queues are other processes' to run.
  jobs.onWake((queues) =>
    line?.publish(queues.filter((queue) => !config.JOB_QUEUES.includes(queue))),
  )
  if (config.JOB_QUEUES.length === 0) return { stop: async () => line?.stop() }
  const executor = redis ? await createBullmqExecutor(redis) : undefined
  if (executor)
    state.degraded = () =>
      executor.healthy() ? [] : ['the queue Redis is away; jobs are taken from PostgreSQL']
  const delay = monitorEventLoopDelay({ resolution: 20 })
  delay.enable()
  const workers = await startWorkers({
    ...jobs.runOptions(sql),
    log,
    version: await readVersion(),
    queues: config.JOB_QUEUES,
    executor,
    pollMs: config.JOB_POLL_MS,
    lagMs: () => delay.percentile(99) / 1e6,
    onRun: metrics.jobs.ran,
    onLoad: (loads) => {
      delay.reset()
      metrics.jobs.scaled(loads)
    },
  }).catch(async (error: unknown) => {
    await executor?.stop()
    throw error
  })
  jobs.onWake(workers.wake)
  line?.listen(workers.wake)
  const scheduler = startScheduler({
    sql,
    log,
    holder: workers.id,
    handlers: jobs.handlers,
    wake: context.outgoing.wake,
  })
  return {
    stop: async () => {
      await scheduler.stop()
      await workers.stop(JOBS_DRAIN_MS)
      await line?.stop()
      delay.disable()
    },
  }
}

const listen = (fetch: Parameters<typeof serve>[0]['fetch'], { HOST, PORT }: Config) =>
  new Promise<Server>((resolve, reject) => {
    const server = serve({ fetch, hostname: HOST, port: PORT }) as Server
    server.once('listening', () => resolve(server))
    server.once('error', reject)
  })

/** Milliseconds in which a connection that is in use asks again, and is told that it was the last time. */
const GOODBYE_MS = 500
/** Milliseconds between two looks for connections that nobody uses. */
const IDLE_LOOK_MS = 100

/**
 * No new connections; requests in flight finish, unless they take too long. Connections that are kept alive are closed with
 * an answer that says so: to close one between two requests may cut off the next, which is on its way.
 */
const drain = (server: Server) =>
  new Promise<void>((resolve) => {
    const closeIdle = server.closeIdleConnections.bind(server)
    // What `close` calls at once.
    server.closeIdleConnections = () => {}
    server.prependListener('request', (_request, response) =>
      response.setHeader('connection', 'close'),
    )
    const isOverAtMs = Date.now() + DRAIN_MS
    const goodbyeAtMs = Date.now() + GOODBYE_MS
    const looking = setInterval(() => {
      if (Date.now() >= isOverAtMs) server.closeAllConnections()
      else if (Date.now() >= goodbyeAtMs) closeIdle()
    }, IDLE_LOOK_MS)
    server.close(() => {
      clearInterval(looking)
      resolve()
    })
  })
