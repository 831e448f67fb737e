import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Migration } from './migrate.ts'

const FOLDER = fileURLToPath(new URL('../../../migrations/', import.meta.url))

/** The migrations of this program, in order. */
export const readMigrations = async (): Promise<Migration[]> => {
  const names = (await readdir(FOLDER)).filter((name) => name.endsWith('.sql')).sort()
  return Promise.all(
    names.map(async (name) => ({
      name: name.replace(/\.sql$/, ''),
      text: await readFile(`${FOLDER}${name}`, 'utf8'),
    })),
  )
}
