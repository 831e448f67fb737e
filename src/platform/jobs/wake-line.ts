import { ANSWER_MS_MAX, createRedis, destroy, type RedisClient } from '../cache/redis-client.ts'
import { within } from '../cache/within.ts'
import type { Log } from '../log.ts'
import { QUEUES, type QueueName } from './queue.ts'

/** Milliseconds in which wishes to wake are gathered into one message. */
const GATHER_MS = 2
/** Milliseconds between two looks whether the line still stands, and between two tries to open it. */
const LOOK_MS = 2000

/** Tells other processes that jobs were committed. Whatever it loses, polling finds. */
export type WakeLine = {
  /** Wakes the workers of these queues in other processes; never fails, never waits. */
  publish: (queues: readonly QueueName[]) => void
  /** Calls back for each message of another process. */
  listen: (wake: (queues: QueueName[]) => void) => void
  stop: () => Promise<void>
}

const isQueue = (name: string): name is QueueName => (QUEUES as readonly string[]).includes(name)

/** A client that is made when it is needed, and made anew after it failed, but not more often than every two seconds. */
const createHeld = (url: string, name: string) => {
  let client: RedisClient | undefined
  let notBeforeMs = 0
  const drop = (lost: RedisClient | undefined) => {
    if (lost) destroy(lost)
    if (client === lost) client = undefined
    notBeforeMs = Date.now() + LOOK_MS
  }
  return {
    drop: () => drop(client),
    /** The open client; nothing while it is too early to try again. @throws when it cannot be opened */
    open: async (prepare: (made: RedisClient) => Promise<void> = async () => {}) => {
      if (client?.isReady) return client
      if (Date.now() < notBeforeMs) return undefined
      notBeforeMs = Date.now() + LOOK_MS
      const made = await createRedis(url, name)
      client = made
      made.on('error', () => drop(made))
      try {
        await within(ANSWER_MS_MAX, made.connect())
        await within(ANSWER_MS_MAX, prepare(made))
        return made
      } catch (error) {
        drop(made)
        throw error
      }
    },
  }
}

/** Opens a line between processes over publish and subscribe of Redis. */
export const openWakeLine = (options: { url: string; log: Log; prefix?: string }): WakeLine => {
  const { url, log, prefix = 'latchkey' } = options
  const channel = `${prefix}:wake`
  const self = crypto.randomUUID()
  const [speaking, listening] = [createHeld(url, 'latchkey-wake'), createHeld(url, 'latchkey-ear')]
  let gathered = new Set<QueueName>()
  let sending = false
  let stopped = false
  let ear: ReturnType<typeof setTimeout> | undefined

  const send = async () => {
    while (gathered.size > 0 && !stopped) {
      await new Promise((resolve) => setTimeout(resolve, GATHER_MS))
      const queues = [...gathered]
      gathered = new Set()
      const client = await speaking.open()
      await (client &&
        within(ANSWER_MS_MAX, client.publish(channel, `${self} ${queues.join(',')}`)))
    }
  }

  return {
    publish: (queues) => {
      for (const queue of queues) gathered.add(queue)
      if (sending || stopped || gathered.size === 0) return
      sending = true
      void send()
        .catch((error: unknown) => {
          speaking.drop()
          log.debug(
            { err: error },
            'nobody was woken over redis; workers find the jobs when they poll',
          )
        })
        .finally(() => {
          sending = false
        })
    },
    listen: (wake) => {
      const hear = (message: string) => {
        const [sender, names = ''] = message.split(' ')
        const queues = names.split(',').filter(isQueue)
        if (sender !== self && queues.length > 0) wake(queues)
      }
      const look = async () => {
        const client = await listening.open((made) => made.subscribe(channel, hear))
        if (client) await within(ANSWER_MS_MAX, client.ping())
      }
      const keepLooking = () =>
        void look()
          .catch(() => listening.drop())
          .finally(() => {
            if (!stopped) ear = setTimeout(keepLooking, LOOK_MS)
          })
      keepLooking()
    },
    stop: async () => {
      stopped = true
      clearTimeout(ear)
      speaking.drop()
      listening.drop()
    },
  }
}
