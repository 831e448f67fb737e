import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decide } from '../../src/decisions/decide.ts'
import { NotHeld } from '../../src/decisions/held.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { watchedSql } from './watched-sql.ts'

/** Statements about organizations, as they were sent. */
let statements: string[] = []
const isAboutOrganizations = (text: string) =>
  /from (?:organizations|members|grants|resources|teams|policy_changes)\b|recursive o as/.test(text)

let server: TestServer
let sliced: TestServer

/** A server beside, over the same database. */
const startBeside = async (options: Parameters<typeof startTestServer>[0]) => {
  const { sql } = server
  const watched = watchedSql(sql, {
    onStatement: (text) => {
      if (isAboutOrganizations(text)) statements.push(text)
    },
  })
  return startTestServer({ database: { ...server.database, sql: watched }, ...options })
}

beforeAll(async () => {
  server = await startTestServer({ slices: 'never' })
  sliced = await startBeside({ slices: 'always', stalenessMs: 60_000 })
})
afterAll(() => server.drop())

const prepared = async () => {
  const organization = await server.newOrganization()
  const { path } = organization
  await server.call('PUT /v1/resource-types/doc', { strict: true })
  await server.call('POST /v1/permissions', { key: 'doc:read', scope: 'workspace' })
  for (const team of ['top', 'middle', 'low'])
    await server.call(`PUT ${path}/teams/${team}`, {
      ...(team === 'middle' ? { parent: 'top' } : team === 'low' ? { parent: 'middle' } : {}),
    })
  for (const name of ['bob', 'carol', 'dave'])
    await server.call(`PUT ${path}/members/${name}`, { roles: [] })
  await server.call(`PUT ${path}/teams/low/members/bob`)
  await server.call(`POST ${path}/grants`, { subject: 'team:top', role: 'viewer' })
  await server.call(`PUT ${path}/resources/doc/1`, {})
  await server.call(`POST ${path}/grants`, {
    subject: 'user:carol',
    permission: 'doc:read',
    resource: 'doc:1',
  })
  return organization
}

const ask = async (asked: TestServer, question: object) =>
  (await asked.call('POST /check', question)).body

const sent = async (work: () => Promise<unknown>) => {
  statements = []
  await work()
  return statements.length
}

describe('a slice', () => {
  test('is read with one statement for a question, one for a batch, and none for what it holds', async () => {
    const { slug: organization } = await prepared()
    // Reads what changed meanwhile, so that what follows is about the organization only.
    await sliced.policies.currentPlatform(sliced.sql)
    sliced.policies.unsure()
    await ask(sliced, { organization: 'nobody', subject: 'user:x', permission: 'doc:read' })

    const question = { organization, permission: 'scenario:read' }
    const first = () => ask(sliced, { ...question, subject: 'user:bob' })
    expect(await sent(first)).toBe(1)
    expect(await sent(first)).toBe(0)
    const checks = Array.from({ length: 100 }, (_, index) => ({
      organization,
      subject: `user:u${index}`,
      permission: 'doc:read',
      resource: `doc:${index}`,
    }))
    const batch = () => sliced.call('POST /check/batch', { checks })
    expect(await sent(batch)).toBe(1)
    expect(await sent(batch)).toBe(0)
    const evaluations = Array.from({ length: 20 }, (_, index) => ({
      subject: { type: 'user', id: `v${index}` },
    }))
    const evaluate = () =>
      sliced.call(`POST /${organization}/access/v1/evaluations`, {
        resource: { type: 'doc', id: 'other' },
        action: { name: 'read' },
        evaluations,
      })
    expect(await sent(evaluate)).toBe(1)
    expect(await sent(evaluate)).toBe(0)
  })

  test('holds a subject with its teams and all above them, and a resource', async () => {
    const { slug: organization } = await prepared()
    expect(
      await ask(sliced, { organization, subject: 'user:bob', permission: 'scenario:read' }),
    ).toMatchObject({ allowed: true, code: 'role' })
    const read = { organization, permission: 'doc:read', resource: 'doc:1' }
    expect(await ask(sliced, { ...read, subject: 'user:carol' })).toMatchObject({
      allowed: true,
      code: 'grant',
    })
    expect(await ask(sliced, { ...read, subject: 'user:carol', resource: 'doc:2' })).toMatchObject({
      code: 'unknown-resource',
    })
  })

  test('knows what does not exist from what was not read, and never answers about the latter', async () => {
    const { id, slug: organization } = await prepared()
    const question = { organization, subject: 'user:nobody', permission: 'doc:read' }
    expect((await ask(sliced, question)).code).toBe('not-a-member')
    expect(await sent(() => ask(sliced, question))).toBe(0)
    const state = sliced.policies.peek(id)!
    const about = (subject: string, resourceId: string | null) => () =>
      decide(
        sliced.policies.engine,
        state,
        { subject, permission: 'doc:read', resourceId, workspaceId: null },
        Date.now(),
      )
    expect(about('user:carol', null)).toThrow(NotHeld)
    expect(about('user:nobody', null)()).toMatchObject({ code: 'not-a-member' })
    await ask(sliced, { ...question, subject: 'user:dave' })
    expect(about('user:dave', '1')).toThrow(NotHeld)
  })

  test('is patched where something that it holds was touched, and only its revision where not', async () => {
    const { path, slug: organization } = await prepared()
    const question = { organization, subject: 'user:bob', permission: 'scenario:read' }
    const now = { ...question, consistency: 'full' }
    expect((await ask(sliced, now)).allowed).toBe(true)
    // Somebody whom it does not hold.
    await server.call(`PUT ${path}/members/dave`, { roles: ['viewer'] })
    const forDave = await sent(() => ask(sliced, now))
    await server.call(`PUT ${path}/teams/low`, { parent: null })
    expect(await sent(async () => expect((await ask(sliced, now)).allowed).toBe(false))).toBe(
      forDave + 1,
    )
    await server.call(`PUT ${path}/teams/low`, { parent: 'top' })
    expect((await ask(sliced, now)).allowed).toBe(true)
    expect((await ask(sliced, { ...now, subject: 'user:dave' })).allowed).toBe(true)
  })

  test('follows a resource that nobody asked about to its new place', async () => {
    const { path, slug: organization } = await prepared()
    for (const slug of ['here', 'there'])
      await server.call(`POST ${path}/workspaces`, { slug, name: slug })
    await server.call(`PUT ${path}/resources/doc/2`, { workspace: 'here' })
    await server.call(`POST ${path}/grants`, {
      subject: 'user:dave',
      permission: 'doc:read',
      resource: 'doc:2',
    })
    const question = { organization, subject: 'user:dave', permission: 'doc:read' }
    await ask(sliced, { ...question, consistency: 'full' })
    await server.call(`PUT ${path}/resources/doc/2`, { workspace: 'there' })
    expect(
      await ask(sliced, { ...question, resource: 'doc:2', consistency: 'full' }),
    ).toMatchObject({ allowed: true })
  })

  test('explains as the whole does, but for teams that could be joined', async () => {
    const { slug: organization } = await prepared()
    const question = { organization, subject: 'user:dave', permission: 'scenario:read' }
    const explained = async (asked: TestServer) => {
      const { trace, ...answer } = await ask(asked, { ...question, explain: true })
      const nearest = trace.nearestMisses.filter((miss: string) => !miss.includes('team:'))
      return { ...answer, trace: { ...trace, nearestMisses: nearest } }
    }
    expect(await explained(sliced)).toEqual(await explained(server))
  })

  test('of what needs everybody the whole is read, up to a bound', async () => {
    const { path, slug: organization } = await prepared()
    const [roomy, bounded] = [
      await startBeside({ slices: 'always', wholeRowsMax: 100 }),
      await startBeside({ slices: 'always', wholeRowsMax: 7 }),
    ]
    const search = (asked: TestServer) =>
      asked.call(`POST ${path}/search/subjects`, { permission: 'scenario:read' })
    const change = { kind: 'grant', grant: { subject: 'user:dave', role: 'viewer' } }
    expect(
      (await search(roomy)).body.items.map(({ subject }: { subject: string }) => subject),
    ).toEqual((await search(server)).body.items.map(({ subject }: { subject: string }) => subject))
    const refused = await search(bounded)
    expect([refused.status, refused.body.code]).toEqual([409, 'organization-too-large-here'])
    const preview = await bounded.call(`POST ${path}/preview`, { change })
    expect([preview.status, preview.body.code]).toEqual([409, 'organization-too-large-here'])
    const question = { organization, subject: 'user:bob', permission: 'scenario:read' }
    expect((await ask(bounded, question)).allowed).toBe(true)
    const resources = await bounded.call(`POST ${path}/search/resources`, {
      subject: 'user:carol',
      permission: 'doc:read',
    })
    expect(resources.body.items).toMatchObject([{ resource: 'doc:1' }])
  })

  test('reads a resource first that a ceiling asks about in the middle of a change', async () => {
    const { path, keyFor } = await prepared()
    const key = await keyFor({ permissions: ['role:assign'] })
    const subject = `key:key_${key.split('_')[1]}`
    const grant = { permission: 'doc:read', resource: 'doc:1' }
    const give = (to: string) =>
      sliced.call(`POST ${path}/grants`, { ...grant, subject: to }, { key })
    expect((await give('user:dave')).body.code).toBe('above-ceiling')
    await server.call(`POST ${path}/grants`, { ...grant, subject })
    expect((await give('user:dave')).status).toBe(201)
  })
})

describe('memory', () => {
  test('what a slice takes is counted, and one that grew too large is begun anew', async () => {
    const { id, slug: organization } = await prepared()
    const small = await startBeside({ slices: 'always', policyBytesMax: 400_000 })
    for (let round = 0; round < 20; round++) {
      const checks = Array.from({ length: 100 }, (_, index) => ({
        organization,
        subject: `user:r${round}x${index}`,
        permission: 'scenario:read',
      }))
      checks.push({ organization, subject: 'user:bob', permission: 'scenario:read' })
      const { body } = await small.call('POST /check/batch', { checks })
      expect(body.results.at(-1).allowed).toBe(true)
      expect(small.policies.size().bytes).toBeLessThanOrEqual(100_000)
    }
    expect(small.policies.peek(id)?.slice?.version ?? 0).toBeLessThan(20)
  })

  test.each(['always', 'never', 'large'] as const)(
    'an organization that does not fit at all is answered from all the same (slices: %s)',
    async (slices) => {
      const { slug: organization } = await prepared()
      const tiny = await startBeside({ slices, policyBytesMax: 1000 })
      const question = { organization, subject: 'user:bob', permission: 'scenario:read' }
      expect((await ask(tiny, question)).allowed).toBe(true)
      expect((await ask(tiny, question)).allowed).toBe(true)
      expect(tiny.policies.size()).toEqual({ organizations: 0, bytes: 0 })
    },
  )

  test('only large organizations are sliced by default, and stay so', async () => {
    const [{ id: small }, large] = [await server.newOrganization(), await prepared()]
    const node = await startBeside({ slices: 'large', sliceRowsMin: 5 })
    const question = { subject: 'user:bob', permission: 'scenario:read' }
    await ask(node, { ...question, organization: small })
    expect((await ask(node, { ...question, organization: large.slug })).allowed).toBe(true)
    const isSliced = (id: string) => node.policies.peek(id)?.slice !== null
    expect([isSliced(small), isSliced(large.id)]).toEqual([false, true])
    await server.call(`PUT ${large.path}/roles/extra`, { scope: 'organization', permissions: [] })
    await ask(node, { ...question, organization: large.slug, consistency: 'full' })
    expect(isSliced(large.id)).toBe(true)
  })
})
