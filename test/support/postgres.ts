import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Breakable, startBreakable } from './guarded.ts'
import { canInstall, installPackage, onPath } from './installed.ts'
import { type Provided, skipped } from './provided.ts'

const VERSION_MIN = 15

/** A PostgreSQL server: the one DATABASE_URL names, else an installed one, else a package's. */
export const providePostgres = async (): Promise<Provided> => {
  const url = process.env.DATABASE_URL
  if (url) return { url, stop: async () => {}, how: 'DATABASE_URL' }

  const found = findBinaries() ?? (await install())
  if (typeof found === 'string') return skipped(found)
  const { port, stop, password } = await startPostgres(found.folder)
  const how = `PostgreSQL ${found.version} of ${found.folder}`
  return { url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`, stop, how }
}

/** A PostgreSQL server of its own, for tests that crash one; later settings count. */
export const startOwnPostgres = async (
  settings: readonly string[] = [],
): Promise<(Breakable & { url: string }) | { skip: string }> => {
  const found = findBinaries() ?? (await install())
  if (typeof found === 'string') return skipped(found)
  const { password, ...server } = await startPostgres(found.folder, settings)
  return { ...server, url: `postgres://postgres:${password}@127.0.0.1:${server.port}/postgres` }
}

type Binaries = { folder: string; version: number }

const findBinaries = (): Binaries | undefined => {
  const ofPath = onPath('postgres')
  return [
    ...globSync('/usr/lib/postgresql/*/bin').sort(newestFirst),
    ...(ofPath ? [dirname(ofPath)] : []),
  ]
    .map((folder) => ({ folder, version: versionOf(folder) }))
    .find(({ version }) => version >= VERSION_MIN)
}

const newestFirst = (a: string, b: string) => b.localeCompare(a, 'en', { numeric: true })

/** The major version, or 0 when the folder holds no whole server. */
const versionOf = (folder: string) => {
  const [initdb, server] = ['initdb', 'postgres'].map((command) =>
    spawnSync(join(folder, command), ['--version'], { encoding: 'utf8', timeout: 10_000 }),
  )
  const version = /\(PostgreSQL\) (\d+)/.exec(server?.stdout ?? '')?.[1]
  return initdb?.status === 0 ? Number(version ?? 0) : 0
}

const install = async (): Promise<Binaries | string> => {
  const missing = `no PostgreSQL ${VERSION_MIN} or newer here, and DATABASE_URL is not set.`
  if (!canInstall()) return missing
  const problem = await installPackage('postgresql')
  return findBinaries() ?? `${missing} apt-get did not help: ${problem ?? 'it is too old.'}`
}

// What a crash of the machine would lose does not matter here; what a crash of the server would
// lose does, so commits still reach the operating system (synchronous_commit stays on).
const SETTINGS = [
  'fsync=off',
  'full_page_writes=off',
  'max_connections=200',
  'listen_addresses=127.0.0.1',
]

// One process id for both steps, so that the guard ends whichever is running.
const INITIALIZE_AND_SERVE = `
[ -e data ] || "$0/initdb" --pgdata=data --username=postgres --pwfile=password --auth=scram-sha-256 \\
  --encoding=UTF8 --locale="$1" --no-sync --no-instructions && shift && exec "$0/postgres" -D data "$@"
`

/** Starts a PostgreSQL server of its own from these binaries, empty, with the superuser postgres. */
const startPostgres = async (binaries: string, settings: readonly string[] = []) => {
  const password = randomBytes(12).toString('hex')
  const server = await startBreakable({
    name: 'postgres',
    accounts: ['postgres', 'nobody'],
    files: () => ({ password }),
    command: (folder, port) => [
      ...['bash', '-c', INITIALIZE_AND_SERVE, binaries],
      process.platform === 'linux' ? 'C.UTF-8' : 'C',
      ...[...SETTINGS, ...settings, `port=${port}`, `unix_socket_directories=${folder}`].flatMap(
        (setting) => ['-c', setting],
      ),
    ],
    ready: isReady,
    stopSignal: 'INT',
  })
  return { ...server, password }
}

/** The server writes its state into the eighth line of this file. */
const isReady = async (folder: string) => {
  const lines = await readFile(join(folder, 'data', 'postmaster.pid'), 'utf8').catch(() => '')
  return lines.split('\n')[7]?.startsWith('ready') ?? false
}
