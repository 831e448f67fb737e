import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PREFIX = 'latchkey-shadow-new-'

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // Somebody else's process is alive, too.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

const remove = (folder: string) => rmSync(folder, { recursive: true, force: true })

/** What processes that were killed have left behind; of others' it may delete nothing. */
const sweep = () => {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1]
    if (pid === undefined || isAlive(Number(pid))) continue
    try {
      remove(join(tmpdir(), name))
    } catch {}
  }
}

let root: string | undefined

/** The folder that they are in. */
export const newOnesFolder = (): string => {
  if (root !== undefined) return root
  sweep()
  const made = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`))
  process.once('exit', () => remove(made))
  root = made
  return made
}

/** Where a shadow begins: as a copy of a new database, or as one that leaves such a copy for others. */
export type Beginning = { copyOf?: string; leave?: string }

const folders = new Map<string, 'being made' | 'made'>()

/**
 * New databases of this process, one for each way they are made: `initdb` takes two seconds, a copy a tenth of one. The first leaves
 * one, those who begin meanwhile do without, all others copy it. All are gone when the process ends.
 */
export const beginningOf = (kind: string): Beginning => {
  const folder = join(newOnesFolder(), kind)
  // Whoever tidies up temporary files may have taken it.
  const isThere = existsSync(join(folder, 'PG_VERSION'))
  const state = folders.get(kind)
  if (state === 'made' && isThere) return { copyOf: folder }
  if (state === 'being made') return {}
  folders.set(kind, 'being made')
  return { leave: folder }
}

/** Says whether the one that began so has begun: a copy that is not whole is made anew by the next. */
export const settle = (kind: string, { leave, copyOf }: Beginning, isMade: boolean) => {
  const folder = leave ?? copyOf
  if (folder === undefined) return
  if (isMade) folders.set(kind, 'made')
  else {
    remove(folder)
    folders.delete(kind)
  }
}
