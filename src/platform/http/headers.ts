import type { Context as HonoContext } from 'hono'

type Incoming = { incoming?: { headers: Record<string, string | string[] | undefined> } }

/** A header of the request; on Node from where Node has parsed it already. */
export const headerOf = (c: HonoContext, name: string): string | null => {
  const headers = (c.env as Incoming | undefined)?.incoming?.headers
  if (headers === undefined) return c.req.raw.headers.get(name)
  const value = headers[name]
  return typeof value === 'string' ? value : value === undefined ? null : value.join(', ')
}
