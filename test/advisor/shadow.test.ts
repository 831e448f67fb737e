import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openBuiltPlanner } from '../../src/advisor/built-planner.ts'
import { candidateText } from '../../src/advisor/candidate.ts'
import { PlanError } from '../../src/advisor/planner.ts'
import type { Target } from '../../src/advisor/target.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { index, planned, run, runAll, shadowOf } from './shadow.ts'

const SHAPE = `
  create schema "Shop 1";
  create type "Shop 1"."State" as enum ('queued', 'it''s done');
  create domain "Shop 1".email as text not null;
  create type "Shop 1".place as (street text, number int);
  create function "Shop 1".half(int) returns int language sql immutable as 'select $1 / 2';
  create table "Shop 1"."Select" (id int primary key, "user" int not null, "a""b" text, state "Shop 1"."State",
    mail "Shop 1".email, place "Shop 1".place, halved int generated always as ("Shop 1".half(id)) stored,
    sorted text collate "C", words text[]);
  create index "By ""half""" on "Shop 1"."Select" ("Shop 1".half("user"));
  create table "Shop 1".events (at timestamptz not null, org int not null, body text) partition by range (at);
  create table "Shop 1".events_1 partition of "Shop 1".events for values from ('2026-01-01') to ('2026-02-01');
  create table "Shop 1".events_2 partition of "Shop 1".events for values from ('2026-02-01') to ('2026-03-01');
  create index "events by body" on "Shop 1".events (body);
  create table "Shop 1".never (id int, a int);
  insert into "Shop 1"."Select" (id, "user", "a""b", state, mail, place, sorted, words)
    select i, i % 500, 'text ' || i, case when i % 100 = 0 then 'queued' else 'it''s done' end::"Shop 1"."State",
      i || '@x', row('s', i)::"Shop 1".place, 'sorted ' || i, array['w' || i % 9] from generate_series(1, 10000) i;
  insert into "Shop 1".events
    select timestamptz '2026-01-01' + i * interval '4 minutes', i % 50, 'body ' || i from generate_series(1, 20000) i;
  insert into "Shop 1".never select i, i from generate_series(1, 2000) i;
  create view "Shop 1".queued as select * from "Shop 1"."Select" where state = 'queued';
  create materialized view "Shop 1".counted as select body, count(*) as events from "Shop 1".events group by body;
  alter table "Shop 1"."Select" enable row level security;
  create statistics "Shop 1".both on id, "user" from "Shop 1"."Select"`

let database: TestDatabase
let shadow: Awaited<ReturnType<typeof shadowOf>>
beforeAll(async () => {
  database = await openTestDatabase()
  await runAll(database.sql, SHAPE)
  for (const table of ['"Select"', 'events', 'counted'])
    await run(database.sql, `vacuum analyze "Shop 1".${table}`)
  shadow = await shadowOf(database.sql, ['Shop 1'])
})
afterAll(async () => {
  await shadow?.planner.close()
  await database.drop()
})

const table = 'Shop 1.Select'
const ask = (text: string, ...given: ReturnType<typeof index>[]) =>
  shadow.planner.plan(planned(text), { with: given })

test('all of the shape is carried over, and what is not is told', () => {
  expect(shadow.planner.notes.filter((note) => note.startsWith('The shadow is without'))).toEqual(
    [],
  )
  expect(shadow.planner.notes).toEqual(
    expect.arrayContaining([
      expect.stringContaining('Policies of rows'),
      expect.stringContaining('the statistics "both"'),
    ]),
  )
})

test.each([
  [
    'a name with quotes',
    'select * from "Shop 1"."Select" where "a""b" = $1',
    index(table, ['a"b']),
  ],
  ['a reserved word', 'select * from "Shop 1"."Select" where "user" = 7', index(table, ['user'])],
  ['an enumeration', 'select * from "Shop 1".queued', index(table, ['state'])],
  ['a domain', 'select * from "Shop 1"."Select" where mail = $1', index(table, ['mail'])],
  [
    'a generated column',
    'select * from "Shop 1"."Select" where halved = 3',
    index(table, ['halved']),
  ],
  [
    'a function of ours',
    'select * from "Shop 1"."Select" where "Shop 1".half(id) = 4',
    index(table, ['("Shop 1".half(id))']),
  ],
  [
    'a part of a composite',
    'select * from "Shop 1"."Select" where (place).number = 4',
    index(table, ['((place).number)']),
  ],
  [
    'some rows',
    `select id from "Shop 1"."Select" where state = 'queued'`,
    index(table, ['id'], { where: `state = 'queued'` }),
  ],
  [
    'words of an array',
    `select * from "Shop 1"."Select" where words @> array['w1'] and words @> array['x']`,
    index(table, ['words'], { method: 'gin' }),
  ],
  [
    'a hash',
    'select * from "Shop 1"."Select" where "a""b" = $1',
    index(table, ['a"b'], { method: 'hash' }),
  ],
  [
    'a partitioned table',
    'select * from "Shop 1".events where org = 4',
    index('Shop 1.events', ['org', 'at']),
  ],
  [
    'a partition',
    'select * from "Shop 1".events_2 where org = 4',
    index('Shop 1.events_2', ['org']),
  ],
  ['a change', 'update "Shop 1"."Select" set id = 0 where "user" = 3', index(table, ['user'])],
  [
    'a materialized view',
    'select * from "Shop 1".counted where body = $1',
    index('Shop 1.counted', ['body']),
  ],
  [
    'a table that was never analyzed',
    'select * from "Shop 1".never where a = 7',
    index('Shop 1.never', ['a']),
  ],
])('an index is used for %s', async (_, text, candidate) => {
  const before = await ask(text)
  const after = await ask(text, candidate)
  expect(after.candidates).toEqual([candidateText(candidate)])
  expect(after.cost).toBeLessThan(before.cost)
  expect(before.candidates).toEqual([])
  expect(JSON.stringify(after.plan)).toContain(JSON.stringify(candidateText(candidate)))
  expect(await shadow.planner.bytesOf(candidate)).toBeGreaterThan(8192)
})

test('costs are those of the database itself', async () => {
  const built = openBuiltPlanner(database.sql, shadow.target, { consent: true })
  for (const [text, candidate] of [
    ['select * from "Shop 1"."Select" where "user" = 7', index(table, ['user'])],
    ['select * from "Shop 1".events where org = 4', index('Shop 1.events', ['org', 'at'])],
    // Not of a table that was never analyzed: building an index counts its rows.
  ] as const) {
    const [said, truth] = [
      await ask(text, candidate),
      await built.plan(planned(text), { with: [candidate] }),
    ]
    expect(truth.candidates).toEqual(said.candidates)
    expect(Math.abs(said.cost / truth.cost - 1)).toBeLessThan(0.02)
    const bytes = await built.bytesOf(candidate)
    expect(Math.abs((await shadow.planner.bytesOf(candidate)) / bytes - 1)).toBeLessThan(0.25)
  }
  const [row] = await run(
    database.sql,
    `select count(*) from pg_class where relname ~ '^candidate '`,
  )
  expect(row).toEqual({ count: 0 })
})

describe('indexes that are there', () => {
  const text = `select * from "Shop 1".events where body = 'x'`
  test('are used, those of partitions too', async () => {
    const { indexes } = await ask(text)
    expect(indexes).toEqual(['Shop 1.events_1_body_idx', 'Shop 1.events_2_body_idx'])
    expect(
      (await ask('select * from "Shop 1"."Select" where "Shop 1".half("user") = 3')).indexes,
    ).toEqual(['Shop 1.By "half"'])
  })

  test('are looked away from, and seen again', async () => {
    const without = await shadow.planner.plan(planned(text), {
      with: [],
      without: ['Shop 1.events by body'],
    })
    expect(without.indexes).toEqual([])
    const again = await ask(text)
    expect(again.indexes).toHaveLength(2)
    expect(without.cost).toBeGreaterThan(again.cost * 10)
  })
})

describe('a question that cannot be answered', () => {
  test.each([
    ['no query', 'create table x ()'],
    ['two statements', 'select 1; select 2'],
    ['a table that is not there', 'select * from "Shop 1".nowhere'],
    ['a parameter of no type', 'select $1 is null'],
  ])('is refused: %s', async (_, text) => {
    await expect(ask(text)).rejects.toThrow(PlanError)
  })

  test('is refused: an index that cannot be made; and the next is answered', async () => {
    const text = 'select * from "Shop 1"."Select" where id = 1'
    await expect(ask(text, index(table, ['nothing']))).rejects.toThrow(PlanError)
    await expect(
      ask(text, index(table, ['words'], { method: 'brin', where: 'no' })),
    ).rejects.toThrow(PlanError)
    expect((await ask(text)).indexes).toEqual(['Shop 1.Select_pkey'])
  })

  test('is refused: building without consent, on large tables, dropping on a server', async () => {
    expect(() => openBuiltPlanner(database.sql, shadow.target, { consent: false })).toThrow(
      PlanError,
    )
    const large: Target = {
      ...shadow.target,
      isEmbedded: false,
      tables: shadow.target.tables.map((each) => ({ ...each, bytes: 60_000_000 })),
    }
    const built = openBuiltPlanner(database.sql, large, { consent: true })
    const query = planned('select 1')
    await expect(built.plan(query, { with: [index(table, ['id'])] })).rejects.toThrow('too large')
    await expect(built.plan(query, { with: [], without: [`${table}_pkey`] })).rejects.toThrow(
      PlanError,
    )
  })
})
