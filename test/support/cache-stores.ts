import { startRedisBridge } from '../../src/cli/redis-bridge.ts'
import { createRedisStore } from '../../src/platform/cache/redis-store.ts'
import type { RemoteStore } from '../../src/platform/cache/remote-store.ts'
import { createUpstashStore } from '../../src/platform/cache/upstash-store.ts'
import { provideRedis, startRedis } from './redis.ts'

export type CacheServers = {
  redis: Awaited<ReturnType<typeof startRedis>>
  bridge: Awaited<ReturnType<typeof startRedisBridge>>
  /** A store over TCP, or over REST through the bridge; closed with the servers. */
  open: (kind: 'redis' | 'upstash') => RemoteStore
  stop: () => Promise<void>
}

export const BRIDGE_TOKEN = 'a-token-of-the-tests'

/** A Redis of its own with a REST bridge before it; or why there is none. */
export const startCacheServers = async (
  settings: string[] = [],
): Promise<CacheServers | { skip: string }> => {
  const found = await provideRedis()
  if ('skip' in found) return found
  await found.stop()
  const redis = await startRedis(settings)
  const bridge = await startRedisBridge({ redis: redis.url, port: 0, token: BRIDGE_TOKEN })
  const stores: RemoteStore[] = []
  return {
    redis,
    bridge,
    open: (kind) => {
      const store =
        kind === 'redis'
          ? createRedisStore({ url: redis.url })
          : createUpstashStore({ url: bridge.url, token: BRIDGE_TOKEN, timeoutMs: 10_000 })
      stores.push(store)
      return store
    },
    stop: async () => {
      await Promise.all(stores.map((store) => store.close()))
      await bridge.stop()
      await redis.stop()
    },
  }
}
