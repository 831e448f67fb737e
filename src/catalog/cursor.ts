import { sha256, toBase64Url } from '../platform/crypto/hash.ts'
import { cursorAt, positionOf } from '../platform/page.ts'
import { Problem } from '../platform/problem.ts'
import type { Filter, Sorting } from './filter.ts'

/** The sort key of an item: a number, or a time with all its digits. */
export type Key = number | string

/** Where a page ends. */
export type Position = {
  key: Key
  id: string
  /** Whether the search looks into descriptions, too. */
  isWide: boolean
}

/** What a cursor is bound to: the same filters and sorting in whatever order they came. */
export const hashOf = async (filter: Filter, sorting: Sorting): Promise<string> => {
  const members = Object.entries({ ...filter, ...sorting }).filter(
    ([, value]) => value !== undefined,
  )
  const text = JSON.stringify(members.sort(([one], [other]) => (one < other ? -1 : 1)))
  return toBase64Url(await sha256(text)).slice(0, 16)
}

/** The cursor of a position. */
export const writeCursor = (hash: string, { key, id, isWide }: Position): string =>
  cursorAt(JSON.stringify([hash, isWide, key, id]))

/**
 * The position of a cursor; undefined before the first page.
 * @throws Problem 400 for what is not ours, or was given for other filters
 */
export const readCursor = (
  cursor: string | undefined,
  hash: string,
  { sort }: Sorting,
): Position | undefined => {
  const text = positionOf(cursor)
  if (text === '') return undefined
  const [given, isWide, key, id] = membersOf(text)
  const isKey = sort === 'newest' ? isTime(key) : typeof key === 'number' && Number.isFinite(key)
  if (given !== hash || typeof isWide !== 'boolean' || !isKey || !isTemplateId(id)) throw foreign()
  return { key: key as Key, id, isWide }
}

const membersOf = (text: string): unknown[] => {
  try {
    const read: unknown = JSON.parse(text)
    return Array.isArray(read) ? read : []
  } catch {
    // No JSON: refused like every other cursor that is not ours.
    return []
  }
}

const isTime = (key: unknown) => {
  if (typeof key !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(key)) return false
  const date = new Date(key)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(key.slice(0, 19))
}
const isTemplateId = (id: unknown): id is string =>
  typeof id === 'string' && /^tpl_[0-9a-z]{26}$/.test(id)

/**
 * The position in a list by time: until when, and how many of that very instant were read already.
 * @throws Problem 400 for what is not ours
 */
export const readTimeCursor = (cursor: string | undefined) => {
  const text = positionOf(cursor)
  if (text === '') return { until: null, skip: 0 }
  const [until, skip] = membersOf(text)
  const isCount = Number.isInteger(skip) && (skip as number) >= 0 && (skip as number) <= COUNT_MAX
  if (!isTime(until) || !isCount) throw foreign()
  return { until: until as string, skip: skip as number }
}
const COUNT_MAX = 1_000_000

const foreign = () =>
  new Problem('invalid', 'invalid-request', 'The cursor is not of this search.', {
    errors: [{ pointer: '/cursor', detail: 'must be a nextCursor of this search' }],
  })
