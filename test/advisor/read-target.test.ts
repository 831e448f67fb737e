import { afterAll, beforeAll, expect, test } from 'vitest'
import { readTarget } from '../../src/advisor/read-target.ts'
import { readReplay } from '../../src/advisor/replay.ts'
import { findTable, type Target } from '../../src/advisor/target.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { run, runAll } from './shadow.ts'

let database: TestDatabase
let target: Target
beforeAll(async () => {
  database = await openTestDatabase()
  const { sql } = database
  await runAll(
    sql,
    `create schema read;
     create table read.parents (id int primary key, "Na me" varchar(50) unique);
     create type read.mood as enum ('fine', 'bad');
     create domain read.short as text;
     create table read.children (a int not null, b text, c jsonb, d numeric, e read.mood, f read.short, p point,
       parent int constraint belongs references read.parents, words text[], z int, exclude using btree (z with =));
     alter table read.children drop column d;
     insert into read.parents select i, 'n' || i from generate_series(1, 100) i;
     insert into read.children (a, b, e, parent, words) select i, case when i % 4 > 0 then 'b' || i % 3 end, 'fine', 1 + i % 100, array['x']
       from generate_series(1, 1000) i;
     update read.children set z = a where a <= 10;
     delete from read.children where a = 1;
     create index plain on read.children (b desc nulls last, a) include (parent);
     create index odd on read.children (lower(b) text_pattern_ops, b collate "C") where a > 5;
     create index words on read.children using gin (words);
     create table read.parts (at date, n int) partition by range (at);
     create table read.part_1 partition of read.parts for values from ('2026-01-01') to ('2027-01-01');
     create index by_n on read.parts (n);
     create materialized view read.seen as select a from read.children;
     create table read.nobody (secret text);
     insert into read.nobody select 's' || i from generate_series(1, 50) i;
     create role reader_${process.pid};
     grant usage on schema read to reader_${process.pid};
     grant select on read.children, read.parents to reader_${process.pid}`,
  )
  for (const name of ['children', 'parents', 'nobody']) await run(sql, `analyze read.${name}`)
  target = await readTarget(sql, { schemas: ['read'] })
})
afterAll(async () => {
  await run(database.sql, 'drop schema read cascade')
  await run(database.sql, `drop role reader_${process.pid}`)
  await database.drop()
})

const table = (name: string) => findTable(target, { schema: 'read', name })!

test('tables with their figures', () => {
  expect(target.tables.map(({ name, kind, rows }) => [name, kind, rows])).toEqual([
    ['children', 'table', 999],
    ['nobody', 'table', 50],
    ['parents', 'table', 100],
    ['part_1', 'table', null],
    ['parts', 'partitioned', null],
    ['seen', 'materialized-view', null],
  ])
  expect(table('children').pages).toBeGreaterThan(0)
  expect(table('children').bytes).toBeGreaterThan(table('children').pages * 8192)
  expect(target.version).toBeGreaterThanOrEqual(150_000)
  expect(target.settings).toMatchObject({ random_page_cost: '4', enable_seqscan: 'on' })
  expect(target.isEmbedded).toBe(process.env.TEST_DATABASE === 'embedded')
  expect(target.bytes).toBeGreaterThan(1_000_000)
  expect(target.searchPath).toEqual(['public'])
})

test('columns with what is known of their values', () => {
  const columns = Object.fromEntries(table('children').columns.map((each) => [each.name, each]))
  expect(Object.keys(columns)).toEqual(['a', 'b', 'c', 'e', 'f', 'p', 'parent', 'words', 'z'])
  expect(columns.a).toMatchObject({
    type: 'integer',
    category: 'N',
    isNotNull: true,
    isSortable: true,
    distinct: 999,
    averageBytes: 4,
    nullShare: 0,
    correlation: expect.any(Number),
  })
  expect(columns.b?.common.map(({ value }) => value).sort()).toEqual(['b0', 'b1', 'b2'])
  expect(columns.b?.nullShare).toBeCloseTo(0.25, 2)
  expect(columns.b?.common[0]?.share).toBeCloseTo(0.25, 1)
  expect(columns.e).toMatchObject({ type: 'read.mood', category: 'E', isSortable: true })
  expect(columns.words?.common).toEqual([])
  expect(
    Object.values(columns)
      .filter((each) => !each.isSortable)
      .map(({ name }) => name),
  ).toEqual(['p'])
  expect(table('parts').columns[0]).toMatchObject({ distinct: null, common: [], nullShare: null })
})

test('indexes with all that tells them apart', () => {
  const indexes = Object.fromEntries(table('children').indexes.map((each) => [each.name, each]))
  expect(indexes.plain).toMatchObject({
    table: { schema: 'read', name: 'children' },
    method: 'btree',
    include: ['parent'],
    where: null,
    isUnique: false,
    isNeeded: false,
    isValid: true,
    keys: [
      {
        column: 'b',
        expression: null,
        descending: true,
        nullsFirst: false,
        operatorClass: null,
        collation: null,
      },
      { column: 'a', expression: null, descending: false, nullsFirst: false },
    ],
  })
  expect(indexes.plain?.definition).toContain('INCLUDE (parent)')
  expect(indexes.odd).toMatchObject({
    where: '(a > 5)',
    keys: [
      { column: null, expression: 'lower(b)', operatorClass: 'text_pattern_ops' },
      { column: 'b', collation: 'C' },
    ],
  })
  expect(indexes.words?.method).toBe('gin')
  expect(indexes.children_z_excl).toMatchObject({ isNeeded: true, isUnique: false })
  expect(
    table('parents').indexes.map(({ name, isPrimary, isUnique, isNeeded }) => [
      name,
      isPrimary,
      isUnique,
      isNeeded,
    ]),
  ).toEqual([
    ['parents_Na me_key', false, true, true],
    ['parents_pkey', true, true, true],
  ])
  expect(table('part_1').indexes).toMatchObject([{ name: 'part_1_n_idx', isNeeded: true }])
  expect(table('children').foreignKeys).toEqual([
    { name: 'belongs', columns: ['parent'], references: { schema: 'read', name: 'parents' } },
  ])
})

test('is read by a role that may do little, in a transaction that may write nothing', async () => {
  const as = await database.sql.begin('read only', async (tx) => {
    await run(tx, `set local role reader_${process.pid}`)
    return { target: await readTarget(tx), replay: await readReplay(tx, { schemas: ['read'] }) }
  })
  const seen = findTable(as.target, { schema: 'read', name: 'nobody' })
  expect(seen?.columns).toMatchObject([{ name: 'secret', nullShare: null, common: [] }])
  expect(seen?.rows).toBe(50)
  expect(as.replay.notes).toContain(
    'No statistics of read.nobody may be read (or none were taken), so its planner guesses.',
  )
  expect(as.target.tables.length).toBeGreaterThan(target.tables.length)
  expect(as.target.tables.some(({ schema }) => /^pg_|^information_schema/.test(schema))).toBe(false)
})
