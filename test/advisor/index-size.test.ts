import { afterAll, beforeAll, expect, test } from 'vitest'
import { indexSize } from '../../src/advisor/index-size.ts'
import { readTarget } from '../../src/advisor/read-target.ts'
import { findTable, type TargetTable } from '../../src/advisor/target.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { run, runAll } from './shadow.ts'

const ROWS = 200_000
const PAGE_BYTES = 8192

let database: TestDatabase
let table: TargetTable
beforeAll(async () => {
  database = await openTestDatabase()
  // A parent of ten rows, a few values of which one is nearly all, a long tail, numbers far apart, and another one for each row.
  await runAll(
    database.sql,
    `create schema sizes;
     select setseed(0.5);
     create table sizes.t as select n as id, (random() * ${ROWS / 10})::int as parent, (random() * 50)::int as kind,
       case when random() < 0.9 then 0 when random() < 0.7 then 1 else 2 end as retries,
       (power(random(), 3) * 600000)::int as duration, (random() * 2000)::int * 100 as hundreds,
       case when random() < 0.8 then (random() * 1000)::bigint end as missing
     from generate_series(1, ${ROWS}) n;
     analyze sizes.t`,
  )
  const target = await readTarget(database.sql, { schemas: ['sizes'] })
  table = findTable(target, { schema: 'sizes', name: 't' })!
})
afterAll(() => database.drop())

test.each([
  'id',
  'parent',
  'kind',
  'retries',
  'duration',
  'hundreds',
  'missing',
  'parent, retries',
  'retries, parent',
  'kind, retries',
  'duration, kind',
  'kind, duration',
  'kind, retries, parent',
  'missing, retries',
])('an index on %s is as large as it is said to be', async (columns) => {
  await run(database.sql, `create index built on sizes.t (${columns})`)
  const [row] = await database.sql<{ bytes: number }[]>`
    select pg_relation_size('sizes.built') as bytes`
  await run(database.sql, 'drop index sizes.built')
  const keys = columns.split(', ').map((column) => ({ column }))
  const candidate = { table, method: 'btree', keys, include: [], where: null } as const
  const { pages } = indexSize(candidate, table, { rows: table.rows!, expressionBytes: [] })
  expect(Math.abs((pages * PAGE_BYTES) / row!.bytes - 1)).toBeLessThan(0.1)
})
