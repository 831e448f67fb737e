import { createRecency } from './recency.ts'
import { createFrequencySketch, hashOfText } from './tiny-lfu.ts'

/**
 * What is kept when room is short. `lru`: what was asked for last. `fifo`: what came last. `lfu`: what is asked for often; a
 * newcomer that is asked for less than what it would push out is not taken.
 */
export type MemoryPolicy = 'lru' | 'fifo' | 'lfu'

export type MemoryOptions = {
  bytesMax: number
  /** Bytes of one entry; larger ones are not kept. */
  entryBytesMax: number
  policy: MemoryPolicy
  /** Told of each entry that was pushed out or not taken in. */
  onEvict?: () => void
  /** What `lfu` counts a key as: the same for all that are one and the same to callers. Default: the key. */
  hashOf?: (key: string) => number
}

/** Entries in memory, bound by the bytes they say they take. */
export type Memory<Entry extends object> = {
  /** The entry, counted as asked for. */
  get(key: string): Entry | undefined
  /** The entry, with nothing counted. */
  peek(key: string): Entry | undefined
  set(key: string, entry: Entry, bytes: number): void
  delete(key: string): boolean
  entries(): Iterable<[key: string, entry: Entry]>
  size(): { entries: number; bytes: number }
}

/** Bytes an entry is expected to take, to size the sketch. */
const ENTRY_BYTES_EXPECTED = 1024
/** Part of the room that newcomers pass through before they are weighed. */
const WINDOW_SHARE = 0.01

/** Room for one namespace. An entry that replaces its elder pushes nothing out that would have had room. */
export const createMemory = <Entry extends object>(options: MemoryOptions): Memory<Entry> =>
  options.policy === 'lfu' ? createLfu(options) : createLru(options)

const createLru = <Entry extends object>(options: MemoryOptions): Memory<Entry> => {
  const { bytesMax, policy, onEvict } = options
  const entryBytesMax = Math.min(options.entryBytesMax, bytesMax)
  const kept = createRecency<Entry>(bytesMax, onEvict)
  return {
    get: policy === 'fifo' ? kept.peek : kept.get,
    peek: kept.peek,
    set: (key, entry, bytes) => {
      if (bytes > entryBytesMax) kept.delete(key)
      else kept.set(key, entry, bytes)
    },
    delete: kept.delete,
    entries: kept.entries,
    size: () => ({ entries: kept.size(), bytes: kept.bytes() }),
  }
}

type Sized<Entry> = { entry: Entry; bytes: number }

/** W-TinyLFU: a small window in front, and behind it a door that opens for what is asked for more often. */
const createLfu = <Entry extends object>(options: MemoryOptions): Memory<Entry> => {
  const { bytesMax, onEvict, hashOf = hashOfText } = options
  const entryBytesMax = Math.min(options.entryBytesMax, bytesMax)
  const windowBytesMax = Math.max(1, Math.floor(bytesMax * WINDOW_SHARE))
  const mainBytesMax = Math.max(1, bytesMax - windowBytesMax)
  const sketch = createFrequencySketch(bytesMax / ENTRY_BYTES_EXPECTED)
  const leaving: [string, Sized<Entry>][] = []
  const window = createRecency<Sized<Entry>>(windowBytesMax, (key, sized) =>
    leaving.push([key, sized]),
  )
  const main = createRecency<Sized<Entry>>(mainBytesMax)

  /** Lets a newcomer in where it is asked for more often than each it would push out. */
  const admit = (key: string, sized: Sized<Entry>) => {
    if (sized.bytes > mainBytesMax) return onEvict?.()
    const wanted = main.bytes() + sized.bytes - mainBytesMax
    const hash = hashOf(key)
    const frequency = sketch.estimate(hash)
    let [freed, victims] = [0, 0]
    for (const [victim, bytes] of wanted > 0 ? main.oldestFirst() : []) {
      if (freed >= wanted) break
      const known = hashOf(victim)
      // One that is counted as the same is its elder, at another revision: nobody asks for that any more.
      if (known !== hash && sketch.estimate(known) >= frequency) return onEvict?.()
      freed += bytes
      victims++
    }
    for (; victims > 0; victims--) {
      main.takeOldest()
      onEvict?.()
    }
    main.set(key, sized, sized.bytes)
  }

  return {
    get: (key) => {
      sketch.add(hashOf(key))
      return (window.get(key) ?? main.get(key))?.entry
    },
    peek: (key) => (window.peek(key) ?? main.peek(key))?.entry,
    set: (key, entry, bytes) => {
      const sized = { entry, bytes }
      const isKept = main.peek(key) !== undefined
      window.delete(key)
      if (bytes > entryBytesMax) main.delete(key)
      else if (isKept && bytes <= mainBytesMax) main.set(key, sized, bytes)
      else if (bytes > windowBytesMax) admit(key, sized)
      else window.set(key, sized, bytes)
      for (const [left, moved] of leaving.splice(0)) admit(left, moved)
    },
    delete: (key) => window.delete(key) || main.delete(key),
    *entries() {
      for (const cache of [window, main])
        for (const [key, { entry }] of cache.entries()) yield [key, entry]
    },
    size: () => ({
      entries: window.size() + main.size(),
      bytes: window.bytes() + main.bytes(),
    }),
  }
}
