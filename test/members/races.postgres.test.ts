import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect, type Sql } from '../../src/platform/db/connect.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

/** Two nodes over one database, each with its own pool: what one knows, the other has to find out. */
let one: TestServer
let two: TestServer
let pools: Sql[]

beforeAll(async () => {
  one = await startTestServer()
  const other = connect(one.database.target, { connectionsMax: 20 })
  two = await startTestServer({ database: { ...one.database, sql: other } })
  pools = [other]
})
afterAll(async () => {
  for (const pool of pools) await pool.end()
  await one.drop()
})

const ROUNDS = 70
const both = <Result>(work: (server: TestServer, index: number) => Promise<Result>) =>
  Promise.all([one, two].map(work))

const ownersOf = async (id: string) => {
  const [row] = await one.sql<{ owners: number }[]>`
    select count(*) as owners from members where organization_id = ${id} and is_owner and status = 'active'`
  return row!.owners
}

describe('the last owner', () => {
  const WAYS = {
    'are removed': (server: TestServer, path: string, user: string) =>
      server.call(`DELETE ${path}/members/${user}`),
    'are demoted': (server: TestServer, path: string, user: string) =>
      server.call(`PATCH ${path}/members/${user}`, { roles: ['viewer'] }),
    'are suspended': (server: TestServer, path: string, user: string) =>
      server.call(`PATCH ${path}/members/${user}`, { status: 'suspended' }),
  }
  test.each(Object.entries(WAYS))(
    `stays, when two owners %s at once (${ROUNDS} rounds)`,
    async (_, way) => {
      const left: number[] = []
      for (let round = 0; round < ROUNDS; round++) {
        const { path, id } = await one.newOrganization()
        await one.call(`PUT ${path}/members/bob`, { roles: ['owner'] })
        const answers = await both((server, index) => way(server, path, ['alice', 'bob'][index]!))
        expect(answers.map(({ status }) => status).sort()[1]).toBe(409)
        left.push(await ownersOf(id))
      }
      expect(left).toEqual(Array(ROUNDS).fill(1))
    },
  )

  test.each(['read committed', 'repeatable read', 'serializable'])(
    `stays, when SQL typed by hand races at %s (${ROUNDS} rounds)`,
    async (level) => {
      const pool = connect(one.database.target, { connectionsMax: 4 })
      pools.push(pool)
      const left: number[] = []
      for (let round = 0; round < ROUNDS; round++) {
        const { path, id } = await one.newOrganization()
        await one.call(`PUT ${path}/members/bob`, { roles: ['owner'] })
        await Promise.allSettled(
          ['user:alice', 'user:bob'].map((subject) =>
            pool.begin(`isolation level ${level}`, async (tx) => {
              await tx`select count(*) from members where organization_id = ${id} and is_owner`
              await tx`delete from members where organization_id = ${id} and subject = ${subject}`
            }),
          ),
        )
        left.push(await ownersOf(id))
      }
      expect(left).toEqual(Array(ROUNDS).fill(1))
    },
  )
})

test('fifty requests that add one person make one member and fifty equal answers', async () => {
  const { path, id } = await one.newOrganization()
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, index) =>
      [one, two][index % 2]!.call(`PUT ${path}/members/carol`, { roles: ['viewer'] }),
    ),
  )
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(49)
  const rows =
    await one.sql`select 1 from members where organization_id = ${id} and subject = 'user:carol'`
  const grants =
    await one.sql`select 1 from grants where organization_id = ${id} and subject = 'user:carol'`
  expect([rows.length, grants.length]).toEqual([1, 1])
})

test('fifty requests that give one grant give it once', async () => {
  const { path, id } = await one.newOrganization()
  const grant = { subject: 'user:alice', permission: 'scenario:read', resource: 'scenario:1' }
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, index) =>
      [one, two][index % 2]!.call(`POST ${path}/grants`, grant),
    ),
  )
  const statuses = answers.map(({ status }) => status).sort()
  expect(statuses).toEqual([201, ...Array(49).fill(409)])
  expect(answers.filter(({ body }) => body.code === 'grant-exists')).toHaveLength(49)
  const rows =
    await one.sql`select 1 from grants where organization_id = ${id} and permission is not null`
  expect(rows).toHaveLength(1)
})

test('one Idempotency-Key sent thirty times at once creates one grant and answers alike', async () => {
  const { path, id } = await one.newOrganization()
  const grant = { subject: 'user:alice', permission: 'scenario:read', resource: 'scenario:1' }
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, index) =>
      [one, two][index % 2]!.call(`POST ${path}/grants`, grant, {
        key: one.adminKey,
        headers: { 'idempotency-key': `once-${id}` },
      }),
    ),
  )
  expect(new Set(answers.map(({ status, body }) => `${status} ${body.id}`)).size).toBe(1)
  expect(answers[0]!.status).toBe(201)
})

test.each([
  [
    'teams',
    (path: string) => [`PUT ${path}/teams/a`, `PUT ${path}/teams/b`] as const,
    { parent: 'b' },
    { parent: 'a' },
  ],
  [
    'roles',
    (path: string) => [`PUT ${path}/roles/a`, `PUT ${path}/roles/b`] as const,
    { permissions: [], inherits: ['b'] },
    { permissions: [], inherits: ['a'] },
  ],
])('two writers never close a cycle of %s (30 rounds)', async (kind, paths, left, right) => {
  for (let round = 0; round < 30; round++) {
    const { path, id } = await one.newOrganization()
    const [a, b] = paths(path)
    const plain = kind === 'roles' ? { permissions: [] } : {}
    await one.call(a, plain)
    await one.call(b, plain)
    const answers = await both((server, index) => server.call([a, b][index]!, [left, right][index]))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 422])
    expect(answers.find(({ status }) => status === 422)!.body.code).toBe('inheritance-cycle')
    void id
  }
})

test('eight writers on three organizations meet no deadlock', async () => {
  const organizations = await Promise.all([1, 2, 3].map(() => one.newOrganization()))
  const answers = await Promise.all(
    Array.from({ length: 240 }, (_, index) => {
      const { path } = organizations[index % 3]!
      const server = [one, two][index % 2]!
      return index % 4 === 0
        ? server.call(`PUT ${path}/teams/t${index % 7}`, {})
        : server.call(`PUT ${path}/members/m${index % 5}`, {
            roles: [['viewer', 'member', 'guest'][index % 3]!],
          })
    }),
  )
  expect(answers.filter(({ status }) => status >= 400).map(({ body }) => body)).toEqual([])
})
