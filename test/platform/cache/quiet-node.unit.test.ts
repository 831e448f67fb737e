import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { guardStore } from '../../../src/platform/cache/guarded-store.ts'
import { openCache } from '../../../src/platform/cache/open.ts'
import { openRevisionLine } from '../../../src/platform/cache/revision-line.ts'
import { silentLog } from '../../../src/platform/log.ts'
import { type CacheServers, startCacheServers } from '../../support/cache-stores.ts'
import { until } from '../../support/until.ts'

// A node that is asked nothing: what it shows of its Redis, it finds out by its line alone.

let servers: CacheServers
let skip: string | undefined
beforeAll(async () => {
  const started = await startCacheServers()
  if ('skip' in started) skip = started.skip
  else servers = started
})
afterAll(() => servers?.stop())
// There is no Redis to break; in CI a skip is a failure.
beforeEach((context) => {
  if (skip) context.skip(skip)
})

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const ear = { heard: () => {}, lost: () => {}, back: () => {} }
const isUp = (line: { sureUntilMs(): number }) => () => line.sureUntilMs() > 0

test('a frozen Redis shows as degraded, in two sentences, and no longer when it is back', async () => {
  const cache = await openCache({
    ...{ store: servers.open('redis'), environment: 'quiet', dataKey: '08'.repeat(32) },
    ...{ bytesMax: 1_000_000, timeoutMs: 300, log: silentLog },
  })
  const line = cache.line!
  expect(cache.degraded()).toEqual([])
  line.hear(ear)
  // Not lost before it was tried.
  expect([line.isLost(), cache.degraded()]).toEqual([false, []])
  await until(isUp(line))
  await servers.redis.signal('SIGSTOP')
  try {
    await until(() => line.isLost(), 3_000)
    expect(cache.degraded()).toContainEqual(expect.stringMatching(/^changes are not heard of/))
    await until(() => cache.degraded().length === 2, 5_000)
    expect(cache.caches.health()).toMatchObject({ isDegraded: true })
  } finally {
    await servers.redis.signal('SIGCONT')
  }
  await until(() => !line.isLost(), 3_000)
  // The line being back is no proof that commands are answered: the breaker sees for itself, in its time.
  expect(cache.degraded()).toEqual([expect.stringMatching(/^the cache Redis is away/)])
  await until(() => cache.degraded().length === 0, 15_000)
  await cache.stop()
}, 40_000)

test('a Redis that was never there shows as degraded, too', async () => {
  const { createRedisStore } = await import('../../../src/platform/cache/redis-store.ts')
  const cache = await openCache({
    ...{ store: createRedisStore({ url: 'redis://127.0.0.1:1' }), environment: 'nowhere' },
    ...{ dataKey: '08'.repeat(32), bytesMax: 1_000_000, log: silentLog },
  })
  cache.line!.hear(ear)
  await until(() => cache.degraded().length === 2, 8_000)
  await cache.stop()
})

test('a line that stands closes no breaker that commands have opened', async () => {
  const [store, state] = [servers.open('redis'), { answers: false, pings: 0 }]
  const refuse = async () => {
    throw new Error('not now')
  }
  const ping = async () => {
    state.pings++
    return state.answers ? store.ping() : refuse()
  }
  const guarded = guardStore(
    { ...store, ping, set: refuse },
    { log: silentLog, timeoutMs: 2_000, openMs: 500 },
  )
  const line = openRevisionLine({ store: guarded, environment: 'stands' })
  line.hear(ear)
  await until(isUp(line))
  // While all is well nothing is asked besides.
  await sleep(600)
  expect(state.pings).toBe(0)
  for (let turn = 0; turn < 5; turn++) await guarded.set('key', new Uint8Array(1), 1000)
  expect(guarded.breaker.report().state).toBe('open')
  // It is asked again and again whether it is back, by nobody's command, and stays open.
  await until(() => state.pings >= 2, 5_000)
  expect(line.isLost()).toBe(false)
  expect(guarded.breaker.report()).toMatchObject({ refusals: 0 })
  expect(guarded.breaker.report().state).not.toBe('closed')
  state.answers = true
  await until(() => guarded.breaker.report().state === 'closed', 5_000)
  await line.stop()
})
