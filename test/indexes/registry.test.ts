import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyAdvice } from '../../src/indexes/build.ts'
import type { DatabaseIndex, ProgressEvent } from '../../src/indexes/schema.ts'
import { approve } from '../../src/indexes/service.ts'
import { watchIndex } from '../../src/indexes/watch.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { advise, jobOf, makeParcels, operatorOf } from './fixtures.ts'

let server: TestServer
let advised: { id: string; index: string }
beforeAll(async () => {
  server = await startTestServer()
  await makeParcels(server.sql)
  await server.sql.unsafe(`
    create schema apart;
    create table apart.parcels (id int primary key, customer int);
    create index first_twin on parcels (status, id desc);
    create index second_twin on parcels (status, id desc);
    create index no_twin_by_order on parcels (status, id);
    create index no_twin_by_where on parcels (status, id desc) where customer = 1;
    create unique index unique_twin on parcels (note, id);
    create index twin_of_unique on parcels (note, id);
    create index no_twin_by_class on parcels (note text_pattern_ops, id)`)
  advised = await advise(server.sql)
  await approve(operatorOf(server), { recommendation: advised.id })
  await applyAdvice(jobOf(server, advised.id))
})
afterAll(() => server.drop())

const list = async (query = '') => {
  const { status, body } = await server.call(`GET /v1/optimizer/indexes${query}`)
  expect(status).toBe(200)
  return body as { items: DatabaseIndex[]; nextCursor: string | null }
}
const namesOf = (items: readonly DatabaseIndex[]) => items.map(({ index }) => index)

test('all indexes are listed once, the largest first, page by page', async () => {
  const found: DatabaseIndex[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page = await list(`?limit=50${cursor && `&cursor=${cursor}`}`)
    expect(page.items.length).toBeGreaterThan(0)
    found.push(...page.items)
    cursor = page.nextCursor
  }
  const [row] = await server.sql`
    select count(*) as count from pg_index i join pg_class c on c.oid = i.indexrelid
    where c.relnamespace in ('public'::regnamespace, 'apart'::regnamespace)`
  expect(found).toHaveLength(row!.count)
  expect(new Set(found.map(({ schema, index }) => `${schema}.${index}`)).size).toBe(found.length)
  const bytes = found.map((each) => each.bytes)
  expect(bytes).toEqual(bytes.toSorted((a, b) => b - a))
  expect(found.find(({ index }) => index === 'grants_pkey')).toMatchObject({
    isUnique: true,
    isNeeded: true,
    isValid: true,
    method: 'btree',
  })
})

test('a table is named with its schema or without', async () => {
  expect((await list('?table=parcels')).items.map(({ schema }) => schema)).toContain('apart')
  expect(namesOf((await list('?table=apart.parcels')).items)).toEqual(['parcels_pkey'])
  expect((await list('?table=nowhere')).items).toEqual([])
})

test('duplicates are what is the same but in name, and never what is needed', async () => {
  const { items } = await list('?mark=duplicate&table=parcels')
  expect(items.map(({ index, duplicateOf }) => [index, duplicateOf]).toSorted()).toEqual([
    ['second_twin', 'first_twin'],
    ['twin_of_unique', 'unique_twin'],
  ])
})

test('what was advised names its recommendation, with where it stands', async () => {
  const { items } = await list('?mark=advised')
  expect(items).toMatchObject([
    {
      index: advised.index,
      marks: ['advised'],
      recommendation: { id: advised.id, kind: 'create', status: 'active', verdict: 'pending' },
    },
  ])
})

test('unused is what nobody scanned and nothing needs, and not what was just built', async () => {
  const unused = namesOf((await list('?mark=unused&table=public.parcels')).items)
  expect(unused).toContain('first_twin')
  for (const name of ['unique_twin', 'parcels_pkey', advised.index])
    expect(unused).not.toContain(name)
  expect(namesOf((await list('?mark=invalid')).items)).toEqual([])
})

test('an unknown mark and an unknown recommendation are refused', async () => {
  expect((await server.call('GET /v1/optimizer/indexes?mark=nice')).status).toBe(400)
  const none = `rec_${'0'.repeat(26)}`
  for (const what of ['GET', 'DELETE'])
    expect((await server.call(`${what} /v1/optimizer/indexes/${none}`)).status).toBe(404)
  expect((await server.call(`GET /v1/optimizer/indexes/${none}/progress`)).status).toBe(404)
  expect((await server.call(`POST /v1/optimizer/indexes/${none}/revert`)).status).toBe(404)
})

test('who may only read does not apply', async () => {
  const { body } = await server.call('POST /v1/organizations', {
    ...{ name: 'Other', slug: 'other-of-indexes', owner: 'user:alice' },
  })
  const { body: key } = await server.call(`POST /v1/organizations/${body.slug}/api-keys`, {
    ...{ name: 'own', roles: ['admin'] },
  })
  for (const what of [
    'GET /v1/optimizer/indexes',
    `POST /v1/optimizer/indexes/${advised.id}/revert`,
  ])
    expect((await server.call(what, undefined, { key: key.secret })).status).toBe(403)
})

test('a build is watched to its end, and what has ended ends at once', async () => {
  const { id } = await advise(server.sql, { definition: 'on public.parcels (customer, status)' })
  await approve(operatorOf(server), { recommendation: id })
  const { signal } = new AbortController()
  const events: ProgressEvent[] = []
  const watching = (async () => {
    const options = { signal, lookMs: 5, heartbeatMs: 20 }
    for await (const event of await watchIndex(server.context, { id }, options)) events.push(event)
  })()
  await new Promise((resolve) => setTimeout(resolve, 100))
  await applyAdvice(jobOf(server, id))
  await watching
  const told = events.filter((event) => 'data' in event)
  expect(told[0]).toMatchObject({ event: 'progress', data: { status: 'approved' } })
  expect(told.at(-1)).toMatchObject({ event: 'end', data: { status: 'active' } })
  expect(events).toContainEqual({ event: 'heartbeat' })
  const shares = told.map(({ data }) => data.share).filter((share) => share !== null)
  expect(shares).toEqual(shares.toSorted((a, b) => a - b))

  const { headers, body } = await server.call(`GET /v1/optimizer/indexes/${id}/progress`)
  expect(headers.get('content-type')).toContain('text/event-stream')
  expect(body).toMatch(/event: end\ndata: \{"status":"active"/)
})

test('whoever watches no longer is let go', async () => {
  const { id } = await advise(server.sql, { definition: 'on public.parcels (customer, note)' })
  await approve(operatorOf(server), { recommendation: id })
  const watching = new AbortController()
  const events = await watchIndex(server.context, { id }, { signal: watching.signal })
  expect((await events.next()).value).toMatchObject({ event: 'progress' })
  setTimeout(() => watching.abort(), 10)
  expect(await events.next()).toEqual({ done: true, value: undefined })
})
