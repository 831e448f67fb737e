/** Maps a large one is made of: at 100,000 keys none holds more than about five hundred. */
const PARTS = 256
/**
 * Characters of a key that choose its part, evenly far apart: enough to meet the ids in it wherever they stand, and few,
 * because every hit pays for them. Keys that differ elsewhere only share a part, and are found as well.
 */
const CHARACTERS_MAX = 24

const partOf = (key: string): number => {
  const stride = Math.max(1, Math.ceil(key.length / CHARACTERS_MAX))
  let hash = key.length
  // From behind: what tells keys apart mostly stands at their end.
  for (let at = key.length - 1; at >= 0; at -= stride)
    hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193)
  return ((hash ^ (hash >>> 15)) >>> 0) & (PARTS - 1)
}

/** A map from texts in which no single operation takes long. */
export type ScatteredMap<Value> = {
  get(key: string): Value | undefined
  set(key: string, value: Value): void
  delete(key: string): boolean
  size(): number
  /** Keys in the fullest part: how much is built anew at once. */
  largestPart(): number
}

/**
 * Many small maps in place of a large one. A `Map` is built anew as a whole when it has grown, and now and then when keys
 * come and go: with 100,000 keys whoever comes just then waits for ten milliseconds. Here a part of it is built anew.
 */
export const createScatteredMap = <Value>(): ScatteredMap<Value> => {
  const parts = Array.from({ length: PARTS }, () => new Map<string, Value>())
  let size = 0
  return {
    get: (key) => parts[partOf(key)]!.get(key),
    set: (key, value) => {
      const part = parts[partOf(key)]!
      const sizeBefore = part.size
      part.set(key, value)
      size += part.size - sizeBefore
    },
    delete: (key) => {
      const isDeleted = parts[partOf(key)]!.delete(key)
      if (isDeleted) size--
      return isDeleted
    },
    size: () => size,
    largestPart: () => Math.max(...parts.map((part) => part.size)),
  }
}
