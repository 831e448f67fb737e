import { equalInConstantTime, sha256 } from '../crypto/hash.ts'
import { toBase64 } from './base64.ts'
import { createRedis, destroy, inTransaction } from './redis-client.ts'
import { createConnection } from './redis-connection.ts'
import type { RemoteStore } from './remote-store.ts'

type Client = Awaited<ReturnType<ReturnType<typeof createConnection>['open']>>
type Encode = (bytes: Uint8Array) => string
type Answer = { result: unknown } | { error: string }

/** What would keep the one connection from everybody else, or cannot be answered with one answer. */
const REFUSED =
  /^(?:subscribe|psubscribe|ssubscribe|monitor|blpop|brpop|blmove|brpoplpush|blmpop|bzpopmin|bzpopmax|bzmpop|multi|exec|discard|watch|client|select|hello|auth|reset|quit|shutdown)$/i
const COMMANDS_MAX = 10_000

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
const asText: Encode = (bytes) => new TextDecoder().decode(bytes)
/** Upstash leaves OK as it is, and its client expects that. */
const asBase64: Encode = (bytes) => (asText(bytes) === 'OK' ? 'OK' : toBase64(bytes))

const encoded = (answer: unknown, encode: Encode): unknown => {
  if (answer instanceof Uint8Array) return encode(answer)
  if (typeof answer === 'string') return encode(new TextEncoder().encode(answer))
  if (answer instanceof Error) return messageOf(answer)
  return Array.isArray(answer) ? answer.map((each) => encoded(each, encode)) : answer
}

/** @throws RangeError where it is no command that can be sent on */
const commandOf = (given: unknown): string[] => {
  if (!Array.isArray(given) || given.length === 0)
    throw new RangeError('ERR a command is an array that begins with its name')
  const command = given.map((part) => (typeof part === 'object' ? JSON.stringify(part) : `${part}`))
  if (REFUSED.test(command[0]!))
    throw new RangeError(`ERR ${command[0]} is not available over REST`)
  return command
}

const commandsOf = (given: unknown): string[][] => {
  if (!Array.isArray(given) || given.length > COMMANDS_MAX)
    throw new RangeError(`ERR a pipeline is an array of at most ${COMMANDS_MAX} commands`)
  return given.map(commandOf)
}

/** `/set/key?EX=10` with a body as the last argument. */
const commandOfPath = async (request: Request, { pathname, searchParams }: URL) => {
  const parts = pathname.slice(1).split('/').map(decodeURIComponent)
  const body = request.method === 'POST' ? await request.text() : ''
  const options = [...searchParams].filter(([name]) => name !== '_token')
  return commandOf([...parts, ...(body ? [body] : []), ...options.flat().filter(Boolean)])
}

const pipeline = async (client: Client, commands: string[][], encode: Encode) => {
  const answers = await Promise.allSettled(commands.map((command) => client.sendCommand(command)))
  return answers.map(
    (answer): Answer =>
      answer.status === 'fulfilled'
        ? { result: encoded(answer.value, encode) }
        : { error: messageOf(answer.reason) },
  )
}

const transaction = async (client: Client, commands: string[][], encode: Encode) => {
  const answers = await inTransaction(client, commands)
  return answers.map(
    (answer): Answer =>
      answer instanceof Error ? { error: messageOf(answer) } : { result: encoded(answer, encode) },
  )
}

/** Messages of a channel as server-sent events, until the reader goes away. */
const events = async (url: string, channel: string): Promise<Response> => {
  const client = await createRedis(url, 'latchkey-bridge-ear', 3)
  const stream = new ReadableStream<Uint8Array>({
    start: async (controller) => {
      const say = (...parts: string[]) =>
        controller.enqueue(new TextEncoder().encode(`data: ${parts.join(',')}\n\n`))
      client.on('error', (error) => controller.error(error))
      await client.connect()
      await client.subscribe(channel, (message) => say('message', channel, message))
      say('subscribe', channel, '1')
    },
    cancel: () => destroy(client),
  })
  return new Response(stream, { headers: { 'content-type': 'text/event-stream' } })
}

/**
 * Speaks Upstash's REST protocol for any Redis (https://upstash.com/docs/redis/features/restapi): one command, pipelines,
 * transactions, commands as paths, base64 answers, and a channel as server-sent events. For development and tests: one
 * token may do everything, and nothing is limited but the commands that would block its one connection.
 */
export const createRestBridge = ({ url, token }: { url: string; token: string }) => {
  const line = createConnection({ url, name: 'latchkey-bridge', protocol: 2 })

  const isAllowed = async (request: Request, { searchParams }: URL) => {
    const given =
      request.headers.get('authorization')?.replace(/^Bearer /i, '') ?? searchParams.get('_token')
    const [one, other] = await Promise.all([sha256(given ?? ''), sha256(token)])
    return equalInConstantTime(one, other)
  }
  const answer = async (request: Request, where: URL): Promise<unknown> => {
    const encode = request.headers.get('upstash-encoding') === 'base64' ? asBase64 : asText
    const isPost = request.method === 'POST'
    if (isPost && where.pathname === '/pipeline') {
      const commands = commandsOf(await request.json())
      return pipeline(await line.open(), commands, encode)
    }
    if (isPost && where.pathname === '/multi-exec') {
      const commands = commandsOf(await request.json())
      return transaction(await line.open(), commands, encode)
    }
    const isBody = isPost && where.pathname === '/'
    const command = isBody ? commandOf(await request.json()) : await commandOfPath(request, where)
    const [result] = await pipeline(await line.open(), [command], encode)
    if ('error' in result!) throw new Error(result.error)
    return result
  }

  return {
    fetch: async (request: Request): Promise<Response> => {
      const where = new URL(request.url)
      if (!(await isAllowed(request, where)))
        return Response.json({ error: 'Unauthorized' }, { status: 401 })
      try {
        const [, channel] = /^\/subscribe\/([^/]+)$/.exec(where.pathname) ?? []
        if (channel) return await events(url, decodeURIComponent(channel))
        return Response.json(await answer(request, where))
      } catch (error) {
        return Response.json({ error: messageOf(error) }, { status: 400 })
      }
    },
    close: line.close satisfies RemoteStore['close'],
  }
}
