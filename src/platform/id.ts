import { typeidUnboxed } from 'typeid-js'
import * as v from 'valibot'

/** The prefixes of the ids we make. */
export type IdPrefix =
  | 'org'
  | 'wsp'
  | 'key'
  | 'grt'
  | 'evt'
  | 'dec'
  | 'job'
  | 'wrk'
  | 'whk'
  | 'dlv'
  | 'inv'
  | 'rsv'
  | 'scn'
  | 'tpl'
  | 'ver'
  | 'cas'
  | 'rmv'
  | 'adv'
  | 'prc'
  | 'ord'
  | 'ent'
  | 'ins'
  | 'run'
  | 'rec'

/** A new TypeID: prefixed, sortable by time of making, URL-safe (`grt_01h…`). */
export const newId = (prefix: IdPrefix): string => typeidUnboxed(prefix)

/** An id of ours in a path, a query or a body. */
export const idOf = (prefix: IdPrefix) =>
  v.pipe(v.string(), v.regex(new RegExp(`^${prefix}_[0-9a-z]{26}$`), `must be an id ${prefix}_…`))
