import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/** A file that ships with the program: `model.conf`, a pack, a page. */
export const readShipped = (path: string): Promise<string> => readFile(join(ROOT, path), 'utf8')

/** The names of the shipped files of a folder. */
export const listShipped = (folder: string): Promise<string[]> => readdir(join(ROOT, folder))

/**
 * A secret of 32 random bytes that is made once and kept in the data directory, readable by this user only.
 * @returns its hexadecimal form
 */
export const keptSecret = async (dataDir: string, name: string): Promise<string> => {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const path = join(dataDir, name)
  try {
    await writeFile(path, randomBytes(32).toString('hex'), { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return (await readFile(path, 'utf8')).trim()
}
