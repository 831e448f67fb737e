import { onPath } from '../../test/support/installed.ts'
import { startRedis } from '../../test/support/redis.ts'

/** One that may forget what nobody asks for any more. */
const CACHE = ['maxmemory 64mb', 'maxmemory-policy allkeys-lru']
/** One that forgets nothing, not even when it is killed. */
const QUEUE = ['maxmemory-policy noeviction', 'appendonly yes', 'appendfsync everysec']

type Provided = { settings: Record<string, string>; how: string; stop: () => Promise<void> }

/** Two Redis servers, because what is right for one of the roles is wrong for the other; or none, and how that is. */
export const provideCacheAndQueue = async (): Promise<Provided> => {
  if (!onPath('redis-server'))
    return {
      settings: {},
      how: 'there is no redis-server here; the nodes do without',
      stop: async () => {},
    }
  const [cache, queue] = await Promise.all([startRedis(CACHE), startRedis(QUEUE)])
  return {
    settings: { REDIS_URL: cache.url, REDIS_QUEUE_URL: queue.url },
    how: 'one for the cache (allkeys-lru), one for the queue (noeviction, AOF)',
    stop: async () => void (await Promise.all([cache.stop(), queue.stop()])),
  }
}
