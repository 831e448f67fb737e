import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type Sql } from '../../src/platform/db/connect.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { until } from '../support/until.ts'
import { watchedSql } from './watched-sql.ts'

// Readers that overtake each other: what the database has answered reaches the server in an order that the test says.

let writer: TestServer
let reader: TestServer
let pool: Sql

/** Answers about these subjects are kept back until they are let go. */
let kept: { about: string; letGo: () => void }[] = []
let keeping: string[] = []

beforeAll(async () => {
  writer = await startTestServer({ slices: 'never' })
  pool = connect(writer.database.target, { connectionsMax: 10 })
  const sql = watchedSql(pool, {
    plant: {
      matches: /with recursive o as/,
      change: async ([row]: { holders: string[] }[]) => {
        const about = keeping.find((subject) => row?.holders.includes(subject))
        if (about !== undefined) await new Promise<void>((letGo) => kept.push({ about, letGo }))
      },
    },
  })
  reader = await startTestServer({
    slices: 'always',
    stalenessMs: 60_000,
    database: { ...writer.database, sql },
  })
})
afterAll(async () => {
  await pool.end()
  await writer.drop()
})

/** An organization of which the reader holds bob; bob and carol may read. */
const prepared = async () => {
  ;[kept, keeping] = [[], []]
  const organization = await writer.newOrganization()
  const { path, slug } = organization
  for (const name of ['bob', 'carol'])
    await writer.call(`PUT ${path}/members/${name}`, { roles: ['viewer'] })
  const ask = async (subject: string, consistency: unknown = 'minimize_latency') =>
    (
      await reader.call('POST /check', {
        organization: slug,
        subject,
        permission: 'scenario:read',
        consistency,
      })
    ).body.allowed
  expect(await ask('user:bob', 'full')).toBe(true)
  const revoke = (name: string) => writer.call(`PUT ${path}/members/${name}`, { roles: [] })
  const isKept = (about: string) => until(async () => kept.some((each) => each.about === about))
  const letGo = (about: string) => {
    for (const each of kept.filter((one) => one.about === about)) each.letGo()
    kept = kept.filter((one) => one.about !== about)
  }
  return { ...organization, ask, revoke, isKept, letGo }
}

test('what was read before a change is not added to a slice that has seen it', async () => {
  const { ask, revoke, isKept, letGo } = await prepared()
  keeping = ['user:carol']
  const early = ask('user:carol')
  await isKept('user:carol')
  await revoke('carol')
  // The slice moves on; it holds bob only, so nothing is read anew.
  expect(await ask('user:bob', 'full')).toBe(true)
  keeping = []
  letGo('user:carol')
  expect([await early, await ask('user:carol')]).toEqual([false, false])
})

test('who is added while a slice is brought to a change is brought there, too', async () => {
  const { ask, revoke, isKept, letGo } = await prepared()
  keeping = ['user:carol', 'user:bob']
  const early = ask('user:carol')
  await isKept('user:carol')
  await revoke('bob')
  await revoke('carol')
  const moving = ask('user:bob', 'full')
  await isKept('user:bob')
  // Carol, as she was, comes to the slice after it was found out who of it is touched.
  letGo('user:carol')
  await new Promise((resolve) => setTimeout(resolve, 20))
  keeping = []
  letGo('user:bob')
  expect([await moving, await ask('user:carol'), await ask('user:bob')]).toEqual([
    false,
    false,
    false,
  ])
  await early
})

test('a change that is told of while an earlier one is read is read, too', async () => {
  const { id, ask, revoke, isKept, letGo } = await prepared()
  expect(await ask('user:carol')).toBe(true)
  keeping = ['user:bob']
  await revoke('bob')
  const moving = ask('user:bob', 'full')
  await isKept('user:bob')
  await revoke('carol')
  reader.policies.heard(id, null)
  keeping = []
  letGo('user:bob')
  expect([await moving, await ask('user:carol')]).toEqual([false, false])
})
