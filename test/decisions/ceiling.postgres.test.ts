import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Issuer, startIssuer } from '../support/issuer.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

// Nobody gives what they do not hold: every path that gives, tried by a person and by a key that hold `scenario:read` and
// everything the endpoints ask for, but not `scenario:delete`.

const LESS = 'scenario:read'
const MORE = 'scenario:delete'
const ENDPOINTS = [
  ...['org:read', 'org:member:invite', 'org:member:role:update', 'org:member:remove'],
  ...['role:read', 'role:create', 'role:update', 'role:delete', 'role:assign'],
  ...['team:read', 'team:manage', 'resource:manage', 'apikey:read', 'apikey:manage'],
  ...['workspace:read', 'workspace:member:manage'],
]
const LATER = '2090-01-01T00:00:00.000Z'
const SOONER = '2080-01-01T00:00:00.000Z'

let server: TestServer
let issuer: Issuer
let organization: Awaited<ReturnType<TestServer['newOrganization']>>
let path: string

beforeAll(async () => {
  issuer = await startIssuer()
  server = await startTestServer({ jwt: issuer.settings })
})
afterAll(async () => {
  await server.drop()
  await issuer.stop()
})
beforeEach(async () => {
  organization = await server.newOrganization()
  path = organization.path
  await put(`${path}/roles/helper`, { permissions: [...ENDPOINTS, LESS] })
  await put(`${path}/roles/less`, { permissions: [LESS] })
  await put(`${path}/roles/more`, { permissions: [MORE] })
  await put(`${path}/members/carol`, { roles: ['helper'] })
  await put(`${path}/members/bob`, { roles: [] })
  await post(`${path}/workspaces`, { name: 'Lab', slug: 'lab' })
})

/** What the operator prepares must succeed. */
const make = async (what: string, body?: unknown) => {
  const answer = await server.call(what, body)
  expect([what, answer.status, answer.status < 300]).toEqual([what, answer.status, true])
  return answer.body
}
const put = (at: string, body?: unknown) => make(`PUT ${at}`, body)
const post = (at: string, body?: unknown) => make(`POST ${at}`, body)

const CALLERS: [name: string, token: () => Promise<string>][] = [
  ['a person', () => issuer.tokenOf('carol')],
  ['an API key', () => organization.keyFor({ roles: ['helper'] })],
]
const asCarol = async (what: string, body?: unknown) =>
  server.call(what, body, { key: await issuer.tokenOf('carol') })
const asAlice = async (what: string, body?: unknown) =>
  server.call(what, body, { key: await issuer.tokenOf('alice') })

const revision = async () => {
  const [row] = await server.sql`select revision from organizations where id = ${organization.id}`
  return row!.revision
}

type Call = [what: string, body?: unknown]
/** One way to give: what is prepared with the permission that is given, and the request that gives it. */
type Way = (given: { permission: string; role: string }) => Promise<Call>

const WAYS: Record<string, Way> = {
  'a role to a new member': async ({ role }) => [`PUT ${path}/members/new`, { roles: [role] }],
  'a role to a member, by PUT': async ({ role }) => [`PUT ${path}/members/bob`, { roles: [role] }],
  'a role to a member, by PATCH': async ({ role }) => [
    `PATCH ${path}/members/bob`,
    { roles: [role] },
  ],
  'a role to the giver': async ({ role }) => [
    `PATCH ${path}/members/carol`,
    { roles: ['helper', role] },
  ],
  'a role in a workspace': async ({ role }) => [
    `PUT ${path}/workspaces/lab/members/bob`,
    { roles: [role] },
  ],
  'a permission in a new role': async ({ permission }) => [
    `PUT ${path}/roles/fresh`,
    { permissions: [permission] },
  ],
  'a permission more in a role': async ({ permission }) => {
    await put(`${path}/roles/fresh`, { permissions: [] })
    return [`PUT ${path}/roles/fresh`, { permissions: [permission] }]
  },
  'a permission without the condition it had': async ({ permission }) => {
    const condition = 'resource.owner == subject.id'
    await put(`${path}/roles/fresh`, { permissions: [{ permission, condition }] })
    return [`PUT ${path}/roles/fresh`, { permissions: [permission] }]
  },
  'a copy of a role': async ({ role }) => [`POST ${path}/roles/${role}/copy`, { name: 'fresh' }],
  'a role by inheritance': async ({ role }) => [
    `PUT ${path}/roles/fresh`,
    { permissions: [], inherits: [role] },
  ],
  'a role in exchange for a deleted one': async ({ role }) => {
    await put(`${path}/roles/old`, { permissions: [] })
    await put(`${path}/members/bob`, { roles: ['old'] })
    return [`DELETE ${path}/roles/old?replacement=${role}`]
  },
  'membership of a team that holds it': async ({ role }) => {
    await put(`${path}/teams/eng`, {})
    await post(`${path}/grants`, { subject: 'team:eng', role })
    return [`PUT ${path}/teams/eng/members/bob`]
  },
  'membership of a team whose parent holds it': async ({ role }) => {
    await put(`${path}/teams/all`, {})
    await put(`${path}/teams/eng`, { parent: 'all' })
    await post(`${path}/grants`, { subject: 'team:all', role, workspace: 'lab' })
    return [`PUT ${path}/teams/eng/members/bob`]
  },
  'a parent to a team': async ({ permission }) => {
    await put(`${path}/teams/all`, {})
    await put(`${path}/teams/eng`, {})
    await post(`${path}/grants`, { subject: 'team:all', permission, resource: 'scenario:1' })
    return [`PUT ${path}/teams/eng`, { parent: 'all' }]
  },
  'a grant of a role': async ({ role }) => [`POST ${path}/grants`, { subject: 'user:bob', role }],
  'a grant of a permission': async ({ permission }) => [
    `POST ${path}/grants`,
    { subject: 'user:bob', permission },
  ],
  'a grant on a resource': async ({ permission }) => [
    `POST ${path}/grants`,
    { subject: 'user:bob', permission, resource: 'scenario:1' },
  ],
  'a grant of a role on a resource': async ({ role }) => [
    `POST ${path}/grants`,
    { subject: 'user:bob', role, resource: 'scenario:1' },
  ],
  'a grant in a workspace': async ({ permission }) => [
    `POST ${path}/grants`,
    { subject: 'user:bob', permission, workspace: 'lab' },
  ],
  'a grant to the giver': async ({ permission }) => [
    `POST ${path}/grants`,
    { subject: 'user:carol', permission, condition: 'context.mfa == true' },
  ],
  'the end of a denial': async ({ permission }) => {
    const denial = { subject: 'user:bob', permission, effect: 'deny' }
    const { id } = await post(`${path}/grants`, denial)
    return [`DELETE ${path}/grants/${id}`]
  },
  'the end of a denial under a condition': async ({ permission }) => {
    const denial = { subject: 'user:bob', permission, effect: 'deny', condition: 'context.a == 1' }
    const { id } = await post(`${path}/grants`, denial)
    return [`DELETE ${path}/grants/${id}`]
  },
  'a condition to a denial': async ({ permission }) => {
    const denial = { subject: 'user:bob', permission, effect: 'deny' }
    const { id } = await post(`${path}/grants`, denial)
    return [`PATCH ${path}/grants/${id}`, { condition: 'context.mfa == true' }]
  },
  'an end to a denial that had none': async ({ role }) => {
    const { id } = await post(`${path}/grants`, { subject: 'user:bob', role, effect: 'deny' })
    return [`PATCH ${path}/grants/${id}`, { expiresAt: LATER }]
  },
  'an earlier end to a denial': async ({ permission }) => {
    const denial = { subject: 'user:bob', permission, effect: 'deny', expiresAt: LATER }
    const { id } = await post(`${path}/grants`, denial)
    return [`PATCH ${path}/grants/${id}`, { expiresAt: SOONER }]
  },
  'a later end to a grant': async ({ permission }) => {
    const { id } = await post(`${path}/grants`, {
      subject: 'user:bob',
      permission,
      expiresAt: SOONER,
    })
    return [`PATCH ${path}/grants/${id}`, { expiresAt: LATER }]
  },
  'no end to a grant': async ({ role }) => {
    const { id } = await post(`${path}/grants`, { subject: 'user:bob', role, expiresAt: SOONER })
    return [`PATCH ${path}/grants/${id}`, { expiresAt: null }]
  },
  'a grant without the condition it had': async ({ permission }) => {
    const grant = { subject: 'user:bob', permission, condition: 'context.mfa == true' }
    const { id } = await post(`${path}/grants`, grant)
    return [`PATCH ${path}/grants/${id}`, { condition: null }]
  },
  'a way out of a team that is denied it': async ({ permission }) => {
    await put(`${path}/teams/eng`, {})
    await put(`${path}/teams/eng/members/bob`)
    await post(`${path}/grants`, { subject: 'team:eng', permission, effect: 'deny' })
    return [`DELETE ${path}/teams/eng/members/bob`]
  },
  'the end of a team that is denied it': async ({ role }) => {
    await put(`${path}/teams/eng`, {})
    await post(`${path}/grants`, { subject: 'team:eng', role, effect: 'deny' })
    return [`DELETE ${path}/teams/eng`]
  },
  'a way out of a parent that is denied it': async ({ permission }) => {
    await put(`${path}/teams/all`, {})
    await put(`${path}/teams/eng`, { parent: 'all' })
    await post(`${path}/grants`, { subject: 'team:all', permission, effect: 'deny' })
    return [`PUT ${path}/teams/eng`, { parent: null }]
  },
  'the end of a resource on which it is denied': async ({ permission }) => {
    await put(`${path}/resources/scenario/1`, {})
    const denial = { subject: 'user:bob', permission, resource: 'scenario:1', effect: 'deny' }
    await post(`${path}/grants`, denial)
    return [`DELETE ${path}/resources/scenario/1`]
  },
  'a permission less in a role that is denied': async ({ permission }) => {
    await put(`${path}/roles/fresh`, { permissions: [permission] })
    await post(`${path}/grants`, { subject: 'user:bob', role: 'fresh', effect: 'deny' })
    return [`PUT ${path}/roles/fresh`, { permissions: [] }]
  },
  'a permission less in a role that a denied one inherits': async ({ permission }) => {
    await put(`${path}/roles/low`, { permissions: [permission] })
    await put(`${path}/roles/fresh`, { permissions: [], inherits: ['low'] })
    await post(`${path}/grants`, { subject: 'user:bob', role: 'fresh', effect: 'deny' })
    return [`PUT ${path}/roles/low`, { permissions: [] }]
  },
  'a role with less in exchange for a denied one': async ({ permission }) => {
    await put(`${path}/roles/fresh`, { permissions: [permission] })
    await put(`${path}/roles/none`, { permissions: [] })
    await post(`${path}/grants`, { subject: 'user:bob', role: 'fresh', effect: 'deny' })
    return [`DELETE ${path}/roles/fresh?replacement=none`]
  },
  'an API key with a role': async ({ role }) => [
    `POST ${path}/api-keys`,
    { name: 'ci', roles: [role] },
  ],
  'an API key with a permission': async ({ permission }) => [
    `POST ${path}/api-keys`,
    { name: 'ci', permissions: [permission] },
  ],
  'a new secret of an API key': async ({ permission }) => {
    const { id } = await post(`${path}/api-keys`, { name: 'ci', permissions: [permission] })
    return [`POST ${path}/api-keys/${id}/rotate`, {}]
  },
  'a new secret of an API key that was given more since': async ({ role }) => {
    const { id } = await post(`${path}/api-keys`, { name: 'ci', permissions: [LESS] })
    await post(`${path}/grants`, { subject: `key:${id}`, role, workspace: 'lab' })
    return [`POST ${path}/api-keys/${id}/rotate`, {}]
  },
  'an end to a suspension': async ({ role }) => {
    await put(`${path}/members/sue`, { roles: [role], status: 'suspended' })
    return [`PATCH ${path}/members/sue`, { status: 'active' }]
  },
  'an end to the suspension of a member of a team': async ({ permission }) => {
    await put(`${path}/teams/eng`, {})
    await post(`${path}/grants`, { subject: 'team:eng', permission })
    await put(`${path}/members/sue`, { roles: [], status: 'suspended' })
    await put(`${path}/teams/eng/members/sue`)
    return [`PUT ${path}/members/sue`, { roles: [], status: 'active' }]
  },
  'a later end to a membership': async ({ role }) => {
    await put(`${path}/members/sue`, { roles: [role], expiresAt: SOONER })
    return [`PATCH ${path}/members/sue`, { expiresAt: LATER }]
  },
  'a later end to a membership, said in another time zone': async ({ role }) => {
    await put(`${path}/members/sue`, { roles: [role], expiresAt: SOONER })
    return [`PATCH ${path}/members/sue`, { expiresAt: '2079-12-31T23:00:00-12:00' }]
  },
  'no end to a membership': async ({ role }) => {
    await put(`${path}/members/sue`, { roles: [role], expiresAt: SOONER })
    return [`PATCH ${path}/members/sue`, { expiresAt: null }]
  },
}

test.each(Object.entries(WAYS))(
  'neither a person nor an API key gives %s that they do not hold',
  async (_, way) => {
    const keys = await Promise.all(CALLERS.map(([, tokenOf]) => tokenOf()))
    const [what, body] = await way({ permission: MORE, role: 'more' })
    const before = await revision()
    for (const [at, key] of keys.entries()) {
      const refused = await server.call(what, body, { key })
      const { code, permission } = refused.body
      expect([CALLERS[at]![0], refused.status, code, permission]).toEqual([
        ...[CALLERS[at]![0], 403],
        ...['above-ceiling', MORE],
      ])
      expect(await revision()).toBe(before)
    }
  },
)

describe.each(CALLERS)('%s', (_, tokenOf) => {
  test.each(Object.entries(WAYS))('gives %s of what they do hold', async (name, way) => {
    const key = await tokenOf()
    const [what, body] = await way({ permission: LESS, role: 'less' })
    const allowed = await server.call(what, body, { key })
    expect([name, allowed.status, allowed.body.code]).toEqual([name, allowed.status, undefined])
  })
})

describe('ownership', () => {
  beforeEach(async () => {
    await put(`${path}/members/carol`, { roles: ['admin'] })
    await put(`${path}/members/olga`, { roles: ['owner'] })
  })
  const CHANGES: [string, () => Call][] = [
    ['make a new owner', () => [`PUT ${path}/members/new`, { roles: ['owner'] }]],
    ['make a member an owner', () => [`PATCH ${path}/members/bob`, { roles: ['owner'] }]],
    ['make themselves owner', () => [`PATCH ${path}/members/carol`, { roles: ['owner', 'admin'] }]],
    ['demote an owner', () => [`PUT ${path}/members/olga`, { roles: ['viewer'] }]],
    ['suspend an owner', () => [`PATCH ${path}/members/olga`, { status: 'suspended' }]],
    ['remove an owner', () => [`DELETE ${path}/members/olga`]],
  ]
  test.each(CHANGES)('lets an admin not %s, and an owner do it', async (_, change) => {
    const [what, body] = change()
    const refused = await asCarol(what, body)
    expect([refused.status, refused.body.code]).toEqual([403, 'owner-required'])
    expect((await asAlice(what, body)).status).toBeLessThan(300)
  })

  test('is no role that a grant or a key can hold, not even by an owner', async () => {
    const granted = await asAlice(`POST ${path}/grants`, { subject: 'user:bob', role: 'owner' })
    expect([granted.status, granted.body.code]).toEqual([422, 'ownership-not-grantable'])
    const key = await asAlice(`POST ${path}/api-keys`, { name: 'k', roles: ['owner'] })
    expect([key.status, key.body.code]).toEqual([422, 'ownership-not-grantable'])
    const workspace = { roles: ['owner'] }
    const member = await asAlice(`PUT ${path}/workspaces/lab/members/bob`, workspace)
    expect([member.status, member.body.errors[0].pointer]).toEqual([400, '/roles'])
    const role = await asAlice(`PUT ${path}/roles/heir`, { permissions: [], inherits: ['owner'] })
    expect([role.status, role.body.code]).toEqual([422, 'owner-not-inheritable'])
  })

  test('of a suspended owner is given back by an owner only', async () => {
    await make(`PATCH ${path}/members/olga`, { status: 'suspended' })
    const change: Call = [`PATCH ${path}/members/olga`, { status: 'active' }]
    expect((await asCarol(...change)).body.code).toBe('owner-required')
    expect((await asAlice(...change)).status).toBe(200)
  })
})

describe('what is held under a condition', () => {
  const condition = 'resource.owner == subject.id'

  test('can be given under the same one, and under no other and none', async () => {
    await put(`${path}/roles/own`, { permissions: [{ permission: MORE, condition }] })
    await put(`${path}/members/carol`, { roles: ['helper', 'own'] })
    const give = (more: object) =>
      asCarol(`POST ${path}/grants`, { subject: 'user:bob', permission: MORE, ...more })
    expect((await give({ condition })).status).toBe(201)
    expect((await give({})).body.code).toBe('above-ceiling')
    expect((await give({ condition: '1 == 1' })).body.code).toBe('above-ceiling')
    expect((await asCarol(`PATCH ${path}/members/bob`, { roles: ['own'] })).status).toBe(200)
    const role = { permissions: [MORE] }
    expect((await asCarol(`PUT ${path}/roles/mine`, role)).body.code).toBe('above-ceiling')
    const own = { permissions: [{ permission: MORE, condition }] }
    expect((await asCarol(`PUT ${path}/roles/mine`, own)).status).toBe(201)
  })

  test.each([['now < timestamp("2090-01-01T00:00:00Z")'], ['subject.level == 3'], ['1 == 1']])(
    'cannot be given without one while %s holds',
    async (momentary) => {
      await put(`${path}/members/carol`, { roles: ['helper'], attributes: { level: 3 } })
      const own = { subject: 'user:carol', permission: MORE, condition: momentary }
      await post(`${path}/grants`, own)
      const give = (more: object) =>
        asCarol(`POST ${path}/grants`, { subject: 'user:bob', permission: MORE, ...more })
      expect((await give({})).body.code).toBe('above-ceiling')
      expect((await give({ condition: momentary })).status).toBe(201)
    },
  )

  test('lets the administrator of a workspace give its role user, whose updates are of its own', async () => {
    await put(`${path}/workspaces/lab/members/carol`, { roles: ['workspace_admin'] })
    await put(`${path}/members/carol`, { roles: [] })
    const member = `PUT ${path}/workspaces/lab/members/bob`
    expect((await asCarol(member, { roles: ['user'] })).status).toBe(200)
    expect((await asCarol(member, { roles: ['moderator', 'admin'] })).status).toBe(200)
    const elsewhere = await asCarol(`PUT ${path}/members/bob`, { roles: ['viewer'] })
    expect([elsewhere.status, elsewhere.body.code]).toEqual([403, 'forbidden'])
  })
})

test('a workspace is a ceiling of its own: what is held in one is given in no other, and not in the whole', async () => {
  await post(`${path}/workspaces`, { name: 'Two', slug: 'two' })
  await put(`${path}/members/carol`, { roles: [] })
  const hold = { subject: 'user:carol', workspace: 'lab' }
  for (const permission of ['model:deploy', 'workspace:member:manage'])
    await post(`${path}/grants`, { ...hold, permission })
  await put(`${path}/roles/assigner`, { permissions: ['role:assign'] })
  await post(`${path}/grants`, { subject: 'user:carol', role: 'assigner' })
  const give = (more: object) =>
    asCarol(`POST ${path}/grants`, { subject: 'user:bob', permission: 'model:deploy', ...more })
  expect((await give({ workspace: 'lab' })).status).toBe(201)
  expect((await give({ workspace: 'two' })).body.code).toBe('above-ceiling')
  expect((await give({})).body.code).toBe('above-ceiling')
  await put(`${path}/resources/model/m1`, { workspace: 'lab' })
  await put(`${path}/resources/model/m2`, { workspace: 'two' })
  expect((await give({ resource: 'model:m1' })).status).toBe(201)
  expect((await give({ resource: 'model:m2' })).body.code).toBe('above-ceiling')
  expect((await give({ resource: 'model:m3' })).body.code).toBe('above-ceiling')
})

test('what is denied to the giver cannot be given, whatever roles they hold', async () => {
  await post(`${path}/grants`, { subject: 'user:carol', permission: LESS, effect: 'deny' })
  const given = await asCarol(`POST ${path}/grants`, { subject: 'user:bob', permission: LESS })
  expect([given.status, given.body.code]).toEqual([403, 'above-ceiling'])
  const { body } = await server.call(`GET ${path}/grants?subject=user:carol`)
  const denial = body.items.find(({ effect }: { effect: string }) => effect === 'deny')
  expect((await asCarol(`DELETE ${path}/grants/${denial.id}`)).body.code).toBe('above-ceiling')
})

test('a denial can be given by everybody who may assign', async () => {
  const denial = { subject: 'user:bob', permission: MORE, effect: 'deny' }
  expect((await asCarol(`POST ${path}/grants`, denial)).status).toBe(201)
})

test('what is taken away needs no more than the permission to take', async () => {
  await put(`${path}/members/bob`, { roles: ['more', 'less'] })
  const { id } = await post(`${path}/grants`, { subject: 'user:bob', permission: MORE })
  expect((await asCarol(`PATCH ${path}/members/bob`, { roles: ['less'] })).status).toBe(200)
  expect((await asCarol(`DELETE ${path}/grants/${id}`)).status).toBe(204)
  expect((await asCarol(`PUT ${path}/roles/more`, { permissions: [] })).status).toBe(200)
  const key = await post(`${path}/api-keys`, { name: 'strong', permissions: [MORE] })
  expect((await asCarol(`DELETE ${path}/api-keys/${key.id}`)).status).toBe(204)
})

test('an organization key without the permission of PUT creates nothing, and edits nothing', async () => {
  const inviter = await organization.keyFor({ permissions: ['org:member:invite', LESS] })
  const editor = await organization.keyFor({ permissions: ['org:member:role:update', LESS] })
  const fresh: Call = [`PUT ${path}/members/new`, { roles: [] }]
  const known: Call = [`PUT ${path}/members/bob`, { roles: [] }]
  const codes = [
    (await server.call(...fresh, { key: editor })).body.permission,
    (await server.call(...known, { key: inviter })).body.permission,
    (await server.call(...fresh, { key: inviter })).status,
    (await server.call(...known, { key: editor })).status,
  ]
  expect(codes).toEqual(['org:member:invite', 'org:member:role:update', 201, 200])
})
