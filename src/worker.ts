import modelText from '../model.conf'
import { type AppOptions, createApp } from './app.ts'
import { createEngine } from './engine/engine.ts'
import { ConfigError, readConfig } from './platform/config.ts'
import { fromHex } from './platform/crypto/hash.ts'
import { macKey } from './platform/crypto/mac.ts'
import { sealKey } from './platform/crypto/seal.ts'
import { connect, type Sql } from './platform/db/connect.ts'
import type { Log } from './platform/log.ts'

/** Bindings and settings of the Worker (wrangler.toml). */
export type WorkerEnvironment = {
  /** A pool of connections near the database; where it is not bound, DATABASE_URL is used. */
  HYPERDRIVE?: { connectionString: string }
  [setting: string]: unknown
}

type ExecutionContext = { waitUntil(promise: Promise<unknown>): void }

/** Bytes an isolate's policies may take; it has 128 MB in all. */
const POLICY_BYTES_MAX = 48_000_000

const consoleLog: Log = {
  debug() {},
  // biome-ignore-start lint/suspicious/noConsole: the console is where a Worker's log goes
  info: (fields, message) => console.log(JSON.stringify({ level: 'info', ...fields, message })),
  warn: (fields, message) => console.warn(JSON.stringify({ level: 'warn', ...fields, message })),
  error: (fields, message) => console.error(JSON.stringify({ level: 'error', ...fields, message })),
  // biome-ignore-end lint/suspicious/noConsole: as above
}

let opened: Promise<ReturnType<typeof createApp>['fetch']> | undefined

/** One server per isolate; its policies outlive requests, its connections do not. */
const open = async (environment: WorkerEnvironment) => {
  const settings = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => typeof value === 'string'),
  ) as Record<string, string>
  const config = readConfig(settings)
  if (!config.AUDIT_MAC_KEY) throw new ConfigError('AUDIT_MAC_KEY: required on Workers')
  if (!config.ENCRYPTION_KEY) throw new ConfigError('ENCRYPTION_KEY: required on Workers')
  const options: AppOptions = {
    sql: (c) => c.env.sql as Sql,
    engine: createEngine({ modelText, verify: config.ENGINE_VERIFY }),
    log: consoleLog,
    auditKey: await macKey(fromHex(config.AUDIT_MAC_KEY) as Uint8Array<ArrayBuffer>),
    sealKey: await sealKey(config.ENCRYPTION_KEY),
    version: 'worker',
    jwt: config.JWT_ISSUER
      ? { issuer: config.JWT_ISSUER, audience: config.JWT_AUDIENCE!, jwksUrl: config.JWT_JWKS_URL! }
      : undefined,
    publicUrl: config.PUBLIC_URL,
    storedOnlyAttributes: config.STORED_ONLY_ATTRIBUTES,
    selfServiceOrganizations: config.SELF_SERVICE_ORGANIZATIONS,
    policyBytesMax: POLICY_BYTES_MAX,
    stalenessMs: config.STALENESS_MS,
  }
  return createApp(options).fetch
}

const databaseUrl = ({ HYPERDRIVE, DATABASE_URL }: WorkerEnvironment) =>
  HYPERDRIVE?.connectionString ?? (typeof DATABASE_URL === 'string' ? DATABASE_URL : '')

export default {
  async fetch(request: Request, environment: WorkerEnvironment, execution: ExecutionContext) {
    opened ??= open(environment).catch((error) => {
      opened = undefined
      throw error
    })
    const serve = await opened
    // A connection belongs to the request that opened it: the runtime forbids another one to use it.
    const sql = connect({ url: databaseUrl(environment) }, { connectionsMax: 2 })
    try {
      return await serve(request, { ...environment, sql }, execution as never)
    } finally {
      execution.waitUntil(sql.end({ timeout: 5 }))
    }
  },
}
