import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyAdvice } from '../../src/indexes/build.ts'
import { approve, dismiss } from '../../src/indexes/service.ts'
import { verifyIndexes } from '../../src/indexes/verify.ts'
import type { Sql } from '../../src/platform/db/connect.ts'
import { newId } from '../../src/platform/id.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { advise, eventsOf, jobOf, makeParcels, operatorOf } from './fixtures.ts'

let server: TestServer
let sql: Sql
beforeAll(async () => {
  server = await startTestServer()
  sql = server.sql
  await makeParcels(sql)
  await sql.unsafe(`
    analyze parcels;
    grant select on parcels to latchkey_platform`)
})
afterAll(() => server.drop())

let nth = 0
/** An index that was advised for one query and built so many days ago. */
const built = async (days: number) => {
  const key = `(customer + ${nth++})`
  const [fingerprint, writing] = ['f', 'a'].map((first) => `${first}${nth}`.padEnd(16, '0'))
  const runId = newId('run')
  const text = `select id from parcels where ${key} = $1`
  await sql`insert into advice_runs ${sql({
    ...{ id: runId, actor: 'user:test' },
    queries: sql.json([{ fingerprint, text, calls: 9, uses: [] }] as never),
  })}`
  // Only what was measured is known to change the table.
  await sql`insert into queries (fingerprint, query, parameters_max) values
    (${fingerprint!}, ${text}, 1), (${writing!}, 'update Parcels set note = $1 where id = $2', 2)`
  const queries = [{ fingerprint, calls: 9, before: 400, after: 8 }]
  const definition = `on public.parcels (${key})`
  const { id, index } = await advise(sql, { definition, runId, queries })
  await approve(operatorOf(server), { recommendation: id })
  await applyAdvice(jobOf(server, id))
  await sql`update recommendations set built_at = now() - make_interval(days => ${days}) where id = ${id}`
  return { id, index, fingerprint: fingerprint!, writing: writing! }
}

/** Calls of a query some hours before and after its index was built, each so many milliseconds on average. */
const measure = async (id: string, fingerprint: string, beforeMs: number, afterMs: number) => {
  for (const [hours, meanMs] of [
    [-5, beforeMs],
    [5, afterMs],
  ] as const)
    await sql`
      insert into query_statistics_hours (fingerprint, source, hour, calls, total_ms, total_ms_squares, max_ms, rows, slow)
      select ${fingerprint}, source, date_trunc('hour', built_at) + make_interval(hours => ${hours}), 200, ${meanMs * 200},
        ${meanMs * meanMs * 200 * 1.04}, ${meanMs * 2}, 200, 0
      from recommendations, unnest(array['latchkey', 'database']) source where id = ${id}`
}
const verify = () => verifyIndexes(server.context, new AbortController().signal)
const find = async (id: string) => (await server.call(`GET /v1/optimizer/indexes/${id}`)).body
const proposalsOf = async (index: string) => [
  ...(await sql`select id, status, code, reason, undo, statement from recommendations
    where kind = 'drop' and index_name = ${index} order by id`),
]

test('what the planner uses now is told, and its cost; the verdict waits for measurements', async () => {
  const { id, fingerprint } = await built(0)
  await verify()
  const { verdict, verification } = await find(id)
  expect(verdict).toBe('pending')
  expect(verification.planned).toMatchObject([{ fingerprint, before: 400, uses: true }])
  expect(verification.planned[0].after).toBeLessThan(400)
})

test('what was dropped by hand stands no more, and can be advised again', async () => {
  const { id, index } = await built(0)
  await sql.unsafe(`drop index ${index}`)
  await verify()
  expect(await find(id)).toMatchObject({ status: 'reverted', current: null })
  expect((await eventsOf(sql, index)).at(-1)).toBe('index.reverted')
})

test('a query that became faster shows that it helps', async () => {
  const { id, fingerprint, index } = await built(1)
  await measure(id, fingerprint, 50, 2)
  await verify()
  const { verdict, verification } = await find(id)
  expect(verdict).toBe('helps')
  expect(verification.measured).toMatchObject([
    { fingerprint, callsBefore: 200, meanBeforeMs: 50, callsAfter: 200, meanAfterMs: 2 },
  ])
  expect(await proposalsOf(index)).toEqual([])
})

test('a change that became slower is told, and to drop the index is proposed, not done', async () => {
  const { id, fingerprint, writing, index } = await built(1)
  await measure(id, fingerprint, 50, 2)
  await measure(id, writing, 2, 3)
  await verify()
  expect((await find(id)).verdict).toBe('makes-a-query-slower')
  const [proposed] = await proposalsOf(index)
  expect(proposed).toMatchObject({ status: 'proposed', code: 'no-gain' })
  expect(proposed!.reason).toContain(writing)
  expect(proposed!.undo).toMatch(/^CREATE INDEX/)
  expect((await find(id)).current).not.toBeNull()
})

test('what nobody scanned in a week is questioned once, and not again when that was refused', async () => {
  const { id, index } = await built(8)
  await verify()
  await verify()
  expect((await find(id)).verdict).toBe('unused')
  const [proposed, ...more] = await proposalsOf(index)
  expect([proposed!.status, proposed!.code, more]).toEqual(['proposed', 'unused', []])
  await dismiss(operatorOf(server), { recommendation: proposed!.id, reason: 'needed in December' })
  await verify()
  expect(await proposalsOf(index)).toHaveLength(1)
  expect(await eventsOf(sql, index)).toEqual([
    ...['index.approved', 'index.built', 'index.questioned', 'index.dismissed'],
  ])
})

test('no gain in a week of measuring is told', async () => {
  const { id, fingerprint } = await built(8)
  await measure(id, fingerprint, 50, 49)
  await sql`set enable_seqscan = off`
  await sql.unsafe(`select id from parcels where (customer + ${nth - 1}) = 7`)
  await sql`set enable_seqscan = on`
  const isCounted = async () => {
    await sql`select pg_stat_clear_snapshot()`
    return (await find(id)).current.scans > 0
  }
  for (let tries = 0; tries < 100 && !(await isCounted()); tries++)
    await new Promise((resolve) => setTimeout(resolve, 50))
  await verify()
  expect((await find(id)).verdict).toBe('no-gain')
})
