import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Transaction } from '../../src/platform/db/connect.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const GRANTS = 200_000
const MEMBERS = 20_000

let server: TestServer
let organization: Awaited<ReturnType<TestServer['newOrganization']>>

/** Rows as the API would have left them; its triggers are not what is tried here, and would take minutes. */
const fill = async (tx: Transaction, id: string) => {
  await tx`set local session_replication_role = replica`
  await tx`insert into members (organization_id, subject)
    select ${id}, 'user:m' || i from generate_series(1, ${MEMBERS}) i`
  await tx`insert into grants (id, organization_id, subject, resource_type, resource_id, permission, permission_scope, granted_by)
    select 'grt_' || lpad(i::text, 26, '0'), ${id}, 'user:m' || (i % ${MEMBERS} + 1), 'scenario', i::text, 'scenario:read',
      'workspace', 'user:alice' from generate_series(1, ${GRANTS}) i`
}

beforeAll(async () => {
  server = await startTestServer({ slices: 'always', wholeRowsMax: 20_000 })
  organization = await server.newOrganization()
  await server.sql.begin((tx) => fill(tx as Transaction, organization.id))
}, 120_000)
afterAll(() => server.drop())

test(`of an organization with ${GRANTS} grants a check takes a slice of less than a megabyte`, async () => {
  const startedAtMs = performance.now()
  const question = {
    organization: organization.slug,
    subject: 'user:m43',
    permission: 'scenario:read',
  }
  const asked = async (resource: string) =>
    (await server.call('POST /check', { ...question, resource })).body.allowed
  expect([await asked('scenario:42'), await asked('scenario:43')]).toEqual([true, false])
  const { bytes, organizations } = server.policies.size()
  expect(organizations).toBe(1)
  expect(bytes).toBeLessThan(1_000_000)
  const elapsedMs = Math.round(performance.now() - startedAtMs)
  process.stdout.write(
    `${GRANTS} grants: ${bytes} bytes are held after two checks, ${elapsedMs} ms\n`,
  )
})

test('a hundred of its members are one statement, and still little memory', async () => {
  const checks = Array.from({ length: 100 }, (_, index) => ({
    organization: organization.slug,
    subject: `user:m${index + 100}`,
    permission: 'scenario:read',
    resource: `scenario:${index + 99}`,
  }))
  const { body } = await server.call('POST /check/batch', { checks })
  expect(body.results.filter(({ allowed }: { allowed: boolean }) => allowed)).toHaveLength(100)
  const { bytes } = server.policies.size()
  process.stdout.write(`${bytes} bytes after a hundred members more\n`)
  expect(bytes).toBeLessThan(1_000_000)
})

test('what needs everybody is refused there, and says where to ask', async () => {
  const answer = await server.call(`POST ${organization.path}/search/subjects`, {
    permission: 'scenario:read',
  })
  expect([answer.status, answer.body.code, answer.body.detail]).toEqual([
    409,
    'organization-too-large-here',
    expect.stringContaining('ask a server on Node'),
  ])
})
