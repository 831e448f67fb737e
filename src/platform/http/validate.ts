import type { MiddlewareHandler, ValidationTargets } from 'hono'
import { resolver, uniqueSymbol } from 'hono-openapi'
import type * as v from 'valibot'
import { parse } from '../parse.ts'
import { Problem } from '../problem.ts'
import type { Env } from './router.ts'

/** Bytes a body may have where a route says nothing else. */
export const BODY_BYTES_MAX = 1024 * 1024

const tooLarge = (bytesMax: number) =>
  new Problem('too-large', 'body-too-large', `The body may have ${bytesMax} bytes at most.`)

/** Refuses a body by the length it announces, before it is read. */
const refuseLength = (length: string | null, bytesMax = BODY_BYTES_MAX): void => {
  if (length !== null && Number(length) > bytesMax) throw tooLarge(bytesMax)
}

/** The text of a body, if it keeps its bound. */
const bounded = (text: string, bytesMax = BODY_BYTES_MAX): string => {
  // A text of n characters has at least n bytes, so most bodies need no second look.
  if (
    text.length > bytesMax ||
    (text.length * 3 > bytesMax && new TextEncoder().encode(text).length > bytesMax)
  )
    throw tooLarge(bytesMax)
  return text
}

/** The body as text, within its bound. */
export const readBody = (request: Request, bytesMax = BODY_BYTES_MAX): Promise<string> =>
  readText(request, request.headers.get('content-length'), bytesMax)

/**
 * The body as text, within its bound. One that announces its length cannot be longer, the server sees to that; one that
 * does not (chunked) is read piece by piece and given up when it grows too large.
 */
export const readText = async (
  request: Request,
  length: string | null,
  bytesMax = BODY_BYTES_MAX,
): Promise<string> => {
  refuseLength(length, bytesMax)
  if (length !== null || !request.body) return bounded(await request.text(), bytesMax)
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  for await (const piece of request.body as unknown as AsyncIterable<Uint8Array>) {
    bytes += piece.length
    if (bytes > bytesMax) throw tooLarge(bytesMax)
    text += decoder.decode(piece, { stream: true })
  }
  return text + decoder.decode()
}

/** Parses JSON or throws a 400. */
export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    throw new Problem('invalid', 'malformed-request', 'The body is not JSON.', {
      errors: [{ pointer: '', detail: 'must be JSON' }],
    })
  }
}

/** 415 for a body that does not say it is JSON. */
export const requireJson = (contentType: string | null | undefined): void => {
  if (!/^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(contentType ?? ''))
    throw new Problem(
      'unsupported-media-type',
      'unsupported-media-type',
      'Send the body as application/json.',
    )
}

/**
 * Validates one part of a request, documents it, and hands the typed result to the handler (`c.req.valid`).
 * Runs after `permit`, so that nobody learns a shape by probing.
 */
export const validate = <Schema extends v.GenericSchema, Target extends 'json' | 'query' | 'param'>(
  target: Target,
  schema: Schema,
): MiddlewareHandler<
  Env,
  string,
  {
    in: { [Key in Target]: v.InferInput<Schema> & ValidationTargets[Key] }
    out: { [Key in Target]: v.InferOutput<Schema> }
  }
> => {
  const middleware: MiddlewareHandler<Env> = async (c, next) => {
    const input =
      target === 'json'
        ? await readJson(c.req.raw)
        : target === 'query'
          ? readQuery(c.req.queries())
          : c.req.param()
    c.req.addValidatedData(target, parse(schema, input) as object)
    await next()
  }
  return Object.assign(middleware, {
    [uniqueSymbol]: { target, ...resolver(schema, { options: { typeMode: 'input' } }) },
  }) as never
}

/** What came once is text; what came more often is a list, which only members that take many accept. */
const readQuery = (queries: Record<string, string[]>) =>
  Object.fromEntries(
    Object.entries(queries).map(([name, values]) => [
      name,
      values.length === 1 ? values[0] : values,
    ]),
  )

const readJson = async (request: Request): Promise<unknown> => {
  requireJson(request.headers.get('content-type'))
  return parseJson(await readBody(request))
}
