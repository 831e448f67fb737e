import { JOIN_MS_ON_WORKERS } from '../join.ts'
import type { Log } from '../log.ts'
import { createGenerations, type Generations } from './generations.ts'
import { guardStore } from './guarded-store.ts'
import { createCacheKeys } from './keyring.ts'
import type { RemoteStore } from './remote-store.ts'
import { openRevisionLine, type RevisionLine } from './revision-line.ts'
import { type Caches, createCaches } from './tiered-cache.ts'

export type OpenCacheOptions = {
  /** What lies behind the memory; `createNoStore()` where there is nothing. */
  store: RemoteStore
  environment: string
  /** `DATA_KEY`: 64 hexadecimal digits. */
  dataKey: string
  previousDataKey?: string | undefined
  /** Bytes of all namespaces together, in this process. */
  bytesMax: number
  /** Milliseconds a command of the store may take. Default 50. */
  timeoutMs?: number
  /** How old answers may be (`STALENESS_MS`): a revision is told for half as long. */
  stalenessMs?: number
  /** false on Workers, where what a request has begun ends with it. Default true. */
  sharesFlights?: boolean
  log: Log
}

/** The caches of a process with all they need, and the line on which revisions go between nodes. */
export type OpenCache = {
  readonly caches: Caches
  readonly generations: Generations
  /** Nothing where there is no store. */
  readonly line: RevisionLine | undefined
  /** Why answers are slower than they could be; empty where all is well. */
  readonly degraded: () => string[]
  readonly stop: () => Promise<void>
}

/** Opens the caches of a process over a store, which is guarded here. */
export const openCache = async (options: OpenCacheOptions): Promise<OpenCache> => {
  const { environment, log, bytesMax, sharesFlights = true, timeoutMs } = options
  const hasStore = options.store.kind !== 'none'
  const store = hasStore ? guardStore(options.store, { log, timeoutMs }) : options.store
  const joinMs = sharesFlights ? undefined : JOIN_MS_ON_WORKERS
  const generations = createGenerations({ store, environment, log, joinMs })
  const caches = createCaches({
    store,
    environment,
    keys: await createCacheKeys(options),
    generations,
    log,
    settings: { bytesMax, sharesFlights },
  })
  const keptMs = options.stalenessMs === undefined ? undefined : options.stalenessMs / 2
  const line = hasStore ? openRevisionLine({ store, environment, keptMs }) : undefined
  return {
    caches,
    generations,
    line,
    degraded: () => [
      ...(caches.health().isDegraded
        ? ['the cache Redis is away; answers come from PostgreSQL']
        : []),
      ...(line?.isLost()
        ? ['changes are not heard of over Redis; without LISTEN they are found in the log, later']
        : []),
    ],
    stop: async () => {
      await line?.stop()
      await generations.stop()
      await caches.settled()
      await store.close()
    },
  }
}
