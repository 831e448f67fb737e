import { mayBePublic } from './public-address.ts'

/** A request to somebody else's server. */
export type SendRequest = {
  url: string
  headers: Readonly<Record<string, string>>
  body: string
  signal: AbortSignal
}

/** What came back. Redirections are not followed. */
export type SendAnswer = {
  status: number
  /** The first characters of the body. */
  body: string
  /** The header Retry-After (RFC 9110 §10.2.3), as it came. */
  retryAfter: string | null
}

/** Posts to a URL that a customer chose. @throws when there is no answer, and NotPublic where it must not go */
export type Send = (request: SendRequest) => Promise<SendAnswer>

/** The URL leads into a private network. That the host does not exist is said alike: nobody learns which names do. */
export class NotPublic extends Error {
  constructor() {
    super('the host has no public address')
  }
}

/** Characters of an answer that are kept. */
const BODY_MAX = 1024
/** Bytes that are read for them. */
export const BODY_BYTES_MAX = 4 * BODY_MAX

/** The beginning of an answer as text that can be stored. */
export const textOf = (bytes: Uint8Array): string =>
  new TextDecoder().decode(bytes).slice(0, BODY_MAX).replaceAll('\u0000', '\ufffd').toWellFormed()

/**
 * Posts through the runtime's own `fetch`, for runtimes that keep private networks out of reach themselves (Workers with
 * `global_fetch_strictly_public`); addresses that stand in the URL are refused here, too.
 */
export const fetchSend =
  ({ privateAddresses }: { privateAddresses: boolean }): Send =>
  async ({ url, ...request }) => {
    if (!privateAddresses && !mayBePublic(new URL(url))) throw new NotPublic()
    const response = await fetch(url, { method: 'POST', redirect: 'manual', ...request })
    return {
      status: response.status,
      body: textOf(await firstBytes(response)),
      retryAfter: response.headers.get('retry-after'),
    }
  }

/** What can be read of a body within its bound. The status counts also where the body breaks off. */
const firstBytes = async (response: Response): Promise<Uint8Array> => {
  const bytes: number[] = []
  const reader = response.body?.getReader()
  try {
    for (let read = await reader?.read(); read && !read.done; read = await reader?.read()) {
      bytes.push(...read.value.subarray(0, BODY_BYTES_MAX - bytes.length))
      if (bytes.length >= BODY_BYTES_MAX) break
    }
  } catch {
    // Broken off: what came is kept.
  }
  await reader?.cancel().catch(() => {})
  return Uint8Array.from(bytes)
}
