import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type Sql } from '../../src/platform/db/connect.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let writer: TestServer
let reader: TestServer
let pool: Sql

beforeAll(async () => {
  writer = await startTestServer({ slices: 'never' })
  pool = connect(writer.database.target, { connectionsMax: 10 })
  // So little memory that a slice is begun anew again and again.
  reader = await startTestServer({
    slices: 'always',
    policyBytesMax: 300_000,
    stalenessMs: 20,
    database: { ...writer.database, sql: pool },
  })
})
afterAll(async () => {
  await pool.end()
  await writer.drop()
})

const ROUNDS = process.env.LATCHKEY_LONG === 'on' ? 80 : 30
const PEOPLE = 12

test(`slices that are read, patched and begun anew at once are never of two revisions (${ROUNDS} rounds)`, async () => {
  const { path, slug: organization } = await writer.newOrganization()
  await writer.call(`PUT ${path}/teams/all`, {})
  const people = Array.from({ length: PEOPLE }, (_, index) => `user:p${index}`)
  for (const user of people) {
    await writer.call(`PUT ${path}/members/${user}`, { roles: [] })
    await writer.call(`PUT ${path}/teams/all/members/${user}`)
  }
  const ask = async (subject: string, consistency: unknown) =>
    (
      await reader.call('POST /check', {
        organization,
        subject,
        permission: 'scenario:read',
        consistency,
      })
    ).body
  let fresh = 0
  const crowd = () =>
    Array.from({ length: 15 }, (_, index) =>
      ask(index % 3 === 0 ? `user:n${fresh++}` : people[index % PEOPLE]!, 'minimize_latency'),
    )
  let grant: string | undefined
  for (let round = 0; round < ROUNDS; round++) {
    const asked = crowd()
    const given = round % 2 === 0
    // By turns everybody is given something through the team, and it is taken from them.
    const change = given
      ? await writer.call(`POST ${path}/grants`, { subject: 'team:all', role: 'viewer' })
      : await writer.call(`DELETE ${path}/grants/${grant}`)
    if (given) grant = change.body.id
    const consistency = { atLeast: change.revision }
    const after = await Promise.all([
      ...people.map((user) => ask(user, consistency)),
      ask(`user:n${fresh++}`, consistency),
    ])
    await Promise.all([...asked, ...crowd()])
    expect([round, after.map(({ allowed }) => allowed)]).toEqual([
      round,
      [...people.map(() => given), false],
    ])
  }
})
