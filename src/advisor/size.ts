/** What the size of an index is computed from. */
export type IndexFigures = {
  rows: number
  /** Bytes of the average value of each key, carried columns behind; and what its address is a multiple of. */
  widths: readonly { bytes: number; align: number }[]
  /** How many rows share a value: groups of values that are equally frequent. Values without equals are one group. */
  groups: readonly { values: number; rowsEach: number }[]
  /** Whether equal keys are stored once: not where equal values may look different, nor with carried columns. */
  isDeduplicated: boolean
}

/** The size of an index, and of a B-tree its levels above the leaves. */
export type IndexSize = { pages: number; levels: number }

export const PAGE_BYTES = 8192
/** What a page has for entries: without its header and what a B-tree keeps at its end. */
const ROOM_BYTES = PAGE_BYTES - 24 - 16
/** Leaves are filled to 90 %, the pages above to 70 %. */
const LEAF_ROOM_BYTES = ROOM_BYTES - PAGE_BYTES * 0.1
const INNER_ROOM_BYTES = ROOM_BYTES - PAGE_BYTES * 0.3
const LINE_BYTES = 4
const HEADER_BYTES = 8
/** An entry of several rows has their places, and no more bytes than this when an index is built (nbtsort.c). */
const PLACE_BYTES = 6
const POSTING_BYTES_MAX = 812

const align = (bytes: number, to: number) => Math.ceil(bytes / to) * to

/** Bytes of an entry of one row without its line pointer. */
const entryBytes = (widths: IndexFigures['widths']) =>
  align(
    widths.reduce((at, { bytes, align: to }) => align(at, to) + bytes, HEADER_BYTES),
    8,
  )

/** Bytes of all entries of one value that so many rows share. */
const bytesOfValue = (rows: number, entry: number): number => {
  if (rows <= 1) return rows * (entry + LINE_BYTES)
  // Fewer than two on average: some have one row and some have two.
  if (rows < 2) return (2 - rows) * (entry + LINE_BYTES) + (rows - 1) * bytesOfValue(2, entry)
  const most = Math.max(Math.floor((POSTING_BYTES_MAX - entry) / PLACE_BYTES), 1)
  const full = Math.floor(rows / most)
  const rest = rows - full * most
  const posting = (count: number) => align(entry + PLACE_BYTES * count, 8) + LINE_BYTES
  const ofRest = rest === 0 ? 0 : rest <= 1 ? entry + LINE_BYTES : posting(rest)
  return full * posting(most) + ofRest
}

/** A B-tree as `create index` builds it. */
export const btreeSize = ({ rows, widths, groups, isDeduplicated }: IndexFigures): IndexSize => {
  const entry = entryBytes(widths)
  const bytes = isDeduplicated
    ? groups.reduce((sum, each) => sum + each.values * bytesOfValue(each.rowsEach, entry), 0)
    : rows * (entry + LINE_BYTES)
  if (bytes === 0) return { pages: 1, levels: 0 }
  // Each leaf also has the key that nothing in it is above.
  const leaves = Math.max(Math.ceil(bytes / (LEAF_ROOM_BYTES - entry)), 1)
  const fanOut = Math.max(Math.floor(INNER_ROOM_BYTES / (entry + LINE_BYTES)), 2)
  let [pages, level, levels] = [1 + leaves, leaves, 0]
  while (level > 1) {
    level = Math.ceil(level / fanOut)
    pages += level
    levels++
  }
  return { pages, levels }
}

/** The levels above the leaves of a B-tree that is there, of its pages. */
export const btreeLevels = (pages: number, widths: IndexFigures['widths']): number => {
  const fanOut = Math.max(Math.floor(INNER_ROOM_BYTES / (entryBytes(widths) + LINE_BYTES)), 2)
  let [level, levels] = [Math.max(pages - 1, 1), 0]
  while (level > 1) {
    level = Math.ceil(level / fanOut)
    levels++
  }
  return levels
}

/** Bytes of a hash and of a row's place, 75 % filled, with the line pointer (hash.h). */
export const hashSize = (rows: number): IndexSize => {
  const buckets = 2 ** Math.ceil(Math.log2(Math.max((rows * 20) / (PAGE_BYTES * 0.75), 1)))
  return { pages: Math.max(Math.round(buckets), 2) + 2, levels: 0 }
}

/** One summary of two values for each 128 pages of the table, and the map of them. */
export const brinSize = (tablePages: number, widths: IndexFigures['widths']): IndexSize => {
  const ranges = Math.ceil(tablePages / 128)
  const width = widths.reduce((sum, { bytes }) => sum + 2 * bytes + 8, 16)
  return {
    pages: 2 + Math.ceil(ranges / 1360) + Math.ceil((ranges * width) / ROOM_BYTES),
    levels: 0,
  }
}

/**
 * Roughly: so many elements of a row, each with the row's place in three bytes (they are stored as differences), and each
 * element once.
 */
export const ginSize = (
  rows: number,
  elementsEach: number,
  elements: number,
  elementBytes: number,
): IndexSize => {
  const bytes = rows * elementsEach * 3 + elements * (align(HEADER_BYTES + elementBytes, 8) + 4)
  return { pages: 2 + Math.ceil(bytes / (ROOM_BYTES * 0.75)), levels: 0 }
}

/** Roughly: every row with its key twice as wide, half of each page empty. */
export const gistSize = (rows: number, widths: IndexFigures['widths']): IndexSize => ({
  pages: 1 + Math.ceil((rows * (entryBytes(widths) + LINE_BYTES)) / (ROOM_BYTES * 0.6)),
  levels: 0,
})
