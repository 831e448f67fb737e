import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Loaded } from '../../../src/platform/cache/entry.ts'
import {
  clearNamespace,
  clearOrganization,
  clearTag,
} from '../../../src/platform/cache/generations.ts'
import type { NamespaceName } from '../../../src/platform/cache/namespaces.ts'
import type { Question } from '../../../src/platform/cache/question.ts'
import { inPlatform } from '../../../src/platform/db/transaction.ts'
import { type CacheNodeOptions, startCacheNode } from '../../support/cache-node.ts'
import { type CacheServers, startCacheServers } from '../../support/cache-stores.ts'
import { openTestDatabase, type TestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'

let servers: CacheServers | undefined
let skip: string | undefined
let database: TestDatabase

beforeAll(async () => {
  database = await openTestDatabase()
  const started = await startCacheServers()
  if ('skip' in started) skip = started.skip
  else servers = started
})
afterAll(async () => {
  await servers?.stop()
  await database.drop()
})
// There is no Redis to share over; in CI a skip is a failure.
beforeEach((context) => {
  if (skip) context.skip(skip)
})

let environments = 0
/** An environment that no other test shares. */
const newEnvironment = () => `t${process.pid}-${environments++}`

const open = (options: Partial<CacheNodeOptions> = {}) =>
  startCacheNode({
    store: servers!.open('redis'),
    environment: newEnvironment(),
    ...options,
  })
const ask = (more: Partial<Question> = {}): Question => ({
  sql: database.sql,
  organizationId: 'org_a',
  revision: 1,
  key: 'key',
  ...more,
})
/** A source that counts how often it is asked. */
const source = (
  answer: Partial<Loaded<unknown>> | ((turn: number) => Partial<Loaded<unknown>>),
) => {
  const load = async () => {
    load.count++
    const given = typeof answer === 'function' ? answer(load.count) : answer
    return { value: 'value', revision: 1, ...given } as Loaded<unknown>
  }
  load.count = 0
  return load
}
/** A load that goes on when it is told to. */
const held = () => {
  const { promise, resolve, reject } = Promise.withResolvers<Loaded<unknown>>()
  const signals: AbortSignal[] = []
  return {
    resolve,
    reject,
    signals,
    load: (signal: AbortSignal) => {
      signals.push(signal)
      return promise
    },
  }
}
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
/** A load that takes so long. */
const taking =
  <Value>(ms: number, load: () => Promise<Value>) =>
  async () => {
    await sleep(ms)
    return load()
  }
const report = (node: Awaited<ReturnType<typeof open>>, name: NamespaceName) =>
  node.caches.statistics().find(({ namespace }) => namespace === name)!

describe('one load', () => {
  test('serves 500 who miss at once', async () => {
    const { caches } = await open()
    const load = source({ value: { roles: ['viewer'] } })
    const slow = taking(50, load)
    const membership = caches.namespace('membership')
    const answers = await Promise.all(
      Array.from({ length: 500 }, () => membership.get(ask(), slow)),
    )
    expect(load.count).toBe(1)
    expect(new Set(answers.map(({ value }) => value)).size).toBe(1)
    expect(answers[0]).toEqual({
      value: { roles: ['viewer'] },
      ...{ revision: 1, platformRevision: 0, isStale: false, tier: 'source' },
    })
    expect(await membership.get(ask(), load)).toMatchObject({ tier: 'memory' })
  })

  test('serves other nodes through the store, and those after a restart', async () => {
    const environment = newEnvironment()
    const [here, there] = [await open({ environment }), await open({ environment })]
    const load = source({ value: [1, 2, { three: null }] })
    await here.caches.namespace('role').get(ask(), load)
    await here.caches.settled()
    const answer = await there.caches.namespace('role').get(ask(), load)
    expect(answer).toMatchObject({ value: [1, 2, { three: null }], tier: 'remote' })
    expect(load.count).toBe(1)
  })

  test('is made by each node itself where the namespace is for memory only', async () => {
    const environment = newEnvironment()
    const [here, there] = [await open({ environment }), await open({ environment })]
    const load = source({})
    for (const { caches } of [here, there]) {
      await caches.namespace('decision').get(ask(), load)
      await caches.settled()
    }
    expect(load.count).toBe(2)
    expect(report(there, 'decision')).toMatchObject({ remoteHits: 0, remoteStores: 0 })
  })

  test('that fails goes to all who wait, and is not kept', async () => {
    const { caches } = await open()
    const failing = held()
    const membership = caches.namespace('membership')
    const waiting = Array.from({ length: 20 }, () => membership.get(ask(), failing.load))
    await until(() => failing.signals.length > 0)
    failing.reject(new Error('the database is away'))
    for (const answer of await Promise.allSettled(waiting))
      expect(answer).toMatchObject({
        status: 'rejected',
        reason: { message: 'the database is away' },
      })
    expect(await membership.get(ask(), source({ value: 'back' }))).toMatchObject({ value: 'back' })
  })

  test('that may not be shared is given to its own caller only', async () => {
    const { caches } = await open()
    const load = source((turn) => ({ value: `for caller ${turn}`, isStorable: false }))
    const slow = taking(20, load)
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => caches.namespace('decision').get(ask(), slow)),
    )
    expect(new Set(answers.map(({ value }) => value)).size).toBe(5)
    expect(await caches.namespace('decision').get(ask(), load)).toMatchObject({ tier: 'source' })
  })

  test('is made by each caller where requests may not wait for one another', async () => {
    const { caches } = await open({ sharesFlights: false })
    const load = source({})
    const slow = taking(20, load)
    await Promise.all(Array.from({ length: 5 }, () => caches.namespace('role').get(ask(), slow)))
    expect(load.count).toBe(5)
    expect(await caches.namespace('role').get(ask(), load)).toMatchObject({ tier: 'memory' })
  })
})

describe('a revision', () => {
  test('that a late writer read is the one it stores under: never read at a newer one', async () => {
    const environment = newEnvironment()
    const [here, there] = [await open({ environment }), await open({ environment })]
    const late = held()
    const asked = here.caches.namespace('membership').get(ask({ revision: 1 }), late.load)
    await until(() => late.signals.length > 0)
    // Meanwhile the membership is revoked, and another node reads it at revision 2.
    const revoked = source({ value: 'revoked', revision: 2 })
    await there.caches.namespace('membership').get(ask({ revision: 2 }), revoked)
    late.resolve({ value: 'member', revision: 1 })
    await asked
    await here.caches.settled()
    for (const { caches } of [here, there])
      expect(await caches.namespace('membership').get(ask({ revision: 2 }), revoked)).toMatchObject(
        { value: 'revoked', revision: 2 },
      )
  })

  test('that the loader saw counts, not the one that was asked for', async () => {
    const environment = newEnvironment()
    const [here, there] = [await open({ environment }), await open({ environment })]
    const load = source({ value: 'at five', revision: 5 })
    expect(await here.caches.namespace('role').get(ask({ revision: 3 }), load)).toMatchObject({
      revision: 5,
    })
    await here.caches.settled()
    const third = source({ value: 'at three', revision: 3 })
    expect(await there.caches.namespace('role').get(ask({ revision: 3 }), third)).toMatchObject({
      value: 'at three',
    })
    expect(await there.caches.namespace('role').get(ask({ revision: 5 }), third)).toMatchObject({
      value: 'at five',
      tier: 'remote',
    })
  })

  test('once seen, is never gone back from', async () => {
    const { caches } = await open()
    const load = source((turn) => ({ value: `load ${turn}`, revision: turn }))
    const role = caches.namespace('role')
    await role.get(ask({ revision: 1 }), load)
    caches.heard('org_a', 2)
    expect(await role.get(ask({ revision: 1 }), load)).toMatchObject({ value: 'load 2' })
    expect(await role.get(ask({ revision: 1 }), load)).toMatchObject({
      value: 'load 2',
      tier: 'memory',
    })
    expect(await role.get(ask({ organizationId: 'org_b' }), load)).toMatchObject({
      value: 'load 3',
    })
  })

  test('of the platform counts where the value depends on it', async () => {
    const { caches } = await open()
    const load = source((turn) => ({ value: turn, revision: 1, platformRevision: turn }))
    const role = caches.namespace('role')
    await role.get(ask({ platformRevision: 1 }), load)
    expect(await role.get(ask({ platformRevision: 1 }), load)).toMatchObject({ tier: 'memory' })
    caches.heard('platform', 2)
    expect(await role.get(ask({ platformRevision: 1 }), load)).toMatchObject({
      value: 2,
      platformRevision: 2,
    })
  })

  test('that is heard gives up what is being loaded; who waits asks the source, once', async () => {
    const node = await open()
    const old = held()
    const fresh = source({ value: 'revoked', revision: 2 })
    let turn = 0
    const load = (signal: AbortSignal) => (turn++ === 0 ? old.load(signal) : fresh())
    const membership = node.caches.namespace('membership')
    const waiting = Array.from({ length: 50 }, () => membership.get(ask(), load))
    await until(() => old.signals.length > 0)
    node.caches.heard('org_b', 2)
    expect(old.signals[0]!.aborted).toBe(false)
    node.caches.heard('org_a', 2)
    expect(old.signals[0]!.aborted).toBe(true)
    for (const answer of await Promise.all(waiting)) expect(answer.value).toBe('revoked')
    expect(fresh.count).toBe(1)
    old.resolve({ value: 'member', revision: 1 })
    await node.caches.settled()
    expect(await membership.get(ask(), load)).toMatchObject({ value: 'revoked', tier: 'memory' })
    expect(report(node, 'membership').superseded).toBe(50)
  })

  test('that goes on rising is not waited for a second time', async () => {
    const { caches } = await open()
    const loads = [held(), held(), held()]
    let turn = 0
    const load = (signal: AbortSignal) => loads[turn++]!.load(signal)
    const answer = caches.namespace('membership').get(ask(), load)
    await until(() => turn === 1)
    caches.heard('org_a', 2)
    await until(() => turn === 2)
    caches.heard('org_a', 3)
    loads[1]!.resolve({ value: 'at two', revision: 2 })
    expect(await answer).toMatchObject({ value: 'at two', revision: 2 })
  })
})

describe('consistency', () => {
  test('at least a revision goes to the source where what is known is older', async () => {
    const { caches } = await open()
    const load = source((turn) => ({ value: turn, revision: turn }))
    const role = caches.namespace('role')
    await role.get(ask(), load)
    expect(await role.get(ask({ consistency: { atLeast: 1 } }), load)).toMatchObject({
      tier: 'memory',
    })
    expect(await role.get(ask({ consistency: { atLeast: 2 } }), load)).toMatchObject({
      revision: 2,
      tier: 'source',
    })
    expect(await role.get(ask(), load)).toMatchObject({ revision: 2, tier: 'memory' })
  })

  test('of a forged token is not believed', async () => {
    const { caches } = await open()
    const load = source({})
    const role = caches.namespace('role')
    const forged = ask({ consistency: { atLeast: Number.MAX_SAFE_INTEGER } })
    expect(await role.get(forged, load)).toMatchObject({ revision: 1, tier: 'source' })
    expect(await role.get(ask(), load)).toMatchObject({ tier: 'memory' })
  })

  test('full always goes to the source, and leaves what it read', async () => {
    const { caches } = await open()
    const load = source((turn) => ({ value: turn }))
    const role = caches.namespace('role')
    for (const turn of [1, 2, 3])
      expect(await role.get(ask({ consistency: 'full' }), load)).toMatchObject({
        value: turn,
        tier: 'source',
      })
    expect(await role.get(ask(), load)).toMatchObject({ value: 3, tier: 'memory' })
  })
})

describe('lifetimes', () => {
  const clock = (startMs = 1_700_000_000_000) => {
    const now = () => now.ms
    now.ms = startMs
    return now
  }

  test('nothing is a value, kept for a time of its own; undefined is never kept', async () => {
    const now = clock()
    const { caches } = await open({ now })
    const keys = caches.namespace('api-key')
    const nothing = source({ value: null })
    await keys.get(ask(), nothing)
    expect(await keys.get(ask(), nothing)).toMatchObject({ value: null, tier: 'memory' })
    now.ms += 5_001
    await keys.get(ask(), nothing)
    expect(nothing.count).toBe(2)
    const missing = source({ value: undefined })
    for (let turn = 0; turn < 3; turn++)
      expect((await keys.get(ask({ key: 'other' }), missing)).value).toBeUndefined()
    expect(missing.count).toBe(3)
  })

  test('end with what the answer rests on, in memory and in the store, stale or not', async () => {
    const now = clock(Date.now())
    const environment = newEnvironment()
    const [here, there] = [await open({ now, environment }), await open({ now, environment })]
    const load = source((turn) => ({ value: turn, expiresAtMs: now.ms + 500 }))
    await here.caches.namespace('idp').get(ask(), load)
    await here.caches.settled()
    now.ms += 499
    expect(await here.caches.namespace('idp').get(ask(), load)).toMatchObject({ tier: 'memory' })
    expect(await there.caches.namespace('idp').get(ask(), load)).toMatchObject({ tier: 'remote' })
    now.ms += 1
    const failing = async () => Promise.reject(new Error('away'))
    for (const { caches } of [here, there])
      await expect(caches.namespace('idp').get(ask(), failing)).rejects.toThrow('away')
  })

  test('that are over already keep nothing', async () => {
    const now = clock()
    const { caches } = await open({ now })
    const load = source({ expiresAtMs: now.ms - 1 })
    await caches.namespace('membership').get(ask(), load)
    await caches.namespace('membership').get(ask(), load)
    expect(load.count).toBe(2)
  })

  test.each([
    ['policy', 3_600_000],
    ['decision', 15_000],
    ['membership', 300_000],
    ['role', 3_600_000],
    ['settings', 300_000],
    ['api-key', 60_000],
  ] as const)(
    'of %s end in an error when the source fails, never in an old answer',
    async (name, ttlMs) => {
      const now = clock()
      const { caches } = await open({ now })
      await caches.namespace(name).get(ask(), source({}))
      now.ms += ttlMs - 1
      expect(await caches.namespace(name).get(ask(), source({}))).toMatchObject({ tier: 'memory' })
      now.ms += 1
      const failing = async () => Promise.reject(new Error('away'))
      await expect(caches.namespace(name).get(ask(), failing)).rejects.toThrow('away')
    },
  )

  test.each([
    ['marketplace', 300_000, 3_600_000],
    ['idp', 3_600_000, 23 * 3_600_000],
    ['report', 900_000, 6 * 3_600_000],
  ] as const)(
    'of %s are followed by a marked old answer when the source fails',
    async (name, ttlMs, staleMs) => {
      const now = clock()
      const { caches } = await open({ now })
      await caches.namespace(name).get(ask(), source({}))
      const failing = async () => Promise.reject(new Error('away'))
      now.ms += ttlMs + staleMs - 1
      expect(await caches.namespace(name).get(ask(), failing)).toMatchObject({
        value: 'value',
        isStale: true,
      })
      now.ms += 1
      await expect(caches.namespace(name).get(ask(), failing)).rejects.toThrow('away')
    },
  )

  test('of a page of templates are over before it is loaded anew behind the answer', async () => {
    const now = clock()
    const { caches } = await open({ now })
    const load = source((turn) => ({ value: turn }))
    const pages = caches.namespace('marketplace')
    await pages.get(ask(), load)
    now.ms += 300_001
    const behind: Promise<unknown>[] = []
    const waitUntil = (promise: Promise<unknown>) => void behind.push(promise)
    expect(await pages.get(ask({ waitUntil }), load)).toMatchObject({ value: 1, isStale: true })
    expect(behind).not.toHaveLength(0)
    await caches.settled()
    expect(await pages.get(ask(), load)).toMatchObject({ value: 2, isStale: false, tier: 'memory' })
  })

  test('are cut short at random, the likelier the nearer the end', async () => {
    const now = clock()
    let random = 0.5
    const { caches } = await open({ now, random: () => random })
    const load = source((turn) => ({ value: turn }))
    const slow = taking(40, load)
    const settings = caches.namespace('settings')
    await settings.get(ask(), slow)
    now.ms += 299_900
    random = 0.5 // −40 · ln 0.5 = 28 ms: not yet, 100 ms are left
    await settings.get(ask(), slow)
    await caches.settled()
    expect(load.count).toBe(1)
    random = 0.01 // −40 · ln 0.01 = 184 ms
    expect(await settings.get(ask(), slow)).toMatchObject({ value: 1, isStale: false })
    await caches.settled()
    expect(load.count).toBe(2)
    expect(await settings.get(ask(), slow)).toMatchObject({ value: 2, tier: 'memory' })
  })

  test('are made anew early also by a node that had the value from the store', async () => {
    const environment = newEnvironment()
    let random = 0.5
    const now = clock()
    const [here, there] = [
      await open({ now, environment }),
      await open({ now, environment, random: () => random }),
    ]
    const load = source((turn) => ({ value: turn }))
    const slow = taking(40, load)
    await here.caches.namespace('settings').get(ask(), slow)
    await here.caches.settled()
    const settings = there.caches.namespace('settings')
    expect(await settings.get(ask(), slow)).toMatchObject({ value: 1, tier: 'remote' })
    // Found once more, it would seem to end later: this clock went on, and the store's did not.
    now.ms += 299_900
    random = 1e-9
    await settings.get(ask(), slow)
    await there.caches.settled()
    expect(load.count).toBe(2)
    expect(await settings.get(ask(), slow)).toMatchObject({ value: 2, tier: 'memory' })
  })

  test('are spread by a tenth', async () => {
    const now = clock()
    let random = 0
    const { caches } = await open({ now, random: () => random })
    for (const [key, drawn] of [
      ['early', 0],
      ['late', 1],
    ] as const) {
      random = drawn
      await caches.namespace('role').get(ask({ key }), source({}))
    }
    random = 0.5
    expect((await caches.entry('role', ask({ key: 'early' })))!.ttlLeftMs).toBe(3_240_000)
    expect((await caches.entry('role', ask({ key: 'late' })))!.ttlLeftMs).toBe(3_960_000)
  })
})

describe('values', () => {
  test('are frozen, and apart from what was loaded', async () => {
    const { caches } = await open()
    const loaded = { list: [{ deep: { er: 1 } }], text: 'x' }
    const role = caches.namespace('role')
    const { value } = await role.get(ask(), async () => ({ value: loaded, revision: 1 }))
    expect(() => (value.list[0]!.deep.er = 2)).toThrow(TypeError)
    expect(() => value.list.push({ deep: { er: 2 } })).toThrow(TypeError)
    loaded.list[0]!.deep.er = 3
    const again = await role.get<typeof loaded>(ask(), async () => ({ value: loaded, revision: 1 }))
    expect(again.value.list[0]!.deep.er).toBe(1)
  })

  test('bring no prototype', async () => {
    const { caches } = await open()
    const value = JSON.parse('{"__proto__": {"isAdmin": true}, "in": [{"__proto__": {"x": 1}}]}')
    const answer = await caches.namespace('role').get(ask(), async () => ({ value, revision: 1 }))
    expect(JSON.stringify(answer.value)).toBe('{"in":[{}]}')
    expect((Object.assign({}, answer.value) as { isAdmin?: boolean }).isAdmin).toBeUndefined()
  })

  test('that are too large are answered and not kept', async () => {
    const node = await open()
    const load = source({ value: 'x'.repeat(600_000) })
    await node.caches.namespace('role').get(ask(), load)
    await node.caches.namespace('role').get(ask(), load)
    expect(load.count).toBe(2)
    expect(report(node, 'role')).toMatchObject({ unkept: 2, entries: 0, bytes: 0 })
  })

  test('that name what they depend on count only while it is so', async () => {
    const { caches } = await open()
    const load = source((turn) => ({ value: { revision: turn } }))
    const isCurrentAt = (revision: number) => (value: unknown) =>
      (value as { revision: number }).revision === revision
    const keys = caches.namespace('api-key')
    await keys.get(ask({ isCurrent: isCurrentAt(1) }), load)
    expect(await keys.get(ask({ isCurrent: isCurrentAt(1) }), load)).toMatchObject({
      tier: 'memory',
    })
    expect(await keys.get(ask({ isCurrent: isCurrentAt(2) }), load)).toMatchObject({
      value: { revision: 2 },
      tier: 'source',
    })
  })
})

describe('clearing', () => {
  const raise = async (work: Parameters<typeof inPlatform>[1]) =>
    (await inPlatform(database.sql, work)) as Awaited<ReturnType<typeof clearTag>>

  test.each([
    ['a namespace', (tx) => clearNamespace(tx, 'marketplace'), ['a', 'b', 'tagged']],
    ['a tag', (tx) => clearTag(tx, 'template:tpl_1'), ['tagged']],
    ['an organization', (tx) => clearOrganization(tx, 'org_a'), ['a', 'tagged']],
  ] as [string, Parameters<typeof raise>[0], string[]][])(
    '%s reaches every node at once, and exactly what belongs to it',
    async (_, clear, gone) => {
      const environment = newEnvironment()
      const [here, there] = [await open({ environment }), await open({ environment })]
      const entries = {
        a: ask({ key: 'a' }),
        b: ask({ key: 'b', organizationId: 'org_b' }),
        tagged: ask({ key: 'a', tags: ['template:tpl_2', 'template:tpl_1'] }),
      }
      const load = source((turn) => ({ value: turn }))
      for (const { caches } of [here, there])
        for (const question of Object.values(entries)) {
          await caches.namespace('marketplace').get(question, load)
          await caches.settled()
        }
      expect(load.count).toBe(3)
      // The line is open once something comes through.
      let opened = false
      there.generations.onRaised((name) => {
        opened ||= name.startsWith('tag:probe')
      })
      for (let turn = 1; !opened; turn++) {
        await here.generations.publish([{ name: 'tag:probe', generation: turn }])
        await sleep(20)
      }
      const raised = await raise(clear)
      const heard = new Promise<void>((resolve) =>
        there.generations.onRaised((name) => name === raised.name && resolve()),
      )
      await here.generations.publish([raised])
      await heard
      for (const { caches } of [here, there])
        for (const [name, question] of Object.entries(entries)) {
          const before = load.count
          const { tier } = await caches.namespace('marketplace').get(question, load)
          await caches.settled()
          expect([name, tier === 'memory' && before === load.count]).toEqual([
            name,
            !gone.includes(name),
          ])
        }
      // The second node found what the first had loaded anew.
      expect(load.count).toBe(3 + gone.length)
      await Promise.all([here.generations.stop(), there.generations.stop()])
    },
  )

  test('is found by a node that hears nothing, within its bound', async () => {
    const node = await open({ stalenessMs: 100 })
    const load = source((turn) => ({ value: turn }))
    const pages = node.caches.namespace('marketplace')
    await pages.get(ask(), load)
    await raise((tx) => clearTag(tx, 'other'))
    await raise((tx) => clearNamespace(tx, 'marketplace'))
    await sleep(150)
    expect(await pages.get(ask(), load)).toMatchObject({ value: 2 })
    expect(await pages.get(ask(), load)).toMatchObject({ tier: 'memory' })
  })

  test('that is rolled back clears nothing', async () => {
    const node = await open({ stalenessMs: 50 })
    const load = source({})
    await node.caches.namespace('idp').get(ask(), load)
    await raise(async (tx) => {
      await clearNamespace(tx, 'idp')
      throw new Error('undone')
    }).catch(() => {})
    await sleep(100)
    expect(await node.caches.namespace('idp').get(ask(), load)).toMatchObject({ tier: 'memory' })
  })

  test('gives up what is being loaded, so that it is not answered', async () => {
    const node = await open()
    const old = held()
    let turn = 0
    const load = (signal: AbortSignal) =>
      turn++ === 0 ? old.load(signal) : source({ value: 'new' })()
    const answer = node.caches.namespace('idp').get(ask(), load)
    await until(() => turn === 1)
    await node.generations.publish([await raise((tx) => clearNamespace(tx, 'idp'))])
    expect(await answer).toMatchObject({ value: 'new' })
    old.resolve({ value: 'old', revision: 0 })
    await node.caches.settled()
    expect(await node.caches.namespace('idp').get(ask(), load)).toMatchObject({ value: 'new' })
  })

  test('one entry takes it from memory and store; its load under way is not kept', async () => {
    const node = await open()
    const load = source((turn) => ({ value: turn }))
    const settings = node.caches.namespace('settings')
    await settings.get(ask(), load)
    await node.caches.settled()
    expect(await node.caches.deleteEntry('settings', ask())).toBe(true)
    expect(await node.caches.deleteEntry('settings', ask())).toBe(false)
    expect(await settings.get(ask(), load)).toMatchObject({ value: 2, tier: 'source' })
  })
})

test('one node loads what takes long, and the others take what it brings', async () => {
  const environment = newEnvironment()
  const nodes = await Promise.all(Array.from({ length: 4 }, () => open({ environment })))
  const load = source((turn) => ({ value: turn }))
  const slow = taking(260, load)
  // Each learns how long its loads take.
  for (const [at, { caches }] of nodes.entries())
    await caches.namespace('report').get(ask({ key: `own ${at}` }), slow)
  const quick = taking(120, load)
  const before = load.count
  const answers = await Promise.all(
    nodes.map(({ caches }) => caches.namespace('report').get(ask({ key: 'shared' }), quick)),
  )
  expect(load.count).toBe(before + 1)
  expect(answers.map(({ tier }) => tier).toSorted()).toEqual([
    'remote',
    'remote',
    'remote',
    'source',
  ])
  // Who waits in vain loads: a lease is a courtesy, not a lock.
  const stuck = await Promise.all(
    nodes.map(({ caches }) => caches.namespace('report').get(ask({ key: 'stuck' }), slow)),
  )
  expect(stuck.length).toBe(4)
})

describe('what is shown', () => {
  test('counts hits, loads and bytes, in all and by the minute', async () => {
    const node = await open()
    const load = source({})
    for (let turn = 0; turn < 5; turn++) await node.caches.namespace('role').get(ask(), load)
    await node.caches.settled()
    expect(report(node, 'role')).toMatchObject({
      ...{ memoryHits: 4, memoryMisses: 1, remoteHits: 0, remoteMisses: 1, remoteStores: 1 },
      ...{ loads: 1, entries: 1, memoryStores: 1, policy: 'lru', ttlMs: 3_600_000 },
    })
    expect(report(node, 'role').loadP99Ms).toBeGreaterThanOrEqual(0)
    const series = node.caches.series('role')
    expect(series).toHaveLength(1440)
    expect(series.at(-1)!.memoryHits + series.at(-2)!.memoryHits).toBe(4)
    expect(node.caches.health()).toMatchObject({ store: 'redis', isDegraded: false })
  })

  test('of one entry is how old, how large, how often read, and never its value', async () => {
    const environment = newEnvironment()
    const [here, there] = [await open({ environment }), await open({ environment })]
    await here.caches.namespace('role').get(ask(), source({ value: 'hidden' }))
    await here.caches.namespace('role').get(ask(), source({}))
    await here.caches.settled()
    const shown = await here.caches.entry('role', ask())
    expect(shown).toMatchObject({ tier: 'memory', hits: 1, revision: 1, platformRevision: 0 })
    expect(JSON.stringify(shown)).not.toContain('hidden')
    expect(await there.caches.entry('role', ask())).toMatchObject({ tier: 'remote', hits: 0 })
    expect(await there.caches.entry('role', ask({ key: 'none' }))).toBeUndefined()
    expect(await there.caches.entryValue('role', ask())).toEqual({ value: 'hidden' })
    expect(await here.caches.entryValue('role', ask())).toEqual({ value: 'hidden' })
  })

  test('as hot are the keys that are read most', async () => {
    const { caches } = await open()
    const load = source({})
    for (let turn = 0; turn < 3000; turn++)
      await caches.namespace('role').get(ask({ key: turn % 3 ? 'hot' : `cold ${turn}` }), load)
    const [hottest] = await caches.hotKeys()
    expect(hottest).toMatchObject({ organizationId: 'org_a', namespace: 'role', text: 'hot' })
    expect(hottest!.reads).toBeGreaterThan(1500)
    expect(hottest!.keyHash).toMatch(/^[\w-]{43}$/)
    expect(caches.trace().length).toBe(3000)
  })

  test('can be changed while it runs: room, lifetime, policy', async () => {
    const node = await open()
    for (let turn = 0; turn < 100; turn++)
      await node.caches.namespace('decision').get(ask({ key: `${turn}` }), source({}))
    expect(report(node, 'decision').entries).toBe(100)
    for (const policy of ['lfu', 'fifo', 'lru'] as const) {
      node.caches.configure('decision', { policy })
      expect([policy, report(node, 'decision').entries]).toEqual([policy, 100])
    }
    node.caches.configure('decision', { bytesMax: 5_000, ttlMs: 1 })
    expect(report(node, 'decision').bytes).toBeLessThanOrEqual(5_000)
    const load = source({})
    await node.caches.namespace('decision').get(ask({ key: 'short' }), load)
    await sleep(5)
    await node.caches.namespace('decision').get(ask({ key: 'short' }), load)
    expect(load.count).toBe(2)
  })
})

test('what cannot be a key is refused, and what is too long is not kept', async () => {
  const { caches } = await open()
  const role = caches.namespace('role')
  for (const organizationId of ['', 'a:b', 'org a', '../x', 'x'.repeat(65)])
    await expect(role.get(ask({ organizationId }), source({}))).rejects.toThrow(RangeError)
  const load = source({})
  await role.get(ask({ key: 'x'.repeat(5000) }), load)
  await role.get(ask({ key: 'x'.repeat(5000) }), load)
  expect(load.count).toBe(2)
  const tags = ['1', '2', '3', '4', '5']
  await expect(role.get(ask({ tags }), load)).rejects.toThrow(RangeError)
})
