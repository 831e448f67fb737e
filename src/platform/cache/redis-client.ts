import type { createClient } from 'redis'

/** Milliseconds a Redis may take to answer before it counts as away. */
export const ANSWER_MS_MAX = 1500

export type RedisClient = ReturnType<typeof createClient>

/**
 * A client that is not connected yet. It never queues what it cannot send, and never connects again by itself: whoever
 * holds it throws it away and makes another, so that there is one state to know.
 * @param protocol the version of RESP: BullMQ speaks 2; 3 lets one connection listen and ask
 */
export const createRedis = async (
  url: string,
  name: string,
  protocol: 2 | 3 = 2,
): Promise<RedisClient> => {
  const redis = await import('redis')
  return redis.createClient({
    url,
    name,
    RESP: protocol,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    socket: { connectTimeout: ANSWER_MS_MAX, reconnectStrategy: false },
  }) as unknown as RedisClient
}

/** The same client, answering strings as bytes: what is stored is no text. */
export const answeringBytes = async (client: RedisClient): Promise<RedisClient> => {
  const { RESP_TYPES } = await import('redis')
  return client.withTypeMapping({
    [RESP_TYPES.BLOB_STRING]: Buffer,
  }) as unknown as RedisClient
}

/** Closes a client at once, whatever state it is in. */
export const destroy = (client: RedisClient): void => {
  try {
    if (client.isOpen) client.destroy()
  } catch {
    // It was closed already.
  }
}

/**
 * What commands answer that are run as one. They are sent in one turn, so that nothing of others comes between them on the
 * connection. (The client's own `multi` would answer bytes as text.)
 */
export const inTransaction = async (
  client: RedisClient,
  commands: readonly string[][],
): Promise<unknown[]> => {
  const sent = [['MULTI'], ...commands, ['EXEC']].map((command) => client.sendCommand(command))
  const answers = await Promise.allSettled(sent)
  const last = answers.at(-1)!
  if (last.status === 'rejected') throw last.reason
  return last.value as unknown as unknown[]
}
