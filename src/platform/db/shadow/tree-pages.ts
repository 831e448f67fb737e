/**
 * Pages of a B-tree without entries that is as high as that of the target: each page above the leaves has one that leads to
 * the page below. The planner asks for the height, and looks for the least and the greatest value. Layouts are those of
 * bufpage.h, itup.h and nbtree.h, which have been the same since PostgreSQL 12.
 */

const PAGE_BYTES = 8192
const SPECIAL_AT = PAGE_BYTES - 16
const LINES_AT = 24
const [IS_LEAF, IS_ROOT] = [1, 2]
const PAGE_VERSION = PAGE_BYTES | 4
const TUPLE_BYTES = 8
const TUPLE_HAS_NO_KEYS = 0x2000
const LINE_IS_NORMAL = 1 << 15

const emptyPage = (level: number, flags: number) => {
  const page = Buffer.alloc(PAGE_BYTES)
  page.writeUInt16LE(LINES_AT, 12)
  page.writeUInt16LE(SPECIAL_AT, 14)
  page.writeUInt16LE(SPECIAL_AT, 16)
  page.writeUInt16LE(PAGE_VERSION, 18)
  page.writeUInt32LE(level, SPECIAL_AT + 8)
  page.writeUInt16LE(flags, SPECIAL_AT + 12)
  return page
}

const leadTo = (page: Buffer, block: number) => {
  const at = SPECIAL_AT - TUPLE_BYTES
  page.writeUInt16LE(block >> 16, at)
  page.writeUInt16LE(block & 0xffff, at + 2)
  page.writeUInt16LE(TUPLE_BYTES | TUPLE_HAS_NO_KEYS, at + 6)
  page.writeUInt32LE((at | LINE_IS_NORMAL | (TUPLE_BYTES << 17)) >>> 0, LINES_AT)
  page.writeUInt16LE(LINES_AT + 4, 12)
  page.writeUInt16LE(at, 14)
  return page
}

/** The pages from the first behind the meta page: the root, what is below it, the leaf. */
export const treePages = (levels: number): Buffer =>
  Buffer.concat(
    Array.from({ length: levels + 1 }, (_, at) => {
      const level = levels - at
      const page = emptyPage(level, (level === 0 ? IS_LEAF : 0) | (at === 0 ? IS_ROOT : 0))
      return level === 0 ? page : leadTo(page, at + 2)
    }),
  )

/** What the meta page says of the root, and where: its block and its level, twice. */
export const rootOfTree = (levels: number) => {
  const said = Buffer.alloc(16)
  for (const at of [0, 8]) {
    said.writeUInt32LE(1, at)
    said.writeUInt32LE(levels, at + 4)
  }
  return { said, at: 32 }
}
