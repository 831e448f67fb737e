import { typeidUnboxed } from 'typeid-js'

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

/** A new TypeID: prefixed, sortable by time of making, URL-safe (`grt_01h…`). */
export const newId = (prefix: IdPrefix): string => typeidUnboxed(prefix)
