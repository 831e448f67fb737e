import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLog } from '../../src/platform/log.ts'
import { FULL, FULL_COUNTS, type ImportServer, NO_COUNTS, startImportServer } from './fixtures.ts'

let server: ImportServer
const logged: object[] = []
const log = {
  ...silentLog,
  info: (fields: object, message: string) => message === 'importing' && logged.push(fields),
}
beforeAll(async () => {
  server = await startImportServer({ log })
})
afterAll(() => server.drop())

const CREATED = { created: FULL_COUNTS, updated: NO_COUNTS, unchanged: NO_COUNTS, errors: [] }
const UNCHANGED = { created: NO_COUNTS, updated: NO_COUNTS, unchanged: FULL_COUNTS, errors: [] }

const importFull = async () => {
  const organization = await server.newOrganization()
  const answer = await server.call(`POST ${organization.path}/import`, FULL)
  return { ...organization, answer }
}

describe('a document', () => {
  test('is stored whole, and decides', async () => {
    const { path, slug, answer } = await importFull()
    expect([answer.status, answer.body]).toEqual([200, CREATED])
    const decisions: [string, string, string | undefined, boolean][] = [
      ['user:bob', 'repo:read', 'repo:kubectl', true],
      ['user:bob', 'repo:write', 'repo:kubectl', true],
      ['user:carol', 'repo:write', 'repo:kubectl', false],
      ['user:carol', 'repo:admin', 'repo:site', true],
      ['user:carol', 'repo:admin', 'repo:kubectl', false],
      ['service:ci', 'repo:read', 'repo:kubectl', false],
      ['user:dave', 'repo:read', 'repo:kubectl', false],
      ['user:bob', 'repo:read', 'repo:nowhere', false],
    ]
    for (const [subject, permission, resource, allowed] of decisions)
      expect([
        subject,
        permission,
        await server.may(slug, [subject, permission, resource]),
      ]).toEqual([subject, permission, allowed])
    const bob = await server.call(`GET ${path}/members/bob`)
    expect(bob.body).toMatchObject({
      roles: ['repo-read', 'viewer'],
      attributes: { level: 3, of: ['a'] },
      source: 'import',
    })
    const { items } = (await server.call(`GET ${path}/workspaces/ws1/members`)).body
    expect(items).toEqual([{ subject: 'user:bob', roles: ['lab-lead', 'user'] }])
  })

  test('changes nothing the second time: no revision, no event, no version', async () => {
    const { id, path } = await importFull()
    const before = await server.stateOf(id)
    const again = await server.call(`POST ${path}/import`, FULL)
    expect([again.status, again.body]).toEqual([200, UNCHANGED])
    expect(await server.stateOf(id)).toEqual(before)
    expect(again.revision).toMatch(new RegExp(`^${id}\\.`))
  })

  test('leaves alone what it does not mention, and what its objects leave out', async () => {
    const { path, answer } = await importFull()
    expect(answer.status).toBe(200)
    const { body } = await server.call(`POST ${path}/import`, {
      roles: [{ name: 'repo-write', permissions: ['repo:write', 'repo:admin'] }],
      members: [{ user: 'bob', attributes: { level: 4 } }],
      teams: [{ slug: 'web', members: ['bob'] }],
      workspaces: [{ slug: 'ws1', members: [{ user: 'carol', roles: ['guest'] }] }],
      resources: [{ type: 'repo', id: 'site', owner: null }],
      grants: [{ subject: 'user:bob', permission: 'repo:read', reason: 'asked' }],
    })
    const one = { roles: 1, members: 1, teams: 1, workspaces: 1, resources: 1, grants: 1 }
    expect(body).toEqual({ created: NO_COUNTS, updated: one, unchanged: NO_COUNTS, errors: [] })

    const get = async (what: string) => (await server.call(`GET ${path}/${what}`)).body
    expect(await get('roles/repo-write')).toMatchObject({
      permissions: ['repo:admin', 'repo:write'],
      inherits: ['repo-read'],
      version: 2,
    })
    expect(await get('members/bob')).toMatchObject({
      roles: ['repo-read', 'viewer'],
      attributes: { level: 4 },
    })
    expect(await get('teams/web')).toMatchObject({ name: 'The Web', parent: 'eng' })
    expect((await get('teams/web/members')).items).toHaveLength(3)
    expect(await get('workspaces/ws1')).toMatchObject({ name: 'Workspace 1' })
    expect((await get('workspaces/ws1/members')).items).toHaveLength(2)
    expect(await get('resources/repo/site')).toMatchObject({ workspace: 'ws1', owner: null })
    expect((await get('grants?subject=user:bob')).items).toContainEqual(
      expect.objectContaining({
        permission: 'repo:read',
        reason: 'asked',
        expiresAt: '2099-01-01T00:00:00.000Z',
      }),
    )
  })

  test('gives a listed member exactly the listed roles, in the organization and in a workspace', async () => {
    const { path } = await importFull()
    const { body } = await server.call(`POST ${path}/import`, {
      members: [{ user: 'bob', roles: ['guest'] }],
      workspaces: [{ slug: 'ws1', members: [{ user: 'bob', roles: [] }] }],
    })
    expect(body.updated).toMatchObject({ members: 1, workspaces: 1 })
    expect((await server.call(`GET ${path}/members/bob`)).body.roles).toEqual(['guest'])
    const { items } = (await server.call(`GET ${path}/workspaces/ws1/members`)).body
    expect(items).toEqual([])
  })

  test('leaves a role that it gives as a grant, and one that was given by hand', async () => {
    const { path, slug } = await importFull()
    await server.call(`POST ${path}/grants`, { subject: 'user:bob', role: 'auditor' })
    const { body } = await server.call(`POST ${path}/import`, {
      members: [{ user: 'bob', roles: [] }],
      grants: [{ subject: 'user:bob', role: 'viewer' }],
    })
    expect([body.updated.members, body.unchanged.grants]).toEqual([1, 1])
    expect(await server.may(slug, ['user:bob', 'audit:read'])).toBe(true)
    expect(await server.may(slug, ['user:bob', 'scenario:read'])).toBe(true)
    expect(await server.may(slug, ['user:bob', 'repo:read', 'repo:site'])).toBe(true)
    const again = await server.call(`POST ${path}/import`, {
      members: [{ user: 'bob', roles: [] }],
      grants: [{ subject: 'user:bob', role: 'viewer' }],
    })
    expect(again.body.updated).toEqual(NO_COUNTS)
  })

  test('moves the end of a grant, takes it away with null, and gives an ended grant anew', async () => {
    const { id, path, slug } = await importFull()
    const grant = { subject: 'user:carol', permission: 'repo:write', resource: 'repo:kubectl' }
    const read = { subject: 'user:bob', permission: 'repo:read' }
    await server.sql`update grants set expires_at = now() - interval '1 day'
      where organization_id = ${id} and permission = 'repo:admin'`
    const { body } = await server.call(`POST ${path}/import`, {
      grants: [
        { ...grant, expiresAt: '2098-01-01T00:00:00.000Z' },
        { ...read, expiresAt: null },
        FULL.grants[1],
      ],
    })
    expect([body.created.grants, body.updated.grants]).toEqual([2, 1])
    expect(await server.may(slug, ['user:carol', 'repo:admin', 'repo:site'])).toBe(true)
    const { items } = (await server.call(`GET ${path}/grants`)).body
    const ends = (permission: string) =>
      items
        .filter((each: { permission: string }) => each.permission === permission)
        .map(({ expiresAt }: { expiresAt: string | null }) => expiresAt)
    expect(ends('repo:read')).toEqual([null])
    expect(ends('repo:admin')).toEqual([null])
    expect(ends('repo:write')).toContain('2098-01-01T00:00:00.000Z')
  })

  test('moves a resource with the grants on it', async () => {
    const { path, slug } = await importFull()
    const document = {
      resources: [{ type: 'repo', id: 'site', workspace: 'ws2' }],
      grants: [FULL.grants[1], { subject: 'user:bob', role: 'lab-lead', resource: 'repo:site' }],
    }
    const { body } = await server.call(`POST ${path}/import`, document)
    expect([body.updated.resources, body.unchanged.grants, body.created.grants]).toEqual([1, 1, 1])
    expect(await server.may(slug, ['user:carol', 'repo:admin', 'repo:site'])).toBe(true)
    const again = await server.call(`POST ${path}/import`, document)
    expect([again.body.updated, again.body.created]).toEqual([NO_COUNTS, NO_COUNTS])
  })

  test('resolves names against the document and what is stored', async () => {
    const { path } = await importFull()
    const { status, body } = await server.call(`POST ${path}/import`, {
      roles: [{ name: 'repo-admin', permissions: ['repo:admin'], inherits: ['repo-write'] }],
      members: [{ user: 'dave', roles: ['repo-admin', 'repo-read'] }],
      teams: [{ slug: 'ops', parent: 'eng', members: ['dave', 'bob'] }],
      workspaces: [{ slug: 'ws3', members: [{ user: 'carol', roles: ['lab-lead'] }] }],
      resources: [{ type: 'repo', id: 'docs', workspace: 'ws3' }],
      grants: [
        { subject: 'team:ops', role: 'repo-admin', workspace: 'ws3' },
        { subject: 'team:web', role: 'repo-read', resource: 'repo:docs', workspace: 'ws3' },
        { subject: 'user:bob', role: 'lab-lead', workspace: 'ws2' },
      ],
    })
    expect([status, body.errors]).toEqual([200, []])
    expect(body.created).toEqual({
      roles: 1,
      members: 1,
      teams: 1,
      workspaces: 1,
      resources: 1,
      grants: 3,
    })
  })
})

describe('docs/import.md', () => {
  const page = readFileSync(new URL('../../docs/import.md', import.meta.url), 'utf8')
  const blocks = [...page.matchAll(/```(?:json)?\n(\{[\s\S]*?)```/g)].map(([, block]) => block!)

  test('shows documents that can be imported, and the answer', async () => {
    const { path } = await server.newOrganization('user:olivia')
    const [document, report] = blocks
    const answer = await server.call(`POST ${path}/import`, document)
    expect([answer.status, answer.body]).toEqual([200, JSON.parse(report!)])
    const lines = blocks.find((block) => block.startsWith('{"kind"'))
    const { status, body } = await server.call(`POST ${path}/import`, lines, {
      headers: { 'content-type': 'application/x-ndjson' },
    })
    expect([status, body.errors]).toEqual([200, []])
  })
})

describe('a dry run', () => {
  test.each(['?dryRun=true', '?dryRun'])(
    '%s answers the same and changes nothing',
    async (query) => {
      const organization = await server.newOrganization()
      const before = await server.stateOf(organization.id)
      const answer = await server.call(`POST ${organization.path}/import${query}`, FULL)
      expect([answer.status, answer.body, answer.revision]).toEqual([200, CREATED, null])
      expect(await server.stateOf(organization.id)).toEqual(before)
      const real = await server.call(`POST ${organization.path}/import?dryRun=false`, FULL)
      expect(real.body).toEqual(answer.body)
    },
  )

  test('is refused like the import itself', async () => {
    const { path } = await server.newOrganization()
    const document = { grants: [{ subject: 'user:nobody', role: 'viewer' }] }
    const [tried, real] = [
      await server.call(`POST ${path}/import?dryRun=true`, document),
      await server.call(`POST ${path}/import`, document),
    ]
    expect([tried.status, tried.body.errors]).toEqual([real.status, real.body.errors])
    expect(tried.status).toBe(422)
  })
})

describe('the log', () => {
  test('names what was created and updated, a thousand objects an event, with the hash of the document', async () => {
    const { id, path } = await server.newOrganization()
    const members = Array.from({ length: 10_500 }, (_, n) => ({ user: `m${n}` }))
    const body = JSON.stringify({ members })
    const hash = Buffer.from(
      await crypto.subtle.digest('SHA-256', new TextEncoder().encode(body)),
    ).toString('hex')
    const { revision } = await server.call(`POST ${path}/import`, body)
    const events = await server.sql<
      { event: string; resource: string; body: string; revision: number }[]
    >`
      select event, resource, body, revision from audit_events where log = ${id} and event like 'import.%' order by id`
    expect(events.map(({ event, resource }) => [event, resource])).toEqual(
      Array(11).fill(['import.completed', `import:${hash}`]),
    )
    const parts = events.map(({ body }) => JSON.parse(body).after)
    const [first, last] = [parts[0], parts.at(-1)]
    expect([first.parts, first.objects.length, last.objects.length]).toEqual([11, 1000, 500])
    expect([first.sha256, first.objects[0]]).toEqual([hash, 'created member:user:m0'])
    expect(revision!.split('.')[1]).toBe(events[0]!.revision.toString(36))
    expect(logged).toContainEqual({ kind: 'members', done: 10_000, total: 10_500 })
  })
})

describe('two imports at once', () => {
  test('take turns: the second finds everything done', async () => {
    const { path } = await server.newOrganization()
    const answers = await Promise.all([
      server.call(`POST ${path}/import`, FULL),
      server.call(`POST ${path}/import`, FULL),
    ])
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    const bodies = answers.map(({ body }) => body)
    expect(bodies).toContainEqual(CREATED)
    expect(bodies).toContainEqual(UNCHANGED)
  })
})

describe('a repeated request', () => {
  test('with the same Idempotency-Key answers as the first did', async () => {
    const { path } = await server.newOrganization()
    const headers = { 'idempotency-key': `import-${path}` }
    const first = await server.call(`POST ${path}/import`, FULL, { headers })
    const second = await server.call(`POST ${path}/import`, FULL, { headers })
    expect([first.body, second.body]).toEqual([CREATED, CREATED])
    expect(second.revision).toBe(first.revision)
  })
})
