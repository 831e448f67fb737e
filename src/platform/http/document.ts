import type { MiddlewareHandler } from 'hono'
import { resolver } from 'hono-openapi'
import type * as v from 'valibot'
import { sha256, toHex } from '../crypto/hash.ts'
import { Problem } from '../problem.ts'
import { documented } from './permit.ts'
import type { Env } from './router.ts'
import { requireJson } from './validate.ts'

/** A large body as it arrived: its text, whether it is one JSON document or one a line, and the SHA-256 of its bytes. */
export type Received = { text: string; format: 'json' | 'ndjson'; sha256: string }

const NDJSON = /^application\/(?:x-ndjson|jsonl|x-jsonlines)\s*(?:;|$)/i

/**
 * Takes a document that may be large, as JSON or as one JSON object a line, and hands what `read` makes of it to the
 * handler (`c.req.valid('json')`). The bound is kept while the body arrives. Runs after `permit`.
 */
export const validateDocument = <Schema extends v.GenericSchema, Read extends object>(
  schema: Schema,
  { bytesMax, read }: { bytesMax: number; read: (received: Received) => Read | Promise<Read> },
): MiddlewareHandler<Env, string, { in: { json: v.InferInput<Schema> }; out: { json: Read } }> => {
  const middleware: MiddlewareHandler<Env> = async (c, next) => {
    const format = formatOf(c.req.header('content-type'))
    const bytes = await readBytes(c.req.raw, bytesMax)
    const received = { format, text: decode(bytes), sha256: toHex(await sha256(bytes)) }
    c.req.addValidatedData('json', await read(received))
    await next()
  }
  const content = {
    'application/json': { schema: resolver(schema) },
    'application/x-ndjson': { schema: { type: 'string' } },
  }
  return documented(middleware, { requestBody: { required: true, content } }) as never
}

const formatOf = (contentType: string | undefined): Received['format'] => {
  if (NDJSON.test(contentType ?? '')) return 'ndjson'
  requireJson(contentType)
  return 'json'
}

const readBytes = async (request: Request, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> => {
  const tooLarge = () =>
    new Problem('too-large', 'body-too-large', `The body may have ${bytesMax} bytes at most.`)
  if (Number(request.headers.get('content-length') ?? 0) > bytesMax) throw tooLarge()
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of request.body ?? []) {
    length += chunk.length
    if (length > bytesMax) throw tooLarge()
    chunks.push(chunk)
  }
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

const decode = (bytes: Uint8Array): string => {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new Problem('invalid', 'malformed-request', 'The body is not UTF-8.')
  }
}

/** An answer that is sent piece by piece, as fast as the caller takes it. */
export const streamed = (pieces: Iterable<string>, contentType: string): Response => {
  const iterator = pieces[Symbol.iterator]()
  const encoder = new TextEncoder()
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      const { done, value } = iterator.next()
      if (done) controller.close()
      else controller.enqueue(encoder.encode(value))
    },
  })
  return new Response(body, { headers: { 'content-type': contentType } })
}
