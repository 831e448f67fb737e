import { createGenerations } from '../../src/platform/cache/generations.ts'
import { guardStore } from '../../src/platform/cache/guarded-store.ts'
import { type CacheKeys, createCacheKeys } from '../../src/platform/cache/keyring.ts'
import type { RemoteStore } from '../../src/platform/cache/remote-store.ts'
import { createCaches } from '../../src/platform/cache/tiered-cache.ts'
import type { Log } from '../../src/platform/log.ts'

export const DATA_KEY = '0c'.repeat(32)

export type CacheNodeOptions = {
  store: RemoteStore
  environment?: string
  keys?: CacheKeys
  timeoutMs?: number
  /** Milliseconds the breaker stays open. Default: the product's. */
  openMs?: number
  bytesMax?: number
  stalenessMs?: number
  sharesFlights?: boolean
  now?: () => number
  random?: () => number
}

/** A node's caches over a store, as an entry would put them together, with what it wrote to its log. */
export const startCacheNode = async (options: CacheNodeOptions) => {
  const { environment = 'test', timeoutMs = 5_000, bytesMax = 64_000_000, now, random } = options
  const lines: { level: string; fields: Record<string, unknown>; message: string }[] = []
  const say = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, fields: fields as Record<string, unknown>, message })
  const log: Log = {
    debug: say('debug'),
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
  }
  const store = guardStore(options.store, {
    ...{ log, timeoutMs, openMs: options.openMs },
    ...(now ? { now } : {}),
  })
  const generations = createGenerations({
    ...{ store, environment, log, stalenessMs: options.stalenessMs ?? 1000 },
    ...(now ? { now } : {}),
  })
  const caches = createCaches({
    ...{ store, environment, generations, log },
    keys: options.keys ?? (await createCacheKeys({ dataKey: DATA_KEY })),
    settings: { bytesMax, sharesFlights: options.sharesFlights ?? true },
    ...(now ? { now } : {}),
    // One half is neither earlier nor later than the lifetime, and never early enough for a refresh.
    random: random ?? (() => 0.5),
  })
  return { caches, generations, store, lines }
}
