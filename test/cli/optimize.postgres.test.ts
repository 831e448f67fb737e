import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { runLine } from './console.ts'

let database: TestDatabase
let url: string
let folder: string

beforeAll(async () => {
  database = await openTestDatabase()
  url = (database.target as { url: string }).url
  folder = await mkdtemp(join(tmpdir(), 'latchkey-optimize-'))
  await database.sql`create table "Orders" as
    select i as id, i % 5000 as customer, 's' || i % 5 as status, repeat('x', 80) as note from generate_series(1, 60000) i`
  await database.sql`analyze "Orders"`
}, 60_000)
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await database.drop()
})

const QUERIES = `
-- calls: 1000
select * from "Orders" where customer = 7;
select count(*) from "Orders" where customer = $1; -- a comment; with a semicolon
-- calls: 5
select '<script>alert(1)</script>' as bold, pg_sleep(1);
`
const file = async (name: string, text: string) => {
  const path = join(folder, name)
  await writeFile(path, text)
  return path
}
const shape = () =>
  database.sql`select c.oid, c.relname, c.relfilenode from pg_class c where c.relkind in ('r', 'i') order by 1`

test('any database is advised, and nothing in it changes', async () => {
  const before = await shape()
  const html = join(folder, 'report.html')
  const json = join(folder, 'report.json')
  const queries = await file('queries.sql', QUERIES)
  const line = ['optimize', '--database', url, '--queries', queries, '--html', html, '--json', json]
  const { code, out } = await runLine(line, {})
  expect(code).toBe(0)
  expect(out).toContain('on public."Orders" (customer)')
  expect(out).toContain('create index concurrently on public."Orders" (customer);')
  expect(out).toMatch(/pg_sleep.*: The function pg_sleep is not one of those/)
  const page = await readFile(html, 'utf8')
  expect(page).toContain('on public.&quot;Orders&quot; (customer)')
  expect(page).toContain('class="bar before"')
  expect(page).not.toContain('<script>alert')
  const advice = JSON.parse(await readFile(json, 'utf8'))
  const [query] = advice.queries
  expect([query.calls, query.passedOver]).toEqual([1000, null])
  expect(query.after).toBeLessThan(query.before / 10)
  expect(await shape()).toEqual(before)
}, 60_000)

test.each([
  [
    'a list as JSON',
    'q.json',
    '[{"query": "select * from \\"Orders\\" where customer = 1", "calls": 3000}]',
  ],
  ['a list as CSV', 'q.csv', 'query,calls\n"select * from ""Orders"" where customer = 1",3000\n'],
])(
  'takes %s',
  async (_, name, text) => {
    const json = join(folder, `${name}.out`)
    const queries = await file(name, text)
    const { code } = await runLine(
      ['optimize', '--database', url, '--queries', queries, '--json', json],
      {},
    )
    const advice = JSON.parse(await readFile(json, 'utf8'))
    expect([code, advice.queries[0].calls, advice.indexes.length]).toEqual([0, 3000, 1])
  },
  60_000,
)

test.each([
  ['what is no SQL', 'bad.sql', 'select 1;\nselec 2', /bad\.sql is not SQL: .*\(line 2\)/],
  ['an empty file', 'empty.sql', ' -- nothing\n', /there is no query in/],
  ['a list of something else', 'bad.json', '[{"sql": "select 1"}]', /must list queries/],
  ['what is no JSON', 'worse.json', '[', /must list queries/],
])('refuses %s in one line', async (_, name, text, said) => {
  const queries = await file(name, text)
  const { code, err } = await runLine(['optimize', '--database', url, '--queries', queries], {})
  expect(code).toBe(1)
  expect(err).toMatch(said)
})

test('says in one line what is missing', async () => {
  const none = await runLine(['optimize', '--database', url], {})
  expect([none.code, none.err]).toEqual([1, expect.stringContaining('pg_stat_statements')])
  const away = await runLine(['optimize', '--database', 'postgres://127.0.0.1:1/x'], {})
  expect([away.code, away.err]).toEqual([1, expect.stringContaining('cannot be reached')])
}, 60_000)
