import type { Redis } from '@upstash/redis/cloudflare'
import { fromBase64, toBase64 } from './base64.ts'
import { GET_WITH_LIFETIME, INCREMENT, leftMsOf, RAISE, type RemoteStore } from './remote-store.ts'

export type UpstashOptions = {
  url: string
  token: string
  /** Milliseconds after which a request is given up; whoever asks has stopped waiting before. Default 1000. */
  timeoutMs?: number
}

/** What values begin with, beside the numbers of `raise` and `increment`, which are text. */
const VALUE_SIGN = '='

/** A miss is also what a node over TCP wrote as bytes: JSON has lost some of them. */
const bytesOf = (text: string | null) => {
  if (text === null || text.includes('\ufffd')) return null
  if (!text.startsWith(VALUE_SIGN)) return new TextEncoder().encode(text)
  try {
    return fromBase64(text.slice(VALUE_SIGN.length))
  } catch {
    return null
  }
}

/** The client repeats the command in its messages; values have no place in a log. */
const withoutCommand = (error: unknown) =>
  new Error(
    String(error instanceof Error ? error.message : error).replace(/, command was: .*/s, ''),
  )

const connect = async ({ url, token, timeoutMs = 1000 }: UpstashOptions): Promise<Redis> => {
  const { Redis } = await import('@upstash/redis/cloudflare')
  return new Redis({
    url,
    token,
    // `retry: false` would still try twice. Whoever asks has a deadline and a way without the store.
    retry: { retries: 0 },
    // Made for each request: of one that is shared, the client would answer "Aborted" as if it were a value.
    signal: () => AbortSignal.timeout(timeoutMs),
    // Answers are told as they are: values are base64 of ours, and text must not be read as JSON.
    automaticDeserialization: false,
    responseEncoding: false,
    enableTelemetry: false,
    // What is asked in one turn goes in one request, as a revision and a value.
    enableAutoPipelining: true,
    // A body of more than 64 KB may not outlive its page (Fetch, "keepalive").
    keepAlive: false,
  })
}

/**
 * A Redis over REST as Upstash speaks it (package `@upstash/redis`): for Workers, and wherever its URL is set. Values travel
 * as base64, because REST is JSON. Nothing is heard over it: its client does not say when it has lost the line.
 */
export const createUpstashStore = (options: UpstashOptions): RemoteStore => {
  let connecting: Promise<Redis> | undefined
  const ask = async <Answer>(work: (redis: Redis) => Promise<Answer>): Promise<Answer> => {
    connecting ??= connect(options)
    try {
      return await work(await connecting)
    } catch (error) {
      throw withoutCommand(error)
    }
  }

  return {
    kind: 'upstash',
    getMany: async (keys) => {
      if (keys.length === 0) return []
      // A script and no transaction: that would be a request of its own, beside what is asked in the same turn.
      const found = await ask((redis) =>
        redis.eval<string[], (string | number | null)[]>(GET_WITH_LIFETIME, [...keys], []),
      )
      return keys.map((_, at) => {
        const value = bytesOf(found[2 * at] as string | null)
        return value && { value, leftMs: leftMsOf(found[2 * at + 1]) }
      })
    },
    set: async (key, value, ttlMs) => {
      const text = `${VALUE_SIGN}${toBase64(value)}`
      await ask((redis) => redis.set(key, text, { px: ttlMs }))
    },
    delete: async (keys) => {
      if (keys.length > 0) await ask((redis) => redis.unlink(...keys))
    },
    increment: async (key, ttlMs) =>
      Number(
        await ask((redis) =>
          ttlMs === undefined
            ? redis.incr(key)
            : redis.eval<string[], number>(INCREMENT, [key], [String(ttlMs)]),
        ),
      ),
    raise: async (numbers, ttlMs) => {
      if (numbers.length === 0) return []
      const keys = numbers.map(({ key }) => key)
      const wanted = [ttlMs, ...numbers.map(({ number }) => number)].map(String)
      const reached = await ask((redis) => redis.eval<string[], string[]>(RAISE, keys, wanted))
      return reached.map(Number)
    },
    publish: async (channel, message) => {
      await ask((redis) => redis.publish(channel, message))
    },
    ping: async () => {
      await ask((redis) => redis.ping())
    },
    close: async () => {},
  }
}
