import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Context } from '../../src/platform/context.ts'
import type { ListPoints } from '../../src/usage/schema.ts'
import { listPoints } from '../../src/usage/service.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

// Roll-ups of what is over are kept for some minutes; what is still counted is read where it is counted.

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
let server: TestServer
let skewMs = 0
const now = () => new Date(Date.now() + skewMs)
beforeAll(async () => {
  server = await startTestServer({ now })
})
afterAll(() => server.drop())

const counted = () => {
  const { memoryHits, loads } = server.cache.caches
    .statistics()
    .find(({ namespace }) => namespace === 'report')!
  return { hits: memoryHits, loads }
}
const counting = async (work: () => Promise<unknown>) => {
  const before = counted()
  await work()
  const after = counted()
  return { hits: after.hits - before.hits, loads: after.loads - before.loads }
}
const [NONE, HIT, LOAD] = [
  { hits: 0, loads: 0 },
  { hits: 1, loads: 0 },
  { hits: 0, loads: 1 },
]

const midnight = (daysAgo: number) =>
  new Date(Math.floor(now().getTime() / DAY_MS) * DAY_MS - daysAgo * DAY_MS).toISOString()

/** An organization in which something was asked in the first hours of the day before yesterday. */
const prepare = async () => {
  const { path, id, keyFor } = await server.newOrganization()
  const add = (at: string, value: number) =>
    server.sql`insert into usage_points (organization_id, metric, at, value) values (${id}, 'checks', ${at}, ${value})`
  await add(midnight(2), 10)
  const list = async (query: string) => {
    const { status, body } = await server.call(`GET ${path}/analytics?${query}`)
    expect(status).toBe(200)
    return body as { items: { value: number }[]; nextCursor: string | null; isStale?: boolean }
  }
  const over = `from=${midnight(3)}&to=${midnight(1)}`
  const later = new Date(Date.parse(midnight(2)) + HOUR_MS).toISOString()
  return { path, id, keyFor, add, list, over, later }
}

describe('roll-ups of what is over', () => {
  test('are kept, and nothing says that they are stale', async () => {
    const { list, over } = await prepare()
    const first = await list(over)
    expect(first).toEqual({
      items: [{ at: midnight(2), metric: 'checks', value: 10 }],
      nextCursor: null,
    })
    expect(await counting(async () => expect(await list(over)).toEqual(first))).toEqual(HIT)
    // The same metrics in another order are the same question.
    await list(`${over}&metrics=checks,members`)
    expect(await counting(() => list(`${over}&metrics=members,checks`))).toEqual(HIT)
  })

  test.each(['bucket=hour', 'metrics=members', 'limit=1', `from=${midnight(4)}`])(
    'are others with %s',
    async (other) => {
      const { list, over } = await prepare()
      await list(over)
      const query = other.startsWith('from')
        ? over.replace(/^from=[^&]*/, other)
        : `${over}&${other}`
      expect(await counting(() => list(query))).toEqual(LOAD)
    },
  )

  test('are others behind a cursor', async () => {
    const { list, over, add, later } = await prepare()
    await add(later, 5)
    const page = (cursor = '') => list(`${over}&bucket=hour&limit=1${cursor}`)
    const { items, nextCursor } = await page()
    const second = await page(`&cursor=${nextCursor}`)
    expect([items[0]?.value, second.items[0]?.value]).toEqual([10, 5])
    expect(await page()).toEqual({ items, nextCursor })
  })

  test('are others in another organization and in a workspace', async () => {
    const [here, there] = [await prepare(), await prepare()]
    await there.add(there.later, 32)
    expect((await here.list(here.over)).items[0]?.value).toBe(10)
    expect((await there.list(there.over)).items[0]?.value).toBe(42)
    await server.call(`POST ${here.path}/workspaces`, { name: 'Lab', slug: 'lab' })
    const inside = await server.call(`GET ${here.path}/workspaces/lab/analytics?${here.over}`)
    expect(inside.body).toEqual({ items: [], nextCursor: null })
  })

  test('are shown to nobody who may not see them', async () => {
    const { path, list, over, keyFor } = await prepare()
    await list(over)
    const key = await keyFor({ permissions: ['org:read'] })
    const asked = await server.call(`GET ${path}/analytics?${over}`, undefined, { key })
    expect([asked.status, asked.body.permission]).toEqual([403, 'org:usage:read'])
  })

  test('are read anew with the hour', async () => {
    const { list, over, add, later } = await prepare()
    await list(over)
    await add(later, 5)
    expect((await list(over)).items[0]?.value).toBe(10)
    skewMs = HOUR_MS
    const next = await list(over)
    skewMs = 0
    expect(next.items[0]?.value).toBe(15)
  })

  test('are read anew after they were cleared', async () => {
    const { id, list, over, add, later } = await prepare()
    await list(over)
    await add(later, 5)
    await server.call('POST /v1/cache/namespaces/report/clear')
    expect((await list(over)).items[0]?.value).toBe(15)
    expect(await counting(() => list(over))).toEqual(HIT)
    await server.call(`POST /v1/cache/organizations/${id}/clear`)
    expect(await counting(() => list(over))).toEqual(LOAD)
  })
})

describe('what is still counted', () => {
  test('is never kept: today, this hour, and the one that has just ended', async () => {
    const { list, add } = await prepare()
    const hour = Math.floor(now().getTime() / HOUR_MS) * HOUR_MS
    const at = (ms: number) => new Date(ms).toISOString()
    const ranges = [
      '',
      `to=${at(hour + HOUR_MS)}`,
      `to=${at(hour + 1)}`,
      `to=${at(hour + DAY_MS)}&bucket=hour`,
    ]
    for (const range of ranges) expect(await counting(() => list(range))).toEqual(NONE)
    await add(at(hour), 3)
    expect((await list('')).items.map(({ value }) => value)).toEqual([10, 3])
    // Nodes have not all written down what they counted in an hour when it ends.
    skewMs = hour + HOUR_MS + 60_000 - Date.now()
    expect(await counting(() => list(`to=${at(hour + HOUR_MS)}&bucket=hour`))).toEqual(NONE)
    skewMs = hour + HOUR_MS + 6 * 60_000 - Date.now()
    expect(await counting(() => list(`to=${at(hour + HOUR_MS)}&bucket=hour`))).toEqual(LOAD)
    skewMs = 0
  })

  test('use and limits are not either, however long ago', async () => {
    const { path, over } = await prepare()
    const twice = async (what: string) => {
      for (let time = 0; time < 2; time++)
        expect((await server.call(`GET ${path}/${what}`)).status).toBe(200)
    }
    expect(await counting(() => twice(`usage?${over}`))).toEqual(NONE)
    expect(await counting(() => twice('limits'))).toEqual(NONE)
  })

  test('hours that become days are not', async () => {
    const { list } = await prepare()
    const old = `from=${midnight(95)}&to=${midnight(80)}`
    expect(await counting(() => list(`${old}&bucket=hour`))).toEqual(NONE)
    expect(await counting(() => list(`${old}&bucket=day`))).toEqual(LOAD)
  })
})

test('what cannot be read anew is answered, and says that it is stale', async () => {
  const { ttlMs } = server.cache.caches.settings('report')
  await server.call('PATCH /v1/cache/namespaces/report', { ttlMs: 1 })
  const { id } = await prepare()
  const { caches } = server.cache
  const known: Context = { ...server.context, now, caches, organizationId: id }
  const about: ListPoints = { from: midnight(3), to: midnight(1), bucket: 'day', limit: 50 }
  const first = await listPoints(known, about)
  expect(first).not.toHaveProperty('isStale')
  await sleep(5)
  const away = Object.assign(() => Promise.reject(new Error('away')), {
    begin: () => Promise.reject(new Error('away')),
  })
  const cut: Context = { ...known, sql: away as never }
  expect(await listPoints(cut, about)).toEqual({ ...first, isStale: true })
  await expect(listPoints(cut, { ...about, from: midnight(4) })).rejects.toThrow('away')
  expect(await listPoints(known, about)).toEqual(first)
  await server.call('PATCH /v1/cache/namespaces/report', { ttlMs })
})
