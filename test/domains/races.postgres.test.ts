import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type Sql } from '../../src/platform/db/connect.ts'
import { startTestServer } from '../support/server.ts'
import { startWithDns } from './fixtures.ts'

// One person tries more often here than anybody may.
const quotas = { 'domain-join': 1000 }

let world: Awaited<ReturnType<typeof startWithDns>>
let pool: Sql
let other: Awaited<ReturnType<typeof startTestServer>>
beforeAll(async () => {
  world = await startWithDns({ quotas })
  pool = connect(world.server.database.target, { connectionsMax: 10 })
  other = await startTestServer({
    jwt: world.issuer.settings,
    resolveTxt: world.resolveTxt,
    quotas,
    database: { ...world.server.database, sql: pool },
  })
})
afterAll(async () => {
  await pool.end()
  await world.stop()
})

const ROUNDS = 30

test(`of two organizations that prove one domain at once, one gets it (${ROUNDS} rounds)`, async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const domain = world.newDomain()
    const both = [await world.server.newOrganization(), await world.server.newOrganization()]
    const values: string[] = []
    for (const { path } of both)
      values.push((await world.server.call(`POST ${path}/domains`, { domain })).body.record.value)
    world.dns.put({ name: `_latchkey.${domain}`, value: values[0]! }, values[1]!)
    const answers = await Promise.all(
      both.map(({ path }, index) =>
        [world.server, other][index]!.call(`POST ${path}/domains/${domain}/verify`),
      ),
    )
    expect(answers.map(({ status, body }) => [status, body.code ?? body.state]).sort()).toEqual([
      [200, 'verified'],
      [409, 'domain-taken'],
    ])
    const rows = await world.server
      .sql`select state from organization_domains where domain = ${domain} order by state`
    expect(rows.map(({ state }) => state)).toEqual(['pending', 'verified'])
  }
})

test.each(['read committed', 'repeatable read', 'serializable'])(
  `has one verified owner, when SQL typed by hand races at %s (${ROUNDS} rounds)`,
  async (level) => {
    for (let round = 0; round < ROUNDS; round++) {
      const domain = world.newDomain()
      const both = [await world.server.newOrganization(), await world.server.newOrganization()]
      for (const { path } of both) await world.server.call(`POST ${path}/domains`, { domain })
      await Promise.allSettled(
        both.map(({ id }) =>
          pool.begin(`isolation level ${level}`, async (tx) => {
            await tx`select 1 from organization_domains where domain = ${domain} and state = 'verified'`
            await tx`update organization_domains set state = 'verified' where organization_id = ${id} and domain = ${domain}`
          }),
        ),
      )
      const rows = await world.server
        .sql`select 1 from organization_domains where domain = ${domain} and state = 'verified'`
      expect(rows).toHaveLength(1)
    }
  },
)

test('who joins twenty times at once joins once', async () => {
  const { slug, id, domain } = await world.newProven({ enrollment: 'auto_join' })
  const join = async (name: string, index: number) =>
    [world.server, other][index % 2]!.call(
      'POST /v1/domains/join',
      { organization: slug },
      { key: await world.person(name, `${name}@${domain}`) },
    )
  const same = await Promise.all(Array.from({ length: 20 }, (_, index) => join('same', index)))
  expect(same.map(({ status }) => status).sort()).toEqual([200, ...Array(19).fill(409)])
  const rows = await world.server.sql`
    select (select count(*) from members where organization_id = ${id} and source = 'domain') as members,
      (select count(*) from grants where organization_id = ${id} and role_name = 'member') as grants`
  expect(rows[0]).toEqual({ members: 1, grants: 1 })
})

test('a domain that is given up while people join lets nobody in afterwards', async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const { slug, id, at, domain } = await world.newProven({ enrollment: 'auto_join' })
    const key = await world.person('late', `late@${domain}`)
    const [removed, joined] = await Promise.all([
      world.server.call(`DELETE ${at}`),
      other.call('POST /v1/domains/join', { organization: slug }, { key }),
    ])
    expect(removed.status).toBe(204)
    expect([200, 404]).toContain(joined.status)
    const rows = await world.server
      .sql`select 1 from members where organization_id = ${id} and subject = 'user:late'`
    expect(rows).toHaveLength(joined.status === 200 ? 1 : 0)
  }
})
