import type { Context } from 'hono'

/** Characters that make a spreadsheet take a cell for a formula. */
const FORMULA = /^[=+\-@\t\r]/

/** One cell (RFC 4180). A text that a spreadsheet would run is kept from it by an apostrophe (CWE-1236). */
const cell = (value: unknown): string => {
  const text = value === null || value === undefined ? '' : String(value)
  const safe = FORMULA.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

type Page = { items: readonly object[]; nextCursor: string | null }

/**
 * A page as a table where the caller asks for one (`Accept: text/csv`), else nothing. The next cursor is in the header
 * `Latchkey-Next-Cursor`.
 */
export const csv = (c: Context, { items, nextCursor }: Page): Response | undefined => {
  if (!/\btext\/csv\b/.test(c.req.header('accept') ?? '')) return undefined
  const columns = Object.keys(items[0] ?? {})
  const lines = [
    columns,
    ...items.map((item) => columns.map((name) => (item as Record<string, unknown>)[name])),
  ]
  if (nextCursor !== null) c.header('latchkey-next-cursor', nextCursor)
  c.header('content-type', 'text/csv; charset=utf-8; header=present')
  return c.body(lines.map((line) => `${line.map(cell).join(',')}\r\n`).join(''))
}
