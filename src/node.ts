import type { Server } from 'node:http'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { serve } from '@hono/node-server'
import { parse as parseYaml } from 'yaml'
import { adoptOutsideKey, createOperatorKey, hasOperator } from './api-keys/service.ts'
import { type AppOptions, createApp, SERVER, unbounded } from './app.ts'
import { hasDemo, seedDemo } from './demo.ts'
import { createEngine } from './engine/engine.ts'
import type { Config } from './platform/config.ts'
import type { Context } from './platform/context.ts'
import { fromHex } from './platform/crypto/hash.ts'
import { macKey } from './platform/crypto/mac.ts'
import { sealKey } from './platform/crypto/seal.ts'
import { connect, type Sql } from './platform/db/connect.ts'
import { startEmbedded } from './platform/db/embedded.ts'
import { isMigrated, migrate } from './platform/db/migrate.ts'
import { readMigrations } from './platform/db/migrations.ts'
import { installSchedules, startScheduler } from './platform/jobs/schedule.ts'
import { startWorkers } from './platform/jobs/workers.ts'
import type { Log } from './platform/log.ts'
import { createMetrics } from './platform/metrics.ts'
import { keptSecret, listShipped, readShipped } from './platform/node/files.ts'
import { createLog } from './platform/node/log.ts'
import { installPacks, readPack } from './roles/service.ts'

/** A running database, and how to let go of it. */
export type OpenDatabase = { sql: Sql; kind: 'embedded' | 'server'; close: () => Promise<void> }

/** Opens the database that the settings name: a server, or the embedded one in the data directory. */
export const openDatabase = async (config: Config, log: Log): Promise<OpenDatabase> => {
  const onNotice = (message: string) => log.debug({ message }, 'the database says')
  if (config.DATABASE_URL) {
    const sql = connect(
      { url: config.DATABASE_URL },
      { connectionsMax: config.DATABASE_CONNECTIONS_MAX, onNotice },
    )
    return { sql, kind: 'server', close: () => sql.end({ timeout: 5 }) }
  }
  const embedded = await startEmbedded({ dataDir: config.DATA_DIR })
  const sql = connect(embedded.target, { onNotice })
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

/** The key that encrypts secrets of webhooks: from the settings, else made once and kept beside the data. */
const readSealKey = async (config: Config) =>
  sealKey(config.ENCRYPTION_KEY ?? (await keptSecret(config.DATA_DIR, 'encryption.key')))

/** A server that is put together and migrated, but does not listen yet. */
export const assemble = async (config: Config, database: OpenDatabase, log: Log) => {
  const migrations = await readMigrations()
  const applied = await migrate(database.sql, migrations)
  if (applied.length > 0) log.info({ applied }, 'database migrated')
  const metrics = createMetrics()
  const engine = createEngine({
    modelText: await readShipped('model.conf'),
    verify: config.ENGINE_VERIFY,
    onDifference: (difference) => {
      metrics.differences.inc()
      log.error({ difference }, 'the index and Casbin differ; Casbin was answered')
    },
  })
  log.info({ tier: engine.tier, reason: engine.tierReason }, 'engine ready')
  const state = { draining: false }
  const options: AppOptions = {
    sql: database.sql,
    engine,
    log,
    metrics,
    auditKey: await readAuditKey(config),
    sealKey: await readSealKey(config),
    version: await readVersion(),
    jwt: config.JWT_ISSUER
      ? {
          issuer: config.JWT_ISSUER,
          audience: config.JWT_AUDIENCE!,
          jwksUrl: config.JWT_JWKS_URL!,
        }
      : undefined,
    publicUrl: config.PUBLIC_URL,
    storedOnlyAttributes: config.STORED_ONLY_ATTRIBUTES,
    selfServiceOrganizations: config.SELF_SERVICE_ORGANIZATIONS,
    policyBytesMax: config.POLICY_BYTES_MAX,
    stalenessMs: config.STALENESS_MS,
    referenceScript: readReferenceScript,
    readiness: async (sql) => {
      const reasons = [
        ...(state.draining ? ['shutting down'] : []),
        ...((await isMigrated(sql, migrations)) ? [] : ['migrations are missing']),
      ]
      return { ready: reasons.length === 0, reasons, degraded: [] }
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
  return { ...server, context, metrics, isNew: applied.length === migrations.length, state }
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

/** A server that serves. */
export type Running = {
  /** Where it is reached. */
  url: string
  version: string
  database: OpenDatabase['kind']
  /** The first administrator's key, if it was made now: it is shown once. */
  adminKey: string | undefined
  /** Whether the demo organization is there to ask about. */
  demo: boolean
  /** Finishes requests in flight, lets go of the database, and resolves. */
  stop: () => Promise<void>
}

/** Milliseconds that requests in flight get to finish. */
const DRAIN_MS = 10_000

/** Opens the database, puts the server together and serves; resolves when requests are served. */
export const start = async (config: Config): Promise<Running> => {
  const log = createLog(config.LOG_LEVEL)
  const database = await openDatabase(config, log)
  try {
    const assembled = await assemble(config, database, log)
    const { fetch, context, denials, isNew, state } = assembled
    const workers = await startJobs(config, database.sql, assembled)
    const server = await listen(fetch, config)
    const needsKey = !config.LATCHKEY_ADMIN_KEY && !(await hasOperator(context.sql))
    const adminKey = needsKey
      ? (await createOperatorKey(context, { name: 'first administrator', role: 'super_admin' }))
          .token
      : undefined
    if (isNew && config.LATCHKEY_DEMO) await seedDemo(context)
    const { port } = server.address() as { port: number }
    return {
      url: `http://${config.HOST.includes(':') ? `[${config.HOST}]` : config.HOST}:${port}`,
      version: await readVersion(),
      database: database.kind,
      adminKey,
      demo: await hasDemo(context),
      stop: async () => {
        state.draining = true
        await drain(server)
        await workers.stop()
        await denials.flush()
        await database.close()
      },
    }
  } catch (error) {
    await database.close()
    throw error
  }
}

/** Milliseconds that running jobs get to finish; what is not done then is given back and run elsewhere. */
const JOBS_DRAIN_MS = 10_000

/** Workers for the queues that the settings name, and the scheduler if they name any. */
const startJobs = async (
  config: Config,
  sql: Sql,
  { jobs, context }: Pick<Awaited<ReturnType<typeof assemble>>, 'jobs' | 'context'>,
) => {
  await installSchedules(sql, jobs.schedules)
  if (config.JOB_QUEUES.length === 0) return { stop: async () => {} }
  const delay = monitorEventLoopDelay({ resolution: 20 })
  delay.enable()
  const workers = await startWorkers({
    ...jobs.runOptions(sql),
    log: context.log,
    version: await readVersion(),
    queues: config.JOB_QUEUES,
    pollMs: config.JOB_POLL_MS,
    lagMs: () => delay.percentile(99) / 1e6,
    onLoad: () => delay.reset(),
  })
  jobs.onWake(workers.wake)
  const scheduler = startScheduler({
    sql,
    log: context.log,
    holder: workers.id,
    handlers: jobs.handlers,
    wake: workers.wake,
  })
  return {
    stop: async () => {
      await scheduler.stop()
      await workers.stop(JOBS_DRAIN_MS)
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

/** No new connections; requests in flight finish, unless they take too long. */
const drain = (server: Server) =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS)
    server.close(() => {
      clearTimeout(timer)
      resolve()
    })
    server.closeIdleConnections()
  })
