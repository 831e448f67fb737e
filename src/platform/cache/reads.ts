import { hashOfKey } from './key.ts'
import { NAMESPACE_NAMES, type NamespaceName } from './namespaces.ts'

/** One read: of which namespace, the hash of its key with revision and generation, and the bytes of the entry. */
export type TracedRead = {
  readonly namespace: NamespaceName
  readonly hash: number
  readonly bytes: number
}

/** A key that is asked for often. */
export type HotKey = {
  readonly organizationId: string
  readonly namespace: NamespaceName
  /** SHA-256 of the key's text. */
  readonly keyHash: string
  /** About how often, from a sample; at most `error` of it belongs to keys that stood here before. */
  readonly reads: number
  readonly error: number
  /** The text itself, cut off: for callers only who may see values. */
  readonly text: string
}

/** Reads of which the trace remembers. */
const TRACED = 50_000
const HOT = 50
/** One of so many reads is looked at for hot keys, so that looking costs nothing. A prime, so that no rhythm is missed. */
const EVERY = 17
const TEXT_MAX = 200

type Counter = { organizationId: string; text: string; place: number; reads: number; error: number }

export type Reads = ReturnType<typeof createReads>

/**
 * Watches what is read: the last 50,000 reads, for `simulate`, and the keys that are read most (space-saving; Metwally,
 * Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements in Data Streams, ICDT 2005).
 */
export const createReads = () => {
  const places = new Uint8Array(TRACED)
  const [hashes, sizes] = [new Uint32Array(TRACED), new Uint32Array(TRACED)]
  const hot = new Map<string, Counter>()
  let [traced, turn] = [0, 0]

  const countHot = (place: number, organizationId: string, text: string) => {
    const name = `${place} ${organizationId} ${text}`
    const known = hot.get(name)
    if (known) {
      known.reads += EVERY
      return
    }
    let error = 0
    if (hot.size >= HOT) {
      let [least, leastName] = [Number.POSITIVE_INFINITY, '']
      for (const [each, { reads }] of hot) if (reads < least) [least, leastName] = [reads, each]
      hot.delete(leastName)
      error = least
    }
    hot.set(name, { organizationId, text, place, reads: error + EVERY, error })
  }

  return {
    /** Notes one read. @param place where the namespace stands among all */
    note: (
      place: number,
      read: { hash: number; bytes: number; organizationId: string; text: string },
    ): void => {
      const at = traced++ % TRACED
      places[at] = place
      hashes[at] = read.hash
      sizes[at] = read.bytes
      if (++turn < EVERY) return
      turn = 0
      countHot(place, read.organizationId, read.text)
    },
    /** The last reads, the oldest first. */
    trace: (): TracedRead[] => {
      const from = Math.max(0, traced - TRACED)
      return Array.from({ length: traced - from }, (_, at) => {
        const slot = (from + at) % TRACED
        const namespace = NAMESPACE_NAMES[places[slot]!]!
        return { namespace, hash: hashes[slot]!, bytes: sizes[slot]! }
      })
    },
    /** The keys that are read most, the hottest first. */
    hotKeys: (): Promise<HotKey[]> =>
      Promise.all(
        [...hot.values()]
          .sort((one, other) => other.reads - one.reads)
          .map(async ({ organizationId, text, place, reads, error }) => ({
            ...{ organizationId, namespace: NAMESPACE_NAMES[place]!, reads, error },
            keyHash: await hashOfKey(text),
            // Without the sign of its kind.
            text: text.slice(1, 1 + TEXT_MAX),
          })),
      ),
  }
}
