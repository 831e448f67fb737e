import { open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Another process has the data directory open. The message is the one line a second start ends with. */
export class DataDirInUse extends Error {}

/** When a process was started, so that a reused process number is not mistaken for the one that holds the lock. */
const startedAt = async (pid: number): Promise<string> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/**
 * Takes the data directory for this process. A lock left behind by a killed process is taken over.
 * @returns what releases it
 * @throws DataDirInUse
 */
export const lockDataDir = async (dataDir: string): Promise<() => Promise<void>> => {
  const path = join(dataDir, 'latchkey.lock')
  const own = `${process.pid} ${await startedAt(process.pid)}`
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const file = await open(path, 'wx', 0o600)
      await file.writeFile(own)
      await file.close()
      return () => rm(path, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const held = await readFile(path, 'utf8').catch(() => '')
    const [pid = '', started = ''] = held.split(' ')
    const alive = Number(pid) > 0 && isAlive(Number(pid))
    if (alive && held !== own && (await startedAt(Number(pid))) === started)
      throw new DataDirInUse(
        `${dataDir} is in use by process ${pid}; stop it, or set DATA_DIR to another folder`,
      )
    await rm(path, { force: true })
  }
  throw new DataDirInUse(`${dataDir} is being opened by another process; try again`)
}
