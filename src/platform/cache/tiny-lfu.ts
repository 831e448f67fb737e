/** Rows of counters: a key is counted in one of each, and the smallest tells. */
const ROWS = 4
/** The most a counter of four bits holds. */
const COUNT_MAX = 15
/** Counters in a row per expected entry, so that few keys share one: eight bytes an entry and row. */
const COUNTERS_PER_ENTRY = 16
const COLUMNS_MIN = 1 << 10
const COLUMNS_MAX = 1 << 20
/**
 * Additions, per expected entry, after which all counts are halved: what was liked once is forgotten. Twice as many as
 * published, because four times as many counters tell rare keys apart for longer.
 */
const SAMPLE = 20
/** Words that are halved with one addition: all at once would let somebody wait, and over thousands nobody notices. */
const WORDS_AT_ONCE = 64
const SEEDS = [0x9e3779b1, 0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f] as const

/** FNV-1a of a text, 32 bits. */
export const hashOfText = (text: string): number => {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return hash >>> 0
}

/**
 * How often keys were asked for of late, about, in a few bytes for each: a count-min sketch with counters of four bits that
 * are halved now and then. It is what TinyLFU decides by whether a new entry is worth the one it would push out (Einziger,
 * Friedman, Manes: TinyLFU, A Highly Efficient Cache Admission Policy, ACM Transactions on Storage 13(4), 2017).
 * @param entries how many entries are expected
 */
export const createFrequencySketch = (entries: number) => {
  const wanted = 2 ** Math.ceil(Math.log2(Math.max(1, entries * COUNTERS_PER_ENTRY)))
  const columns = Math.min(Math.max(wanted, COLUMNS_MIN), COLUMNS_MAX)
  // Eight counters in a word, the rows one behind the other.
  const words = new Uint32Array((columns * ROWS) / 8)
  const additionsMax = Math.max(entries, 100) * SAMPLE
  let additions = 0
  let halvedUntil = words.length

  const indexOf = (hash: number, row: number) => {
    let mixed = Math.imul(hash ^ (hash >>> 15), SEEDS[row]!)
    mixed ^= mixed >>> 13
    return row * columns + ((mixed >>> 0) & (columns - 1))
  }
  /** Goes on with a halving that has begun. */
  const halveSome = () => {
    const end = Math.min(words.length, halvedUntil + WORDS_AT_ONCE)
    // The bit that would fall into the neighbour is masked out.
    for (; halvedUntil < end; halvedUntil++)
      words[halvedUntil] = (words[halvedUntil]! >>> 1) & 0x77777777
  }

  return {
    /** Counts one question for the key of this hash. */
    add: (hash: number): void => {
      let grew = false
      for (let row = 0; row < ROWS; row++) {
        const index = indexOf(hash, row)
        const shift = (index & 7) << 2
        const word = words[index >> 3]!
        if (((word >>> shift) & COUNT_MAX) === COUNT_MAX) continue
        words[index >> 3] = word + (1 << shift)
        grew = true
      }
      if (halvedUntil < words.length) halveSome()
      if (!grew || ++additions < additionsMax) return
      additions >>= 1
      halvedUntil = 0
    },
    /** About how often: at most 15, never too few since the last halving. */
    estimate: (hash: number): number => {
      let least = COUNT_MAX
      for (let row = 0; row < ROWS; row++) {
        const index = indexOf(hash, row)
        least = Math.min(least, (words[index >> 3]! >>> ((index & 7) << 2)) & COUNT_MAX)
      }
      return least
    },
    /** Bytes it takes. */
    bytes: words.byteLength,
  }
}
