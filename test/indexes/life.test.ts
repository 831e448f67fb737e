import { afterAll, beforeAll, expect, test } from 'vitest'
import { reconcile } from '../../src/indexes/reconcile.ts'
import { approve, dismiss } from '../../src/indexes/service.ts'
import { startWorkers, type Workers } from '../../src/platform/jobs/workers.ts'
import { silentLog } from '../../src/platform/log.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { until } from '../support/until.ts'
import {
  advise,
  adviseDrop,
  entryOf,
  eventsOf,
  indexesOf,
  makeParcels,
  operatorOf,
} from './fixtures.ts'

let server: TestServer
let workers: Workers
beforeAll(async () => {
  server = await startTestServer()
  await makeParcels(server.sql)
  workers = await startWorkers({
    ...server.jobs.runOptions(server.sql),
    log: silentLog,
    version: 'test',
    queues: ['maintenance'],
    pollMs: 100,
  })
  server.jobs.onWake((queues) => workers.wake(queues))
})
afterAll(async () => {
  await workers.stop(0)
  await server.drop()
})

const untilStatus = (id: string, status: string) =>
  until(async () => (await entryOf(server.sql, id)).status === status)

test('advice is approved, built by a job, read and reverted', async () => {
  const { sql } = server
  const context = operatorOf(server)
  const { id, index } = await advise(sql)
  const approved = await approve(context, { recommendation: id })
  expect([approved.status, approved.version, approved.decidedBy]).toEqual([
    'approved',
    2,
    context.actor.subject,
  ])
  await untilStatus(id, 'active')
  expect(await indexesOf(sql)).toEqual([{ name: index, valid: true }])

  const { status, body, headers } = await server.call(`GET /v1/optimizer/indexes/${id}`)
  expect(status).toBe(200)
  expect(body).toMatchObject({
    status: 'active',
    verdict: 'pending',
    attempts: 1,
    current: { isValid: true },
  })
  expect(body.bytesBuilt).toBe(body.current.bytes)
  expect(body.buildMs).toBeGreaterThanOrEqual(0)

  const stale = await server.call(`POST /v1/optimizer/indexes/${id}/revert`, undefined, {
    headers: { 'if-match': '"1"' },
  })
  expect([stale.status, stale.body.code]).toEqual([412, 'version-stale'])
  const reverting = await server.call(`POST /v1/optimizer/indexes/${id}/revert`, undefined, {
    headers: { 'if-match': headers.get('etag')! },
  })
  expect([reverting.status, reverting.body.status]).toEqual([200, 'reverting'])
  await untilStatus(id, 'reverted')
  expect(await indexesOf(sql)).toEqual([])
  expect((await entryOf(sql, id)).undo).toMatch(
    /^CREATE INDEX adv_parcels_[0-9a-f]{8} ON public\.parcels USING btree \(customer\)$/,
  )
  expect(await eventsOf(sql, index)).toEqual([
    ...['index.approved', 'index.built', 'index.reverting', 'index.reverted'],
  ])
})

test('approved by two at once, it is built once', async () => {
  const { sql } = server
  const { id, index } = await advise(sql, {
    definition: 'on public.parcels (status, customer desc)',
  })
  const context = operatorOf(server)
  const both = await Promise.allSettled([1, 2].map(() => approve(context, { recommendation: id })))
  expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
  const refused = both.find((each) => each.status === 'rejected')
  expect(refused?.reason).toMatchObject({ kind: 'conflict', code: 'recommendation-state' })
  await untilStatus(id, 'active')
  expect((await entryOf(sql, id)).attempts).toBe(1)
  expect(await eventsOf(sql, index)).toEqual(['index.approved', 'index.built'])
})

test('of two recommendations of the same index one at most is applied', async () => {
  const { sql } = server
  const definition = 'on public.parcels (note)'
  const first = await advise(sql, { definition })
  await sql`update recommendations set status = 'failed' where id = ${first.id}`
  const second = await advise(sql, { definition })
  const again = approve(operatorOf(server), { recommendation: first.id })
  await expect(again).rejects.toMatchObject({ constraint_name: 'recommendations_once' })
  await dismiss(operatorOf(server), { recommendation: second.id })
  await approve(operatorOf(server), { recommendation: first.id })
  await untilStatus(first.id, 'active')
})

test('dismissed advice says why, and is not approved any more', async () => {
  const { sql } = server
  const { id, index } = await advise(sql, { definition: 'on public.parcels (id, note)' })
  const dismissed = await dismiss(operatorOf(server), { recommendation: id, reason: 'too large' })
  expect([dismissed.status, dismissed.statusReason]).toEqual(['dismissed', 'too large'])
  await expect(approve(operatorOf(server), { recommendation: id })).rejects.toMatchObject({
    code: 'recommendation-state',
  })
  expect(await eventsOf(sql, index)).toEqual(['index.dismissed'])
})

test('an index that somebody else has made already is not made twice', async () => {
  const { sql } = server
  await sql`create index by_hand on parcels (lower(note), id desc) include (status) where customer > 3`
  const definition =
    'on public.parcels (lower(note), id desc) include (status) where (customer > 3)'
  const { id } = await advise(sql, { definition })
  await approve(operatorOf(server), { recommendation: id })
  await untilStatus(id, 'active')
  expect((await entryOf(sql, id)).statusReason).toContain('by_hand')
  const { body } = await server.call('GET /v1/optimizer/indexes?table=parcels')
  const names = body.items.map(({ index }: { index: string }) => index)
  expect(names.filter((name: string) => name === 'by_hand')).toHaveLength(1)
  await server.call(`POST /v1/optimizer/indexes/${id}/revert`)
  await untilStatus(id, 'reverted')
  expect((await sql`select from pg_class where relname = 'by_hand'`).length).toBe(1)
})

const REFUSED: [what: string, given: Parameters<typeof advise>[1], reason: RegExp][] = [
  ['a column that is gone', { definition: 'on public.parcels (color)' }, /color/],
  ['an operator class that is none', { definition: 'on public.parcels (note no_ops)' }, /no_ops/],
  [
    'another table',
    { definition: 'on public.grants (subject)' },
    /not that of an index on its table/,
  ],
  [
    'a second statement',
    { definition: 'on public.parcels (id); drop table parcels' },
    /cannot be built/,
  ],
  [
    'a table that is gone',
    { table: 'gone', definition: 'on public.gone (id)' },
    /is not there any more/,
  ],
  [
    'more than advised indexes may take',
    { definition: 'on public.parcels (id, status)', bytes: 1e12 },
    /the most they may/,
  ],
]
test.each(REFUSED)('%s is refused in words, and nothing is left', async (_, given, reason) => {
  const { sql } = server
  const before = await indexesOf(sql)
  const { id, index } = await advise(sql, given)
  await approve(operatorOf(server), { recommendation: id })
  await untilStatus(id, 'failed')
  expect((await entryOf(sql, id)).statusReason).toMatch(reason)
  expect(await indexesOf(sql)).toEqual(before)
  expect((await eventsOf(sql, index)).at(-1)).toBe('index.failed')
})

test('names that need quotes are quoted', async () => {
  const { sql } = server
  const name = `a "b" USING c.d`
  await makeParcels(sql, { name, rows: 10 })
  await sql.unsafe(`alter table "a ""b"" USING c.d" add column "Weiß; drop" int`)
  const definition = `on public."a ""b"" USING c.d" ("Weiß; drop" desc)`
  const { id, index } = await advise(sql, { table: name, definition })
  await approve(operatorOf(server), { recommendation: id })
  await untilStatus(id, 'active')
  expect(await indexesOf(sql, name)).toEqual([{ name: index, valid: true }])
  const again = await advise(sql, { table: name, definition, index: 'adv_other' })
  await approve(operatorOf(server), { recommendation: again.id })
  await untilStatus(again.id, 'active')
  expect((await entryOf(sql, again.id)).statusReason).toContain(index)
  await server.call(`POST /v1/optimizer/indexes/${id}/revert`)
  await untilStatus(id, 'reverted')
  expect(await indexesOf(sql, name)).toEqual([])
})

/** Lets the days pass that a drop is held. */
const endHold = async (id: string) => {
  await server.sql`update recommendations set hold_until = now() where id = ${id}`
  await server.call(`POST /v1/jobs/${(await entryOf(server.sql, id)).jobId}/promote`)
}

test('a drop is held for a week, done, and undone', async () => {
  const { sql } = server
  await sql`create index twin_of_parcels on parcels (customer) include (id) where status <> 's1'`
  const id = await adviseDrop(sql, 'twin_of_parcels')
  const held = await approve(operatorOf(server), { recommendation: id })
  expect(Date.parse(held.holdUntil!) - Date.now()).toBeGreaterThan(6.9 * 86_400_000)
  const { body: job } = await server.call(`GET /v1/jobs/${held.jobId}`)
  expect([job.state, job.name]).toEqual(['scheduled', 'indexes.drop'])
  expect((await sql`select from pg_class where relname = 'twin_of_parcels'`).length).toBe(1)
  await endHold(id)
  await untilStatus(id, 'active')
  expect((await sql`select from pg_class where relname = 'twin_of_parcels'`).length).toBe(0)
  const { undo } = await entryOf(sql, id)
  expect(undo).toMatch(/^CREATE INDEX twin_of_parcels ON public\.parcels/)
  await server.call(`POST /v1/optimizer/indexes/${id}/revert`)
  await untilStatus(id, 'reverted')
  const [again] = await sql`select pg_get_indexdef('twin_of_parcels'::regclass) as text`
  expect(again!.text).toBe(undo)
})

test('a drop that is held can be dismissed: its job is taken back', async () => {
  const { sql } = server
  await sql`create index kept_after_all on parcels (customer, note)`
  const id = await adviseDrop(sql, 'kept_after_all')
  const { jobId } = await approve(operatorOf(server), { recommendation: id })
  expect((await dismiss(operatorOf(server), { recommendation: id })).status).toBe('dismissed')
  expect((await server.call(`GET /v1/jobs/${jobId}`)).body.state).toBe('canceled')
})

test('what keeps values unique, or was used since, is not dropped', async () => {
  const { sql } = server
  await sql`create unique index parcels_note on parcels (note)`
  await sql`create index parcels_seldom on parcels (customer, status)`
  const [unique, used] = [
    await adviseDrop(sql, 'parcels_note'),
    await adviseDrop(sql, 'parcels_seldom', 'unused'),
  ]
  for (const id of [unique, used]) await approve(operatorOf(server), { recommendation: id })
  await sql`update recommendations set scans_held = -1 where id = ${used}`
  for (const id of [unique, used]) await endHold(id)
  for (const id of [unique, used]) await untilStatus(id, 'failed')
  expect((await entryOf(sql, unique)).statusReason).toContain('unique')
  expect((await entryOf(sql, used)).statusReason).toContain('scanned 1 times')
  expect(
    (await sql`select from pg_class where relname in ('parcels_note', 'parcels_seldom')`).length,
  ).toBe(2)
})

test('who may not apply advice any more when it begins is asked again', async () => {
  const { sql, context } = server
  const { id } = await advise(sql, { definition: 'on public.parcels (customer, id)' })
  // Somebody who holds nothing.
  await approve(context, { recommendation: id })
  await until(async () => {
    const { jobId } = await entryOf(sql, id)
    return (await server.call(`GET /v1/jobs/${jobId}`)).body.state === 'canceled'
  })
  await reconcile(context, new AbortController().signal)
  const { status, statusReason } = await entryOf(sql, id)
  expect([status, statusReason]).toEqual([
    'failed',
    'service:test does not hold optimizer:apply any more',
  ])
})
