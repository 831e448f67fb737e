import { type ChildProcess, spawn } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeDataFolder } from '../support/data-folder.ts'
import { until } from '../support/until.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const KEY = 'an administrator key of more than 32 characters'.replaceAll(' ', '-')

let folder: string
const running = new Set<ChildProcess>()

beforeEach(async () => {
  folder = await makeDataFolder()
})
afterEach(async () => {
  for (const child of running) child.kill('SIGKILL')
  running.clear()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

/** `latchkey serve` as a process of its own, on embedded storage; resolves when it says it is ready. */
const serve = async (settings: Record<string, string> = {}) => {
  const child = spawn(process.execPath, ['src/cli.ts', 'serve'], {
    cwd: ROOT,
    env: {
      ...process.env,
      DATA_DIR: folder,
      PORT: '0',
      LOG_LEVEL: 'error',
      LATCHKEY_ADMIN_KEY: KEY,
      DEFAULT_PLAN: 'custom',
      ...settings,
    },
  })
  running.add(child)
  let printed = ''
  const url = await new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      printed += chunk
      const match = /ready.*?(http:\/\/[\d.]+:\d+)\D/.exec(printed)
      if (match) resolve(match[1]!)
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.once('exit', (code) => reject(new Error(`ended with ${code}: ${printed}`)))
  })
  return { child, url, printed: () => printed }
}

const ended = (child: ChildProcess) =>
  new Promise<number | null>((resolve) => {
    if (child.exitCode !== null) return resolve(child.exitCode)
    child.once('exit', (code) => resolve(code))
  })

const call = (url: string, method: string, path: string, body?: unknown) =>
  fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })

test('kill -9 during writes loses no acknowledged write, and the next start takes over', async () => {
  const first = await serve()
  await call(first.url, 'POST', '/v1/organizations', { name: 'Acme', slug: 'acme', owner: 'alice' })
  const acknowledged: string[] = []
  let stopped = false
  const writers = Array.from({ length: 4 }, async (_, writer) => {
    for (let index = 0; !stopped; index++) {
      const user = `w${writer}-${index}`
      const answer = await call(first.url, 'PUT', `/v1/organizations/acme/members/${user}`, {
        roles: ['viewer'],
      }).catch(() => undefined)
      if (answer?.status !== 201) return
      acknowledged.push(user)
    }
  })
  while (acknowledged.length < 40) await new Promise((resolve) => setTimeout(resolve, 20))
  first.child.kill('SIGKILL')
  await ended(first.child)
  stopped = true
  await Promise.all(writers)

  const second = await serve()
  const checks = acknowledged.map((user) => ({
    organization: 'acme',
    subject: `user:${user}`,
    permission: 'scenario:read',
  }))
  const { results } = (await (
    await call(second.url, 'POST', '/check/batch', { checks })
  ).json()) as {
    results: { allowed: boolean }[]
  }
  expect(results).toHaveLength(acknowledged.length)
  expect(results.filter(({ allowed }) => !allowed)).toEqual([])
})

test('a restart keeps the data and the key; a second start on the same data says so in one line', async () => {
  // A first start, which makes the database, the key and the demo organization.
  await rm(join(folder, 'postgres'), { recursive: true })
  const first = await serve({ LATCHKEY_ADMIN_KEY: '' })
  const keyLine = () => /(lk_[\w-]+).*\n/.exec(first.printed())
  await until(() => keyLine() !== null)
  const key = keyLine()![1]!
  const ask = (url: string, subject: string) =>
    fetch(`${url}/check`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        organization: 'demo',
        subject,
        permission: 'scenario:execute',
        resource: 'scenario:welcome',
      }),
    }).then((answer) => answer.json())
  expect([await ask(first.url, 'user:alice'), await ask(first.url, 'user:bob')]).toMatchObject([
    { allowed: true },
    { allowed: false },
  ])
  await expect(serve()).rejects.toThrow(
    /^ended with 1: .*is in use by process \d+; stop it, or set DATA_DIR to another folder\n$/,
  )

  first.child.kill('SIGTERM')
  expect(await ended(first.child)).toBe(0)
  const second = await serve({ LATCHKEY_ADMIN_KEY: '' })
  expect(second.printed()).not.toMatch(/lk_/)
  expect(await ask(second.url, 'user:alice')).toMatchObject({ allowed: true })
})

test('SIGTERM lets requests in flight finish', async () => {
  const { child, url } = await serve()
  await call(url, 'POST', '/v1/organizations', { name: 'Acme', slug: 'acme', owner: 'alice' })
  const inFlight = Array.from({ length: 20 }, (_, index) =>
    call(url, 'PUT', `/v1/organizations/acme/members/u${index}`, { roles: ['viewer'] }),
  )
  await new Promise((resolve) => setTimeout(resolve, 30))
  child.kill('SIGTERM')
  const statuses = await Promise.all(
    inFlight.map((answer) =>
      answer.then(
        ({ status }) => status,
        () => 'refused',
      ),
    ),
  )
  expect(statuses.filter((status) => status !== 201 && status !== 'refused')).toEqual([])
  expect(statuses.filter((status) => status === 201).length).toBeGreaterThan(0)
  expect(await ended(child)).toBe(0)
})

test('a malformed setting stops the start with one line that names it', async () => {
  const malformed: [name: string, value: string, line: RegExp][] = [
    ['PORT', 'eighty', /PORT: must be a whole number/],
    ['ENGINE_VERIFY', 'maybe', /ENGINE_VERIFY/],
    ['DATABASE_URL', 'mysql://x', /DATABASE_URL: must be a URL that begins with postgres/],
    ['LATCHKEY_ADMIN_KEY', 'short', /LATCHKEY_ADMIN_KEY: must have at least 32 characters/],
  ]
  const tried = malformed.map(async ([name, value, line]) => {
    const failure = await serve({ [name]: value }).catch((error: Error) => error.message)
    expect(failure).toMatch(line)
    expect(String(failure).trim().split('\n')).toHaveLength(1)
    expect(failure).not.toContain(value === 'short' ? 'short' : 'ended with 0')
  })
  await Promise.all(tried)
})
