import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { guardStore } from '../../src/platform/cache/guarded-store.ts'
import { openCache } from '../../src/platform/cache/open.ts'
import { createRedis, destroy } from '../../src/platform/cache/redis-client.ts'
import { createRedisStore } from '../../src/platform/cache/redis-store.ts'
import type { RemoteStore } from '../../src/platform/cache/remote-store.ts'
import { joinRevisionLine, openRevisionLine } from '../../src/platform/cache/revision-line.ts'
import { openChangeLine } from '../../src/platform/db/change-line.ts'
import { connect } from '../../src/platform/db/connect.ts'
import { silentLog } from '../../src/platform/log.ts'
import { asAdministrator } from '../support/database.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

/** How nodes learn of each other's changes; answers how to cut that, and how to end it. */
export type Spread = (nodes: readonly TestServer[]) => Promise<{
  cut?: () => Promise<unknown>
  stop: () => Promise<unknown>
}>

/** What one node is started with besides, by its place. */
type OptionsAt = (at: number) => Promise<Parameters<typeof startTestServer>[0]>

/**
 * Nodes over one database, each with a pool of its own, that look for changes within the bound; over a store, if given, and
 * with options of their own.
 */
export const startNodes = async (
  count: number,
  stalenessMs: number,
  store?: () => RemoteStore,
  optionsAt: OptionsAt = async () => ({}),
) => {
  const options = async (at: number) => ({
    stalenessMs,
    ...(store ? { cache: await openOver(store(), stalenessMs) } : {}),
    ...(await optionsAt(at)),
  })
  const first = await startTestServer(await options(0))
  const pools = Array.from({ length: count - 1 }, () =>
    connect(first.database.target, { connectionsMax: 8 }),
  )
  const others = []
  for (const [at, sql] of pools.entries())
    others.push(
      await startTestServer({ database: { ...first.database, sql }, ...(await options(at + 1)) }),
    )
  return {
    // One operator's key for all: the first node's.
    nodes: [first, ...others].map((node) => ({ ...node, call: callingAs(node, first.adminKey) })),
    stop: async () => {
      await Promise.all(pools.map((pool) => pool.end()))
      await first.drop()
    },
  }
}

const openOver = (store: RemoteStore, stalenessMs: number) =>
  openCache({
    ...{ store, stalenessMs, environment: 'race', log: silentLog },
    dataKey: '08'.repeat(32),
    bytesMax: 16_000_000,
    timeoutMs: 1000,
  })

/** Each node tells its own store of its commits; over TCP it listens there, over REST it asks. */
export const overOwnStores: Spread = async (nodes) => {
  for (const { cache, changes } of nodes) joinRevisionLine(cache.line!, changes, silentLog)
  return { stop: async () => {} }
}

const callingAs =
  (node: TestServer, key: string): TestServer['call'] =>
  (what, body, options = {}) =>
    node.call(what, body, { key, ...options })

/** Nobody is told anything: each node reads the log of changes at its bound. */
export const polling: Spread = async () => ({ stop: async () => {} })

/** A message over Redis to every node that listens there. */
export const overRedis =
  (url: string): Spread =>
  async (nodes) => {
    const opened = nodes.map((node) => {
      const store = guardStore(createRedisStore({ url }), { log: silentLog })
      const line = openRevisionLine({ store, environment: 'race' })
      joinRevisionLine(line, node.changes, silentLog)
      return { store, line }
    })
    const knife = await createRedis(url, 'knife', 2)
    await knife.connect()
    return {
      cut: () =>
        knife.sendCommand(['CLIENT', 'KILL', 'TYPE', Math.random() < 0.5 ? 'pubsub' : 'normal']),
      stop: async () => {
        for (const { store, line } of opened) {
          await line.stop()
          await store.close()
        }
        destroy(knife)
      },
    }
  }

/** LISTEN and NOTIFY of PostgreSQL. */
export const listening: Spread = async (nodes) => {
  const lines = nodes.map((node) => {
    const { sql, database, changes } = node
    const line = openChangeLine({ sql, target: database.target, log: silentLog }, changes)
    changes.onCommit(line.announce)
    return line
  })
  const { url } = nodes[0]!.database.target as { url: string }
  return {
    cut: () =>
      asAdministrator(
        url,
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and query like 'listen latchkey_policy%'`,
      ),
    stop: () => Promise.all(lines.map((line) => line.stop())),
  }
}

/** Lets a node be asked over HTTP on a port of its own. */
export const listen = async (node: TestServer) => {
  const listener = serve({ fetch: node.fetch, hostname: '127.0.0.1', port: 0 })
  await new Promise((resolve) => listener.once('listening', resolve))
  const { port } = listener.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () => new Promise((resolve) => listener.close(resolve)),
  }
}
