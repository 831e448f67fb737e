import { afterAll, beforeAll, expect, test } from 'vitest'
import { explain } from '../../src/optimizer/explain.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { contentsOf } from './untouched.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
  await server.sql`create sequence numbers`
  await server.sql`grant all on sequence numbers to latchkey_platform`
  await server.sql`insert into cache_generations (name, generation) values ('x', 1)`
})
afterAll(() => server.drop())

// What no request reaches, because the parser has refused it before: the second wall holds without the first.
test.each([
  ['a second statement', 'select 1; create table pwned (i int)', false, '42601'],
  ['the end of the transaction', 'select 1; commit; drop table grants', false, '42601'],
  ['a statement that is no query', 'drop table grants', false, '42601'],
  ['DO', 'do $$ begin delete from grants; end $$', false, '42601'],
  ['COPY', `copy grants to program 'id'`, false, '42601'],
  ['a change that is run', 'update cache_generations set generation = 2', true, '25006'],
  [
    'a change in WITH that is run',
    'with gone as (update cache_generations set generation = 2 returning 1) select * from gone',
    true,
    '25006',
  ],
  ['a sequence that is asked', `select nextval('numbers')`, true, '25006'],
  ['rows that are locked', 'select from cache_generations for update', true, '25006'],
  ['a file that is read', `select pg_read_file('/etc/passwd')`, true, '42501'],
  ['a table of the superuser', 'select * from pg_authid', true, '42501'],
])('the database itself refuses %s', async (_, text, analyze, code) => {
  const before = await contentsOf(server.sql)
  const asked = explain(server.sql, { text, parameters: [], parametersMax: 0, analyze })
  await expect(asked).rejects.toMatchObject({ code })
  expect(await contentsOf(server.sql)).toEqual(before)
})
