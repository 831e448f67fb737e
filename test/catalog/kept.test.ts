import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createNoStore } from '../../src/platform/cache/no-store.ts'
import { openCache } from '../../src/platform/cache/open.ts'
import { silentLog } from '../../src/platform/log.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { until } from '../support/until.ts'
import { putTemplate } from './listing.ts'

let here: TestServer
let there: TestServer
let publisher: Awaited<ReturnType<TestServer['newOrganization']>>
let asked: string

const open = () =>
  openCache({
    store: createNoStore(),
    environment: 'test',
    dataKey: '08'.repeat(32),
    bytesMax: 16_000_000,
    log: silentLog,
  })

beforeAll(async () => {
  here = await startTestServer()
  there = await startTestServer({ database: here.database, cache: await open() })
  publisher = await here.newOrganization()
  const reader = await here.newOrganization()
  asked = `organization=${reader.id}`
})
afterAll(async () => {
  await there.cache.stop()
  await here.drop()
})

const listed = async ({ call }: TestServer, query = ''): Promise<string[]> => {
  const { status, body } = await call(`GET /v1/templates?${asked}&limit=200${query}`)
  expect(status).toBe(200)
  return body.items.map(({ id }: { id: string }) => id)
}
const loads = ({ cache }: TestServer) =>
  cache.caches.statistics().find(({ namespace }) => namespace === 'marketplace')!
const moderate = (what: string, body: object = { reasonCode: 'spam', note: 'x' }) =>
  here.call(`POST /v1/marketplace/moderation/${what}`, body)

describe('what the catalog shows', () => {
  test('is kept, and read anew when something that is listed changes', async () => {
    await putTemplate(here, publisher.id)
    await listed(here)
    const before = loads(here).memoryHits
    for (let turn = 0; turn < 5; turn++) await listed(here)
    expect(loads(here).memoryHits - before).toBeGreaterThanOrEqual(4)
  })

  test('does not hold what was taken down: here from the answer on, elsewhere within the bound', async () => {
    for (let turn = 0; turn < 5; turn++) {
      const { id, versionId } = await putTemplate(here, publisher.id, { tags: ['kept'] })
      await until(async () => (await listed(there)).includes(id))
      await until(async () => (await listed(here)).includes(id))
      for (const query of ['', '&tag=kept', '&facets=tag']) await listed(here, query)
      const acts: [string, string][] = [
        [`templates/${id}/take-down`, 'gone'],
        [`templates/${id}/restore`, 'listed'],
        [`versions/${versionId}/block`, 'listed'],
        [`publishers/${publisher.slug}/ban`, 'gone'],
        [`publishers/${publisher.slug}/unban`, 'gone'],
      ]
      for (const [what, state] of acts) {
        const { status } = await moderate(what, /restore|unban/.test(what) ? {} : undefined)
        expect([what, status]).toEqual([what, 200])
        const startedAtMs = performance.now()
        for (const query of ['', '&tag=kept', '&facets=tag'])
          expect([what, query, (await listed(here, query)).includes(id)]).toEqual([
            ...[what, query, state === 'listed'],
          ])
        await until(async () => (await listed(there)).includes(id) === (state === 'listed'))
        // A second is what a generation may be unknown for, when nobody told of it.
        expect(performance.now() - startedAtMs).toBeLessThan(5000)
      }
    }
  })

  test('changes with prices, texts, categories and the latest version', async () => {
    const { id, versionId } = await putTemplate(here, publisher.id, { name: 'Before' })
    const item = async () => {
      const { body } = await here.call(`GET /v1/templates?${asked}&limit=200`)
      return body.items.find((each: { id: string }) => each.id === id)
    }
    await until(async () => (await item())?.latest === '1.0.0')
    const prices = [{ currency: 'EUR', amountMinor: 100 }]
    await here.call(`PUT ${publisher.path}/templates/${id}/prices`, { prices })
    expect((await item()).prices).toEqual(prices)
    await moderate(`versions/${versionId}/block`)
    expect((await item()).latest).toBe(null)
    await moderate(`templates/${id}/official`, { official: true })
    expect((await item()).official).toBe(true)
    const tree = async () => (await here.call(`GET /v1/templates/categories?${asked}`)).body.items
    await tree()
    await here.call('PUT /v1/marketplace/moderation/categories/kept-one', { name: 'Kept one' })
    expect((await tree()).map(({ slug }: { slug: string }) => slug)).toContain('kept-one')
  })

  test('raises one generation a transaction, and none for ratings, counts and drafts', async () => {
    const { sql } = here
    const { id } = await putTemplate(here, publisher.id)
    const generation = async () =>
      (await sql`select generation from cache_generations where name = 'namespace:marketplace'`)[0]!
        .generation as number
    const before = await generation()
    await sql`update templates set rating_sum = 5, rating_count = 1, install_count = 3, popularity = 1 where id = ${id}`
    await putTemplate(here, publisher.id, { visibility: 'private', listing: 'draft' })
    expect(await generation()).toBe(before)
    await sql.begin(async (tx) => {
      await tx`update templates set name = 'Other' where id = ${id}`
      await tx`update templates set summary = 'Other' where id = ${id}`
    })
    expect(await generation()).toBe(before + 1)
  })
})

describe('categories', () => {
  test('count the rows, with all below, after whatever edits', async () => {
    const { sql } = here
    const must = async (what: string, body?: object) => {
      const { status } = await here.call(what, body)
      expect([what, status < 300]).toEqual([what, true])
    }
    const at = '/v1/marketplace/moderation/categories'
    await must(`PUT ${at}/top`, { name: 'Top' })
    await must(`PUT ${at}/middle`, { name: 'Middle', parent: 'top' })
    await must(`PUT ${at}/low`, { name: 'Low', parent: 'middle' })
    const slugs = ['top', 'middle', 'low', 'other', 'sales']
    const ids: string[] = []
    for (let n = 0; n < 20; n++)
      ids.push((await putTemplate(here, publisher.id, { category: slugs[n % 5]! })).id)
    let state = 7
    const draw = (most: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return (state >>> 8) % most
    }
    type Node = { slug: string; count: number; children: Node[] }
    const flat = (nodes: Node[]): Node[] => nodes.flatMap((node) => [node, ...flat(node.children)])
    for (let turn = 0; turn < 30; turn++) {
      const id = ids[draw(ids.length)]!
      const listing = ['listed', 'draft', 'delisted', 'taken_down'][draw(4)]!
      await sql`update templates set category = ${slugs[draw(5)]!}, listing = ${listing} where id = ${id}`
      if (turn % 10 === 5)
        await must(`PUT ${at}/low`, { name: 'Low', parent: draw(2) === 0 ? 'top' : 'middle' })
      // Past the API, as no request of this node would do it.
      here.cache.caches.doubt()
      const { body } = await here.call(`GET /v1/templates/categories?${asked}`)
      const rows = await sql<{ slug: string; count: number }[]>`
        with recursive above as (
          select slug, slug as above from categories
          union select a.slug, c.parent from above a join categories c on c.slug = a.above where c.parent is not null)
        select a.above as slug, count(t.id)::int as count from above a
          left join templates t on t.category = a.slug and t.listing = 'listed' group by 1`
      const counted = flat(body.items).map(({ slug, count }) => [slug, count])
      expect(Object.fromEntries(counted)).toEqual(
        Object.fromEntries(rows.map(({ slug, count }) => [slug, count])),
      )
      expect(await listed(here, '&category=top')).toHaveLength(Object.fromEntries(counted).top)
    }
  })
})

describe('removals', () => {
  test('are told to everybody who may read', async () => {
    const { id } = await putTemplate(here, publisher.id)
    await moderate(`templates/${id}/take-down`, { reasonCode: 'malware', note: 'Sends keys.' })
    const { body } = await here.call(`GET /v1/templates/removals?${asked}`)
    expect(body.items[0]).toMatchObject({
      template: id,
      reasonCode: 'malware',
      note: 'Sends keys.',
    })
    expect(JSON.stringify(body)).not.toContain('removedBy')
  })
})
