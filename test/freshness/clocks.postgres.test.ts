import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { NAMESPACES } from '../../src/platform/cache/namespaces.ts'
import type { RemoteStore } from '../../src/platform/cache/remote-store.ts'
import { startCacheNode } from '../support/cache-node.ts'
import { type CacheServers, startCacheServers } from '../support/cache-stores.ts'
import { until } from '../support/until.ts'
import { race } from './ledger.ts'
import { listening, overOwnStores, overRedis, polling, type Spread, startNodes } from './nodes.ts'

// Three nodes over one database, one a minute ahead, one a minute behind. What is new is told by numbers that the database
// counts, so clocks do not matter to a revoke; what ends at a time ends by the clock of whoever answers.

const MINUTE_MS = 60_000
const APART_MS = [0, MINUTE_MS, -MINUTE_MS]
const BOUND_MS = 1000
const ROUNDS = process.env.LATCHKEY_LONG === 'on' ? 500 : 6

const clock = (apartMs: number) => () => new Date(Date.now() + apartMs)
const start = (store?: Parameters<typeof startNodes>[2]) =>
  startNodes(APART_MS.length, BOUND_MS, store, async (at) => ({ now: clock(APART_MS[at]!) }))

let running: Awaited<ReturnType<typeof startNodes>>
let servers: CacheServers
let skip: string | undefined
beforeAll(async () => {
  running = await start()
  const started = await startCacheServers()
  if ('skip' in started) skip = started.skip
  else servers = started
})
afterAll(async () => {
  await running.stop()
  await servers?.stop()
})
// There is no Redis; in CI a skip is a failure.
beforeEach((context) => {
  if (skip) context.skip(skip)
})

const holds = async (spread: Spread, { nodes }: Pick<typeof running, 'nodes'>) => {
  const { stop } = await spread(nodes)
  const seen = await race({ nodes, boundMs: BOUND_MS, rounds: ROUNDS, lanes: 2 })
  await stop()
  expect(seen).toMatchObject({ staleWithToken: 0, staleOnTheWriter: 0, staleAfterBound: 0 })
  expect(seen.rounds).toBeGreaterThanOrEqual(ROUNDS)
}

describe(`with clocks two minutes apart, a revoke counts at once with its token and else within the bound (${ROUNDS} rounds)`, () => {
  test.each<[string, Spread]>([
    ['by reading the log', polling],
    ['by LISTEN and NOTIFY', listening],
    ['over Redis', (nodes) => overRedis(servers.redis.url)(nodes)],
  ])('%s', (_, spread) => holds(spread, running), 600_000)

  test('by asking a Redis over REST', async () => {
    const asking = await start(() => servers.open('upstash'))
    await holds(overOwnStores, asking)
    await asking.stop()
  }, 600_000)
})

test('a grant ends on each node by its own clock: earlier where that is ahead, later where it is behind, by no more', async () => {
  const { nodes } = running
  const { path, slug } = await nodes[0]!.newOrganization()
  await nodes[0]!.call(`PUT ${path}/members/bob`, { roles: [] })
  const grantFor = async (endsInMs: number, giver = 0) => {
    const permission = 'scenario:read'
    const resource = `scenario:${endsInMs}`
    const expiresAt = new Date(Date.now() + endsInMs).toISOString()
    const grant = { subject: 'user:bob', permission, resource, expiresAt }
    const { status, body } = await nodes[giver]!.call(`POST ${path}/grants`, grant)
    return { status, code: body.code, resource, permission }
  }
  const allowedAt = ({ resource, permission }: { resource: string; permission: string }) => {
    const question = { organization: slug, subject: 'user:bob', permission, resource }
    return Promise.all(
      nodes.map(
        async (node) =>
          (await node.call('POST /check', { ...question, consistency: 'full' })).body.allowed,
      ),
    )
  }
  // In the order: the right clock, the one ahead, the one behind.
  expect(await allowedAt(await grantFor(90_000))).toEqual([true, true, true])
  expect(await allowedAt(await grantFor(30_000))).toEqual([true, false, true])
  const brief = await grantFor(1500)
  expect(await allowedAt(brief)).toEqual([true, false, true])
  await sleep(1600)
  // What the node behind holds it lets live, until its own minute is over…
  expect(await allowedAt(brief)).toEqual([false, false, true])
  // …and what it reads is without what is over by the clock of the database.
  expect(await grantFor(-30_000)).toMatchObject({ status: 422 })
  const over = await grantFor(-30_000, 2)
  expect([over.status, await allowedAt(over)]).toEqual([201, [false, false, false]])
  expect(await allowedAt(brief)).toEqual([false, false, false])
  expect(await grantFor(-90_000, 2)).toMatchObject({ status: 422 })
})

/** A Redis whose clock goes on with those of the nodes: what is set later ends later. */
const goingOn = (store: RemoteStore, passed: { ms: number }): RemoteStore => ({
  ...store,
  set: (key, value, ttlMs) => store.set(key, value, ttlMs + passed.ms),
  getMany: async (keys) => {
    const found = await store.getMany(keys)
    return found.map((kept) => {
      const leftMs = (kept?.leftMs ?? 0) - passed.ms
      return kept && leftMs > 0 ? { ...kept, leftMs } : null
    })
  },
})

/** Three nodes over one Redis, by the right clock, one ahead, one behind, that all go on together. */
const cacheNodes = async (environment: string) => {
  const passed = { ms: 0 }
  const open = (apartMs: number) =>
    startCacheNode({
      ...{ store: goingOn(servers.open('redis'), passed), environment },
      now: () => Date.now() + apartMs + passed.ms,
    })
  const nodes = [await open(0), await open(MINUTE_MS), await open(-MINUTE_MS)] as const
  for (const node of nodes)
    await until(() =>
      node.store.ping().then(
        () => true,
        () => false,
      ),
    )
  const [right, ahead, behind] = nodes
  return { passed, right, ahead, behind, nodes }
}

test.each([0, 1, 2])(
  'a cached value lives no longer on another node than on the one that loaded it, whatever their clocks say; and never after its revision (loaded by %s)',
  async (writer) => {
    const { sql } = running.nodes[0]!
    const { passed, nodes } = await cacheNodes(`clocks-${writer}`)
    const lives = NAMESPACES.membership.ttlMs
    let loads = 0
    const ask = async ({ caches }: (typeof nodes)[number], revision = 1) => {
      const question = { sql, organizationId: 'org_a', revision, key: 'bob' }
      const load = async () => ({ value: { of: revision, load: ++loads }, revision })
      return caches.namespace('membership').get(question, load)
    }
    const askAll = () => Promise.all(nodes.map((node) => ask(node)))
    const loadedAtMs = Date.now()
    expect((await ask(nodes[writer]!)).tier).toBe('source')
    await nodes[writer]!.caches.settled()
    expect((await askAll()).map(({ tier }) => tier)).toEqual(
      nodes.map((_, at) => (at === writer ? 'memory' : 'remote')),
    )
    const slackMs = Date.now() - loadedAtMs + 5_000
    // Where a clock is ahead of the writer's it ends by that, so much earlier…
    passed.ms = lives - slackMs
    const isAhead = APART_MS.map((apartMs) => apartMs > APART_MS[writer]!)
    expect((await askAll()).map(({ value }) => value.load > 1)).toEqual(isAhead)
    // …and where it is behind, not a minute later.
    passed.ms = lives + 50
    expect((await askAll()).filter(({ value }) => value.load === 1)).toEqual([])
    for (const node of nodes) expect((await ask(node, 2)).value.of).toBe(2)
  },
)

test('what a cached value names as its end is that time by the clock of whoever answers, or earlier', async () => {
  const { sql } = running.nodes[0]!
  const { passed, right, ahead, behind } = await cacheNodes('clocks-end')
  const endsAtMs = Date.now() + 30_000
  const ask = async ({ caches }: typeof right) => {
    const load = async () => ({ value: 'member', revision: 1, expiresAtMs: endsAtMs })
    const question = { sql, organizationId: 'org_a', revision: 1, key: 'bob' }
    return (await caches.namespace('membership').get(question, load)).tier
  }
  expect(await ask(right)).toBe('source')
  await right.caches.settled()
  // Over, by the clock that is ahead; by the one behind a minute and a half away, and yet it lives for half of one.
  expect([await ask(ahead), await ask(behind)]).toEqual(['source', 'remote'])
  expect([await ask(ahead), await ask(behind)]).toEqual(['source', 'memory'])
  passed.ms = 30_000
  expect(await ask(behind)).not.toBe('memory')
})
