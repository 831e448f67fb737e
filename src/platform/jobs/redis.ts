import type { createClient } from 'redis'

/** Milliseconds a Redis may take to answer before it counts as away. */
export const ANSWER_MS_MAX = 1500

export type RedisClient = ReturnType<typeof createClient>

/**
 * A client that is not connected yet. It never queues what it cannot send, and never connects again by itself: whoever
 * holds it throws it away and makes another, so that there is one state to know.
 */
export const createRedis = async (url: string, name: string): Promise<RedisClient> => {
  const redis = await import('redis')
  return redis.createClient({
    url,
    name,
    RESP: 2,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    socket: { connectTimeout: ANSWER_MS_MAX, reconnectStrategy: false },
  }) as unknown as RedisClient
}

/** What the promise gives. @throws when it takes longer */
export const within = <Value>(ms: number, promise: Promise<Value>): Promise<Value> => {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      // A process that was busy for so long has the answer in its hands already: it reads it before it judges.
      timer = setTimeout(() => reject(new Error(`Redis did not answer in ${ms} ms`)), 0)
    }, ms)
  })
  promise.catch(() => {})
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Closes a client at once, whatever state it is in. */
export const destroy = (client: RedisClient): void => {
  try {
    if (client.isOpen) client.destroy()
  } catch {
    // It was closed already.
  }
}
