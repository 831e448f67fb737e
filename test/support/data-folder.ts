import { execFile } from 'node:child_process'
import { mkdir, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { inject } from 'vitest'

/**
 * A new `DATA_DIR` whose embedded database is migrated and otherwise empty, for servers that tests start as processes: to
 * make it as a first start does takes a processor for seconds.
 */
export const makeDataFolder = async () => {
  const template = inject('template')
  if (template.kind !== 'embedded') throw new Error('embedded storage only')
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-data-'))
  const files = join(folder, 'postgres')
  await mkdir(files, { mode: 0o700 })
  await promisify(execFile)('tar', ['-xf', template.archive, '-C', files])
  return folder
}
