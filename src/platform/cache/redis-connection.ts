import { answeringBytes, createRedis, destroy, type RedisClient } from './redis-client.ts'

/** Milliseconds between two tries to connect. */
const RETRY_MS = 500

export type ConnectionOptions = { url: string; name: string; protocol: 2 | 3 }

/**
 * A connection, answering bytes, that is made when it is needed, and made anew after it was lost. For half a second after
 * one failed, `open` rejects at once.
 */
export const createConnection = ({ url, name, protocol }: ConnectionOptions) => {
  let held: { client: RedisClient; opened: Promise<RedisClient> } | undefined
  let notBeforeMs = 0
  let closed = false

  const drop = (client: RedisClient) => {
    if (held?.client === client) held = undefined
    notBeforeMs = Date.now() + RETRY_MS
    destroy(client)
  }
  let opening: Promise<RedisClient> | undefined
  const connect = async () => {
    const client = await createRedis(url, name, protocol)
    client.on('error', () => drop(client))
    const opened = client.connect().then(() => answeringBytes(client))
    held = { client, opened }
    try {
      return await opened
    } catch (error) {
      drop(client)
      throw error
    }
  }
  const open = (): Promise<RedisClient> => {
    if (closed) return Promise.reject(new Error('the store is closed'))
    if (held?.client.isReady) return held.opened
    if (opening) return opening
    if (Date.now() < notBeforeMs) return Promise.reject(new Error('Redis is away'))
    opening = connect().finally(() => {
      opening = undefined
    })
    opening.catch(() => {})
    return opening
  }
  return {
    open,
    close: async () => {
      closed = true
      await opening?.catch(() => {})
      if (held) destroy(held.client)
      held = undefined
    },
  }
}
