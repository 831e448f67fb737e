import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from '../../src/platform/db/connect.ts'
import { migrate } from '../../src/platform/db/migrate.ts'
import { readMigrations } from '../../src/platform/db/migrations.ts'
import { createSqlParser } from '../../src/platform/node/sql-parser.ts'
import { collectStatements, pruneWorkload } from '../../src/workload/collect.ts'
import { listQueries } from '../../src/workload/service.ts'
import { startOwnPostgres } from '../support/postgres.ts'

const parser = createSqlParser()
const ASKED = { sort: 'calls', source: 'database', hours: 24, limit: 200 } as const
let server: Exclude<Awaited<ReturnType<typeof startOwnPostgres>>, { skip: string }>
let context: Parameters<typeof collectStatements>[0]

beforeAll(async () => {
  const started = await startOwnPostgres(['shared_preload_libraries=pg_stat_statements'])
  if ('skip' in started) throw new Error(started.skip)
  server = started
  const sql = connect({ url: server.url })
  await migrate(sql, await readMigrations())
  context = { sql, now: () => new Date() } as typeof context
})
afterAll(async () => {
  await context.sql.end()
  await server.stop()
})

const callsOf = async (query: RegExp) => {
  const { items } = await listQueries(context, ASKED as never)
  return items.find((each) => query.test(each.query))?.calls
}
const runOnes = async (times: number) => {
  for (let n = 0; n < times; n++) await context.sql`select name from categories where slug = 'data'`
}

test('without the extension nothing is collected', async () => {
  expect(await collectStatements(context, parser)).toEqual({ statements: 0, added: 0 })
})

test('what came since the last look is added once, and a reset begins anew', async () => {
  await context.sql`create extension pg_stat_statements`
  await runOnes(3)
  await collectStatements(context, parser)
  // When these ran is not known: they are where counting begins.
  expect(await callsOf(/from categories where slug/)).toBe(undefined)
  await runOnes(5)
  await collectStatements(context, parser)
  expect(await callsOf(/from categories where slug/)).toBe(5)
  await collectStatements(context, parser)
  expect(await callsOf(/from categories where slug/)).toBe(5)
  await context.sql`select pg_stat_statements_reset()`
  await runOnes(2)
  await collectStatements(context, parser)
  expect(await callsOf(/from categories where slug/)).toBe(7)
  // What its constants were is not kept.
  const { items } = await listQueries(context, ASKED as never)
  expect(items.map(({ query }) => query).join()).not.toContain("'data'")
})

test('two that look at once add nothing twice', async () => {
  await runOnes(10)
  await Promise.all([1, 2, 3, 4].map(() => collectStatements(context, parser)))
  expect(await callsOf(/from categories where slug/)).toBe(17)
})

test('what is old is forgotten', async () => {
  await context.sql`update query_statistics_hours set hour = hour - interval '40 days'`
  await context.sql`update queries set last_seen_at = now() - interval '40 days'`
  const { pruned } = await pruneWorkload(context, new AbortController().signal)
  expect(pruned).toBeGreaterThan(0)
  expect(await context.sql`select from queries`).toHaveLength(0)
})
