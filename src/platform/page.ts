import * as v from 'valibot'
import { Problem } from './problem.ts'

/** `?limit=` and `?cursor=` of every list. */
export const Page = {
  limit: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,3}$/, 'must be a whole number'),
      v.transform(Number),
      v.minValue(1),
      v.maxValue(200),
    ),
    '50',
  ),
  cursor: v.optional(v.pipe(v.string(), v.maxLength(2048))),
}

/** The shape every list answers with; `nextCursor` is null at the end. */
export const pageOf = <Item extends v.GenericSchema>(item: Item) =>
  v.object({ items: v.array(item), nextCursor: v.nullable(v.string()) })

/**
 * One page out of `limit + 1` rows that were asked for. The cursor holds the last item's position and is opaque to callers.
 */
export const toPage = <Item>(rows: Item[], limit: number, positionOf: (item: Item) => string) => {
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  const nextCursor = rows.length > limit && last ? cursorAt(positionOf(last)) : null
  return { items, nextCursor }
}

/** The cursor of a position: what comes after it is next. */
export const cursorAt = (position: string): string =>
  btoa(String.fromCharCode(...new TextEncoder().encode(position)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')

/** The position a cursor stands for; empty before the first page. Throws 400 for what we did not make. */
export const positionOf = (cursor: string | undefined): string => {
  if (cursor === undefined) return ''
  try {
    const bytes = Uint8Array.from(atob(cursor.replaceAll('-', '+').replaceAll('_', '/')), (char) =>
      char.charCodeAt(0),
    )
    const position = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    if (position !== '' && !position.includes('\u0000')) return position
  } catch {
    // No base64, or no UTF-8 in it: refused like every other cursor that is not ours.
  }
  throw new Problem('invalid', 'invalid-request', 'The cursor is not one of ours.', {
    errors: [{ pointer: '/cursor', detail: 'must be a nextCursor of this list' }],
  })
}
