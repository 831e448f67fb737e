import modelText from '../model.conf'
import { type AppOptions, createApp } from './app.ts'
import { createEngine } from './engine/engine.ts'
import { openPayments } from './orders/service.ts'
import { createNoStore } from './platform/cache/no-store.ts'
import { openCache } from './platform/cache/open.ts'
import { joinRevisionLine } from './platform/cache/revision-line.ts'
import { createUpstashStore } from './platform/cache/upstash-store.ts'
import { type Config, ConfigError, readConfig } from './platform/config.ts'
import { fromHex } from './platform/crypto/hash.ts'
import { macKey } from './platform/crypto/mac.ts'
import { sealKey } from './platform/crypto/seal.ts'
import { connect, type Sql } from './platform/db/connect.ts'
import { untilRead } from './platform/http/until-read.ts'
import { newId } from './platform/id.ts'
import { type BoxOptions, workFor, workOff } from './platform/jobs/box.ts'
import { dispatchToCloudflare, type QueueBinding } from './platform/jobs/cloudflare.ts'
import type { Message } from './platform/jobs/executor.ts'
import type { QueueName } from './platform/jobs/queue.ts'
import { sweepJobs, upsertWorker } from './platform/jobs/repository.ts'
import { installSchedules, runSchedules } from './platform/jobs/schedule.ts'
import { JOIN_MS_ON_WORKERS } from './platform/join.ts'
import type { Log } from './platform/log.ts'

/** Bindings and settings of the Worker (wrangler.toml). */
export type WorkerEnvironment = {
  /** A pool of connections near the database; where it is not bound, DATABASE_URL is used. */
  HYPERDRIVE?: { connectionString: string }
  /** Carries jobs to consumers at once; where it is not bound, the cron trigger takes them, within a minute. */
  JOBS?: QueueBinding
  [setting: string]: unknown
}

type ExecutionContext = { waitUntil(promise: Promise<unknown>): void }

/** An isolate has 128 MB in all. So many bytes the policies in it may take, of which only slices are held… */
const POLICY_BYTES_MAX = 32_000_000
/** …so many views of them stay compiled, of about 600 bytes each… */
const VIEWS_MAX = 20_000
/** …and so many grants, members and resources an organization may have that is read whole, for what needs everybody. */
const WHOLE_ROWS_MAX = 20_000

/** Bytes of cached values, where the settings say nothing. */
const CACHE_BYTES_MAX = 16_000_000

const consoleLog: Log = {
  debug() {},
  // biome-ignore-start lint/suspicious/noConsole: the console is where a Worker's log goes
  info: (fields, message) => console.log(JSON.stringify({ level: 'info', ...fields, message })),
  warn: (fields, message) => console.warn(JSON.stringify({ level: 'warn', ...fields, message })),
  error: (fields, message) => console.error(JSON.stringify({ level: 'error', ...fields, message })),
  // biome-ignore-end lint/suspicious/noConsole: as above
}

type App = ReturnType<typeof createApp>
let opened: Promise<App> | undefined
/** Queues in which requests of this isolate left jobs that nobody was told of yet. */
const noted = new Set<QueueName>()
/** Revisions of which other nodes are being told. */
const told = new Set<Promise<unknown>>()
/** Who this isolate is among workers. */
let isolate: string | undefined

const readWorkerConfig = (environment: WorkerEnvironment) =>
  readConfig(
    Object.fromEntries(
      Object.entries(environment).filter(([, value]) => typeof value === 'string'),
    ) as Record<string, string>,
  )

/** Redis is reached over REST here: a connection would belong to one request. */
const storeOf = ({ UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN }: Config) =>
  UPSTASH_REDIS_REST_URL
    ? createUpstashStore({ url: UPSTASH_REDIS_REST_URL, token: UPSTASH_REDIS_REST_TOKEN! })
    : createNoStore()

/** One server per isolate; its policies outlive requests, its connections do not. */
const open = async (environment: WorkerEnvironment) => {
  const config = readWorkerConfig(environment)
  if (!config.AUDIT_MAC_KEY) throw new ConfigError('AUDIT_MAC_KEY: required on Workers')
  if (!config.DATA_KEY) throw new ConfigError('DATA_KEY: required on Workers')
  const options: AppOptions = {
    sql: (c) => c.env.sql as Sql,
    engine: createEngine({ modelText, verify: config.ENGINE_VERIFY, viewsMax: VIEWS_MAX }),
    log: consoleLog,
    auditKey: await macKey(fromHex(config.AUDIT_MAC_KEY) as Uint8Array<ArrayBuffer>),
    sealKey: await sealKey(config.DATA_KEY, config.DATA_KEY_PREVIOUS),
    cache: await openCache({
      store: storeOf(config),
      environment: config.CACHE_ENVIRONMENT,
      dataKey: config.DATA_KEY,
      previousDataKey: config.DATA_KEY_PREVIOUS,
      bytesMax: config.CACHE_BYTES_MAX ?? CACHE_BYTES_MAX,
      timeoutMs: config.CACHE_COMMAND_TIMEOUT_MS,
      stalenessMs: config.STALENESS_MS,
      sharesFlights: false,
      log: consoleLog,
    }),
    version: 'worker',
    jwt: config.JWT_ISSUER
      ? { issuer: config.JWT_ISSUER, audience: config.JWT_AUDIENCE!, jwksUrl: config.JWT_JWKS_URL! }
      : undefined,
    publicUrl: config.PUBLIC_URL,
    payments: openPayments(config),
    webhookPrivateAddresses: config.WEBHOOK_PRIVATE_ADDRESSES,
    // Cloudflare writes this header itself, over whatever a client sent.
    peerAddress: (c) => c.req.header('cf-connecting-ip'),
    waitUntil: (c) => (promise) => c.executionCtx.waitUntil(promise),
    trustedProxies: config.TRUSTED_PROXIES,
    storedOnlyAttributes: config.STORED_ONLY_ATTRIBUTES,
    selfServiceOrganizations: config.SELF_SERVICE_ORGANIZATIONS,
    defaultPlan: config.DEFAULT_PLAN,
    policyBytesMax: POLICY_BYTES_MAX,
    slices: 'always',
    joinMs: JOIN_MS_ON_WORKERS,
    wholeRowsMax: WHOLE_ROWS_MAX,
    stalenessMs: config.STALENESS_MS,
  }
  const app = createApp(options)
  app.jobs.onWake((queues) => {
    for (const queue of queues) noted.add(queue)
  })
  const { line } = options.cache
  if (line)
    joinRevisionLine(line, app.changes, consoleLog, (telling) => {
      told.add(telling)
      void telling.finally(() => told.delete(telling))
    })
  return app
}

const openOnce = (environment: WorkerEnvironment) => {
  opened ??= open(environment).catch((error) => {
    opened = undefined
    throw error
  })
  return opened
}

/** Milliseconds of a cron trigger that are given to jobs; the next trigger comes after a minute. */
const BOX_MS = 25_000

const boxOptions = ({ jobs }: App, sql: Sql, executor: string): BoxOptions => {
  isolate ??= newId('wrk')
  return { ...jobs.runOptions(sql), log: consoleLog, taker: { worker: isolate, executor } }
}

/** Tells the queue of the edge what a request has left; what it does not take waits for the cron trigger. */
const tell = async (sql: Sql, binding: QueueBinding | undefined) => {
  const queues = [...noted]
  noted.clear()
  if (!binding || queues.length === 0) return
  await dispatchToCloudflare(sql, binding, queues).catch((error: unknown) =>
    consoleLog.warn({ error: String(error) }, 'the queue took no messages; the cron trigger will'),
  )
}

type Batch = { messages: readonly { body: Message; ack(): void; retry(): void }[] }

const databaseUrl = ({ HYPERDRIVE, DATABASE_URL }: WorkerEnvironment) =>
  HYPERDRIVE?.connectionString ?? (typeof DATABASE_URL === 'string' ? DATABASE_URL : '')

export default {
  async fetch(request: Request, environment: WorkerEnvironment, execution: ExecutionContext) {
    const opening = openOnce(environment)
    execution.waitUntil(opening.catch(() => {}))
    const app = await opening
    // A connection belongs to the request that opened it: the runtime forbids another one to use it.
    const sql = connect({ url: databaseUrl(environment) }, { connectionsMax: 2 })
    const answering = Promise.resolve(
      app.fetch(request, { ...environment, sql }, execution as never),
    ).then(untilRead)
    // Said at the beginning: other requests may wait for what this one reads, although its client is gone.
    execution.waitUntil(
      answering
        .then(({ read }) => read)
        .catch(() => {})
        .then(() => Promise.all(told))
        .then(() => tell(sql, environment.JOBS))
        .then(() => app.metering.flushIfDue(sql))
        .finally(() => sql.end({ timeout: 5 })),
    )
    return (await answering).answer
  },

  /** Jobs that Cloudflare Queues delivers. A message that no longer counts is done with; one that failed is told anew. */
  async queue(batch: Batch, environment: WorkerEnvironment) {
    const app = await openOnce(environment)
    const sql = connect({ url: databaseUrl(environment) }, { connectionsMax: 4 })
    try {
      const options = boxOptions(app, sql, 'cloudflare')
      const messages = batch.messages.map(({ body }) => ({ id: body.id, fence: body.fence }))
      await workOff(options, messages)
      for (const message of batch.messages) message.ack()
      const { JOB_QUEUES } = readWorkerConfig(environment)
      if (environment.JOBS) await dispatchToCloudflare(sql, environment.JOBS, JOB_QUEUES)
    } catch (error) {
      for (const message of batch.messages) message.retry()
      throw error
    } finally {
      await sql.end({ timeout: 5 })
    }
  },

  /** Every minute: what is due by the clock, what lost its worker, and what nobody has taken. */
  async scheduled(_event: unknown, environment: WorkerEnvironment) {
    const app = await openOnce(environment)
    const sql = connect({ url: databaseUrl(environment) }, { connectionsMax: 4 })
    try {
      const config = readWorkerConfig(environment)
      const options = boxOptions(app, sql, 'cloudflare')
      await installSchedules(sql, app.jobs.schedules)
      await runSchedules({ ...options, holder: options.taker.worker, wake: () => {} })
      await sweepJobs(sql)
      await app.metering.flush(sql)
      await upsertWorker(sql, {
        id: options.taker.worker,
        runtime: 'workers',
        version: 'worker',
        startedAt: new Date().toISOString(),
        queues: Object.fromEntries(config.JOB_QUEUES.map((queue) => [queue, { slots: 1 }])),
      })
      if (environment.JOBS) await dispatchToCloudflare(sql, environment.JOBS, config.JOB_QUEUES)
      else await workFor(options, { queues: config.JOB_QUEUES, boxMs: BOX_MS })
    } finally {
      await sql.end({ timeout: 5 })
    }
  },
}
