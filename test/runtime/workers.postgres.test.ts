import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from '../../src/platform/db/connect.ts'
import { openConnection, openEmptyDatabase, type Served, startServe } from '../support/serve.ts'
import { until } from '../support/until.ts'

// Two worker processes that would look for changes every minute only: what they know sooner, they know from each other.

let folder: string
let database: Awaited<ReturnType<typeof openEmptyDatabase>>
let served: Served
let url: string
/** A connection to each worker: one, two. */
const lines: ReturnType<typeof openConnection>[] = []
let key: string

/** Opens connections until there is one to each worker; the log tells which worker answered. */
const reachBoth = async () => {
  for (let tries = 0; lines.filter(Boolean).length < 2 && tries < 10; tries++) {
    const line = openConnection(url, key)
    await line.call('GET /v1/permissions', undefined, `find-${tries}`)
    const asked = () => served.log().find(({ requestId }) => requestId === `find-${tries}`)
    await until(() => asked() !== undefined)
    const at = Number(asked()!.worker) - 1
    if (lines[at]) line.close()
    else lines[at] = line
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latchkey-workers-'))
  database = await openEmptyDatabase()
  const settings = {
    DATABASE_URL: database.url,
    DATA_DIR: folder,
    LATCHKEY_ADMIN_KEY: '',
    STALENESS_MS: '60000',
  }
  served = startServe(['--workers', '2'], settings)
  url = await served.url()
  const keyLine = () => /^(lk_\S+)\n/m.exec(served.printed())
  await until(() => served.workers().size === 2 && keyLine() !== null, 30_000)
  key = keyLine()![1]!
  await reachBoth()
})
afterAll(async () => {
  for (const line of lines) line.close()
  served.child.kill('SIGKILL')
  await database.drop()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

const numberOf = (text: string, metric: string) =>
  Number(new RegExp(`^${metric.replaceAll(/[{}]/g, '\\$&')} (.*)$`, 'm').exec(text)?.[1])

test('both serve; there is one banner, one administrator’s key and one demo organization', async () => {
  expect(lines.filter(Boolean)).toHaveLength(2)
  expect(served.printed().match(/^ready /gm)).toHaveLength(1)
  expect(served.printed().match(/^lk_/gm)).toHaveLength(1)
  expect(served.printed()).toMatch(/on its database server, 2 workers$/m)
  const sql = connect({ url: database.url }, { connectionsMax: 1 })
  const [found] = await sql`select (select count(*) from api_keys) as keys,
    (select count(*) from organizations) as organizations`
  await sql.end()
  expect(found).toEqual({ keys: 1, organizations: 1 })
  for (const line of lines) expect((await line.call('GET /readyz')).status).toBe(200)
})

test('a revoke through one is denied by the other at once, again and again', async () => {
  const question = { organization: 'demo', subject: 'user:carol', permission: 'scenario:read' }
  const member = (roles: string[]) => ({ roles })
  const tookMs: number[] = []
  for (let round = 0; round < 30; round++) {
    const [writer, reader] = round % 2 === 0 ? lines : lines.toReversed()
    const allowed = async () =>
      JSON.parse((await reader!.call('POST /check', question)).body).allowed === true
    const path = 'PUT /v1/organizations/demo/members/carol'
    await writer!.call(path, member(['viewer']))
    await until(allowed)
    await writer!.call(path, member([]))
    const revokedAtMs = performance.now()
    await until(async () => !(await allowed()))
    tookMs.push(performance.now() - revokedAtMs)
  }
  const sorted = tookMs.toSorted((a, b) => a - b)
  expect(sorted[sorted.length >> 1]).toBeLessThan(100)
})

test('metrics of any worker are those of all: counted things are added, what the database says is said once', async () => {
  const metrics = (line: (typeof lines)[number]) =>
    line.call('GET /metrics').then(({ body }) => body)
  const before = numberOf(await metrics(lines[0]!), 'latchkey_decisions_total{code="role"}')
  const question = { organization: 'demo', subject: 'user:alice', permission: 'scenario:read' }
  for (const line of [lines[0]!, lines[0]!, lines[0]!, lines[1]!, lines[1]!])
    expect((await line.call('POST /check', question)).body).toContain('"allowed":true')

  await lines[0]!.call('POST /v1/jobs/queues/maintenance/pause')
  const schedule = { job: 'jobs.prune', cron: '15 2 * * *' }
  await lines[0]!.call('PUT /v1/jobs/schedules/extra.prune', schedule)
  await lines[0]!.call('POST /v1/jobs/schedules/extra.prune/run')
  for (const line of lines) {
    expect(numberOf(await metrics(line), 'latchkey_decisions_total{code="role"}')).toBe(before + 5)
    expect(numberOf(await metrics(line), 'latchkey_workers')).toBe(2)
    const ready = 'latchkey_jobs{queue="maintenance",state="ready"}'
    // Schedules may have left others.
    await until(async () => {
      const { body } = await line.call('GET /v1/jobs?queue=maintenance&state=ready&limit=200')
      const { length } = JSON.parse(body).items
      return length > 0 && numberOf(await metrics(line), ready) === length
    })
    // Each process has at least one slot.
    await until(
      async () => numberOf(await metrics(line), 'latchkey_jobs_slots{queue="email"}') >= 2,
    )
  }
})
