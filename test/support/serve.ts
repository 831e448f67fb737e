import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { Agent, request as requestHttp } from 'node:http'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { asAdministrator, openTestDatabase, within } from './database.ts'
import { until } from './until.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** An administrator's key for servers that tests start as processes. */
export const ADMIN_KEY = 'an-administrator-key-of-more-than-32-characters'

/** `latchkey serve` as a process of its own, and what it prints. */
export type Served = ReturnType<typeof startServe>

/** Starts `latchkey serve`. It prints on, also when it cannot serve. */
export const startServe = (args: readonly string[], settings: Record<string, string>) => {
  const child = spawn(process.execPath, ['src/cli.ts', 'serve', ...args], {
    cwd: ROOT,
    env: { ...process.env, PORT: '0', LATCHKEY_ADMIN_KEY: ADMIN_KEY, ...settings },
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      text += chunk
    })
  const ended = new Promise<number | string>((resolve) =>
    child.once('exit', (code, signal) => resolve(signal ?? code ?? -1)),
  )
  const printed = () => stripVTControlCharacters(text)
  const log = () =>
    printed()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  return {
    child,
    /** The exit code, or the signal that ended it. */
    ended,
    printed,
    log,
    /** Process numbers of the workers by their own number, as the log has them. */
    workers: () =>
      new Map(
        log()
          .filter(({ msg }) => msg === 'worker serves')
          .map(({ worker, pid }) => [Number(worker), Number(pid)]),
      ),
    /** Where it serves. */
    url: async () => {
      const url = () => /^ready (http:\S+)\n/m.exec(printed())?.[1]
      await until(() => url() !== undefined || child.exitCode !== null, 30_000)
      if (!url()) throw new Error(`it does not serve: ${printed()}`)
      return url()!
    },
  }
}

/** A database without any table, on the server of the tests. */
export const openEmptyDatabase = async () => {
  const database = await openTestDatabase()
  const { url: server } = database.target as { url: string }
  const name = `latchkey_empty_${process.pid}_${randomBytes(4).toString('hex')}`
  await asAdministrator(server, `create database ${name}`)
  const drop = async () => {
    await asAdministrator(server, `drop database ${name} with (force)`)
    await database.drop()
  }
  return { url: within(server, name), drop }
}

/** One connection that is kept: whoever accepted it answers all that is asked on it. */
export const openConnection = (url: string, key = ADMIN_KEY) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const call = (what: string, body?: unknown, requestId?: string) => {
    const [method, path = '/'] = what.split(' ')
    const headers = {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      ...(requestId ? { 'x-request-id': requestId } : {}),
    }
    return new Promise<{ status: number; body: string }>((resolve, reject) => {
      const asked = requestHttp(new URL(path, url), { method, agent, headers }, (answer) => {
        let text = ''
        answer.on('data', (chunk) => {
          text += chunk
        })
        answer.on('end', () => resolve({ status: answer.statusCode!, body: text }))
        answer.on('error', reject)
      })
      asked.on('error', reject)
      asked.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }
  return { call, close: () => agent.destroy() }
}
