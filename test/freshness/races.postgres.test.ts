import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createRedis, destroy } from '../../src/platform/cache/redis-client.ts'
import { type CacheServers, startCacheServers } from '../support/cache-stores.ts'
import { race } from './ledger.ts'
import { listening, overOwnStores, overRedis, polling, type Spread, startNodes } from './nodes.ts'

// Three nodes over one PostgreSQL, revokes that race with loads, and whatever carries the news cut at random: no allow after
// the revoke whose token was shown, none after the bound. The long form has ten thousand rounds (npm run chaos).

const ROUNDS = Number(process.env.LATCHKEY_FRESHNESS_ROUNDS ?? 30)
const BOUND_MS = 1000
const LANES = 6
const LONG_MS = 1_200_000

let running: Awaited<ReturnType<typeof startNodes>>
let servers: CacheServers
beforeAll(async () => {
  running = await startNodes(3, BOUND_MS)
  const started = await startCacheServers()
  if ('skip' in started) throw new Error(started.skip)
  servers = started
})
afterAll(async () => {
  await running.stop()
  await servers.stop()
})

const percentile = (values: readonly number[], share: number) =>
  values.toSorted((one, other) => one - other)[Math.ceil(values.length * share) - 1] ?? Number.NaN

const MODES: [how: string, spread: Spread][] = [
  ['by reading the log', polling],
  ['by LISTEN and NOTIFY, cut at random', listening],
  ['over Redis, cut at random', (nodes) => overRedis(servers.redis.url)(nodes)],
]

const tried = async (how: string, spread: Spread, { nodes }: Pick<typeof running, 'nodes'>) => {
  const { cut, stop } = await spread(nodes)
  let ended = false
  const cutting = (async () => {
    while (cut && !ended) {
      await sleep(200 + Math.random() * 800)
      await cut()
    }
  })()
  const seen = await race({ nodes, boundMs: BOUND_MS, rounds: ROUNDS, lanes: LANES })
  ended = true
  await cutting
  await stop()
  const { toDenyMs, ...counts } = seen
  const [p50, p99] = [percentile(toDenyMs, 0.5), percentile(toDenyMs, 0.99)]
  // biome-ignore lint/suspicious/noConsole: the figures are what the suite is read for
  console.info(
    `revoked ${how}: ${counts.rounds} rounds, ${counts.asked} questions, stale 0 expected: ` +
      `${counts.staleWithToken} with the token, ${counts.staleOnTheWriter} on the writer, ${counts.staleAfterBound} after ${BOUND_MS} ms; ` +
      `denied elsewhere after p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms (${toDenyMs.length} timed)`,
  )
  expect(counts).toMatchObject({ staleWithToken: 0, staleOnTheWriter: 0, staleAfterBound: 0 })
  expect(counts.rounds).toBeGreaterThanOrEqual(ROUNDS)
}

describe('a revoke, learnt', () => {
  test.each(MODES)(`%s (${ROUNDS} rounds)`, (how, spread) => tried(how, spread, running), LONG_MS)

  test(
    `by asking a Redis over REST, which loses its keys at random (${ROUNDS} rounds)`,
    async () => {
      const asking = await startNodes(3, BOUND_MS, () => servers.open('upstash'))
      const losing: Spread = async (nodes) => {
        const spread = await overOwnStores(nodes)
        const knife = await createRedis(servers.redis.url, 'knife', 2)
        await knife.connect()
        const stop = async () => destroy(knife)
        return { ...spread, cut: () => knife.flushAll(), stop }
      }
      await tried('by asking over REST', losing, asking)
      await asking.stop()
    },
    LONG_MS,
  )
})

test('the suite sees a node that breaks the bound', async () => {
  const slow = await startNodes(2, BOUND_MS)
  const seen = await race({ nodes: slow.nodes, boundMs: BOUND_MS / 5, rounds: 10, lanes: 4 })
  await slow.stop()
  expect(seen.staleAfterBound).toBeGreaterThan(0)
})
