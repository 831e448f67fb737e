import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** A node of the cluster: one `latchkey serve`. */
export type Node = { url: string; stop: () => Promise<void> }

/** Starts a node and waits until it serves. @throws with what it printed when it ends instead */
export const startNode = async (settings: Record<string, string>): Promise<Node> => {
  const child = spawn(process.execPath, ['bin/latchkey.js', 'serve'], {
    cwd: ROOT,
    env: { ...process.env, LOG_LEVEL: 'error', ...settings },
    // Ctrl-C reaches only the example, which then ends everything in its order.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  // Should the example end in any other way, its nodes end with it.
  const onExit = () => child.kill('SIGKILL')
  process.once('exit', onExit)
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
    process.removeListener('exit', onExit)
  }
  return { url: await readyAt(child), stop }
}

const readyAt = (child: ChildProcess) =>
  new Promise<string>((resolve, reject) => {
    let printed = ''
    const read = (chunk: Buffer) => {
      printed += stripVTControlCharacters(String(chunk))
      const url = /^ready (http:\S+)$/m.exec(printed)?.[1]
      if (url) resolve(url)
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    child.once('exit', () => reject(new Error(`a node does not start: ${printed.trim()}`)))
  })
