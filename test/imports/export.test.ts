import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  FULL,
  FULL_COUNTS,
  type ImportServer,
  NO_COUNTS,
  type Organization,
  startImportServer,
} from './fixtures.ts'
import { documents, questionsAbout } from './random-documents.ts'

let server: ImportServer
beforeAll(async () => {
  server = await startImportServer()
})
afterAll(() => server.drop())

type Document = { [kind in keyof typeof FULL]: object[] }

const exported = async ({ path }: Organization): Promise<Document> =>
  (await server.call(`GET ${path}/export`)).body

const importInto = ({ path }: Organization, document: object | string) =>
  server.call(`POST ${path}/import`, document)

/** That an export changes nothing where it comes from, and makes the same policy elsewhere. */
const expectFaithful = async (organization: Organization, subjects: string[]) => {
  const document = await exported(organization)
  const before = await server.stateOf(organization.id)
  const again = await importInto(organization, document)
  expect([again.body.errors, again.body.created, again.body.updated]).toEqual([
    [],
    NO_COUNTS,
    NO_COUNTS,
  ])
  expect(await server.stateOf(organization.id)).toEqual(before)

  const copy = await server.newOrganization()
  const copied = await importInto(copy, document)
  expect([copied.status, copied.body.errors]).toEqual([200, []])
  const sorted = ({ grants, ...rest }: Document) => ({
    ...rest,
    grants: grants.map((each) => JSON.stringify(each)).toSorted(),
  })
  expect(sorted(await exported(copy))).toEqual(sorted(document))

  let allowed = 0
  const decided = async ({ slug }: Organization) => {
    const checks = questionsAbout(subjects).map((each) => ({ organization: slug, ...each }))
    const { body } = await server.call('POST /check/batch', { checks, consistency: 'full' })
    return body.results.map((result: { allowed: boolean; code: string }) => {
      if (result.allowed) allowed++
      return [result.allowed, result.code]
    })
  }
  expect(await decided(copy)).toEqual(await decided(organization))
  return allowed
}

describe('an export', () => {
  test('has the shape of an import', async () => {
    const organization = await server.newOrganization()
    await importInto(organization, FULL)
    const document = await exported(organization)
    expect(Object.keys(document)).toEqual(Object.keys(FULL))
    expect(document.members[1]).toEqual({
      user: 'user:alice',
      roles: ['owner'],
      attributes: {},
      status: 'active',
      expiresAt: null,
    })
    expect(document.teams).toEqual([
      { slug: 'eng', name: 'eng', parent: null, members: ['user:bob'] },
      { slug: 'web', name: 'The Web', parent: 'eng', members: ['service:ci', 'user:carol'] },
    ])
    expect(document.workspaces[0]).toEqual({
      slug: 'ws1',
      name: 'Workspace 1',
      members: [{ user: 'user:bob', roles: ['lab-lead', 'user'] }],
    })
    expect(document.resources[1]).toEqual({
      type: 'repo',
      id: 'site',
      workspace: 'ws1',
      owner: 'bob',
      attributes: {},
    })
    expect(document.grants).toContainEqual({
      subject: 'user:carol',
      permission: 'repo:admin',
      resource: 'repo:site',
      effect: 'allow',
      reason: 'on call',
    })
    expect(document.grants).toHaveLength(5)
  })

  test('changes nothing where it comes from, and decides the same elsewhere', async () => {
    const organization = await server.newOrganization()
    await importInto(organization, FULL)
    await expectFaithful(organization, ['user:alice', 'user:bob', 'user:carol', 'service:bot'])
  })

  test('as lines is the same document', async () => {
    const organization = await server.newOrganization()
    await importInto(organization, FULL)
    const { path } = organization
    const response = await server.app.request(`${path}/export?format=ndjson`, {
      headers: { authorization: `Bearer ${server.adminKey}` },
    })
    expect(response.headers.get('content-type')).toBe('application/x-ndjson')
    const body = await response.text()
    const lines = body.trim().split('\n')
    expect(lines).toHaveLength(3 + 4 + 2 + 2 + 2 + 5)
    expect(JSON.parse(lines[0]!)).toMatchObject({ kind: 'role', name: 'lab-lead' })
    const copy = await server.newOrganization()
    const { body: report } = await server.call(`POST ${copy.path}/import`, body, {
      headers: { 'content-type': 'application/x-ndjson' },
    })
    expect(report.created).toEqual(FULL_COUNTS)
    expect(report.unchanged).toEqual({ ...NO_COUNTS, members: 1 })
  })

  test('leaves out what has ended, and what API keys hold', async () => {
    const organization = await server.newOrganization()
    const { id, path } = organization
    await importInto(organization, FULL)
    await server.call(`POST ${path}/api-keys`, { name: 'k', roles: ['viewer'] })
    await server.sql`update members set expires_at = now() - interval '1 hour'
      where organization_id = ${id} and subject = 'user:carol'`
    await server.sql`update grants set expires_at = now() - interval '1 hour'
      where organization_id = ${id} and subject = 'team:eng'`
    const document = await exported(organization)
    expect(JSON.stringify(document)).not.toMatch(/carol|key:/)
    expect(document.grants.map((each) => (each as { subject: string }).subject).toSorted()).toEqual(
      ['service:bot', 'team:web', 'user:bob'],
    )
    await expectFaithful(organization, ['user:alice', 'user:bob', 'user:carol', 'service:bot'])
  })

  test('says what names alone do not: a role held where its name means another', async () => {
    const organization = await server.newOrganization()
    const { path } = organization
    await importInto(organization, FULL)
    const put = (id: string, body: object) => server.call(`PUT ${path}/resources/model/${id}`, body)
    const grant = (body: object) => server.call(`POST ${path}/grants`, body)
    // `admin` is a role of the organization and one of workspaces; a moved resource takes its grants along.
    await put('out', {})
    await put('in', { workspace: 'ws1' })
    await put('both', { workspace: 'ws1' })
    await grant({ subject: 'user:bob', role: 'admin', resource: 'model:out' })
    await grant({ subject: 'user:bob', role: 'admin', resource: 'model:in' })
    await grant({ subject: 'user:carol', role: 'user', resource: 'model:in' })
    await grant({ subject: 'user:bob', role: 'repo-read', resource: 'model:both' })
    await put('both', { workspace: null })
    await grant({
      subject: 'user:bob',
      role: 'repo-read',
      resource: 'model:both',
      expiresAt: '2099-01-01T00:00:00Z',
    })
    await put('out', { workspace: 'ws1' })
    await put('in', { workspace: null })
    const document = await exported(organization)
    expect(document.grants.filter((each) => 'roleScope' in each)).toHaveLength(3)
    expect(
      document.grants.filter((each) => 'resource' in each && each.resource === 'model:both'),
    ).toEqual([{ subject: 'user:bob', role: 'repo-read', resource: 'model:both', effect: 'allow' }])
    await expectFaithful(organization, ['user:bob', 'user:carol'])
  })

  test('keeps roles given by hand, for a time, and in workspaces', async () => {
    const organization = await server.newOrganization()
    const { id, path } = organization
    await importInto(organization, FULL)
    const grant = (body: object) => server.call(`POST ${path}/grants`, body)
    await grant({ subject: 'user:carol', role: 'auditor' })
    await grant({ subject: 'user:carol', role: 'user', workspace: 'ws2' })
    await grant({ subject: 'team:eng', role: 'guest', workspace: 'ws2' })
    await grant({
      subject: 'user:bob',
      role: 'guest',
      workspace: 'ws2',
      expiresAt: '2099-01-01T00:00:00Z',
    })
    await server.sql`update grants set expires_at = '2099-01-01' where organization_id = ${id}
      and subject = 'user:bob' and role_name = 'viewer'`
    await server.call(`PATCH ${path}/members/carol`, { expiresAt: '2099-01-01T00:00:00Z' })
    await expectFaithful(organization, ['user:bob', 'user:carol', 'service:bot'])
  })

  test('of anything comes back unchanged, and decides the same elsewhere', {
    timeout: 120_000,
  }, async () => {
    let allowed = 0
    const property = fc.asyncProperty(documents, async (document) => {
      const organization = await server.newOrganization()
      const { status, body } = await importInto(organization, document)
      expect([status, body.errors]).toEqual([200, []])
      const twice = await importInto(organization, document)
      expect([twice.body.created, twice.body.updated]).toEqual([NO_COUNTS, NO_COUNTS])
      allowed += await expectFaithful(
        organization,
        document.members.map(({ user }) => user),
      )
    })
    // Some draws allow little: then as many again are drawn.
    for (let draws = 0; draws < 5 && allowed <= 50; draws++)
      await fc.assert(property, { numRuns: 15 })
    expect(allowed).toBeGreaterThan(50)
  })
})
