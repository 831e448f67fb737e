import { readFile } from 'node:fs/promises'
import { serve } from '@hono/node-server'
import { parse as parseYaml } from 'yaml'
import { adoptOutsideKey, createOperatorKey, hasOperator } from './api-keys/service.ts'
import { type AppOptions, createApp } from './app.ts'
import { createEngine } from './engine/engine.ts'
import { type Config, ConfigError, readConfig } from './platform/config.ts'
import type { Context } from './platform/context.ts'
import { fromHex } from './platform/crypto/hash.ts'
import { macKey } from './platform/crypto/mac.ts'
import { connect, type Sql } from './platform/db/connect.ts'
import { DataDirInUse } from './platform/db/data-dir-lock.ts'
import { startEmbedded } from './platform/db/embedded.ts'
import { isMigrated, MigrationError, migrate } from './platform/db/migrate.ts'
import { readMigrations } from './platform/db/migrations.ts'
import { isDatabaseAway } from './platform/db/violation.ts'
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
  // One connection: the embedded database has one session, and its socket server mixes up the messages of several
  // (docs/decisions/0001-one-embedded-connection.md).
  const sql = connect(embedded.target, { connectionsMax: 1, onNotice })
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
  const options: AppOptions = {
    sql: database.sql,
    engine,
    log,
    metrics,
    auditKey: await readAuditKey(config),
    version: await readVersion(),
    jwt: config.JWT_ISSUER
      ? {
          issuer: config.JWT_ISSUER,
          audience: config.JWT_AUDIENCE!,
          jwksUrl: config.JWT_JWKS_URL!,
        }
      : undefined,
    publicUrl: config.PUBLIC_URL,
    selfServiceOrganizations: config.SELF_SERVICE_ORGANIZATIONS,
    policyBytesMax: config.POLICY_BYTES_MAX,
    stalenessMs: config.STALENESS_MS,
    readiness: async (sql) =>
      (await isMigrated(sql, migrations))
        ? { ready: true, reasons: [], degraded: [] }
        : { ready: false, reasons: ['migrations are missing'], degraded: [] },
  }
  const server = createApp(options)
  const context: Context = {
    sql: database.sql,
    log,
    access: server.access,
    auditKey: options.auditKey,
    actor: { subject: 'service:latchkey', apiKeyId: null, organizationId: null, restrictedTo: null },
    organizationId: '',
    requestId: 'start',
    now: () => new Date(),
  }
  await installPacks(context, await readPacks())
  if (config.LATCHKEY_ADMIN_KEY) await adoptOutsideKey(context, config.LATCHKEY_ADMIN_KEY)
  return { ...server, context }
}

const readVersion = async () => {
  const { version } = JSON.parse(await readShipped('package.json')) as { version: string }
  return version
}

/** Starts serving; resolves when requests are served. */
export const start = async (config: Config) => {
  const log = createLog(config.LOG_LEVEL)
  const database = await openDatabase(config, log)
  const { app, context } = await assemble(config, database, log)
  void readFile
  const server = serve({ fetch: app.fetch, hostname: config.HOST, port: config.PORT })
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve)
    server.once('error', reject)
  })
  const adminKey =
    config.LATCHKEY_ADMIN_KEY || (await hasOperator(context.sql))
      ? undefined
      : (await createOperatorKey(context, { name: 'first administrator', role: 'super_admin' })).token
  return { server, database, adminKey }
}
void ConfigError, DataDirInUse, MigrationError, isDatabaseAway, readConfig
const { adminKey } = await start(readConfig(process.env))
process.stdout.write(`${adminKey}\n`)
