import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Running, start } from '../../src/node.ts'
import { readConfig } from '../../src/platform/config.ts'
import { callOver, type Reached, witness } from '../freshness/witness.ts'
import { startOwnPostgres } from '../support/postgres.ts'
import { ADMIN_KEY } from '../support/serve.ts'
import { until } from '../support/until.ts'

// Two whole servers over a PostgreSQL that is stopped, or crashes, and comes back. A wire that is cut: outage.postgres.test.ts.

const ROUNDS = process.env.LATCHKEY_LONG === 'on' ? 20 : 1
const BOUND_MS = 500
const AWAY_MS = 1500

let folder: string
let postgres: Exclude<Awaited<ReturnType<typeof startOwnPostgres>>, { skip: string }>
const running: Running[] = []
let nodes: Reached[]

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latchkey-restart-'))
  const started = await startOwnPostgres()
  if ('skip' in started) throw new Error(started.skip)
  postgres = started
  const config = readConfig({
    ...{ DATABASE_URL: postgres.url, DATA_DIR: folder, PORT: '0', LATCHKEY_ADMIN_KEY: ADMIN_KEY },
    ...{ LOG_LEVEL: 'silent', LATCHKEY_DEMO: 'off', DEFAULT_PLAN: 'custom' },
    STALENESS_MS: String(BOUND_MS),
  })
  for (let count = 0; count < 2; count++) running.push(await start(config))
  nodes = running.map(({ url }) => ({ url, key: ADMIN_KEY }))
})
afterAll(async () => {
  await Promise.all(running.map(({ stop }) => stop()))
  await postgres?.stop()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

test.each([
  ['stopped and started', 'SIGINT'],
  ['crashed and recovered', 'SIGQUIT'],
] as const)(
  `with PostgreSQL %s: no old allow beyond the bound, 503 meanwhile, and back by itself (${ROUNDS} rounds)`,
  async (_, signal) => {
    const [here, there] = nodes.map(callOver) as [Call, Call]
    for (let round = 0; round < ROUNDS; round++) {
      // The round before may have left a connection that must be made anew.
      const changed = async (what: string, body: object) => {
        let answer = await here(what, body)
        await until(async () => {
          if (answer.status === 503) answer = await here(what, body)
          return answer.status !== 503
        })
        expect([what, Math.floor(answer.status / 100)]).toEqual([what, 2])
        return answer.body
      }
      const made = await changed('POST /v1/organizations', {
        name: `Away ${round} ${signal}`,
        owner: 'user:alice',
      })
      const path = `/v1/organizations/${made.slug}`
      const question = (subject: string) => {
        return { organization: made.slug, subject, permission: 'scenario:read' }
      }
      const allows = async (call: Call, subject: string) =>
        (await call('POST /check', question(subject))).body.allowed === true
      for (const user of ['bob', 'carol'])
        await changed(`PUT ${path}/members/${user}`, { roles: ['viewer'] })
      await until(async () => (await allows(there, 'user:bob')) && allows(there, 'user:carol'))
      const watching = nodes.map((node) => [
        witness([node], question('user:bob')),
        witness([node], question('user:carol')),
      ])

      // Acknowledged at the last moment: the other node may not be told any more.
      const { status } = await here(`PUT ${path}/members/bob`, { roles: [] })
      const revokedAtMs = performance.now()
      const restarting = postgres.restart(signal, AWAY_MS)
      // It ends after that moment, and is away at least so long.
      const untilMs = performance.now() + AWAY_MS
      expect(status).toBe(200)
      await sleep(BOUND_MS + 300)
      const awayAtMs = performance.now()
      for (const call of [here, there]) {
        expect(await call('POST /check', question('user:carol'))).toMatchObject({
          status: 503,
          body: { code: 'database-unavailable' },
        })
        expect((await call('GET /readyz')).status).toBe(503)
        expect((await call('GET /healthz')).status).toBe(200)
      }
      expect((await here(`PUT ${path}/members/carol`, { roles: [] })).status).toBe(503)
      await restarting

      for (const call of [here, there]) {
        await until(async () => (await call('GET /readyz')).status === 200)
        await until(() => allows(call, 'user:carol'))
      }
      const revoked = { revokedAtMs, boundMs: BOUND_MS }
      let answered = 0
      for (const [bob, carol] of watching) {
        // Her role is never taken away: there is nothing to be late with, only answers that could not be given.
        const hers = await carol!.stop({ revokedAtMs: Number.POSITIVE_INFINITY, boundMs: 0 })
        const wrong = { staleAfterBound: 0, backwards: 0 }
        expect(hers).toEqual({ ...wrong, statuses: [200, 503] })
        expect(await bob!.stop(revoked)).toEqual({ ...wrong, statuses: [200, 503] })
        const meanwhile = carol!.seen[0]!.filter(
          ({ askedAtMs, tookMs }) => askedAtMs > awayAtMs && askedAtMs + tookMs < untilMs,
        )
        answered += meanwhile.length
        expect(meanwhile.filter((each) => each.status !== 503)).toEqual([])
      }
      expect(answered).toBeGreaterThan(0)
      // And a change goes through again, and is told.
      expect((await here(`PUT ${path}/members/carol`, { roles: [] })).status).toBe(200)
      await until(async () => !(await allows(there, 'user:carol')), 2 * BOUND_MS)
    }
  },
  1_200_000,
)

type Call = ReturnType<typeof callOver>
