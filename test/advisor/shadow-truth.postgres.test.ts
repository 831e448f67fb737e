import { afterAll, beforeAll, expect, test } from 'vitest'
import { createStatement } from '../../src/advisor/candidate.ts'
import type { Sql } from '../../src/platform/db/connect.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { index, planned, run, runAll, shadowOf } from './shadow.ts'

const SHAPE = `
  create schema shop;
  create type shop.state as enum ('queued', 'running', 'done');
  create table shop.tenants (id bigint primary key, name text not null, data jsonb);
  create table shop.runs (id bigint primary key, tenant_id bigint not null references shop.tenants,
    state shop.state not null, title text, started_at timestamptz not null, cost numeric(10, 2), deleted_at timestamptz);
  create table shop.steps (id bigint generated always as identity primary key, run_id bigint not null references shop.runs,
    kind text not null, ms int not null);
  create table shop."Odd Table" ("Id" int primary key, "user name" text not null, "order" int);
  create index on shop.tenants (lower(name));
  select setseed(0.5);
  insert into shop.tenants select i, 'tenant ' || i, jsonb_build_object('n', i) from generate_series(1, 500) i;
  insert into shop.runs select i, 1 + floor(500 * power(random(), 3)),
    case when i % 100 = 0 then 'queued' when i % 50 = 1 then 'running' else 'done' end::shop.state,
    'run ' || md5(i::text), timestamptz '2026-01-01' + i * interval '1 minute', random() * 100,
    case when i % 10 = 0 then now() end from generate_series(1, 30000) i;
  insert into shop.steps (run_id, kind, ms) select 1 + i % 30000, 'kind ' || i % 13, (random() * 10000)::int
    from generate_series(1, 60000) i;
  insert into shop."Odd Table" select i, 'name ' || i % 1000, i % 77 from generate_series(1, 10000) i;
  create view shop.busy as select t.name, r.* from shop.runs r join shop.tenants t on t.id = r.tenant_id
    where r.deleted_at is null`

const CANDIDATES = [
  index('shop.runs', ['tenant_id']),
  index('shop.runs', ['tenant_id', 'started_at']),
  index('shop.runs', ['tenant_id', '-cost']),
  index('shop.runs', ['state', 'started_at']),
  index('shop.runs', ['started_at']),
  index('shop.runs', ['started_at'], { where: `state = 'queued'` }),
  index('shop.runs', ['title']),
  index('shop.runs', ['(lower(title))']),
  index('shop.runs', ['tenant_id', 'state', 'deleted_at']),
  index('shop.steps', ['run_id']),
  index('shop.steps', ['run_id'], { include: ['ms'] }),
  index('shop.steps', ['kind', 'ms']),
  index('shop.steps', ['ms']),
  index('shop.Odd Table', ['user name', 'order']),
]

const QUERIES = [
  'select * from shop.runs where tenant_id = 3',
  'select * from shop.runs where tenant_id = 3 order by started_at desc limit 20',
  `select * from shop.runs where state = 'queued' order by started_at limit 10`,
  'select * from shop.runs where tenant_id = $1 and started_at > $2',
  'select r.title, s.kind from shop.runs r join shop.steps s on s.run_id = r.id where r.tenant_id = 77',
  'select sum(ms) from shop.steps where run_id = 500',
  'select kind, count(*) from shop.steps where ms > 9900 group by kind',
  `select * from shop."Odd Table" where "user name" = 'name 5' order by "order"`,
  `select * from shop.busy where name = 'tenant 4' order by started_at limit 5`,
  `update shop.runs set cost = 0 where title = 'x'`,
  'delete from shop.steps where run_id = $1',
  `select * from shop.runs where lower(title) = 'x'`,
  'select * from shop.steps where ms = 77',
  `select * from shop.runs where started_at between '2026-01-03' and '2026-01-04'`,
  'select * from shop.runs r where exists (select from shop.steps s where s.run_id = r.id and s.ms > 9990)',
  `select * from shop.tenants where lower(name) = 'tenant 9'`,
  'select tenant_id, count(*) from shop.runs where deleted_at is null group by tenant_id order by 2 desc limit 3',
]

let database: TestDatabase
let sql: Sql
beforeAll(async () => {
  database = await openTestDatabase({ connectionsMax: 1 })
  sql = database.sql
  await runAll(sql, SHAPE)
  await run(sql, 'vacuum analyze')
  await run(sql, 'set plan_cache_mode = force_generic_plan')
  await run(sql, 'set max_parallel_workers_per_gather = 0')
})
afterAll(() => database.drop())

const reallyPlanned = async (text: string) => {
  const { parametersMax } = planned(text)
  await run(sql, `prepare truth as ${text}`)
  const values = parametersMax > 0 ? `(${Array(parametersMax).fill('null').join(', ')})` : ''
  const [row] = await run(sql, `explain (format json) execute truth${values}`)
  await run(sql, 'deallocate truth')
  const [{ Plan: plan }] = Object.values(row!)[0] as [{ Plan: { 'Total Cost': number } }]
  return {
    cost: plan['Total Cost'],
    isUsed: JSON.stringify(plan).includes('"Index Name":"really"'),
  }
}

const shareAt = (sorted: number[], share: number) =>
  sorted[Math.floor((sorted.length - 1) * share)]!

test('what the shadow says is what really built indexes show', async () => {
  const { planner } = await shadowOf(sql, ['shop'])
  const pairs: { text: string; index: string; error: number; agrees: boolean }[] = []
  const sizes: number[] = []
  try {
    for (const candidate of [undefined, ...CANDIDATES]) {
      if (candidate) {
        await run(sql, createStatement(candidate, { name: 'really' }))
        const [row] = await run(sql, `select pg_relation_size('shop.really') as bytes`)
        sizes.push((await planner.bytesOf(candidate)) / Number(row!.bytes))
      }
      for (const text of QUERIES) {
        const truth = await reallyPlanned(text)
        const said = await planner.plan(planned(text), { with: candidate ? [candidate] : [] })
        pairs.push({
          text,
          index: candidate ? createStatement(candidate, { name: 'it' }) : 'none',
          error: Math.abs(said.cost - truth.cost) / truth.cost,
          agrees: truth.isUsed === said.candidates.length > 0,
        })
      }
      if (candidate) await run(sql, 'drop index shop.really')
    }
  } finally {
    await planner.close()
  }
  const errors = pairs.map(({ error }) => error).sort((a, b) => a - b)
  const agreed = pairs.filter(({ agrees }) => agrees).length / pairs.length
  process.stdout.write(
    `${pairs.length} pairs: cost error median ${shareAt(errors, 0.5).toFixed(4)}, p90 ${shareAt(errors, 0.9).toFixed(4)}, ` +
      `max ${shareAt(errors, 1).toFixed(3)}; use agrees ${agreed.toFixed(3)}; ` +
      `size ${Math.min(...sizes).toFixed(2)} to ${Math.max(...sizes).toFixed(2)} of the real one\n`,
  )
  expect(shareAt(errors, 0.5)).toBeLessThan(0.01)
  expect(shareAt(errors, 0.9)).toBeLessThan(0.05)
  expect(agreed, JSON.stringify(pairs.filter(({ agrees }) => !agrees))).toBeGreaterThanOrEqual(0.97)
  expect(Math.min(...sizes)).toBeGreaterThan(0.75)
  expect(Math.max(...sizes)).toBeLessThan(1.25)
})
