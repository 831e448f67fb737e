import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

/** Whether processes can be kept to one core each: two cores and `taskset`. */
export const canPin = (): boolean =>
  availableParallelism() > 1 && spawnSync('taskset', ['--version']).status === 0

/** The core of the servers and that of the load generator. */
export const CORE = { server: 0, load: 1 } as const

const pinned = (core: number | null, command: readonly string[]) =>
  core === null || !canPin() ? [...command] : ['taskset', '-c', String(core), ...command]

/** Starts a process, kept to a core. */
export const startProcess = (
  core: number | null,
  command: readonly string[],
  options: { env?: Record<string, string>; ipc?: boolean } = {},
): ChildProcess => {
  const [file, ...parameters] = pinned(core, command)
  return spawn(file!, parameters, {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', ...(options.ipc ? (['ipc'] as const) : [])],
  })
}

/** Ends a process and waits for its end. */
export const stopProcess = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), 15_000)
  await ended
  clearTimeout(late)
}

/** A port of 127.0.0.1 that was free when we looked. */
export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

export type Served = {
  readonly url: string
  readonly pid: number
  readonly stop: () => Promise<void>
}

/** Starts a server and waits until it answers there, at most a minute. */
export const startServer = async (
  command: readonly string[],
  options: {
    env: Record<string, string>
    url: string
    readyPath: string
    /** null: any. Default: that of the servers. */
    core?: number | null
  },
): Promise<Served> => {
  const { core = CORE.server } = options
  const child = startProcess(core, command, options)
  let output = ''
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4000)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  const stop = () => stopProcess(child)
  const deadline = Date.now() + 60_000
  while (!(await isReady(options.url + options.readyPath))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop()
      throw new Error(`${command.join(' ')} did not start:\n${output}`)
    }
    await sleep(50)
  }
  return { url: options.url, pid: child.pid!, stop }
}

const isReady = (url: string) =>
  fetch(url, { signal: AbortSignal.timeout(1000) }).then(
    async (response) => {
      await response.arrayBuffer()
      return response.ok
    },
    () => false,
  )

/** Milliseconds of processor time a process has used, in all its threads; its ended children too. */
export const processorMs = (pid: number): number => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The name of the program is in parentheses and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  return (1000 * ticks) / ticksPerSecond()
}

let ticks: number | undefined
const ticksPerSecond = () => {
  ticks ??= Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout) || 100
  return ticks
}

/** Resident bytes of a process. */
export const residentBytes = (pid: number): number => {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1])
}
