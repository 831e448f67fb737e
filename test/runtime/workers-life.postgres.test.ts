import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { openConnection, type Served, startServe } from '../support/serve.ts'
import { until } from '../support/until.ts'

let folder: string
let database: TestDatabase
const all: Served[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latchkey-workers-'))
  database = await openTestDatabase()
})
afterAll(async () => {
  for (const served of all) served.child.kill('SIGKILL')
  await database.drop()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

const serve = (settings: Record<string, string> = {}, args = ['--workers', '2']) => {
  const { url } = database.target as { url: string }
  const served = startServe(args, { DATABASE_URL: url, DATA_DIR: folder, ...settings })
  all.push(served)
  return served
}

const serving = async () => {
  const served = serve()
  const url = await served.url()
  await until(() => served.workers().size === 2, 30_000)
  return { served, url }
}

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Asks on so many connections all the time; tells how many were answered, and on which connection something failed. */
const startLoad = (url: string, connections: number) => {
  let stopped = false
  const told = { answered: 0, failed: [] as string[] }
  const done = Promise.all(
    Array.from({ length: connections }, async (_, index) => {
      const line = openConnection(url)
      const name = `line-${index}`
      while (!stopped)
        await line.call('GET /v1/permissions', undefined, name).then(
          ({ status }) => (status === 200 ? told.answered++ : told.failed.push(name)),
          () => told.failed.push(name),
        )
      line.close()
    }),
  )
  const stop = async () => {
    stopped = true
    await done
    return told
  }
  return { told, stop }
}

/** Has questions decided, on connections of their own. */
const decide = async (url: string, times: number) => {
  const owner = openConnection(url)
  const slug = `o${Math.random().toString(36).slice(2)}`
  await owner.call('POST /v1/organizations', { name: slug, slug, owner: 'alice' })
  owner.close()
  for (let asked = 0; asked < times; asked++) {
    const line = openConnection(url)
    const question = { organization: slug, subject: 'user:alice', permission: 'scenario:read' }
    const { body } = await line.call('POST /check', question)
    expect(body).toContain('"allowed":true')
    line.close()
  }
}
const DECIDED = 'latchkey_decisions_total{code="role"}'
const DEATHS = 'latchkey_worker_deaths_total'

const sumOf = async (url: string, metric: string) =>
  Number(
    new RegExp(`^${metric.replaceAll(/[{}]/g, '\\$&')} (.*)$`, 'm').exec(
      await (await fetch(`${url}/metrics`)).text(),
    )?.[1],
  )

/** What waits for long, in the long form only (npm run chaos). */
const inLong: (name: string, work: () => Promise<void>) => void =
  process.env.LATCHKEY_LONG === 'on' ? test : () => {}

/** One server for the tests of its life, in their order. */
const shared: Partial<Awaited<ReturnType<typeof serving>>> = {}
const life = async () => Object.assign(shared, shared.url ? {} : await serving()) as Life
type Life = Awaited<ReturnType<typeof serving>>

test('a worker that is killed under load comes back; the other’s connections notice nothing, no sum falls', async () => {
  const { served, url } = await life()
  const [one, two] = [served.workers().get(1)!, served.workers().get(2)!]
  await decide(url, 6)
  const decided = await sumOf(url, DECIDED)
  const load = startLoad(url, 16)
  await until(() => load.told.answered > 200)
  const ofTwo = served.log().filter(({ worker, requestId }) => worker === 2 && requestId)
  process.kill(one, 'SIGKILL')
  await until(() => served.workers().get(1) !== one, 30_000)
  const { failed } = await load.stop()
  const names = new Set(ofTwo.map(({ requestId }) => requestId))
  expect(names.size).toBeGreaterThan(0)
  expect(failed.filter((name) => names.has(name))).toEqual([])
  expect(served.workers().get(2)).toBe(two)
  expect(served.log()).toContainEqual(
    expect.objectContaining({ msg: 'worker ended', worker: 1, pid: one, signal: 'SIGKILL' }),
  )
  expect(await sumOf(url, 'latchkey_workers')).toBe(2)
  expect(await sumOf(url, DEATHS)).toBe(1)
  expect(await sumOf(url, DECIDED)).toBe(decided)
})

test('SIGHUP renews all workers one after another: no request fails, and no counter falls', async () => {
  const { served, url } = await life()
  const before = served.workers()
  await decide(url, 1)
  const [deaths, decided] = [await sumOf(url, DEATHS), await sumOf(url, DECIDED)]
  await decide(url, 6)
  const load = startLoad(url, 8)
  await until(() => load.told.answered > 50)
  served.child.kill('SIGHUP')
  await until(() => served.printed().includes('renewal ended'), 60_000)
  const told = await load.stop()
  expect(told.failed).toEqual([])
  const after = served.workers()
  for (const [worker, pid] of before) {
    expect(after.get(worker)).not.toBe(pid)
    expect(isAlive(pid)).toBe(false)
  }
  expect(await sumOf(url, DEATHS)).toBe(deaths)
  // Also what nobody had asked for before the workers ended.
  expect(await sumOf(url, DECIDED)).toBe(decided + 6)
})

test('SIGTERM lets requests in flight finish in all workers, and ends with 0', async () => {
  const { served, url } = await life()
  const lines = Array.from({ length: 6 }, () => openConnection(url))
  await Promise.all(lines.map((line) => line.call('GET /healthz')))
  const inFlight = lines.map((line, index) =>
    line.call('POST /v1/organizations', { name: `In flight ${index}`, owner: 'alice' }),
  )
  await new Promise((resolve) => setTimeout(resolve, 20))
  served.child.kill('SIGTERM')
  expect((await Promise.all(inFlight)).map(({ status }) => status)).toEqual(lines.map(() => 201))
  expect(await served.ended).toBe(0)
  for (const pid of served.workers().values()) expect(isAlive(pid)).toBe(false)
  for (const line of lines) line.close()
})

inLong('workers whose primary is killed end by themselves', async () => {
  const { served } = await serving()
  served.child.kill('SIGKILL')
  await until(() => [...served.workers().values()].every((pid) => !isAlive(pid)), 20_000)
})

inLong('when no worker stays alive, it says so in one line and ends', async () => {
  const served = serve({ LOG_LEVEL: 'info' })
  await served.url()
  const killed = new Set<number>()
  const killing = setInterval(() => {
    for (const pid of served.workers().values()) {
      if (killed.has(pid) || !isAlive(pid)) continue
      killed.add(pid)
      process.kill(pid, 'SIGKILL')
    }
  }, 20)
  expect(await served.ended).toBe(1)
  clearInterval(killing)
  expect(served.printed().match(/^latchkey: .*$/gm)).toEqual([
    expect.stringMatching(
      /no worker stays alive: worker \d ended 3 times within a second of its start, the last time by SIGKILL$/,
    ),
  ])
})

test.each([
  ['embedded storage', { DATABASE_URL: '' }, /2 workers need a database server: .*DATABASE_URL/],
  ['a malformed setting', { ENGINE_VERIFY: 'maybe' }, /ENGINE_VERIFY/],
  ['a malformed key that each worker reads', { AUDIT_MAC_KEY: 'short' }, /AUDIT_MAC_KEY/],
  ['no database there', { DATABASE_URL: 'postgres://127.0.0.1:1/none' }, /cannot be reached/],
])('%s ends the start with one line', async (_, settings, line) => {
  const served = serve({ LOG_LEVEL: 'error', ...settings })
  expect(await served.ended).toBe(1)
  expect(served.printed().trim().split('\n')).toEqual([expect.stringMatching(line)])
})

test('a port that is taken ends the start with one line', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => taken.once('listening', resolve))
  const { port } = taken.address() as { port: number }
  const served = serve({ LOG_LEVEL: 'error', PORT: String(port) })
  expect(await served.ended).toBe(1)
  expect(served.printed().trim()).toBe('latchkey: the port is in use; set PORT to another one')
  taken.close()
})

inLong('auto is one process on embedded storage', async () => {
  const served = serve({ DATABASE_URL: '' }, ['--workers', 'auto'])
  await served.url()
  expect(served.workers().size).toBe(0)
  served.child.kill('SIGTERM')
  expect(await served.ended).toBe(0)
})
