import type { Context as HonoContext } from 'hono'
import { sha256, toBase64Url } from '../crypto/hash.ts'

/** The tag of an answer that has no hash of its own. */
const tagOf = async (text: string) => toBase64Url(await sha256(text)).slice(0, 27)

/**
 * Answers JSON with an ETag, or 304 where the caller has just that (RFC 9110 §13.1.2).
 * @param tag a hash of the content; without it one is made of the whole answer
 */
export const answerTagged = async (
  c: HonoContext,
  body: object,
  tag?: string,
): Promise<Response> => {
  const text = JSON.stringify(body)
  const etag = `"${tag ?? (await tagOf(text))}"`
  const known = c.req.header('if-none-match')?.split(',') ?? []
  const isKnown = known.some((each) => each.trim().replace(/^W\//, '') === etag)
  const headers = { etag, 'cache-control': 'private, no-cache' }
  if (isKnown) return c.body(null, 304, headers)
  return c.body(text, 200, { ...headers, 'content-type': 'application/json' })
}
