import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
const INSTALL_MS_MAX = 300_000

/** The full path of a command, or nothing when PATH has none. */
export const onPath = (command: string) =>
  (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, command))
    .find((file) => existsSync(file))

/** The first of these accounts that the machine knows. */
export const accountOf = (names: string[]) => {
  for (const name of names) {
    const [uid, gid] = ['-u', '-g'].map((flag) => {
      const { status, stdout } = spawnSync('id', [flag, name], { encoding: 'utf8', timeout: 5_000 })
      return status === 0 ? Number(stdout) : undefined
    })
    if (uid !== undefined && gid !== undefined) return { uid, gid }
  }
  return undefined
}

/** Whether missing packages may be installed: root on Debian or a child of it. */
export const canInstall = () =>
  process.getuid?.() === 0 && existsSync('/etc/debian_version') && onPath('apt-get') !== undefined

/** Installs a Debian package; answers what went wrong, or nothing. */
export const installPackage = async (name: string): Promise<string | undefined> => {
  console.log(`installing the Debian package ${name} …`)
  const deadline = Date.now() + INSTALL_MS_MAX
  for (;;) {
    const problem =
      (await aptGet(['update'])) ??
      // The package may start a service of its own; ours runs beside it, on another port.
      (await aptGet(['install', '-y', '--no-install-recommends', name]))
    // Another test file may be installing something at the same time.
    if (!problem?.includes('/lock') || Date.now() > deadline) return problem
    await sleep(1_000)
  }
}

const aptGet = async (parameters: string[]) => {
  try {
    await run('apt-get', ['-o', 'DPkg::Lock::Timeout=120', ...parameters], {
      timeout: INSTALL_MS_MAX,
      maxBuffer: 64 * 1024 * 1024,
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
    })
    return undefined
  } catch (error) {
    return String((error as { stderr?: string }).stderr || error).slice(-500)
  }
}
