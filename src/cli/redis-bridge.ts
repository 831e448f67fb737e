import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Command, InvalidArgumentError } from 'commander'
import { createRestBridge } from '../platform/cache/rest-bridge.ts'

type Options = { redis: string; port: number; token: string }

/** Bytes of one request. */
const BODY_BYTES_MAX = 10_000_000

const portOf = (text: string) => {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw new InvalidArgumentError('must be a port')
}

const requestOf = async (incoming: IncomingMessage): Promise<Request> => {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of incoming) {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX)
      throw new RangeError(`a request has at most ${BODY_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  const { authorization, 'upstash-encoding': encoding } = incoming.headers
  const headers = new Headers()
  if (authorization) headers.set('authorization', authorization)
  if (typeof encoding === 'string') headers.set('upstash-encoding', encoding)
  const { method = 'GET', url = '/' } = incoming
  const body = bytes > 0 && method === 'POST' ? { body: Buffer.concat(chunks) } : {}
  return new Request(new URL(url, 'http://bridge'), { method, headers, ...body })
}

const respond = async (response: Response, outgoing: ServerResponse) => {
  outgoing.writeHead(response.status, Object.fromEntries(response.headers))
  outgoing.flushHeaders()
  if (!response.body) return void outgoing.end()
  // Who stops listening ends the stream; that is no failure.
  await pipeline(Readable.fromWeb(response.body as never), outgoing).catch(() => {})
}

/** Serves the bridge on this machine; answers where it is, and how to stop it. */
export const startRedisBridge = async ({ redis, port, token }: Options) => {
  const bridge = createRestBridge({ url: redis, token })
  const server = createServer((incoming, outgoing) => {
    requestOf(incoming)
      .then(bridge.fetch)
      .catch((error: Error) => Response.json({ error: error.message }, { status: 400 }))
      .then((response) => respond(response, outgoing))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const { port: bound } = server.address() as { port: number }
  return {
    url: `http://127.0.0.1:${bound}`,
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await bridge.close()
    },
  }
}

const HELP = `
For development: speaks the REST protocol of Upstash for a Redis that has none, on this machine only. Point a server at it
with UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN, as it would be on Workers:

  latchkey redis-bridge --redis redis://127.0.0.1:6379 --port 8079 --token secret
  curl -s http://127.0.0.1:8079 -H 'authorization: Bearer secret' -d '["SET","greeting","hello"]'
  curl -s http://127.0.0.1:8079/get/greeting -H 'authorization: Bearer secret'

POST / takes one command, /pipeline and /multi-exec many; /subscribe/<channel> sends its messages as events.
Whoever has the token may do everything that Redis can.`

/** `latchkey redis-bridge`: Upstash's REST protocol for any Redis. */
export const redisBridgeCommand = () =>
  new Command('redis-bridge')
    .description('Speak REST for a Redis, as Upstash does (development)')
    .requiredOption('--redis <url>', 'the Redis, as redis://127.0.0.1:6379')
    .option('--port <port>', 'where to listen on 127.0.0.1', portOf, 8079)
    .option('--token <token>', 'what callers must show; made and printed when left out')
    .addHelpText('after', HELP)
    .action(async ({ redis, port, token }: Omit<Options, 'token'> & { token?: string }) => {
      const secret = token ?? randomBytes(24).toString('base64url')
      const bridge = await startRedisBridge({ redis, port, token: secret })
      const lines = [`UPSTASH_REDIS_REST_URL=${bridge.url}`, `UPSTASH_REDIS_REST_TOKEN=${secret}`]
      process.stdout.write(`${lines.join('\n')}\n`)
      await new Promise<void>((resolve) => {
        for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
      })
      await bridge.stop()
    })
