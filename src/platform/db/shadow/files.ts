import { existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { rootOfTree, treePages } from './tree-pages.ts'

const PAGE_BYTES = 8192
/** A relation's file is cut into parts of a gibibyte. */
const SEGMENT_PAGES = 131_072

const resize = async (path: string, bytes: number) => {
  const file = await open(path, existsSync(path) ? 'r+' : 'w', 0o600)
  try {
    await file.truncate(bytes)
  } finally {
    await file.close()
  }
}

/** Makes the file of a relation look so long. What is added takes no room on disk. */
export const setPages = async (folder: string, path: string, pages: number): Promise<void> => {
  const first = join(folder, path)
  const segmentOf = (at: number) => (at === 0 ? first : `${first}.${at}`)
  for (let at = 0; at === 0 || at * SEGMENT_PAGES < pages || existsSync(segmentOf(at)); at++) {
    const left = Math.min(Math.max(pages - at * SEGMENT_PAGES, 0), SEGMENT_PAGES)
    await resize(segmentOf(at), left * PAGE_BYTES)
  }
}

/** Makes the file of an empty B-tree one of this height. Nobody may have read it since it was built. */
export const setLevels = async (folder: string, path: string, levels: number): Promise<void> => {
  const file = await open(join(folder, path), 'r+')
  try {
    const { said, at } = rootOfTree(levels)
    await file.write(said, 0, said.length, at)
    const pages = treePages(levels)
    await file.write(pages, 0, pages.length, PAGE_BYTES)
  } finally {
    await file.close()
  }
}
