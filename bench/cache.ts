import { setTimeout as sleep } from 'node:timers/promises'
import { openStored, sealStored } from '../src/platform/cache/codec.ts'
import { createCacheKeys } from '../src/platform/cache/keyring.ts'
import type { MemoryPolicy } from '../src/platform/cache/memory.ts'
import { createNoStore } from '../src/platform/cache/no-store.ts'
import { openRevisionLine } from '../src/platform/cache/revision-line.ts'
import { simulate } from '../src/platform/cache/simulate.ts'
import type { Sql } from '../src/platform/db/connect.ts'
import { DATA_KEY, startCacheNode } from '../test/support/cache-node.ts'
import { type CacheServers, startCacheServers } from '../test/support/cache-stores.ts'
import { until } from '../test/support/until.ts'
import { ENTRY_BYTES, KEYS, scannedTrace, zipfTrace } from '../test/support/zipf.ts'
import { benchEvictions } from './evictions.ts'
import { type Figure, percentile, spreadOf } from './figures.ts'
import { step } from './progress.ts'

const POLICIES: readonly MemoryPolicy[] = ['lru', 'fifo', 'lfu']
const VALUE = { roles: ['viewer', 'editor'], teams: ['eng'], status: 'active', n: 'x'.repeat(400) }
const KIND = { redis: 'over TCP', upstash: 'over the REST bridge' }

const ask = (sql: Sql, key: string) => ({ sql, organizationId: 'org_a', revision: 1, key })
const load = async () => ({ value: VALUE, revision: 1 })

/** As many as the room of one namespace holds. */
const ENTRIES = 5000

/** Hits a second, each awaited by its caller. */
const benchHits = async (sql: Sql, turns: number): Promise<Figure> => {
  const { caches } = await startCacheNode({ store: createNoStore(), random: Math.random })
  const membership = caches.namespace('membership')
  const questions = Array.from({ length: ENTRIES }, (_, at) => ask(sql, `user:u${at}`))
  for (const question of questions) await membership.get(question, load)
  const rates: number[] = []
  for (let turn = 0; turn < turns; turn++) {
    const startedAtMs = performance.now()
    let reads = 0
    while (performance.now() - startedAtMs < 1000)
      for (let at = 0; at < 1000; at++) await membership.get(questions[reads++ % ENTRIES]!, load)
    rates.push((1000 * reads) / (performance.now() - startedAtMs))
  }
  return spreadOf('hits in memory, awaited', '1/s', rates, {
    ...{
      target: 1_000_000,
      reach: 'at least',
      note: `${ENTRIES} entries, statistics and trace included`,
    },
  })
}

const benchRatios = (): Figure[] => {
  const traces = { 'Zipf 0.99': zipfTrace(), 'Zipf 0.99, half of it scans': scannedTrace() }
  return Object.entries(traces).flatMap(([name, trace]) =>
    [0.001, 0.01, 0.1].flatMap((share) => {
      const ratios = POLICIES.map(
        (policy) => 100 * simulate(trace, policy, KEYS * ENTRY_BYTES * share).hitRatio,
      )
      return POLICIES.map((policy, at): Figure => {
        // The design asks for eight points at a thousandth of the keys, which others have published.
        const isAsked = policy === 'lfu' && share === 0.001 && name === 'Zipf 0.99'
        return {
          ...{ name: `hit ratio of ${policy}, ${name}, room for ${100 * share} %`, unit: '%' },
          ...{ value: ratios[at]!, note: `${trace.length} reads of ${KEYS} keys` },
          ...(isAsked ? { target: ratios[0]! + 8, reach: 'at least' as const } : {}),
        }
      })
    }),
  )
}

const benchEncryption = async (): Promise<Figure[]> => {
  const keys = await createCacheKeys({ dataKey: DATA_KEY })
  const options = { keys, organizationId: 'org_a', key: 'v1:bench', isSecret: false }
  const stored = {
    ...{ text: JSON.stringify(VALUE), revision: 1, platformRevision: 0, loadMs: 1 },
    ...{ storedAtMs: 0, expiresAtMs: 1, usableUntilMs: 1 },
  }
  const sealed = await sealStored(stored, options)
  const rate = async (work: () => Promise<unknown>) => {
    const [startedAtMs, count] = [performance.now(), 20_000]
    for (let at = 0; at < count; at += 50) await Promise.all(Array.from({ length: 50 }, work))
    return (1000 * count) / (performance.now() - startedAtMs)
  }
  const note = `values of ${sealed.length} bytes, fifty at once`
  return [
    {
      ...{ name: 'values sealed', unit: '1/s', note, target: 26_000, reach: 'at least' },
      value: await rate(() => sealStored(stored, options)),
    },
    {
      ...{ name: 'values opened', unit: '1/s', note, target: 26_000, reach: 'at least' },
      value: await rate(() => openStored(sealed, options)),
    },
  ]
}

type Node = Awaited<ReturnType<typeof startCacheNode>>

const timesOf = async (sql: Sql, { caches }: Node, count: number, key = 'remote') => {
  const times: number[] = []
  for (let at = 0; at < count; at++) {
    const startedAtMs = performance.now()
    await caches.namespace('membership').get(ask(sql, `${key} ${at}`), load)
    times.push(performance.now() - startedAtMs)
  }
  return times
}

/** Hits in the remote store, one after another: the answer is opened and put into memory, too. */
const benchRemote = async (sql: Sql, servers: CacheServers, count: number): Promise<Figure[]> => {
  const figures: Figure[] = []
  for (const kind of ['redis', 'upstash'] as const) {
    const open = () => startCacheNode({ store: servers.open(kind), environment: `bench-${kind}` })
    const [writer, reader] = [await open(), await open()]
    await timesOf(sql, writer, count)
    await writer.caches.settled()
    await reader.store.ping()
    const times = await timesOf(sql, reader, count)
    const hits = reader.caches.statistics().find(({ namespace }) => namespace === 'membership')
    const note = `${hits!.remoteHits} of ${count} read from the store`
    for (const share of [0.5, 0.99])
      figures.push({
        ...{ name: `remote hit ${KIND[kind]}, p${100 * share}`, unit: 'ms', note },
        value: percentile(times, share),
      })
  }
  return figures
}

/** From a publish on one node until another one has heard it. */
const benchLine = async (servers: CacheServers): Promise<Figure[]> => {
  const open = () => openRevisionLine({ store: servers.open('redis'), environment: 'bench' })
  const [writer, reader] = [open(), open()]
  let [reached, isBack] = [0, false]
  const heard = (_: string, revision: number) => {
    reached = revision
  }
  const back = () => {
    isBack = true
  }
  reader.hear({ heard, back, lost: () => {} })
  await until(() => isBack)
  const times: number[] = []
  for (let revision = 1; revision <= 1000; revision++) {
    const startedAtMs = performance.now()
    await writer.publish('org_a', revision)
    while (reached !== revision) await new Promise((resolve) => setImmediate(resolve))
    times.push(performance.now() - startedAtMs)
  }
  await Promise.all([writer.stop(), reader.stop()])
  return [0.5, 0.99].map((share) => ({
    ...{ name: `a revision published until it is heard, p${100 * share}`, unit: 'ms' },
    ...{ value: percentile(times, share), ...(share === 0.99 ? { target: 10 } : {}) },
    note: '1,000 revisions, one after another, a millisecond of gathering included',
  }))
}

const benchFrozen = async (sql: Sql, servers: CacheServers): Promise<Figure[]> => {
  const figures: Figure[] = []
  for (const kind of ['redis', 'upstash'] as const) {
    const store = servers.open(kind)
    const node = await startCacheNode({ store, environment: `frozen-${kind}`, timeoutMs: 50 })
    await until(() => store.ping().then(() => true))
    await timesOf(sql, node, 10, 'before')
    await node.caches.settled()
    await servers.redis.signal('SIGSTOP')
    const [first] = await timesOf(sql, node, 1, 'first')
    const later: number[] = []
    for (let turn = 0; turn < 500; turn++) {
      later.push(...(await timesOf(sql, node, 1, `later ${turn}`)))
      await sleep(1)
    }
    await servers.redis.signal('SIGCONT')
    const name = `Redis frozen, ${KIND[kind]}`
    const note = 'a miss, answered by a source that takes no time'
    figures.push(
      { name: `${name}: first request`, value: first!, unit: 'ms', target: 60, note },
      { name: `${name}: later ones, p50`, value: percentile(later, 0.5), unit: 'ms', note },
      { name: `${name}: later ones, p99`, value: percentile(later, 0.99), unit: 'ms', note },
    )
  }
  return figures
}

/** The cache alone: memory, policies, encryption, the remote store, and one that is frozen. */
export const benchCache = async (sql: Sql, isShort: boolean): Promise<Figure[]> => {
  const servers = await startCacheServers()
  if ('skip' in servers) throw new Error(servers.skip)
  try {
    const measured = async (name: string, work: () => Promise<Figure[]>) => {
      const measuring = step(name)
      const figures = await work()
      measuring.done()
      return figures
    }
    return [
      ...(await measured('hits in memory', async () => [await benchHits(sql, isShort ? 2 : 5)])),
      ...(await measured('hit ratios', async () => benchRatios())),
      ...(await measured('evictions', () => benchEvictions(POLICIES))),
      ...(await measured('encryption', benchEncryption)),
      ...(await measured('remote hits', () => benchRemote(sql, servers, isShort ? 500 : 5000))),
      ...(await measured('revisions', () => benchLine(servers))),
      ...(await measured('a frozen Redis', () => benchFrozen(sql, servers))),
    ]
  } finally {
    await servers.stop()
  }
}
