import { expect } from 'vitest'
import type { TestServer } from './server.ts'

/** Every item of a list, read page by page; each page but the last is full, and nothing comes twice. */
export const readPages = async (
  { call }: Pick<TestServer, 'call'>,
  path: string,
  { limit, idOf }: { limit: number; idOf: (item: Record<string, string>) => string },
): Promise<string[]> => {
  const ids: string[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query = `limit=${limit}${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`
    const { status, body } = await call(`GET ${path}${path.includes('?') ? '&' : '?'}${query}`)
    expect([path, status]).toEqual([path, 200])
    if (body.nextCursor !== null) expect(body.items).toHaveLength(limit)
    ids.push(...body.items.map(idOf))
    cursor = body.nextCursor
  }
  expect(new Set(ids).size).toBe(ids.length)
  return ids
}

/** Cursors nobody was given: no base64, no UTF-8, nothing in it, U+0000. */
export const GARBAGE = ['%', '!!!!', '_w', 'AA', '', 'a'.repeat(2049)]
/** Limits that are none. */
export const NO_LIMITS = ['0', '201', '-1', '1.5', 'ten', '']

/** A list refuses every cursor and limit that is none, and says where. */
export const refusesGarbage = async ({ call }: Pick<TestServer, 'call'>, path: string) => {
  const joint = path.includes('?') ? '&' : '?'
  for (const [name, values] of [
    ['cursor', GARBAGE],
    ['limit', NO_LIMITS],
  ] as const)
    for (const value of values) {
      const query = `${name}=${encodeURIComponent(value)}`
      const { status, body } = await call(`GET ${path}${joint}${query}`)
      expect([query, status, body.code, body.errors?.[0]?.pointer]).toEqual([
        query,
        400,
        'invalid-request',
        `/${name}`,
      ])
    }
}
