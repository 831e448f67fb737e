import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type ImportServer, type Organization, placesOf, startImportServer } from './fixtures.ts'

let server: ImportServer
let organization: Organization

/** What an import asks for besides the ceiling: the permissions of the endpoints of each kind. */
const IMPORTING = [
  ...['org:read', 'org:update', 'role:create', 'role:update', 'role:assign', 'team:manage'],
  ...['org:member:invite', 'org:member:role:update', 'resource:manage'],
  ...['workspace:create', 'workspace:update', 'workspace:member:manage'],
]

beforeAll(async () => {
  server = await startImportServer()
})
afterAll(() => server.drop())

/** bob is a manager who may import; the organization has things above him. */
beforeEach(async () => {
  organization = await server.newOrganization()
  const { status } = await server.call(`POST ${organization.path}/import`, {
    roles: [
      { name: 'importer', permissions: IMPORTING },
      { name: 'repo-read', permissions: ['repo:read'] },
      { name: 'talker', scope: 'workspace', permissions: ['conversation:create'] },
      { name: 'repo-admin', permissions: ['repo:admin'], inherits: ['repo-read'] },
    ],
    members: [
      { user: 'bob', roles: ['importer', 'manager', 'repo-read'] },
      { user: 'carol', roles: ['admin'], status: 'suspended' },
      { user: 'dave', roles: [], expiresAt: '2098-01-01T00:00:00Z' },
      { user: 'erin', roles: ['admin'] },
    ],
    teams: [
      { slug: 'admins' },
      { slug: 'readers' },
      { slug: 'inner', parent: 'admins', members: ['dave'] },
    ],
    workspaces: [{ slug: 'ws1' }, { slug: 'ws2' }],
    resources: [
      { type: 'repo', id: 'free' },
      { type: 'repo', id: 'closed' },
      { type: 'repo', id: 'own', workspace: 'ws1' },
    ],
    grants: [
      { subject: 'team:admins', role: 'repo-admin' },
      { subject: 'team:readers', role: 'repo-read' },
      { subject: 'user:bob', permission: 'repo:read', resource: 'repo:closed', effect: 'deny' },
      { subject: 'user:erin', permission: 'repo:write', expiresAt: '2098-01-01T00:00:00Z' },
      { subject: 'user:dave', permission: 'repo:write', effect: 'deny' },
      { subject: 'user:bob', role: 'workspace_admin', workspace: 'ws1' },
    ],
  })
  expect(status).toBe(200)
})

/** A key that holds what bob holds. */
const bobsKey = async () => {
  const { path, keyFor } = organization
  const key = await keyFor({ roles: ['importer', 'manager', 'repo-read'] })
  const { items } = (await server.call(`GET ${path}/api-keys`)).body
  const grants = [
    { permission: 'repo:read', resource: 'repo:closed', effect: 'deny' },
    { role: 'workspace_admin', workspace: 'ws1' },
  ]
  for (const grant of grants)
    await server.call(`POST ${path}/grants`, { subject: `key:${items[0].id}`, ...grant })
  return key
}

const ABOVE: Record<string, [document: object, places: string[]]> = {
  'a role with more than they hold': [
    { roles: [{ name: 'mine', permissions: ['repo:read', 'repo:admin'] }] },
    ['/roles/0/permissions'],
  ],
  'more in a role that exists': [
    { roles: [{ name: 'importer', permissions: [...IMPORTING, 'org:delete'] }] },
    ['/roles/0/permissions'],
  ],
  'a role that inherits more than they hold': [
    {
      roles: [
        { name: 'mine', inherits: ['repo-admin'] },
        { name: 'also', inherits: ['mine'] },
      ],
    },
    ['/roles/0/permissions', '/roles/1/permissions'],
  ],
  'a role above them to a member': [
    { members: [{ user: 'dave', roles: ['viewer', 'admin'] }] },
    ['/members/0/roles/1'],
  ],
  'a role above them to themselves': [
    { members: [{ user: 'bob', roles: ['importer', 'manager', 'repo-admin'] }] },
    ['/members/0/roles/2'],
  ],
  ownership: [{ members: [{ user: 'bob', roles: ['owner'] }] }, ['/members/0']],
  'ownership to somebody new': [{ members: [{ user: 'zoe', roles: ['owner'] }] }, ['/members/0']],
  'suspension to an owner': [{ members: [{ user: 'alice', status: 'suspended' }] }, ['/members/0']],
  'their power back to a suspended admin': [
    { members: [{ user: 'carol', status: 'active' }] },
    ['/members/0'],
  ],
  'more time to a member of a team above them': [
    { members: [{ user: 'dave', expiresAt: null }] },
    ['/members/0'],
  ],
  'membership of a team above them, or below one': [
    {
      teams: [
        { slug: 'admins', members: ['bob'] },
        { slug: 'inner', members: ['dave', 'bob'] },
        { slug: 'readers', members: ['bob'] },
      ],
    },
    ['/teams/0/members/0', '/teams/1/members/1'],
  ],
  'a parent above them': [
    {
      teams: [
        { slug: 'readers', parent: 'admins' },
        { slug: 'new', parent: 'inner' },
      ],
    },
    ['/teams/0/parent', '/teams/1/parent'],
  ],
  'membership of a team that the same document raises': [
    {
      teams: [{ slug: 'readers', members: ['bob'] }],
      grants: [{ subject: 'team:readers', role: 'repo-admin' }],
    },
    ['/grants/0/role'],
  ],
  'a role that the same document raises': [
    {
      roles: [{ name: 'repo-read', permissions: ['repo:read', 'repo:write'] }],
      members: [{ user: 'dave', roles: ['repo-read'] }],
      grants: [{ subject: 'team:readers', role: 'repo-read', workspace: 'ws1' }],
    },
    ['/grants/0/role', '/members/0/roles/0', '/roles/0/permissions'],
  ],
  'a role or a permission as a grant': [
    {
      grants: [
        { subject: 'user:dave', role: 'repo-admin' },
        { subject: 'user:dave', permission: 'repo:write', workspace: 'ws1' },
        { subject: 'user:dave', permission: 'repo:read', workspace: 'ws2' },
        { subject: 'service:ci', role: 'repo-admin', resource: 'repo:free' },
        { subject: 'service:ci', role: 'repo-read', resource: 'repo:free' },
      ],
    },
    ['/grants/0/role', '/grants/1/permission', '/grants/3/role'],
  ],
  'what they are denied on that resource': [
    {
      grants: [
        { subject: 'user:dave', role: 'repo-read', resource: 'repo:closed' },
        { subject: 'user:dave', permission: 'repo:read', resource: 'repo:closed' },
      ],
    },
    ['/grants/0/role', '/grants/1/permission'],
  ],
  'a role of a workspace where they hold it not': [
    {
      workspaces: [
        { slug: 'ws1', members: [{ user: 'dave', roles: ['guest'] }] },
        { slug: 'ws2', members: [{ user: 'dave', roles: ['talker', 'guest'] }] },
        { slug: 'ws3', members: [{ user: 'dave', roles: ['guest'] }] },
      ],
      grants: [
        { subject: 'team:readers', role: 'talker', workspace: 'ws2' },
        { subject: 'team:readers', role: 'talker', workspace: 'ws1' },
      ],
    },
    [
      '/grants/0/role',
      '/workspaces/1/members/0/roles/0',
      '/workspaces/1/members/0/roles/1',
      '/workspaces/2/members/0/roles/0',
    ],
  ],
  'something on a resource that the same document brings within reach': [
    {
      resources: [
        { type: 'repo', id: 'own', workspace: 'ws2' },
        { type: 'model', id: 'new', workspace: 'ws2' },
      ],
      grants: [
        { subject: 'user:dave', permission: 'repo:write', resource: 'repo:own' },
        { subject: 'user:dave', permission: 'model:read', resource: 'model:new' },
      ],
    },
    ['/grants/0/permission', '/grants/1/permission'],
  ],
  'more time to a grant above them, or less to a refusal': [
    {
      grants: [
        { subject: 'user:erin', permission: 'repo:write', expiresAt: null },
        {
          subject: 'user:dave',
          permission: 'repo:write',
          effect: 'deny',
          expiresAt: '2097-01-01T00:00:00Z',
        },
      ],
    },
    ['/grants/0/permission', '/grants/1/permission'],
  ],
}

describe('a manager who may import', () => {
  test.each(Object.entries(ABOVE))('cannot give %s', async (_, [document, places]) => {
    const key = await bobsKey()
    const before = await server.stateOf(organization.id)
    const answer = await server.call(`POST ${organization.path}/import`, document, { key })
    expect([answer.status, answer.body.code]).toEqual([422, 'import-invalid'])
    expect(placesOf(answer).toSorted()).toEqual(places.toSorted())
    expect(await server.stateOf(organization.id)).toEqual(before)
    const tried = await server.call(`POST ${organization.path}/import?dryRun`, document, { key })
    expect(placesOf(tried)).toEqual(placesOf(answer))
  })

  test('gives what they hold, where they hold it', async () => {
    const key = await bobsKey()
    const document = {
      roles: [{ name: 'mine', permissions: ['repo:read', 'org:read'] }],
      members: [
        { user: 'dave', roles: ['mine', 'repo-read'], attributes: { a: 1 } },
        { user: 'zoe', roles: ['viewer'] },
        { user: 'erin', roles: [] },
      ],
      teams: [
        { slug: 'readers', members: ['zoe'] },
        { slug: 'new', parent: 'readers' },
      ],
      workspaces: [
        { slug: 'ws1', members: [{ user: 'dave', roles: ['talker'] }] },
        { slug: 'ws3' },
      ],
      resources: [
        { type: 'repo', id: 'new' },
        { type: 'repo', id: 'newer', workspace: 'ws3' },
      ],
      grants: [
        { subject: 'team:new', role: 'mine', resource: 'repo:new' },
        { subject: 'team:new', role: 'repo-read', resource: 'repo:newer' },
        { subject: 'team:readers', role: 'talker', workspace: 'ws1' },
        { subject: 'user:zoe', permission: 'repo:admin', effect: 'deny' },
        { subject: 'user:erin', permission: 'repo:write' },
      ],
    }
    const { status, body } = await server.call(`POST ${organization.path}/import`, document, {
      key,
    })
    expect([status, body.errors]).toEqual([200, []])
    expect(await server.may(organization.slug, ['user:zoe', 'repo:read', 'repo:new'])).toBe(true)
  })

  test('may import what others gave, as long as it stays as it is', async () => {
    const key = await bobsKey()
    const { body } = await server.call(`GET ${organization.path}/export`, undefined, { key })
    const again = await server.call(`POST ${organization.path}/import`, body, { key })
    expect([again.status, again.body.errors]).toEqual([200, []])
  })
})

describe('an import', () => {
  const ONE_OF_EACH = {
    roles: [
      { name: 'new', permissions: [] },
      { name: 'repo-read', description: 'Reads' },
    ],
    members: [{ user: 'zoe' }, { user: 'erin', roles: [] }],
    teams: [{ slug: 'new' }],
    workspaces: [
      { slug: 'new' },
      { slug: 'ws1', name: 'One' },
      { slug: 'ws2', members: [{ user: 'bob', roles: [] }] },
    ],
    resources: [{ type: 'repo', id: 'new' }],
    grants: [{ subject: 'user:erin', permission: 'repo:admin', effect: 'deny' }],
  }

  test('needs org:update, and for each kind what its own endpoints need', async () => {
    const none = await server.call(
      `POST ${organization.path}/import`,
      {},
      {
        key: await organization.keyFor({ roles: ['manager'] }),
      },
    )
    expect([none.status, none.body.permission]).toEqual([403, 'org:update'])
    const key = await organization.keyFor({ permissions: ['org:update'] })
    const answer = await server.call(`POST ${organization.path}/import`, ONE_OF_EACH, { key })
    expect(
      answer.body.errors.map(({ pointer, detail }: { pointer: string; detail: string }) => [
        pointer,
        detail.match(/permission (.*)\./)?.[1],
      ]),
    ).toEqual([
      ['/roles/0', 'role:create'],
      ['/roles/1', 'role:update'],
      ['/workspaces/0', 'workspace:create'],
      ['/workspaces/1', 'workspace:update'],
      ['/members/0', 'org:member:invite'],
      ['/members/1', 'org:member:role:update'],
      ['/teams/0', 'team:manage'],
      ['/resources/0', 'resource:manage'],
      ['/grants/0', 'role:assign'],
    ])
  })

  test('by an operator makes owners, by an admin none, and unmakes none', async () => {
    const document = { members: [{ user: 'erin', roles: ['owner', 'admin'] }] }
    const refused = await server.call(`POST ${organization.path}/import`, document, {
      key: await organization.keyFor({ roles: ['admin'] }),
    })
    expect([refused.status, placesOf(refused)]).toEqual([422, ['/members/0']])
    const given = await server.call(`POST ${organization.path}/import`, document)
    expect([given.status, given.body.updated.members]).toEqual([200, 1])
    const listed = await server.call(`POST ${organization.path}/import`, {
      members: [{ user: 'erin', roles: [] }],
    })
    expect(listed.status).toBe(200)
    const { body } = await server.call(`GET ${organization.path}/members/erin`)
    expect(body.roles).toEqual(['owner'])
    const suspended = await server.call(`POST ${organization.path}/import`, {
      members: [{ user: 'alice', status: 'suspended' }],
    })
    expect(suspended.status).toBe(200)
  })

  test('export needs org:read', async () => {
    const key = await organization.keyFor({ permissions: ['template:rate'] })
    const answer = await server.call(`GET ${organization.path}/export`, undefined, { key })
    expect([answer.status, answer.body.permission]).toEqual([403, 'org:read'])
  })
})

describe('what an import may not lift', () => {
  test.each([
    [
      'the denial of a team’s parent, by leaving it',
      { teams: [{ slug: 'inner', parent: null }] },
      '/teams/0/parent',
    ],
    [
      'a permission of a denied role',
      { roles: [{ name: 'repo-admin', permissions: [], inherits: ['repo-read'] }] },
      '/roles/0/permissions',
    ],
  ])('%s', async (_, document, pointer) => {
    const { path } = organization
    await server.call(`POST ${path}/grants`, {
      subject: 'team:admins',
      permission: 'repo:write',
      effect: 'deny',
    })
    await server.call(`POST ${path}/grants`, {
      subject: 'team:readers',
      role: 'repo-admin',
      effect: 'deny',
    })
    const key = await bobsKey()
    const refused = await server.call(`POST ${path}/import`, document, { key })
    expect([refused.status, refused.body.errors?.[0]?.pointer]).toEqual([422, pointer])
    const operators = await server.call(`POST ${path}/import`, document)
    expect(operators.status).toBe(200)
  })

  test('a condition: what is held under one is not given without it', async () => {
    const { path } = organization
    const key = await bobsKey()
    const { body } = await server.call(`GET ${path}/api-keys`)
    const subject = `key:${body.items.at(-1).id}`
    await server.call(`POST ${path}/grants`, {
      subject,
      permission: 'repo:admin',
      condition: 'now > timestamp("2020-01-01T00:00:00Z")',
    })
    const grant = { subject: 'user:dave', permission: 'repo:admin' }
    const bare = await server.call(`POST ${path}/import`, { grants: [grant] }, { key })
    expect([bare.status, bare.body.errors?.[0]?.pointer]).toEqual([422, '/grants/0/permission'])
    const same = { ...grant, condition: 'now > timestamp("2020-01-01T00:00:00Z")' }
    expect((await server.call(`POST ${path}/import`, { grants: [same] }, { key })).status).toBe(200)
  })
})
