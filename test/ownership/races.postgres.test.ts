import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect, type Sql } from '../../src/platform/db/connect.ts'
import { type Issuer, startIssuer } from '../support/issuer.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

/** Two nodes over one database. */
let issuer: Issuer
let one: TestServer
let two: TestServer
let pool: Sql
const tokens: Record<string, string> = {}

beforeAll(async () => {
  issuer = await startIssuer()
  one = await startTestServer({ jwt: issuer.settings })
  pool = connect(one.database.target, { connectionsMax: 10 })
  two = await startTestServer({
    jwt: issuer.settings,
    database: { ...one.database, sql: pool },
  })
  for (const name of ['alice', 'bob', 'olga']) tokens[name] = await issuer.tokenOf(name)
})
afterAll(async () => {
  await pool.end()
  await one.drop()
  await issuer.stop()
})

// A round takes a tenth of a second; the long form (npm run chaos) has forty of each.
const ROUNDS = Number(process.env.LATCHKEY_RACE_ROUNDS ?? 4)
const as = (server: TestServer, name: string, what: string, body?: unknown) =>
  server.call(what, body, { key: tokens[name]! })

const ownersOf = async (id: string) => {
  const rows = await one.sql<{ subject: string }[]>`
    select subject from members where organization_id = ${id} and is_owner and status = 'active' order by 1`
  return rows.map(({ subject }) => subject.slice('user:'.length)).join(' ')
}
const offersOf = async (id: string) =>
  (await one.sql`select 1 from ownership_offers where organization_id = ${id}`).length

const prepare = async (owners: string[] = ['alice']) => {
  const organization = await one.newOrganization()
  for (const name of owners)
    if (name !== 'alice')
      await one.call(`PUT ${organization.path}/members/${name}`, { roles: ['owner'] })
  await one.call(`PUT ${organization.path}/members/bob`, { roles: ['member'] })
  const offered = await as(one, 'alice', `POST ${organization.path}/transfer`, { to: 'bob' })
  expect(offered.status).toBe(201)
  return organization
}

describe('over two nodes', () => {
  test(`one of two acceptances moves ownership (${ROUNDS} rounds)`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const { path, id } = await prepare()
      const answers = await Promise.all(
        [one, two].map((server) => as(server, 'bob', `POST ${path}/transfer/accept`)),
      )
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 404])
      expect([await ownersOf(id), await offersOf(id)]).toEqual(['bob', 0])
    }
  })

  test.each([
    ['is withdrawn', (path: string) => `DELETE ${path}/transfer`, 'alice', ['alice'], 'alice'],
    ['is declined', (path: string) => `POST ${path}/transfer/decline`, 'bob', ['alice'], 'alice'],
    [
      'loses its offerer',
      (path: string) => `DELETE ${path}/members/alice`,
      'olga',
      ['alice', 'olga'],
      'olga',
    ],
  ] as const)(
    `an offer that %s while it is accepted ends one way (${ROUNDS} rounds)`,
    async (_, whatOf, by, owners, stays) => {
      const ends = { accepted: 0, ended: 0 }
      for (let round = 0; round < ROUNDS; round++) {
        const { path, id } = await prepare([...owners])
        const [first, second] = round % 2 === 0 ? [one, two] : [two, one]
        const [ended, accepted] = await Promise.all([
          as(first, by, whatOf(path)),
          as(second, 'bob', `POST ${path}/transfer/accept`),
        ])
        const isAccepted = accepted.status === 200
        expect([200, 404]).toContain(accepted.status)
        const withOlga = (owners as readonly string[]).includes('olga')
        expect(await ownersOf(id)).toBe(isAccepted ? (withOlga ? 'bob olga' : 'bob') : stays)
        expect(await offersOf(id)).toBe(0)
        // The removal of the former owner succeeds either way; withdrawing and declining only if they were first.
        if (!withOlga) expect(ended.status < 300).toBe(!isAccepted)
        ends[isAccepted ? 'accepted' : 'ended']++
      }
      expect(ends.accepted + ends.ended).toBe(ROUNDS)
    },
  )
})

describe.each(['read committed', 'repeatable read', 'serializable'])('by hand, at %s', (level) => {
  const accept = (id: string) =>
    pool.begin(`isolation level ${level}`, async (tx) => {
      const taken = await tx`
        delete from ownership_offers where organization_id = ${id} and offered_to = 'user:bob' returning 1`
      if (taken.length === 0) throw new Error('no offer')
      await tx`update members set is_owner = true where organization_id = ${id} and subject = 'user:bob'`
      await tx`update members set is_owner = false where organization_id = ${id} and subject = 'user:alice'`
    })
  const withdraw = (id: string) =>
    pool.begin(`isolation level ${level}`, async (tx) => {
      const taken = await tx`delete from ownership_offers where organization_id = ${id} returning 1`
      if (taken.length === 0) throw new Error('no offer')
    })
  const remove = (id: string) =>
    pool.begin(
      `isolation level ${level}`,
      (tx) => tx`delete from members where organization_id = ${id} and subject = 'user:alice'`,
    )
  const suspend = (id: string) =>
    pool.begin(
      `isolation level ${level}`,
      (tx) => tx`
        update members set status = 'suspended' where organization_id = ${id} and subject = 'user:bob'`,
    )

  test.each([
    ['another acceptance', accept],
    ['a withdrawal', withdraw],
    ['the removal of the only owner', remove],
    ['the suspension of who accepts', suspend],
  ] as const)(
    `an acceptance against %s leaves an active owner (${ROUNDS} rounds)`,
    async (_, other) => {
      for (let round = 0; round < ROUNDS; round++) {
        const { id } = await prepare()
        const [accepted] = await Promise.allSettled([accept(id), other(id)])
        const owners = await ownersOf(id)
        expect(['alice', 'bob']).toContain(owners)
        if (other === accept || other === withdraw)
          expect(owners).toBe(
            other === withdraw && accepted.status === 'rejected' ? 'alice' : 'bob',
          )
      }
    },
  )
})
