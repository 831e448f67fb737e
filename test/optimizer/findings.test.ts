import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
  await server.sql.unsafe(`
    create table owners (id int primary key, name text not null);
    create table things (
      id int primary key, owner_id int not null constraint things_belong references owners, second_id int references owners,
      name varchar(40) not null, status text not null, kept text not null);
    create index on things (second_id, id);
    create index on things (name);
    create index things_by_status on things (status);
    create index on things (kept);
    create index things_by_lower_kept on things (lower(kept));
    insert into owners select i, 'owner ' || i from generate_series(1, 10) i;
    insert into things select i, i % 10 + 1, i % 10 + 1, 'thing ' || i, 's' || i % 3, 'k' || i
    from generate_series(1, 20000) i;
    create table fresh_things (id int);
    grant select on owners, things, fresh_things to latchkey_platform`)
  await server.sql`analyze owners`
  await server.sql`analyze things`
})
afterAll(() => server.drop())

type Finding = { code: string; detail: string; node: { pointer: string; kind: string } }

const findingsOf = async (query: string): Promise<{ findings: Finding[]; plan: object }> => {
  const { status, body } = await server.call('POST /v1/optimizer/plans', { query })
  expect([query, status]).toEqual([query, 200])
  return body
}
const codesOf = async (query: string) =>
  (await findingsOf(query)).findings.map(({ code }) => code).toSorted()

/** Every query of the table finds it, since it is a fact of the table. */
const BARE = 'foreign-key-without-index'

describe('a plan is found to', () => {
  test('read a large table whole for few rows', async () => {
    const { findings, plan } = await findingsOf('select * from things where owner_id + 1 = 3')
    expect(findings).toContainEqual({
      code: 'sequential-scan',
      detail: 'All of public.things is read, 20,000 rows by the last count.',
      node: { pointer: '', kind: 'Seq Scan', table: 'public.things' },
    })
    expect(findings.map(({ code }) => code)).toContain('filter-removes-most-rows')
    expect(plan).toMatchObject({ 'Node Type': 'Seq Scan' })
    expect(await codesOf('select * from owners where name is not null')).toEqual([])
    expect(await codesOf('select * from things where id = 1')).toEqual([BARE])
  })

  test('name the node by a pointer', async () => {
    const { findings, plan } = await findingsOf(
      'select o.name from owners o join things t on t.owner_id = o.id where t.owner_id + 1 > 0 order by 1',
    )
    const { node } = findings.find(({ code }) => code === 'sequential-scan')!
    expect(node.pointer).toMatch(/^(\/Plans\/\d)+$/)
    const found = node.pointer
      .split('/')
      .slice(1)
      .reduce((at, part) => (at as Record<string, object>)[part]!, plan)
    expect(found).toMatchObject({ 'Node Type': 'Seq Scan', 'Relation Name': 'things' })
  })

  test('touch a foreign key that no index begins with, and say it once', async () => {
    const { findings } = await findingsOf(
      'select from things a join things b on a.id = b.id where a.id = 7',
    )
    expect(findings).toMatchObject([
      { code: BARE, detail: expect.stringMatching(/owner_id.*things_belong/) },
    ])
    await server.sql`create index things_by_owner on things (owner_id)`
    expect(await codesOf('select from things where id = 7')).toEqual([])
    await server.sql`drop index things_by_owner`
  })

  test('call a function on an indexed column, unless an index is on what it makes', async () => {
    const code = 'function-on-indexed-column'
    const { findings } = await findingsOf(`select from things where upper(status) = 'S1'`)
    expect(findings.find((each) => each.code === code)?.detail).toMatch(
      /upper\(\).*things_by_status/,
    )
    expect(await codesOf(`select from things where lower(name) = 'thing 7'`)).toContain(code)
    expect(await codesOf(`select from things where lower(kept) = 'k7'`)).not.toContain(code)
    expect(await codesOf(`select from things where lower(kept) > 'a'`)).not.toContain(code)
    expect(await codesOf(`select from things where abs(owner_id) = 7`)).not.toContain(code)
  })

  test('cast an indexed column, unbidden or not', async () => {
    const code = 'cast-on-indexed-column'
    const { findings } = await findingsOf('select from things where id = 7.0')
    expect(findings.find((each) => each.code === code)?.detail).toMatch(/id .*numeric.*things_pkey/)
    expect(await codesOf(`select from things where id::text = '7'`)).toContain(code)
    // The same without what is not needed uses the index.
    expect(await codesOf('select from things where id = 7')).toEqual([BARE])
    // Text under another name is compared as it is.
    expect(await codesOf(`select from things where name > 'a'`)).not.toContain(code)
    expect(await codesOf('select from things where owner_id = 7.0')).not.toContain(code)
  })

  test('guess where nobody has counted', async () => {
    expect(await codesOf('select from fresh_things where id = 7')).toEqual(['statistics-missing'])
    await server.sql`analyze fresh_things`
    expect(await codesOf('select from fresh_things where id = 7')).toEqual([])
  })
})
