import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from '../../src/platform/db/connect.ts'
import { makeDataFolder } from '../support/data-folder.ts'
import { startWorkerd, type Workerd } from '../support/workerd.ts'

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const KEY = randomBytes(24).toString('hex')

/** The embedded database as `latchkey database --listen` serves it. */
const serveDatabase = async () => {
  const folder = await makeDataFolder()
  const { DATABASE_URL: _, ...environment } = process.env
  const process_ = spawn(process.execPath, [CLI, 'database', '--listen', '0'], {
    env: { ...environment, DATA_DIR: folder, LATCHKEY_ADMIN_KEY: KEY },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface(process_.stdout)
  const [line] = (await once(lines, 'line')) as [string]
  return {
    url: line.replace('DATABASE_URL=', ''),
    stop: async () => {
      process_.kill('SIGTERM')
      const [code] = await once(process_, 'exit')
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
      return code as number
    },
  }
}

let database: Awaited<ReturnType<typeof serveDatabase>>
let worker: Workerd

beforeAll(async () => {
  database = await serveDatabase()
  worker = await startWorkerd(database.url)
}, 120_000)
afterAll(async () => {
  await worker?.stop()
})

const call = async (what: string, body: object) => {
  const [method, path] = what.split(' ') as [string, string]
  const answer = await fetch(`${worker.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

test('a Worker runs over the embedded database, many requests at once', async () => {
  const made = await call('POST /v1/organizations', {
    name: 'Acme',
    slug: 'acme',
    owner: 'user:ann',
  })
  expect(made.status).toBe(201)
  const asked = Array.from({ length: 30 }, (_, index) =>
    index % 10 === 0
      ? call(`PUT /v1/organizations/acme/members/u${index}`, { roles: ['viewer'] })
      : call('POST /check', {
          organization: 'acme',
          subject: index % 2 ? 'user:ann' : `user:u${index}`,
          permission: 'scenario:delete',
          consistency: 'full',
        }),
  )
  const answers = await Promise.all(asked)
  expect(answers.map(({ status }) => status)).toEqual(
    answers.map((_, index) => (index % 10 === 0 ? 201 : 200)),
  )
  for (const [index, { body }] of answers.entries())
    if (index % 10 !== 0) expect([index, body.allowed]).toEqual([index, index % 2 === 1])
})

test('connections take turns: a transaction is never mixed up with another, and one that is left ends', async () => {
  const pools = Array.from({ length: 4 }, () =>
    connect({ url: database.url }, { connectionsMax: 3 }),
  )
  const round = (sql: (typeof pools)[number], number: number) =>
    sql.begin(async (tx) => {
      await tx`select set_config('latchkey.tried', ${String(number)}, true)`
      await new Promise((resolve) => setTimeout(resolve, 2))
      const [row] = await tx`select current_setting('latchkey.tried') as tried`
      return row!.tried === String(number)
    })
  const right = await Promise.all(
    Array.from({ length: 20 }, (_, number) => round(pools[number % 4]!, number)),
  )
  expect(right).toEqual(right.map(() => true))

  // A client that goes away in the middle of its transaction.
  const left = pools[0]!.begin(async (tx) => {
    await tx`select 1`
    void pools[0]!.end({ timeout: 0 })
    await new Promise((resolve) => setTimeout(resolve, 50))
  })
  await left.catch(() => {})
  expect(await pools[1]!`select 1 as one`).toEqual([{ one: 1 }])
  for (const pool of pools.slice(1)) await pool.end()
})

test('the command ends when it is told to, and leaves the folder to others', async () => {
  await worker.stop()
  expect(await database.stop()).toBe(0)
})
