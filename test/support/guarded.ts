import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { accountOf } from './installed.ts'

/** A server that runs for the tests: how to end it, its process, and its folder. */
export type Guarded = { pid: number; folder: string; port: number; stop: () => Promise<void> }

/** A server that may be broken: it keeps its folder and its port, and comes back. */
export type Breakable = Guarded & {
  /** Sends a signal to the server itself, as it runs now. */
  signal: (name: NodeJS.Signals) => Promise<void>
  /** Ends the server with a signal, leaves it away for a while, and resolves when it is ready again. */
  restart: (name: NodeJS.Signals, awayMs?: number) => Promise<void>
}

type Launch = {
  name: string
  /** Whom to run as when we are root; servers refuse root, or are safer without it. */
  accounts: string[]
  /** Files to write into the folder before the start: name to text. */
  files: (port: number) => Record<string, string>
  command: (folder: string, port: number) => string[]
  ready: (folder: string, port: number) => Promise<boolean>
  stopSignal: 'INT' | 'TERM'
  readyMsMax?: number
}

// The guard waits on a pipe that only our process holds. Whatever ends us closes it (a return, an
// interrupt, SIGKILL), and the guard ends the server and removes its folder.
const GUARD = `
signal=$1 folder=$2; shift 2
"$@" </dev/null >"$folder/log" 2>&1 &
server=$!
echo "$server"
read -r _
kill -s "$signal" "$server" 2>/dev/null
for ((turn = 0; turn < 200; turn++)); do
  kill -0 "$server" 2>/dev/null || break
  sleep 0.025
done
kill -s KILL "$server" 2>/dev/null
rm -rf "$folder" || { sleep 1; rm -rf "$folder"; }
`

// Once there is a file `again`, the server is started again whenever it ends; while there is a file `held`, later.
const AGAIN = `
signal=$1; shift
trap 'kill -s "$signal" "$server"; kill -s CONT "$server"; wait "$server"; exit' TERM
while :; do
  "$@" &
  server=$!
  echo "$server" > server.pid
  wait "$server"
  [ -e again ] || exit 1
  while [ -e held ]; do sleep 0.02; done
done 2>/dev/null
`

/** Starts a server like `startGuarded` does, that tests may kill, freeze and restart. */
export const startBreakable = async (launch: Launch): Promise<Breakable> => {
  const { command, ready, stopSignal } = launch
  const server = await startGuarded({
    ...launch,
    command: (folder, port) => ['bash', '-c', AGAIN, 'again', stopSignal, ...command(folder, port)],
    stopSignal: 'TERM',
  })
  const { folder, port } = server
  await writeFile(join(folder, 'again'), '')
  const pidNow = async () => Number(await readFile(join(folder, 'server.pid'), 'utf8'))
  const signal = async (name: NodeJS.Signals) => void process.kill(await pidNow(), name)
  return {
    ...server,
    signal,
    restart: async (name, awayMs = 0) => {
      const before = await pidNow()
      await writeFile(join(folder, 'held'), '')
      process.kill(before, name)
      while (isAlive(before)) await sleep(10)
      await sleep(awayMs)
      await rm(join(folder, 'held'))
      const deadline = Date.now() + (launch.readyMsMax ?? 30_000)
      while ((await pidNow()) === before || !(await ready(folder, port))) {
        if (Date.now() > deadline) throw new Error(`${launch.name} did not come back.`)
        await sleep(20)
      }
    },
  }
}

/** Starts a server on a free port of 127.0.0.1, in a temporary folder of its own. */
export const startGuarded = async (launch: Launch, attempts = 3): Promise<Guarded> => {
  try {
    return await attempt(launch)
  } catch (error) {
    // The port was free when we looked; another process may have taken it since.
    if (attempts > 1) return startGuarded(launch, attempts - 1)
    throw error
  }
}

const attempt = async (launch: Launch): Promise<Guarded> => {
  const account = process.getuid?.() === 0 ? accountOf(launch.accounts) : undefined
  // Root's own temporary folder may be closed to other accounts.
  const folder = await mkdtemp(join(account ? '/tmp' : tmpdir(), `latchkey-${launch.name}-`))
  const port = await freePort()
  for (const [name, text] of Object.entries(launch.files(port))) {
    await writeFile(join(folder, name), text, { mode: 0o600 })
    if (account) await chown(join(folder, name), account.uid, account.gid)
  }
  if (account) await chown(folder, account.uid, account.gid)

  const guard = spawn(
    'bash',
    ['-c', GUARD, 'guard', launch.stopSignal, folder, ...launch.command(folder, port)],
    { ...account, cwd: folder, detached: true, stdio: ['pipe', 'pipe', 'ignore'] },
  )
  const ended = once(guard, 'exit')
  const [firstLine] = (await within(5_000, once(guard.stdout, 'data'))) ?? []
  const pid = Number(String(firstLine).trim())

  const stop = async () => {
    guard.stdin.end()
    if (await within(10_000, ended)) return
    kill(pid)
    kill(guard.pid)
    await rm(folder, { recursive: true, force: true })
  }

  const deadline = Date.now() + (launch.readyMsMax ?? 30_000)
  while (!(await launch.ready(folder, port))) {
    if (isAlive(pid) && Date.now() < deadline) {
      await sleep(20)
      continue
    }
    const log = await readFile(join(folder, 'log'), 'utf8').catch(() => '')
    await stop()
    throw new Error(`${launch.name} did not start:\n${log.slice(-2_000)}`)
  }
  return { pid, folder, port, stop }
}

const freePort = async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (!address || typeof address === 'string') throw new Error('No free port on 127.0.0.1.')
  return address.port
}

/** What the promise gives, or nothing when it takes longer. */
const within = <Value>(ms: number, promise: Promise<Value>) =>
  Promise.race([promise, sleep(ms, undefined, { ref: false })])

const isAlive = (pid: number) => {
  try {
    // Signal 0 only asks. pid 0 would be our own group, so it must never get here.
    return pid > 0 && process.kill(pid, 0)
  } catch {
    return false
  }
}

const kill = (pid: number | undefined) => {
  if (pid && isAlive(pid)) process.kill(pid, 'SIGKILL')
}
