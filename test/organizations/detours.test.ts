import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startWithDns } from '../domains/fixtures.ts'
import { maker, type World } from './fixtures.ts'

// Ways around a rule that lead through something else: leaving, denying, describing, deleting, granting ahead.

let world: World
let organization: Awaited<ReturnType<World['newProven']>>
let make: ReturnType<typeof maker>
beforeAll(async () => {
  world = await startWithDns()
})
afterAll(() => world.stop())
beforeEach(async () => {
  organization = await world.newProven()
  make = maker(world, organization.path)
})

const as = async (name: string, what: string, body?: unknown) => {
  const [method, at] = what.split(' ')
  const path = at!.startsWith('/v1/') ? at : `${organization.path}${at}`
  return world.server.call(`${method} ${path}`, body, { key: await world.person(name) })
}
const may = async (subject: string, permission: string, more: object = {}) => {
  const question = { organization: organization.id, subject, permission, consistency: 'full' }
  return (await world.server.call('POST /check', { ...question, ...more })).body.allowed
}
const codeOf = ({ status, body }: { status: number; body: { code?: string } }) => [
  status,
  body.code,
]

describe('leaving and coming back', () => {
  const join = async (name: string) =>
    world.server.call(
      'POST /v1/domains/join',
      { organization: organization.slug },
      { key: await world.person(name, `${name}@${organization.domain}`) },
    )
  beforeEach(() =>
    make(`PATCH /domains/${organization.domain}`, { enrollment: 'auto_join', role: 'member' }),
  )

  test('ends no suspension', async () => {
    await make('PUT /members/sue', { roles: ['member'], status: 'suspended' })
    expect(codeOf(await as('sue', 'POST /leave'))).toEqual([409, 'member-suspended'])
    expect(codeOf(await join('sue'))).toEqual([409, 'already-a-member'])
  })

  test('ends no denial', async () => {
    expect((await join('sue')).status).toBe(200)
    expect(await may('user:sue', 'org:read')).toBe(true)
    await make('POST /grants', { subject: 'user:sue', permission: 'org:read', effect: 'deny' })
    expect((await as('sue', 'POST /leave')).status).toBe(204)
    expect(codeOf(await join('sue'))).toEqual([409, 'former-member'])
    expect(await may('user:sue', 'org:read')).toBe(false)
  })

  test('is not open to who was removed', async () => {
    expect((await join('sue')).status).toBe(200)
    await make('DELETE /members/sue')
    expect(codeOf(await join('sue'))).toEqual([409, 'former-member'])
  })
})

describe('an owner is refused nothing', () => {
  const denial = { permission: 'role:assign', effect: 'deny' }
  beforeEach(async () => {
    await make('PUT /roles/assigner', {
      permissions: [
        'role:assign',
        'role:update',
        'role:delete',
        'role:create',
        'team:manage',
        'org:read',
      ],
    })
    await make('PUT /roles/few', { permissions: ['org:read'] })
    await make('PUT /roles/many', { permissions: ['org:read', 'role:assign'] })
    await make('PUT /members/carol', { roles: ['assigner', 'many'] })
    for (const team of ['owners', 'refused', 'empty']) await make(`PUT /teams/${team}`, {})
    await make('PUT /teams/owners/members/alice')
    await make('POST /grants', { subject: 'team:refused', ...denial })
    await make('POST /grants', { subject: 'team:owners', role: 'few', effect: 'deny' })
  })
  const cases: [name: string, what: string, body?: object][] = [
    ['by a denial', 'POST /grants', { subject: 'user:alice', ...denial }],
    ['by a denied role', 'POST /grants', { subject: 'user:alice', role: 'many', effect: 'deny' }],
    ['by a denial of a team', 'POST /grants', { subject: 'team:owners', ...denial }],
    [
      'in one workspace',
      'POST /grants',
      { subject: 'user:alice', permission: 'scenario:read', effect: 'deny', workspace: 'lab' },
    ],
    ['by being put into a denied team', 'PUT /teams/refused/members/alice'],
    ['by a denied parent of a team', 'PUT /teams/owners', { parent: 'refused' }],
    ['by what a denied role gains', 'PUT /roles/few', { permissions: ['org:read', 'role:assign'] }],
    ['by what a denied role inherits', 'PUT /roles/few', { permissions: [], inherits: ['many'] }],
    ['by what replaces a denied role', 'DELETE /roles/few?replacement=many'],
  ]
  test.each(cases)('%s', async (_, what, body) => {
    await make('POST /workspaces', { name: 'Lab', slug: 'lab' })
    expect(codeOf(await as('carol', what, body))).toEqual([403, 'owner-required'])
    expect(await may('user:alice', 'role:assign')).toBe(true)
  })

  test('by a longer or unconditional denial', async () => {
    const soon = new Date(Date.now() + 3_600_000).toISOString()
    const until = await make('POST /grants', { subject: 'user:alice', ...denial, expiresAt: soon })
    const extended = await as('carol', `PATCH /grants/${until.id}`, { expiresAt: null })
    expect(codeOf(extended)).toEqual([403, 'owner-required'])
  })

  test('but by an owner, and others still by who may', async () => {
    await make('PUT /members/bob', { roles: ['few'] })
    expect((await as('carol', 'POST /grants', { subject: 'user:bob', ...denial })).status).toBe(201)
    expect((await as('carol', 'PUT /teams/empty/members/alice')).status).toBe(200)
    expect((await as('alice', 'POST /grants', { subject: 'user:alice', ...denial })).status).toBe(
      201,
    )
  })

  test('by an import', async () => {
    await make('PUT /roles/importer', { permissions: ['org:update', 'role:assign'] })
    await make('PUT /members/carol', { roles: ['importer', 'assigner', 'many'] })
    const grants = [{ subject: 'user:alice', ...denial }]
    expect(codeOf(await as('carol', 'POST /import', { grants }))).toEqual([403, 'owner-required'])
  })
})

describe('attributes', () => {
  const condition = 'subject.level >= 3'
  beforeEach(async () => {
    await make('PUT /roles/editor-of-members', {
      permissions: ['org:member:role:update', 'org:member:invite', 'org:update', 'role:assign'],
    })
    await make('PUT /roles/ranked', { permissions: [{ permission: 'scenario:delete', condition }] })
    await make('PUT /members/carol', { roles: ['editor-of-members', 'ranked'] })
  })

  test('of oneself give nothing that a condition keeps', async () => {
    const refused = await as('carol', 'PATCH /members/carol', { attributes: { level: 9 } })
    expect(codeOf(refused)).toEqual([403, 'above-ceiling'])
    expect(await may('user:carol', 'scenario:delete')).toBe(false)
  })

  test('of another, by PUT with the role, give nothing either', async () => {
    const member = { roles: ['ranked'], attributes: { level: 9 } }
    expect(codeOf(await as('carol', 'PUT /members/zoe', member))).toEqual([403, 'above-ceiling'])
    expect((await as('carol', 'PUT /members/zoe', { roles: ['ranked'] })).status).toBe(201)
    expect(await may('user:zoe', 'scenario:delete')).toBe(false)
  })

  test('lift no denial', async () => {
    await make('POST /grants', { subject: 'user:carol', permission: 'scenario:read' })
    await make('POST /grants', {
      subject: 'user:carol',
      permission: 'scenario:read',
      effect: 'deny',
      condition: '!(has(subject.cleared) && subject.cleared)',
    })
    await make('PUT /members/carol', { roles: ['editor-of-members'] })
    const refused = await as('carol', 'PATCH /members/carol', { attributes: { cleared: true } })
    expect(codeOf(refused)).toEqual([403, 'above-ceiling'])
  })

  test('in an import are no way either', async () => {
    const members = [
      { user: 'carol', roles: ['editor-of-members', 'ranked'], attributes: { level: 9 } },
    ]
    expect((await as('carol', 'POST /import', { members })).status).toBeGreaterThanOrEqual(400)
    expect(await may('user:carol', 'scenario:delete')).toBe(false)
  })

  test('that no condition reads are anybody’s to set who edits members', async () => {
    await make('PUT /members/bob', { roles: ['member'] })
    expect((await as('carol', 'PATCH /members/bob', { attributes: { team: 'x' } })).status).toBe(
      200,
    )
  })
})

test('the end of a workspace ends no denial above its ceiling', async () => {
  await make('POST /workspaces', { name: 'Lab', slug: 'lab' })
  await make('PUT /roles/keeper', { permissions: ['workspace:delete', 'scenario:read'] })
  await make('PUT /members/carol', { roles: ['keeper'] })
  await make('PUT /resources/scenario/1', { workspace: 'lab' })
  await make('POST /grants', {
    subject: 'user:carol',
    permission: 'scenario:delete',
    effect: 'deny',
    resource: 'scenario:1',
  })
  const refused = await as('carol', 'DELETE /workspaces/lab?confirm=Lab')
  expect(codeOf(refused)).toEqual([403, 'above-ceiling'])
  expect((await as('alice', 'DELETE /workspaces/lab?confirm=Lab')).status).toBe(204)
})

test('what was given ahead in one workspace gives nothing in another', async () => {
  for (const slug of ['lab', 'two']) await make('POST /workspaces', { name: slug, slug })
  await make('PUT /members/carol', { roles: [] })
  await make('PUT /workspaces/lab/members/carol', { roles: ['admin'] })
  const ahead = { subject: 'user:carol', permission: 'model:deploy', resource: 'model:m9' }
  await make('POST /grants', { ...ahead, workspace: 'lab' })
  await make('PUT /resources/model/m9', { workspace: 'two' })
  expect(await may('user:carol', 'model:deploy', { resource: 'model:m9' })).toBe(false)
  await make('PUT /resources/model/m8', { workspace: 'lab' })
  await make('POST /grants', { ...ahead, resource: 'model:m8' })
  expect(await may('user:carol', 'model:deploy', { resource: 'model:m8' })).toBe(true)
})
