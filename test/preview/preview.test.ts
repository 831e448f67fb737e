import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())

type Organization = Awaited<ReturnType<TestServer['newOrganization']>>
type Moved = {
  subject: string
  permission: string
  workspace: string | null
  resource: string | null
  underCondition: boolean
}
const preview = ({ path }: Organization, change: object, key?: string) =>
  server.call(`POST ${path}/preview`, { change }, key === undefined ? {} : { key })

const furnished = async () => {
  const organization = await server.newOrganization()
  const { path } = organization
  const put = (what: string, body?: object) => server.call(`PUT ${path}${what}`, body)
  await put('/members/bob', { roles: ['viewer'] })
  await put('/members/carol', { roles: [] })
  await put('/roles/base', { permissions: ['scenario:read'] })
  await put('/roles/lead', { permissions: ['scenario:update'], inherits: ['base'] })
  await put('/teams/all', {})
  await put('/teams/eng', { parent: 'all' })
  await put('/teams/eng/members/carol')
  await server.call(`POST ${path}/workspaces`, { name: 'Lab', slug: 'lab' })
  await put('/resources/scenario/7', { workspace: 'lab' })
  return organization
}

const shortly = (moved: Moved[]) =>
  moved.map(({ subject, permission, workspace, resource }) =>
    [subject, permission, workspace, resource].filter(Boolean).join(' '),
  )

describe('a preview', () => {
  test('of a role edit names who gains and loses what, through teams and inheritance', async () => {
    const organization = await furnished()
    const { path } = organization
    await server.call(`POST ${path}/grants`, { subject: 'team:all', role: 'lead' })
    const { status, body } = await preview(organization, {
      kind: 'role',
      name: 'base',
      permissions: ['scenario:share'],
    })
    expect([status, body.possible, body.problem]).toEqual([200, true, null])
    expect(shortly(body.gains)).toEqual(['user:carol scenario:share'])
    expect(shortly(body.loses)).toEqual(['user:carol scenario:read'])
    expect([body.subjectsGaining, body.subjectsLosing, body.complete]).toEqual([1, 1, true])
  })

  test('of a grant on one resource tells of that resource, and of a condition', async () => {
    const organization = await furnished()
    const { body } = await preview(organization, {
      kind: 'grant',
      grant: {
        subject: 'user:carol',
        permission: 'scenario:execute',
        resource: 'scenario:7',
        condition: 'context.ip == "10.0.0.1"',
      },
    })
    expect(body.gains).toEqual([
      {
        subject: 'user:carol',
        permission: 'scenario:execute',
        workspace: 'lab',
        resource: 'scenario:7',
        underCondition: true,
      },
    ])
  })

  test('of a removal tells what ends with the member', async () => {
    const organization = await furnished()
    const { body } = await preview(organization, { kind: 'member-deleted', user: 'bob' })
    expect(body.loses.length).toBeGreaterThan(3)
    expect(new Set(body.loses.map(({ subject }: Moved) => subject))).toEqual(new Set(['user:bob']))
    expect(body.gains).toEqual([])
  })

  test('says that the last owner would go, and still who would lose what', async () => {
    const organization = await furnished()
    const { body } = await preview(organization, { kind: 'member-deleted', user: 'alice' })
    expect([body.possible, body.problem.code, body.ownerKept]).toEqual([false, 'last-owner', false])
    expect(body.loses.map(({ permission }: Moved) => permission)).toContain('org:delete')
  })

  test('says that the seats do not suffice, and still what the member would hold', async () => {
    const organization = await furnished()
    const { path } = organization
    await server.call(`PUT ${path}/limits`, { limits: { maxMembers: 3 }, reason: 'a test' })
    const change = { kind: 'member', user: 'zoe', roles: ['viewer'] }
    const { body } = await preview(organization, change)
    expect([body.possible, body.problem.code, body.limitsKept]).toEqual([
      false,
      'limit-reached',
      false,
    ])
    await server.call(`PUT ${path}/limits`, { limits: { maxMembers: 4 }, reason: 'a test' })
    expect((await preview(organization, change)).body).toMatchObject({
      possible: true,
      limitsKept: true,
      subjectsGaining: 1,
    })
  })

  test('says that the ceiling is not kept, and what would be given', async () => {
    const organization = await furnished()
    const key = await organization.keyFor({ permissions: ['role:read', 'role:assign', 'org:read'] })
    const change = { kind: 'grant', grant: { subject: 'user:carol', role: 'admin' } }
    const { status, body } = await preview(organization, change, key)
    expect([status, body.possible, body.ceilingKept, body.problem.code]).toEqual([
      200,
      false,
      false,
      'above-ceiling',
    ])
    expect(body.subjectsGaining).toBe(1)
  })

  test('says which permission the change itself would need', async () => {
    const organization = await furnished()
    const key = await organization.keyFor({ permissions: ['role:read'] })
    const { body } = await preview(organization, { kind: 'team-deleted', team: 'eng' }, key)
    expect(body.problem).toMatchObject({ code: 'forbidden', permission: 'team:manage' })
  })

  test('of something that is not there says so', async () => {
    const organization = await furnished()
    const { body } = await preview(organization, { kind: 'role-deleted', name: 'wizard' })
    expect([body.possible, body.problem.code, body.complete]).toEqual([
      false,
      'role-not-found',
      false,
    ])
  })

  test('stores nothing: no event, no job, no revision, no row', async () => {
    const organization = await furnished()
    const { id } = organization
    const tables = ['members', 'grants', 'roles', 'teams', 'team_members', 'jobs', 'policy_changes']
    const counted = async () => {
      const counts = []
      for (const table of tables)
        counts.push((await server.sql.unsafe(`select count(*)::int as n from ${table}`))[0]!.n)
      const [row] = await server.sql`select revision from organizations where id = ${id}`
      const [events] = await server.sql`select count(*)::int as n from audit_events`
      return [...counts, row!.revision, events!.n]
    }
    const before = await counted()
    for (const change of [
      { kind: 'member', user: 'zoe', roles: ['admin'] },
      { kind: 'member-deleted', user: 'bob' },
      { kind: 'role', name: 'fresh', permissions: ['scenario:read'] },
      { kind: 'role-deleted', name: 'lead' },
      { kind: 'team', team: 'ops', parent: 'all' },
      { kind: 'team-member', team: 'all', user: 'bob' },
      { kind: 'workspace-member', workspace: 'lab', user: 'bob', roles: ['user'] },
    ])
      expect((await preview(organization, change)).body.possible).toBe(true)
    expect(await counted()).toEqual(before)
  })
})

test('what a preview says is what happens: asked of /check before and after, for everybody', async () => {
  const organization = await furnished()
  const { path, slug } = organization
  const { body: catalog } = await server.call('GET /v1/permissions?limit=200')
  const permissions: string[] = catalog.items.map(({ key }: { key: string }) => key)
  const subjects = ['user:alice', 'user:bob', 'user:carol', 'user:zoe']
  const standing = async () => {
    const allowed = new Set<string>()
    for (const subject of subjects) {
      const checks = permissions.map((permission) => ({ permission }))
      const { body } = await server.call('POST /check/batch', {
        defaults: { organization: slug, subject },
        checks,
        consistency: 'full',
      })
      for (const [index, { allowed: is }] of body.results.entries())
        if (is) allowed.add(`${subject} ${permissions[index]}`)
    }
    return allowed
  }
  const changes: [object, string, object?][] = [
    [
      { kind: 'member', user: 'zoe', roles: ['manager'] },
      `PUT ${path}/members/zoe`,
      { roles: ['manager'] },
    ],
    [
      { kind: 'grant', grant: { subject: 'team:all', role: 'viewer' } },
      `POST ${path}/grants`,
      { subject: 'team:all', role: 'viewer' },
    ],
    [{ kind: 'team-member', team: 'eng', user: 'bob' }, `PUT ${path}/teams/eng/members/bob`],
    [
      {
        kind: 'grant',
        grant: { subject: 'user:bob', permission: 'scenario:read', effect: 'deny' },
      },
      `POST ${path}/grants`,
      { subject: 'user:bob', permission: 'scenario:read', effect: 'deny' },
    ],
    [
      { kind: 'role', name: 'base', permissions: ['scenario:read', 'org:read'] },
      `PUT ${path}/roles/base`,
      { permissions: ['scenario:read', 'org:read'] },
    ],
    [
      { kind: 'member', user: 'carol', roles: ['lead'], status: 'suspended' },
      `PUT ${path}/members/carol`,
      { roles: ['lead'], status: 'suspended' },
    ],
    [{ kind: 'team', team: 'eng', parent: null }, `PUT ${path}/teams/eng`, { parent: null }],
    [{ kind: 'member-deleted', user: 'zoe' }, `DELETE ${path}/members/zoe`],
  ]
  let moved = 0
  for (const [change, what, body] of changes) {
    const told = await preview(organization, change)
    expect([change, told.body.problem]).toEqual([change, null])
    const before = await standing()
    expect((await server.call(what, body)).status).toBeLessThan(300)
    const after = await standing()
    const here = (list: Moved[]) =>
      list
        .filter(
          ({ workspace, resource, underCondition }) => !workspace && !resource && !underCondition,
        )
        .map(({ subject, permission }) => `${subject} ${permission}`)
        .filter((each) => subjects.some((subject) => each.startsWith(`${subject} `)))
        .sort()
    expect([change, here(told.body.gains)]).toEqual([
      change,
      [...after].filter((each) => !before.has(each)).sort(),
    ])
    expect([change, here(told.body.loses)]).toEqual([
      change,
      [...before].filter((each) => !after.has(each)).sort(),
    ])
    moved += told.body.gains.length + told.body.loses.length
  }
  expect(moved).toBeGreaterThan(30)
})
