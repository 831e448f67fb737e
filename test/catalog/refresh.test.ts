import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'
import { putTemplate } from './listing.ts'

let server: TestServer
let publisher: Awaited<ReturnType<TestServer['newOrganization']>>
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())
beforeEach(async () => {
  publisher = await server.newOrganization()
  await server.sql`update templates set listing = 'delisted' where listing = 'listed'`
})

const refresh = () => {
  const { context, jobs } = server
  const signal = new AbortController().signal
  return jobs.handlers.get('catalog.refresh')!.run({ context, signal } as never) as Promise<{
    updated: number
    words: number
    pruned: number
  }>
}
const figures = async (id: string) =>
  (
    await server.sql`select popularity, trending, rating_score as score from templates where id = ${id}`
  )[0]!
const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString()

test('popularity is rating, installations and age; half for the unverified and the deprecated', async () => {
  const put = (over: object) => putTemplate(server, publisher.id, over)
  const top = await put({ ...{ ratingCount: 30, ratingSum: 150, installCount: 100 } })
  const old = await put({ installCount: 9, contentUpdatedAt: daysAgo(180) })
  const ended = await put({ deprecatedAt: daysAgo(1) })
  await refresh()
  // The mean of all ratings is 5 here.
  expect((await figures(top.id)).score).toBeCloseTo(5, 3)
  expect((await figures(top.id)).popularity).toBeCloseTo((1 + 1 + 1) / 2, 2)
  expect((await figures(old.id)).popularity).toBeCloseTo(
    (1 + Math.log(10) / Math.log(101) + 0.5) / 2,
    2,
  )
  expect((await figures(ended.id)).popularity).toBeCloseTo((1 + 0 + 1) / 4, 2)
  // Nobody rated it, so it has no rating.
  expect((await figures(old.id)).score).toBe(0)
  await server.sql`update publishers set verified_at = now(), verified_by = 'moderator' where organization_id = ${publisher.id}`
  await refresh()
  expect((await figures(top.id)).popularity).toBeCloseTo(3, 2)
})

test('the rating is drawn to the mean of all, which moves', async () => {
  const few = await putTemplate(server, publisher.id, { ratingCount: 1, ratingSum: 5 })
  await putTemplate(server, publisher.id, { ratingCount: 99, ratingSum: 99 * 2 })
  await refresh()
  const mean = (5 + 198) / 100
  expect((await figures(few.id)).score).toBeCloseTo((10 * mean + 5) / 11, 3)
})

test('trending is the installing organizations of thirty days, newer ones more', async () => {
  const { sql } = server
  const { id } = await putTemplate(server, publisher.id)
  for (const [days, installs] of [
    [0, 4],
    [7, 4],
    [14, 8],
    [31, 1000],
  ] as const)
    await sql`insert into template_days (template_id, day, installs)
      values (${id}, (now() at time zone 'UTC')::date - ${days}::int, ${installs})`
  await refresh()
  expect((await figures(id)).trending).toBeCloseTo(4 + 2 + 2, 3)
})

test('words are those of what is listed; what was counted long ago is forgotten', async () => {
  const { sql } = server
  const listed = await putTemplate(server, publisher.id, {
    name: 'Quixotic 7 a',
    tags: ['zeta-nine'],
  })
  await putTemplate(server, publisher.id, {
    name: 'Hidden',
    visibility: 'private',
    listing: 'draft',
  })
  for (const days of [0, 1, 2, 3, 400])
    await sql`insert into template_day_organizations (template_id, day, what, organization_id)
      values (${listed.id}, (now() at time zone 'UTC')::date - ${days}::int, 'views', ${publisher.id})`
  expect(await refresh()).toMatchObject({ pruned: 2 })
  const words = await sql`select word, templates from template_words order by word`
  expect(words.map(({ word }) => word)).toEqual(['nine', 'quixotic', 'zeta'])
  const [counted] =
    await sql`select sum(views)::int as views from template_days where template_id = ${listed.id}`
  expect(counted!.views).toBe(5)
  await sql`update templates set name = 'Renamed' where id = ${listed.id}`
  await refresh()
  expect((await sql`select word from template_words order by 1`).map(({ word }) => word)).toEqual([
    ...['nine', 'renamed', 'zeta'],
  ])
})

test('what has not moved is not written again, and more than a batch is gone over', async () => {
  const { id } = await putTemplate(server, publisher.id, { installCount: 3 })
  await server.sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`
    await tx`insert into templates (id, organization_id, slug, name, category, license, visibility, listing)
      select 'tpl_' || lpad(n::text, 26, '0'), organization_id, 'b' || n, 'Batch ' || n, category, license, 'public', 'listed'
      from templates, generate_series(1, 4500) n where id = ${id}`
  })
  expect((await refresh()).updated).toBe(4501)
  expect((await refresh()).updated).toBe(0)
})
