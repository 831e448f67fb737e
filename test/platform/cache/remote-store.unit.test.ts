import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { guardStore } from '../../../src/platform/cache/guarded-store.ts'
import { createNoStore } from '../../../src/platform/cache/no-store.ts'
import type { KeptValue, RemoteStore } from '../../../src/platform/cache/remote-store.ts'
import { silentLog } from '../../../src/platform/log.ts'
import { type CacheServers, startCacheServers } from '../../support/cache-stores.ts'
import { until } from '../../support/until.ts'

let servers: CacheServers | undefined
let skip: string | undefined

beforeAll(async () => {
  const started = await startCacheServers()
  if ('skip' in started) skip = started.skip
  else servers = started
})
afterAll(() => servers?.stop())

const guarded = (store: RemoteStore) => guardStore(store, { log: silentLog, timeoutMs: 5_000 })

/** Every kind of store; one more is one line here. */
const KINDS: Record<string, () => RemoteStore> = {
  redis: () => servers!.open('redis'),
  upstash: () => servers!.open('upstash'),
  'guarded redis': () => guarded(servers!.open('redis')),
  'guarded upstash': () => guarded(servers!.open('upstash')),
}

const bytes = (...values: number[]) => Uint8Array.from(values)
const plain = (found: (KeptValue | null)[]) => found.map((kept) => kept && [...kept.value])
const HOSTILE = [
  'with space',
  'line\nbreak',
  'carriage\r\nreturn *3\r\n$3\r\nDEL',
  'nul\0byte',
  '"quotes"',
  "'; FLUSHALL; '",
  '../../flushall',
  '%2e%2e/{slot}',
  'Ünïcödé-🔑',
  '*',
  '?&_token=x',
  '=',
  'x'.repeat(4000),
]

describe.each(Object.entries(KINDS))('%s', (name, open) => {
  let store: RemoteStore
  let turn = 0
  const own = () => `test:${name}:${process.pid}:${turn++}`

  beforeAll(() => {
    if (!skip) store = open()
  })
  const check = (what: string, work: () => Promise<void>) =>
    test(what, async (context) => {
      // There is no Redis to ask; in CI a skip is a failure.
      if (skip) context.skip(skip)
      await work()
    })

  check('answers what was set, byte for byte, and null for what was not', async () => {
    const [one, all] = [own(), own()]
    const every = Uint8Array.from({ length: 256 }, (_, value) => value)
    await store.set(one, bytes(0, 255, 13, 10), 60_000)
    await store.set(all, every, 60_000)
    expect(plain(await store.getMany([one, own(), all]))).toEqual([
      [0, 255, 13, 10],
      null,
      [...every],
    ])
    expect(await store.getMany([])).toEqual([])
  })

  check('keeps an empty value apart from none', async () => {
    const key = own()
    await store.set(key, bytes(), 60_000)
    expect(plain(await store.getMany([key, own()]))).toEqual([[], null])
  })

  check('replaces a value and its lifetime', async () => {
    const key = own()
    await store.set(key, bytes(1), 60_000)
    await store.set(key, bytes(2), 300)
    expect(plain(await store.getMany([key]))).toEqual([[2]])
    await until(async () => (await store.getMany([key]))[0] === null, 2_000)
  })

  check(
    'answers with each value what is left of its lifetime, as the store counts it',
    async () => {
      const [long, short, endless, number] = [own(), own(), own(), own()]
      const startedAtMs = performance.now()
      await store.set(long, bytes(1), 3_600_000)
      await store.set(short, bytes(2), 60_000)
      await store.increment(endless)
      await store.raise([{ key: number, number: 7 }], 120_000)
      await new Promise((resolve) => setTimeout(resolve, 60))
      const found = await store.getMany([short, own(), long, endless, number])
      const tookMs = performance.now() - startedAtMs
      const leftMs = found.map((kept) => kept?.leftMs ?? null)
      expect([leftMs[1], leftMs[3]]).toEqual([null, Number.POSITIVE_INFINITY])
      for (const [at, givenMs] of [
        [0, 60_000],
        [2, 3_600_000],
        [4, 120_000],
      ] as const) {
        expect(leftMs[at]).toBeLessThanOrEqual(givenMs - 55)
        expect(leftMs[at]).toBeGreaterThanOrEqual(givenMs - tookMs - 5)
      }
      // A lifetime that began anew is told anew.
      await store.set(long, bytes(3), 500)
      const [again] = await store.getMany([long])
      expect(plain([again!])).toEqual([[3]])
      expect(again!.leftMs).toBeLessThanOrEqual(500)
    },
  )

  check('never tells the lifetime of another value than the one it answers', async () => {
    const key = own()
    const lives = [100_000, 200_000, 300_000]
    let isOver = false
    const writing = (async () => {
      for (let turn = 0; !isOver; turn++)
        await store.set(key, bytes(turn % lives.length), lives[turn % lives.length]!)
    })()
    try {
      await until(async () => (await store.getMany([key]))[0] !== null)
      for (let turn = 0; turn < 300; turn++) {
        const [kept] = await store.getMany([key])
        const givenMs = lives[kept!.value[0]!]!
        expect(kept!.leftMs).toBeLessThanOrEqual(givenMs)
        expect(kept!.leftMs).toBeGreaterThan(givenMs - 50_000)
      }
    } finally {
      isOver = true
      await writing
    }
  })

  check('deletes some and leaves others, and does not mind what is not there', async () => {
    const [one, other, third] = [own(), own(), own()]
    for (const key of [one, other, third]) await store.set(key, bytes(7), 60_000)
    await store.delete([one, own(), third])
    await store.delete([])
    expect(plain(await store.getMany([one, other, third]))).toEqual([null, [7], null])
  })

  check('carries a value of 2 MB', async () => {
    const [key, value] = [own(), new Uint8Array(randomBytes(2_000_000))]
    await store.set(key, value, 60_000)
    const [found] = await store.getMany([key])
    expect(found?.value.length).toBe(value.length)
    expect(Buffer.compare(found!.value, value)).toBe(0)
  })

  check('takes any text as a key, and nothing of it as a command', async () => {
    const keys = HOSTILE.map((text) => `${own()}:${text}`)
    await Promise.all(keys.map((key, at) => store.set(key, bytes(at), 60_000)))
    expect(plain(await store.getMany(keys))).toEqual(keys.map((_, at) => [at]))
    await store.delete(keys)
    expect(plain(await store.getMany(keys))).toEqual(keys.map(() => null))
  })

  check('counts each of many at once, with the lifetime of the first', async () => {
    const [key, endless] = [own(), own()]
    const sums = await Promise.all(Array.from({ length: 100 }, () => store.increment(key, 60_000)))
    expect(sums.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, at) => at + 1))
    expect([await store.increment(endless), await store.increment(endless)]).toEqual([1, 2])
    const short = own()
    await store.increment(short, 300)
    await new Promise((resolve) => setTimeout(resolve, 150))
    expect(await store.increment(short, 60_000)).toBe(2)
    await until(async () => (await store.getMany([short]))[0] === null, 2_000)
  })

  check('raises what is smaller, never lowers, and answers what stands there', async () => {
    const [one, other] = [own(), own()]
    const raise = (number: number) => store.raise([{ key: one, number }], 60_000)
    expect(await raise(5)).toEqual([5])
    expect(await raise(3)).toEqual([5])
    expect(await raise(10)).toEqual([10])
    const many = [
      { key: one, number: 9 },
      { key: other, number: Number.MAX_SAFE_INTEGER },
    ]
    expect(await store.raise(many, 60_000)).toEqual([10, Number.MAX_SAFE_INTEGER])
    expect(await store.raise([{ key: other, number: 1 }], 60_000)).toEqual([
      Number.MAX_SAFE_INTEGER,
    ])
    expect(await store.raise([], 60_000)).toEqual([])
    const found = await store.getMany([one, other])
    expect(found.map((kept) => new TextDecoder().decode(kept!.value))).toEqual([
      '10',
      `${Number.MAX_SAFE_INTEGER}`,
    ])
  })

  check('ends at the greatest of many numbers raised at once', async () => {
    const key = own()
    const numbers = Array.from({ length: 100 }, (_, at) => (at * 37) % 101)
    await Promise.all(numbers.map((number) => store.raise([{ key, number }], 60_000)))
    expect(await store.raise([{ key, number: 0 }], 60_000)).toEqual([Math.max(...numbers)])
  })

  check('forgets a number when its lifetime ends', async () => {
    const key = own()
    await store.raise([{ key, number: 9 }], 40)
    await until(async () => (await store.getMany([key]))[0] === null, 2_000)
    expect(await store.raise([{ key, number: 2 }], 60_000)).toEqual([2])
  })

  check('rejects what cannot be done with what is there', async () => {
    const key = own()
    await store.set(key, bytes(1, 2, 3), 60_000)
    await expect(store.increment(key)).rejects.toThrow()
    await store.ping()
  })

  check('answers a thousand questions at once, each its own', async () => {
    const keys = Array.from({ length: 1000 }, own)
    await Promise.all(keys.map((key, at) => store.set(key, bytes(at & 255, at >> 8), 60_000)))
    const found = await Promise.all(keys.map((key) => store.getMany([key])))
    expect(found.map(([kept]) => kept!.value[0]! + kept!.value[1]! * 256)).toEqual(
      keys.map((_, at) => at),
    )
  })

  check(
    'publishes to all who listen, in order, until they stop; over REST nobody can',
    async () => {
      if (!store.subscribe) {
        expect(store.kind).toBe('upstash')
        return store.publish(own(), 'to nobody')
      }
      const [channel, heard] = [own(), [[], []] as string[][]]
      const [one, other] = await Promise.all(
        heard.map((messages) =>
          store.subscribe!(
            channel,
            (text) => messages.push(text),
            () => {},
          ),
        ),
      )
      for (const text of ['one', 'zwölf\r\n', '']) await store.publish(channel, text)
      await Promise.all([one!.prove(), other!.prove()])
      expect(heard).toEqual([
        ['one', 'zwölf\r\n', ''],
        ['one', 'zwölf\r\n', ''],
      ])
      await other!.stop()
      await store.publish(channel, 'more')
      await one!.prove()
      expect(heard.map((messages) => messages.length)).toEqual([4, 3])
      await one!.stop()
    },
  )
})

test('a value of one kind is a miss for the other, or the same', async (context) => {
  if (skip) context.skip(skip)
  const [tcp, rest] = [servers!.open('redis'), servers!.open('upstash')]
  const value = new Uint8Array([1, 0, ...randomBytes(100)])
  await tcp.set('kind:tcp', value, 60_000)
  expect(await rest.getMany(['kind:tcp'])).toEqual([null])
  await rest.set('kind:rest', value, 60_000)
  const [kept] = await tcp.getMany(['kind:rest'])
  expect(new TextDecoder().decode(kept!.value)).toBe(`=${Buffer.from(value).toString('base64')}`)
})

test('what cannot be asked rejects; a message of the client tells no value', async (context) => {
  if (skip) context.skip(skip)
  const rest = servers!.open('upstash')
  await rest.set('secret', new TextEncoder().encode('hidden'), 60_000)
  const error = await rest.increment('secret').catch((reason: Error) => reason)
  expect(String(error)).toMatch(/not an integer/)
  expect(String(error)).not.toContain('secret')
  const wrong = (await import('../../../src/platform/cache/upstash-store.ts')).createUpstashStore({
    url: servers!.bridge.url,
    token: 'wrong',
  })
  await expect(wrong.ping()).rejects.toThrow('Unauthorized')
  await expect(wrong.getMany(['x'])).rejects.toThrow('Unauthorized')
})

test('no store keeps nothing and fails nothing', async () => {
  const store = createNoStore()
  await store.set('key', bytes(1), 1000)
  expect(await store.getMany(['key', 'other'])).toEqual([null, null])
  expect(await store.raise([{ key: 'key', number: 4 }], 1000)).toEqual([4])
  expect(await store.increment('key')).toBe(1)
  await Promise.all([store.delete(['key']), store.publish('c', 'm'), store.ping(), store.close()])
})
