import { createOperatorKey } from '../../src/api-keys/service.ts'
import { createApp } from '../../src/app.ts'
import { createEngine } from '../../src/engine/engine.ts'
import { readPacks } from '../../src/node.ts'
import { createNoStore } from '../../src/platform/cache/no-store.ts'
import { openCache } from '../../src/platform/cache/open.ts'
import { type Context, unbounded } from '../../src/platform/context.ts'
import { macKey } from '../../src/platform/crypto/mac.ts'
import { sealKey } from '../../src/platform/crypto/seal.ts'
import { openShadow } from '../../src/platform/db/shadow/open.ts'
import { type Log, silentLog } from '../../src/platform/log.ts'
import { createMetrics } from '../../src/platform/metrics.ts'
import { readShipped } from '../../src/platform/node/files.ts'
import { createSqlParser } from '../../src/platform/node/sql-parser.ts'
import { installPacks } from '../../src/roles/service.ts'
import { openTestDatabase, type TestDatabase } from './database.ts'

/** A parsed answer. */
export type Answer = {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
  body: any
  headers: Headers
  /** `Latchkey-Revision`. */
  revision: string | null
}

export type CallOptions = { key?: string | null; headers?: Record<string, string> }

export type TestServer = Awaited<ReturnType<typeof startTestServer>>

type ServerOptions = Partial<Parameters<typeof createApp>[0]> & {
  log?: Log
  database?: TestDatabase
}

/** TEST_SLICES=always has any suite ask servers that hold slices only. */
const slicesOf = (environment: typeof process.env) =>
  environment.TEST_SLICES === 'always' ? { slices: 'always' as const } : {}

/**
 * The whole server on a database of its own, in this process: the real engine, the real packs, an operator's key. Several
 * on one database are several nodes.
 */
export const startTestServer = async (options: ServerOptions = {}) => {
  const database = options.database ?? (await openTestDatabase())
  const { sql } = database
  const log = options.log ?? {
    ...silentLog,
    error: (fields: object, message: string) => console.error(message, fields),
  }
  const auditKey = await macKey(new Uint8Array(32).fill(7))
  const key = await sealKey('08'.repeat(32))
  const engine =
    options.engine ?? createEngine({ modelText: await readShipped('model.conf'), verify: 'sample' })
  const cache =
    options.cache ??
    (await openCache({
      store: createNoStore(),
      environment: 'test',
      dataKey: '08'.repeat(32),
      bytesMax: 16_000_000,
      log,
    }))
  const server = createApp({
    sql,
    log,
    engine,
    auditKey,
    sealKey: key,
    cache,
    version: '0.0.0-test',
    metrics: createMetrics(),
    sqlParser: createSqlParser(),
    openShadow,
    // Tests of what organizations may use name a plan; the others are not about it.
    defaultPlan: 'custom',
    ...slicesOf(process.env),
    ...options,
  })
  const context: Context = {
    sql,
    log,
    access: unbounded(server.access),
    outgoing: server.outgoing,
    auditKey,
    sealKey: key,
    actor: { subject: 'service:test', apiKeyId: null, organizationId: null, restrictedTo: null },
    organizationId: '',
    requestId: 'test-start',
    now: options.now ?? (() => new Date()),
  }
  await installPacks(context, await readPacks())
  const { token: adminKey } = await createOperatorKey(context, {
    name: 'test',
    role: 'super_admin',
  })

  /** `call('POST /v1/organizations', {…})`; with the operator's key unless another (or none) is named. */
  const call = async (
    what: string,
    body?: unknown,
    { key = adminKey, headers = {} }: CallOptions = {},
  ) => {
    const [method = 'GET', path = '/'] = what.split(' ')
    const request: RequestInit = {
      method,
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    }
    const response = await server.fetch(new Request(new URL(path, 'http://localhost'), request))
    const text = await response.text()
    const isJson = /\bjson\b/.test(response.headers.get('content-type') ?? '')
    const answer: Answer = {
      status: response.status,
      body: isJson && text !== '' ? JSON.parse(text) : text,
      headers: response.headers,
      revision: response.headers.get('latchkey-revision'),
    }
    return answer
  }

  let organizations = 0
  /** An organization of its own for one test, with its path, and a key for one of its roles or permissions. */
  const newOrganization = async (owner = 'user:alice') => {
    const slug = `o${Date.now().toString(36)}${organizations++}${Math.random().toString(36).slice(2, 6)}`
    const { body } = await call('POST /v1/organizations', { name: slug, slug, owner })
    const path = `/v1/organizations/${slug}`
    const keyFor = async (holds: { roles?: string[]; permissions?: string[] }): Promise<string> =>
      (await call(`POST ${path}/api-keys`, { name: 'test', ...holds })).body.secret
    return { id: body.id as string, slug, path, keyFor }
  }

  return {
    ...server,
    cache,
    sql,
    database,
    context,
    adminKey,
    call,
    newOrganization,
    drop: () => database.drop(),
  }
}
