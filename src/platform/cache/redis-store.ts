import { createRedis, destroy, inTransaction } from './redis-client.ts'
import { createConnection } from './redis-connection.ts'
import { INCREMENT, leftMsOf, RAISE, type RemoteStore } from './remote-store.ts'

const bytesOf = (value: Uint8Array) => Buffer.from(value.buffer, value.byteOffset, value.byteLength)
const numberOf = (answer: unknown) => Number(String(answer))

/**
 * A Redis over TCP (package `redis`, RESP3). It connects in the background, at once and again when the connection was lost;
 * what is asked meanwhile waits for the connection, and is refused for half a second after one failed. Nothing is queued.
 */
export const createRedisStore = ({ url }: { url: string }): RemoteStore => {
  const line = createConnection({ url, name: 'latchkey-cache', protocol: 3 })
  void line.open().catch(() => {})
  const ask = async (...command: (string | Buffer)[]): Promise<unknown> =>
    (await line.open()).sendCommand(command)

  return {
    kind: 'redis',
    getMany: async (keys) => {
      if (keys.length === 0) return []
      // A transaction and no script: a script would copy each value twice more, which large ones feel.
      const lifetimes = keys.map((key) => ['PTTL', key])
      const commands = [['MGET', ...keys], ...lifetimes]
      const [values, ...left] = await inTransaction(await line.open(), commands)
      return (values as (Uint8Array | null)[]).map(
        (value, at) => value && { value, leftMs: leftMsOf(left[at]) },
      )
    },
    set: async (key, value, ttlMs) => {
      await ask('SET', key, bytesOf(value), 'PX', String(ttlMs))
    },
    delete: async (keys) => {
      if (keys.length > 0) await ask('UNLINK', ...keys)
    },
    increment: async (key, ttlMs) =>
      numberOf(
        ttlMs === undefined
          ? await ask('INCR', key)
          : await ask('EVAL', INCREMENT, '1', key, String(ttlMs)),
      ),
    raise: async (numbers, ttlMs) => {
      if (numbers.length === 0) return []
      const keys = numbers.map(({ key }) => key)
      const wanted = numbers.map(({ number }) => String(number))
      const count = String(keys.length)
      const reached = await ask('EVAL', RAISE, count, ...keys, String(ttlMs), ...wanted)
      return (reached as unknown[]).map(numberOf)
    },
    publish: async (channel, message) => {
      await ask('PUBLISH', channel, message)
    },
    subscribe: async (channel, hear, onLost) => {
      // A connection of its own: a slow value on the other one would hold up what is to be heard at once.
      const client = await createRedis(url, 'latchkey-ear', 3)
      let isOpen = false
      const lost = (error: Error) => {
        if (!isOpen) return
        isOpen = false
        destroy(client)
        onLost(error)
      }
      client.on('error', lost)
      client.on('end', () => lost(new Error('the connection ended')))
      try {
        await client.connect()
        await client.subscribe(channel, hear)
      } catch (error) {
        destroy(client)
        throw error
      }
      isOpen = true
      return {
        // One connection is answered in order: before the answer comes all that was published before the question.
        prove: async () => void (await client.ping()),
        stop: async () => {
          isOpen = false
          destroy(client)
        },
      }
    },
    ping: async () => void (await ask('PING')),
    close: line.close,
  }
}
