import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'
import { putTemplate } from './listing.ts'
import {
  type Asked,
  CATEGORIES,
  type Drawn,
  drawSearch,
  drawTemplate,
  expected,
  finds,
  ITEM_MEMBERS,
  PARENTS,
  randomFrom,
  VALUES,
} from './oracle.ts'

const SEED = Number(process.env.SEED ?? 20261122)
const [TEMPLATES, SEARCHES] = [150, 250]
const random = randomFrom(SEED)

let server: TestServer
let key: string
let publishers: string[]
let all: Drawn[]

beforeAll(async () => {
  server = await startTestServer()
  const { sql } = server
  const organizations = [1, 2, 3].map(() => server.newOrganization())
  const made = await Promise.all(organizations)
  // Whose own drafts are no less hidden in the list.
  key = await made[0]!.keyFor({ permissions: ['template:read'] })
  for (const slug of CATEGORIES)
    await sql`insert into categories ${sql({ slug, name: slug, parent: PARENTS[slug] ?? null })} on conflict do nothing`
  publishers = made.map(({ id }) => `h${id.slice(-20)}`)
  all = []
  for (let n = 0; n < TEMPLATES; n++) {
    const { contentUpdatedAt: days, ...drawn } = drawTemplate(random)
    const at = new Date(Date.now() - days * 86_400_000)
    at.setUTCHours(Math.min(at.getUTCHours(), 12), 0, 0, 0)
    const which = n % made.length
    const wanted = { ...drawn, contentUpdatedAt: at.toISOString() }
    const { id } = await putTemplate(server, made[which]!.id, {
      ...wanted,
      definition: `{"marker":"definition ${n}"}`,
    })
    all.push({ ...wanted, id, publisher: publishers[which]!, verified: which === 0 })
  }
  await sql`update publishers set verified_by = 'moderator', verified_at = now() where organization_id = ${made[0]!.id}`
  await sql`analyze`
})
afterAll(() => server.drop())

const queryOf = (asked: Asked & { limit?: string; cursor?: string }) => {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(asked))
    if (typeof value === 'string') query.append(name, value)
    else if (name === 'usableWith' || random() < 0.5) query.append(name, value.join(','))
    else for (const each of value) query.append(name, each)
  return query
}
const search = (asked: Asked) =>
  server.call(`GET /v1/templates?${queryOf(asked)}`, undefined, { key })

/** All pages of a search: nothing twice, each but the last full. */
const readAll = async (asked: Asked, limit: number) => {
  const ids: string[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: Asked = cursor === '' ? asked : { ...asked, cursor }
    const { status, body } = await search({ ...page, limit: String(limit) })
    expect([SEED, asked, status, body.detail]).toEqual([SEED, asked, 200, undefined])
    if (body.nextCursor !== null) expect(body.items).toHaveLength(limit)
    for (const item of body.items) expect(Object.keys(item).sort()).toEqual(ITEM_MEMBERS)
    expect(JSON.stringify(body)).not.toContain('marker')
    ids.push(...body.items.map(({ id }: { id: string }) => id))
    cursor = body.nextCursor
  }
  expect([asked, new Set(ids).size]).toEqual([asked, ids.length])
  return ids
}

/** Descriptions are looked into where the first page is not full without them. */
const isWideAt = (asked: Asked, limit: number) =>
  asked.q !== undefined &&
  all.filter((each) => finds(asked, each, Date.now(), false)).length < limit

describe('a search', () => {
  test('finds what a filter in memory finds, in its order, on pages of any size', async () => {
    let found = 0
    for (let turn = 0; turn < SEARCHES; turn++) {
      const asked = drawSearch(random, publishers)
      const limit = [1, 2, 3, 7, 20, 200][Math.floor(random() * 6)]!
      const ids = await readAll(asked, limit)
      const known = expected(asked, all, Date.now(), isWideAt(asked, limit)).map(({ id }) => id)
      const isRanked = (asked.sort ?? (asked.q ? 'relevance' : '')) === 'relevance'
      const told = [SEED, asked, limit]
      if (isRanked) expect([...told, ids.toSorted()]).toEqual([...told, known.toSorted()])
      else expect([...told, ids]).toEqual([...told, known])
      found += ids.length
    }
    expect(found).toBeGreaterThan(SEARCHES)
  })

  test('counts facets under the other filters, as many as are found with each value', async () => {
    const facets = Object.keys(VALUES)
    for (let turn = 0; turn < SEARCHES / 5; turn++) {
      const asked = drawSearch(random, publishers)
      delete asked.sort
      const { status, body } = await search({ ...asked, facets, limit: '200' })
      expect([asked, status, body.facets?.sampled]).toEqual([asked, 200, false])
      const isWide = isWideAt(asked, 200)
      for (const facet of facets) {
        const { [facet]: _, ...others } = asked
        const counts: Record<string, number> = {}
        for (const each of all.filter((one) => finds(others, one, Date.now(), isWide)))
          for (const value of VALUES[facet]!(each)) counts[value] = (counts[value] ?? 0) + 1
        const told = body.facets[facet].map((each: { value: string; count: number }) => [
          each.value,
          each.count,
        ])
        expect([asked, facet, Object.fromEntries(told)]).toEqual([asked, facet, counts])
      }
    }
  })

  test('knows 10.00 USD from 5 EUR', async () => {
    const inEuro = await readAll({ priceMin: '1', priceMax: '500', currency: 'EUR' }, 50)
    const known = all.filter(({ id }) => inEuro.includes(id))
    expect(known.length).toBeGreaterThan(0)
    for (const { prices } of known)
      expect(prices.find(({ currency }) => currency === 'EUR')!.amountMinor).toBeLessThanOrEqual(
        500,
      )
    for (const wrong of [{ priceMax: '500' }, { priceMin: '1' }, { sort: 'price' }] as Asked[]) {
      const { status, body } = await search(wrong)
      expect([status, body.code]).toEqual([422, 'currency-required'])
    }
  })

  test.each([
    ...['q=a&q=b', 'limit=1&limit=2', 'sort=popular&sort=newest', 'priceMin=NaN&currency=EUR'],
    ...['priceMin=1.5&currency=EUR', 'priceMin=-1&currency=EUR', 'priceMax=1e9&currency=EUR'],
    ...['priceMax=9999999999999&currency=EUR', 'currency=eur', 'currency=XQX', 'ratingMin=NaN'],
    ...['ratingMin=5.1', 'ratingMin=', 'newerThan=0', 'newerThan=NaN', 'official=yes', 'order=up'],
    ...['sort=best', 'facets=price', 'facets=', 'kind=x', 'tag=', `q=${'x'.repeat(201)}`, 'x=1'],
    ...[`tag=${Array.from({ length: 13 }, (_, n) => `t${n}`)}`, 'tag=A', 'category=', 'q=%00'],
    ...['publisher=a&publisher=b', 'category=sales&category=data', 'limit=201', 'cursor=%'],
    ...['organization=', 'pricing=cheap', 'license=', 'integration=%27'],
  ])('refuses %s', async (query) => {
    const { status, body } = await server.call(`GET /v1/templates?${query}`, undefined, { key })
    expect([query, status, body.code]).toEqual([query, 400, 'invalid-request'])
  })

  test('takes back no cursor of another search, and none that it did not give', async () => {
    const { body } = await search({ limit: '1' })
    const cursor = body.nextCursor
    for (const other of [
      { sort: 'newest' },
      { order: 'asc' },
      { tag: 'crm' },
      { q: 'slack' },
    ] as Asked[])
      expect((await search({ ...other, cursor, limit: '1' })).status).toBe(400)
    expect((await search({ cursor, limit: '5' })).status).toBe(200)
    const parts = JSON.parse(atob(cursor.replaceAll('-', '+').replaceAll('_', '/')))
    const forge = (at: number, value: unknown) => btoa(JSON.stringify(parts.with(at, value)))
    const forged = [forge(2, 'x'), forge(2, null), forge(3, 'tpl_1'), forge(1, 0), btoa('{}')]
    for (const each of [...forged, btoa('"'), btoa(parts[0])])
      expect((await search({ cursor: each, limit: '1' })).status).toBe(400)
    // The largest numbers there are find nothing, and break nothing.
    for (const key of [1e308, -1e308, 5e-324])
      expect((await search({ cursor: forge(2, key), limit: '1' })).status).toBe(200)
    const { body: newest } = await search({ sort: 'newest', limit: '1' })
    const [hash] = JSON.parse(atob(newest.nextCursor.replaceAll('-', '+').replaceAll('_', '/')))
    for (const time of ['2026-02-30T00:00:00.000000Z', '2026-99-01T00:00:00.000000Z', 'now', 5]) {
      const cursor = btoa(JSON.stringify([hash, false, time, parts[3]]))
      expect((await search({ cursor, sort: 'newest', limit: '1' })).status).toBe(400)
    }
  })

  test.each([
    `' or 1=1 --`,
    'a:* & b',
    '((((',
    '"unclosed phrase',
    '\\',
    '!!!',
    '<->',
    'the',
    'a',
    'or or or',
    '-',
    '-slack',
    'slack:*',
    '%_',
    '$1 $2',
    '日本語 テンプレート',
    'ÀÉ ﬁ ß',
    '🙂',
  ])('takes %s for words', async (q) => {
    const { status } = await search({ q, facets: ['tag'] })
    expect([q, status]).toEqual([q, 200])
  })

  test('sees a word’s other forms, a word that is begun, and what must not be there', async () => {
    const find = async (q: string) => (await readAll({ q, sort: 'popular' }, 10)).toSorted()
    const known = (q: string) =>
      expected({ q, sort: 'popular' }, all, Date.now(), isWideAt({ q }, 10))
        .map(({ id }) => id)
        .toSorted()
    for (const q of ['invoices', 'inv', 'slack -report', 'tea or garden', 'ocean', 'lanterns'])
      expect([q, await find(q)]).toEqual([q, known(q)])
    expect(await find('"slack invoice"')).toEqual(
      all
        .filter(({ name, listing }) => name === 'slack invoice' && listing === 'listed')
        .map(({ id }) => id)
        .toSorted(),
    )
  })

  test('ranks a name above a summary, and a summary above a description', async () => {
    const organization = await server.newOrganization()
    const put = (over: object) =>
      putTemplate(server, organization.id, { name: 'Plain', popularity: 0, ...over })
    const described = await put({ description: 'about a zeppelin' })
    const summarized = await put({ summary: 'about a zeppelin' })
    const named = await put({ name: 'Zeppelin' })
    const { body } = await search({ q: 'zeppelin' })
    expect(body.items.map(({ id }: { id: string }) => id)).toEqual([
      ...[named.id, summarized.id, described.id],
    ])
    const full = await search({ q: 'zeppelin', limit: '2' })
    expect([full.body.items.length, full.body.nextCursor]).toEqual([2, null])
  })
})

describe('pages of equal keys', () => {
  test('hold nothing twice and miss nothing, by every sort, in both orders', async () => {
    const organization = await server.newOrganization()
    const ids: string[] = []
    for (let n = 0; n < 23; n++) {
      const same = { contentUpdatedAt: '2026-03-01T12:00:00.000Z', popularity: 0.1, trending: 0.7 }
      const prices = [{ currency: 'CHF', amountMinor: 100 }]
      ids.push(
        (await putTemplate(server, organization.id, { ...same, ratingScore: 4.1, prices })).id,
      )
    }
    await server.sql`update templates set content_updated_at = '2026-03-01T12:00:00.123457Z' where id = any(${ids})`
    const publisher = `h${organization.id.slice(-20)}`
    for (const sort of ['popular', 'trending', 'rating', 'newest', 'price'])
      for (const order of ['asc', 'desc'])
        for (const limit of [1, 5, 22, 23]) {
          const found = await readAll({ publisher, sort, order, currency: 'CHF' }, limit)
          const told = [sort, order, limit]
          const sorted = ids.toSorted()
          expect([told, found]).toEqual([told, order === 'desc' ? sorted : sorted.reverse()])
        }
  })
})

describe('did you mean', () => {
  test('replaces words that nothing listed has, and leaves alone what is known', async () => {
    const organization = await server.newOrganization()
    await putTemplate(server, organization.id, {
      name: 'Telescope calendar',
      tags: ['observatory'],
    })
    await putTemplate(server, organization.id, {
      ...{ name: 'Submarine', visibility: 'private', listing: 'draft' },
    })
    const { handlers } = server.jobs
    const signal = new AbortController().signal
    await handlers.get('catalog.refresh')!.run({ context: server.context, signal } as never)
    const said = async (q: string) => (await search({ q })).body.didYouMean
    expect(await said('telescpe calender')).toBe('telescope calendar')
    expect(await said('Observatry')).toBe('observatory')
    for (const known of [
      'telescope',
      'telescopes',
      'teles',
      'the calendar',
      'zzzzzzzzzz',
      '-telescpe x',
    ])
      expect([known, await said(known)]).toEqual([known, undefined])
    // Of what is not listed not even a word is told.
    expect(await said('submarne')).toBe(undefined)
  })
})

/** Copies of a template, the first ones popular, every third tagged so. */
const putMany = async (count: number, popular: number) => {
  const organization = await server.newOrganization()
  const { id } = await putTemplate(server, organization.id, { name: 'Mass', tags: ['mass'] })
  await server.sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`
    await tx`insert into templates (id, organization_id, slug, name, category, license, visibility, listing, tags, popularity)
      select 'tpl_' || lpad(n::text, 26, '0'), organization_id, 'm' || n, 'Mass ' || n, category, license, 'public', 'listed',
        case when n % 3 = 0 then '{mass,third}'::text[] else '{mass}' end, case when n <= ${popular}::int then 2 else 0 end
      from templates, generate_series(1, ${count}::int) n where id = ${id}`
    await tx`update templates set terms = terms_of(category, tags, license, pricing, integrations, organization_id)
      where tags @> '{mass}'`
  })
}

describe('a sample', () => {
  test('is said to be one where more than 1,000 match, or 500 without the filter of a facet', async () => {
    await putMany(2100, 1500)
    for (const by of [{ tag: 'mass' }, { q: 'mass' }] as Asked[]) {
      const { body } = await search({ ...by, facets: ['license'], limit: '1' })
      expect(body.facets).toEqual({ license: [{ value: 'MIT', count: 1000 }], sampled: true })
    }
    const { body } = await search({ q: 'mass', license: 'MIT', facets: ['license'], limit: '1' })
    expect(body.facets).toEqual({ license: [{ value: 'MIT', count: 500 }], sampled: true })
    // Both are counted whole, the tags of all that match the word not.
    const third = { q: 'mass', tag: 'third' }
    const exact = await search({ ...third, facets: ['license'], limit: '1' })
    expect(exact.body.facets).toEqual({ license: [{ value: 'MIT', count: 700 }], sampled: false })
    const own = await search({ ...third, facets: ['license', 'tag'], limit: '1' })
    expect(own.body.facets).toEqual({
      license: [{ value: 'MIT', count: 700 }],
      tag: [
        { value: 'mass', count: 500 },
        { value: 'third', count: 166 },
      ],
      sampled: true,
    })
  })
})

describe('words too long for their index', () => {
  /** Each of two to four bytes and by itself: the largest that names and summaries can hold. */
  const letters = (from: number, count: number) =>
    Array.from({ length: count }, (_, n) => String.fromCodePoint(from + n)).join(' ')
  const tags = Array.from({ length: 12 }, (_, n) =>
    Array.from({ length: 10 }, (_, part) => `${'abcdefghij'[part]}${n}`).join('-'),
  )

  test('are kept all the same, found by the name at once and by all else where descriptions are', async () => {
    const organization = await server.newOrganization()
    const { id } = await putTemplate(server, organization.id, {
      ...{ name: letters(0x20_000, 60), summary: letters(0x21_000, 140), tags },
      integrations: Array.from({ length: 120 }, (_, n) => `service-${n}-${'x'.repeat(20)}`),
    })
    await server.sql`update templates set popularity = 1 where id = ${id}`
    const [row] = await server.sql<{ short: number; long: number; terms: number }[]>`
      select length(words) as short, length(long_words) as long, cardinality(terms) as terms from templates where id = ${id}`
    expect(row).toEqual({ short: 60, long: expect.any(Number), terms: 116 })
    expect(row!.long).toBeGreaterThan(320)
    const find = async (q: string) => (await readAll({ q }, 10)).includes(id)
    for (const q of [letters(0x20_005, 1), letters(0x21_007, 1), 'c7', tags[11]!])
      expect([q, await find(q)]).toEqual([q, true])
    // Of one that fits there is nothing to be looked for a second time.
    const rows =
      await server.sql`select id from templates where long_words is not null and id <> ${id}`
    expect(rows).toEqual([])
  })
})
