import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  FULL,
  type ImportServer,
  type Organization,
  placesOf,
  startImportServer,
} from './fixtures.ts'

let server: ImportServer
let organization: Organization
let foreign: { workspace: string; key: string }

beforeAll(async () => {
  server = await startImportServer()
  organization = await server.newOrganization()
  await server.call(`POST ${organization.path}/import`, FULL)
  const other = await server.newOrganization('user:eve')
  const workspace = await server.call(`POST ${other.path}/workspaces`, { name: 'Far' })
  const key = await server.call(`POST ${other.path}/api-keys`, { name: 'k', roles: ['viewer'] })
  foreign = { workspace: workspace.body.id, key: key.body.id }
})
afterAll(() => server.drop())

const chain = (length: number, link: (n: number) => object) =>
  Array.from({ length }, (_, n) => link(n))
const role = (n: number) => ({
  name: `r${n}`,
  permissions: [],
  inherits: n === 0 ? [] : [`r${n - 1}`],
})
const team = (n: number) => ({ slug: `t${n}`, parent: n === 0 ? null : `t${n - 1}` })
const bob = 'user:bob'
const long = 'x'.repeat(501)
// Each number takes two bytes here, and six times as many as PostgreSQL stores it.
const dense = Object.fromEntries(
  Array.from({ length: 7 }, (_, n) => [`l${n}`, Array(1000).fill(1)]),
)

const REFUSED: Record<string, [document: object, places: string[], detail?: RegExp]> = {
  'a permission nobody registered': [
    { roles: [{ name: 'x', permissions: ['repo:read', 'repo:raed'] }] },
    ['/roles/0/permissions/1'],
    /Did you mean repo:read/,
  ],
  'a permission nobody registered in a grant': [
    { grants: [{ subject: bob, permission: 'repo:wriet' }] },
    ['/grants/0/permission'],
    /Did you mean repo:write/,
  ],
  'a permission twice in a role': [
    { roles: [{ name: 'x', permissions: ['repo:read', { permission: 'repo:read' }] }] },
    ['/roles/0/permissions/1'],
  ],
  'a permission wider than its role': [
    { roles: [{ name: 'x', scope: 'workspace', permissions: ['org:read'] }] },
    ['/roles/0/permissions/0'],
  ],
  'a permission of the platform in a role': [
    { roles: [{ name: 'x', permissions: ['system:admin'] }] },
    ['/roles/0/permissions/0'],
  ],
  'a permission wider than its place': [
    {
      grants: [
        { subject: bob, permission: 'org:read', workspace: 'ws1' },
        { subject: bob, permission: 'system:admin' },
      ],
    },
    ['/grants/0/permission', '/grants/1/permission'],
  ],
  'a permission of another type': [
    { grants: [{ subject: bob, permission: 'scenario:read', resource: 'repo:kubectl' }] },
    ['/grants/0/permission'],
    /another resource type/,
  ],
  'a role that does not exist': [
    {
      members: [{ user: 'bob', roles: ['viewer', 'viewre'] }],
      workspaces: [{ slug: 'ws1', members: [{ user: 'bob', roles: ['lab-laed'] }] }],
      grants: [{ subject: bob, role: 'repo-raed' }],
    },
    ['/grants/0/role', '/members/0/roles/1', '/workspaces/0/members/0/roles/0'],
    /Did you mean repo-read/,
  ],
  'a role of workspaces in the whole organization': [
    { grants: [{ subject: bob, role: 'lab-lead' }], members: [{ user: 'bob', roles: ['user'] }] },
    ['/grants/0/role', '/members/0/roles/0'],
    /role of workspaces/,
  ],
  'a role of workspaces held nowhere': [
    { grants: [{ subject: bob, role: 'lab-lead', roleScope: 'workspace' }] },
    ['/grants/0/role'],
  ],
  'a scope for what is no role': [
    { grants: [{ subject: bob, permission: 'repo:read', roleScope: 'workspace' }] },
    ['/grants/0/roleScope'],
  ],
  'an inherited role that does not exist': [
    { roles: [{ name: 'x', permissions: [], inherits: ['repo-read', 'wizard'] }] },
    ['/roles/0/inherits/1'],
  ],
  'inheriting owner, or a wider role': [
    {
      roles: [
        { name: 'x', permissions: [], inherits: ['owner'] },
        { name: 'y', scope: 'workspace', permissions: [], inherits: ['repo-read'] },
      ],
    },
    ['/roles/0/inherits/0', '/roles/1/inherits/0'],
  ],
  'a built-in role, and a reserved name': [
    {
      roles: [
        { name: 'viewer', permissions: [] },
        { name: 'operator', permissions: [] },
      ],
    },
    ['/roles/0/name', '/roles/1/name'],
  ],
  'another scope for a role': [
    { roles: [{ name: 'repo-read', scope: 'workspace' }] },
    ['/roles/0/scope'],
  ],
  'roles in a circle': [
    {
      roles: [
        { name: 'repo-read', inherits: ['x'] },
        { name: 'x', permissions: [], inherits: ['repo-write'] },
      ],
    },
    ['/roles/0/inherits', '/roles/1/inherits'],
  ],
  'a role that inherits itself': [
    { roles: [{ name: 'x', permissions: [], inherits: ['x'] }] },
    ['/roles/0/inherits'],
  ],
  'roles nested too deep': [
    { roles: chain(12, role) },
    Array.from({ length: 12 }, (_, n) => `/roles/${n}/inherits`),
    /10 links/,
  ],
  'a team that does not exist': [
    {
      teams: [{ slug: 'x', parent: 'egn' }],
      grants: [{ subject: 'team:egn', role: 'repo-read' }],
    },
    ['/grants/0/subject', '/teams/0/parent'],
    /Did you mean eng/,
  ],
  'teams in a circle': [
    { teams: [{ slug: 'eng', parent: 'web' }] },
    ['/teams/0/parent'],
    /inside itself/,
  ],
  'a team in itself': [{ teams: [{ slug: 'x', parent: 'x' }] }, ['/teams/0/parent']],
  'teams nested too deep': [
    { teams: chain(9, team) },
    Array.from({ length: 9 }, (_, n) => `/teams/${n}/parent`),
    /8 deep/,
  ],
  'whoever is no member': [
    {
      teams: [{ slug: 'eng', members: ['bob', 'nobody'] }],
      workspaces: [{ slug: 'ws1', members: [{ user: 'nobody', roles: ['user'] }] }],
      grants: [{ subject: 'user:nobody', role: 'repo-read' }],
    },
    ['/grants/0/subject', '/teams/0/members/1', '/workspaces/0/members/0/user'],
  ],
  'a workspace that does not exist': [
    {
      resources: [{ type: 'repo', id: 'x', workspace: 'ws11' }],
      grants: [{ subject: bob, role: 'lab-lead', workspace: 'ws11' }],
    },
    ['/grants/0/role', '/grants/0/workspace', '/resources/0/workspace'],
    /Did you mean ws1/,
  ],
  'another workspace than the registered one': [
    {
      resources: [{ type: 'repo', id: 'new', workspace: 'ws1' }],
      grants: [
        { subject: bob, permission: 'repo:read', resource: 'repo:site', workspace: 'ws2' },
        { subject: bob, permission: 'repo:read', resource: 'repo:new', workspace: 'ws2' },
      ],
    },
    ['/grants/0/workspace', '/grants/1/workspace'],
  ],
  'a resource type nobody registered': [
    {
      resources: [{ type: 'rpeo', id: 'x' }],
      grants: [{ subject: bob, role: 'repo-read', resource: 'rpeo:x' }],
    },
    ['/grants/0/resource', '/resources/0/type'],
    /Did you mean repo/,
  ],
  'a role as subject': [
    { grants: [{ subject: 'role:viewer', role: 'repo-read' }] },
    ['/grants/0/subject'],
  ],
  'ownership as a grant': [{ grants: [{ subject: bob, role: 'owner' }] }, ['/grants/0/role']],
  'ownership of a workspace': [
    { workspaces: [{ slug: 'ws1', members: [{ user: 'bob', roles: ['owner'] }] }] },
    ['/workspaces/0/members/0/roles'],
  ],
  'a role and a permission, or neither': [
    {
      grants: [{ subject: bob, role: 'repo-read', permission: 'repo:read' }, { subject: bob }],
    },
    ['/grants/0', '/grants/1'],
  ],
  'a condition that cannot be read': [
    {
      roles: [{ name: 'x', permissions: [{ permission: 'repo:read', condition: 'subject.' }] }],
      grants: [
        { subject: bob, role: 'repo-read', condition: 'foo == 1' },
        { subject: bob, role: 'repo-write', condition: 'subject.id.matches("a+")' },
      ],
    },
    ['/grants/0/condition', '/grants/1/condition', '/roles/0/permissions/0/condition'],
  ],
  'an end in the past': [
    {
      members: [{ user: 'dave', expiresAt: '2020-01-01T00:00:00Z' }],
      grants: [{ subject: bob, role: 'repo-write', expiresAt: '2020-01-01T00:00:00Z' }],
    },
    ['/grants/0/expiresAt', '/members/0/expiresAt'],
  ],
  'an owner with an end': [
    { members: [{ user: 'alice', expiresAt: '2099-01-01T00:00:00Z' }] },
    ['/members/0/expiresAt'],
  ],
  'a suspended last owner': [{ members: [{ user: 'alice', status: 'suspended' }] }, ['/members/0']],
  'the same object twice': [
    {
      roles: [
        { name: 'x', permissions: [] },
        { name: 'x', permissions: [] },
      ],
      members: [{ user: 'dave' }, { user: 'user:dave' }],
      teams: [{ slug: 'x' }, { slug: 'x' }],
      workspaces: [{ slug: 'x' }, { slug: 'x' }],
      resources: [
        { type: 'repo', id: 'x' },
        { type: 'repo', id: 'x' },
      ],
      grants: [
        { subject: bob, role: 'repo-write', resource: 'repo:site' },
        { subject: bob, role: 'repo-write', resource: 'repo:site', workspace: 'ws1', reason: '2' },
      ],
    },
    ['/grants/1', '/members/1', '/resources/1', '/roles/1', '/teams/1', '/workspaces/1'],
    /already at/,
  ],
  'a role given by membership and as a grant': [
    {
      members: [{ user: 'bob', roles: ['repo-write'] }],
      grants: [{ subject: bob, role: 'repo-write' }],
    },
    ['/grants/0'],
  ],
  'a member of a workspace twice': [
    {
      workspaces: [
        {
          slug: 'ws1',
          members: [
            { user: 'bob', roles: [] },
            { user: bob, roles: ['user'] },
          ],
        },
      ],
    },
    ['/workspaces/0/members/1/user'],
  ],
  'teams, roles and keys as members': [
    { members: [{ user: 'team:eng' }, { user: 'role:x' }, { user: 'key:x' }] },
    ['/members/0/user', '/members/1/user', '/members/2/user'],
  ],
  'ids that are too long, or empty': [
    {
      members: [{ user: long }],
      resources: [
        { type: 'repo', id: long },
        { type: 'repo', id: '' },
      ],
      grants: [{ subject: `user:${long}`, role: 'repo-read', resource: `repo:${long}` }],
    },
    [
      '/grants/0/resource',
      '/grants/0/subject',
      '/members/0/user',
      '/resources/0/id',
      '/resources/1/id',
    ],
  ],
  'names of another form': [
    {
      roles: [{ name: 'No Spaces', permissions: [] }],
      teams: [{ slug: 'Upper' }],
      workspaces: [{ slug: 'x', name: ' ' }],
      resources: [{ type: 'a:b', id: 'x' }],
    },
    ['/resources/0/type', '/roles/0/name', '/teams/0/slug', '/workspaces/0/name'],
  ],
  'attributes that are too large, or larger than they look': [
    {
      members: [{ user: 'dave', attributes: { a: 'x'.repeat(16_001) } }],
      resources: [{ type: 'repo', id: 'x', attributes: [] }],
    },
    ['/members/0/attributes', '/resources/0/attributes'],
  ],
  'attributes larger than a row takes': [
    {
      members: [{ user: 'bob', attributes: dense }],
      resources: [{ type: 'repo', id: 'x', attributes: dense }],
    },
    ['/members/0/attributes', '/resources/0/attributes'],
    /too large/,
  ],
  'text that cannot be stored': [
    {
      members: [{ user: 'dave', attributes: { a: 'x\u0000' } }, { user: 'a\u0000b' }],
      teams: [{ slug: 'x', name: '\ud800' }],
      resources: [
        { type: 'repo', id: '\ud800' },
        { type: 'repo', id: 'y', attributes: { a: '\udc00' } },
      ],
      grants: [{ subject: bob, role: 'repo-write', reason: 'a\u0000' }],
    },
    [
      '/grants/0/reason',
      '/members/0/attributes',
      '/members/1/user',
      '/resources/0/id',
      '/resources/1/attributes',
      '/teams/0/name',
    ],
  ],
  'unknown members of objects': [
    { members: [{ user: 'dave', isOwner: true }], grants: [{ subject: bob, role: 'x', id: 'y' }] },
    ['/grants/0/id', '/members/0/isOwner'],
  ],
  'what is no object': [{ members: ['bob', null, 1] }, ['/members/0', '/members/1', '/members/2']],
}

const sorted = (places: string[]) => places.toSorted()

test.each(Object.entries(REFUSED))('refuses %s', async (_, [document, places, detail]) => {
  const before = await server.stateOf(organization.id)
  const answer = await server.call(`POST ${organization.path}/import`, document)
  expect([answer.status, answer.body.code, sorted(placesOf(answer))]).toEqual([
    422,
    'import-invalid',
    sorted(places),
  ])
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  if (detail) expect(JSON.stringify(answer.body.errors)).toMatch(detail)
  expect(await server.stateOf(organization.id)).toEqual(before)
})

test('refuses workspaces and keys of another organization', async () => {
  const answer = await server.call(`POST ${organization.path}/import`, {
    resources: [{ type: 'repo', id: 'x', workspace: foreign.workspace }],
    grants: [
      { subject: `key:${foreign.key}`, role: 'repo-read' },
      { subject: 'key:nonsense', role: 'repo-read' },
      { subject: bob, role: 'repo-read', workspace: foreign.workspace },
    ],
  })
  expect([answer.status, sorted(placesOf(answer))]).toEqual([
    422,
    ['/grants/0/subject', '/grants/1/subject', '/grants/2/workspace', '/resources/0/workspace'],
  ])
})

test('takes names that look like members of every object', async () => {
  const { path } = await server.newOrganization()
  const answer = await server.call(
    `POST ${path}/import`,
    '{"members":[{"user":"__proto__","attributes":{"__proto__":{"a":1},"toString":"x"}},{"user":"constructor"}],' +
      '"teams":[{"slug":"constructor","members":["__proto__"]}],' +
      '"grants":[{"subject":"user:__proto__","role":"toString"}]}',
  )
  expect([answer.status, placesOf(answer)]).toEqual([422, ['/grants/0/role']])
})

describe('an error anywhere', () => {
  test('leaves nothing stored, wherever it is', async () => {
    const { id, path } = await server.newOrganization()
    const before = await server.stateOf(id)
    const members = Array.from({ length: 100 }, (_, n) => ({
      user: `m${n}`,
      roles: [n === 99 ? 'wizard' : 'viewer'],
    }))
    const answer = await server.call(`POST ${path}/import`, { ...FULL, members })
    expect([answer.status, placesOf(answer)]).toContainEqual(
      expect.arrayContaining(['/members/99/roles/0']),
    )
    expect(await server.stateOf(id)).toEqual(before)
  })

  test('is shown with at most a hundred others', async () => {
    const { path } = await server.newOrganization()
    const members = Array.from({ length: 250 }, (_, n) => ({ user: `m${n}`, roles: ['wizard'] }))
    const answer = await server.call(`POST ${path}/import`, { members })
    expect([answer.status, placesOf(answer).length]).toEqual([422, 100])
    expect(answer.body.detail).toContain('100 or more')
  })

  test('that only the database knows is a fault of the document, too, and nothing is stored', async () => {
    const { id, path } = await server.newOrganization()
    await server.sql`alter table teams add constraint teams_refused_here check (slug <> ${server.sql.unsafe(`'refused'`)})`
    try {
      const before = await server.stateOf(id)
      const document = {
        members: [{ user: 'bob' }],
        teams: [{ slug: 'fine' }, { slug: 'refused' }],
      }
      const answer = await server.call(`POST ${path}/import`, document)
      expect([answer.status, answer.body.code, placesOf(answer)]).toEqual([
        422,
        'import-invalid',
        ['/teams'],
      ])
      expect(await server.stateOf(id)).toEqual(before)
    } finally {
      await server.sql`alter table teams drop constraint teams_refused_here`
    }
  })
})

test('an organization that is suspended or to be deleted takes no document', async () => {
  const { path } = await server.newOrganization()
  await server.call(`POST ${path}/suspend`, { reason: 'unpaid' })
  const answer = await server.call(`POST ${path}/import`, { teams: [{ slug: 'x' }] })
  expect([answer.status, answer.body.code]).toEqual([409, 'organization-suspended'])
})
