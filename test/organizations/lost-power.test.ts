import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createOperatorKey, revokeOperatorKey } from '../../src/api-keys/service.ts'
import { startWithDns } from '../domains/fixtures.ts'
import { until } from '../support/until.ts'
import { maker, revisionOf, tokenFor, type World } from './fixtures.ts'

// What somebody began while they could, and what is left of it once they cannot any more.

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
  await make('PUT /roles/chief', {
    permissions: ['apikey:manage', 'org:member:invite', 'scenario:delete'],
  })
  await make('PUT /roles/strong', { permissions: ['scenario:delete'] })
  await make('PUT /members/mallory', { roles: ['chief'] })
})

const as = async (name: string, what: string, body?: unknown) => {
  const [method, at] = what.split(' ')
  const path = at!.startsWith('/v1/') ? at : `${organization.path}${at}`
  return world.server.call(`${method} ${path}`, body, { key: await world.person(name) })
}
const may = async (subject: string, permission = 'scenario:delete', more = {}) => {
  const question = { organization: organization.id, subject, permission, consistency: 'full' }
  return (await world.server.call('POST /check', { ...question, ...more })).body.allowed
}
const invite = async (key: string, roles = ['strong']) => {
  const invitation = { email: 'zoe@example.com', roles }
  const answer = await world.server.call(`POST ${organization.path}/invitations`, invitation, {
    key,
  })
  expect(answer.status).toBe(201)
  return tokenFor(world, answer.body.id)
}
const accept = (token: string) => as('zoe', 'POST /v1/invitations/accept', { token })

const LOSSES: [how: string, lose: () => Promise<unknown>][] = [
  ['is given another role', () => make('PATCH /members/mallory', { roles: ['guest'] })],
  ['has a role that gives less now', () => make('PUT /roles/chief', { permissions: ['org:read'] })],
  ['is suspended', () => make('PATCH /members/mallory', { status: 'suspended' })],
  [
    'is denied it',
    () =>
      make('POST /grants', {
        subject: 'user:mallory',
        permission: 'scenario:delete',
        effect: 'deny',
      }),
  ],
  [
    'is over',
    () => world.server.sql`update members set expires_at = now() - interval '1 s'
      where organization_id = ${organization.id} and subject = 'user:mallory'`,
  ],
  [
    'promised a role that has grown above them',
    () => make('PUT /roles/strong', { permissions: ['scenario:delete', 'org:delete'] }),
  ],
]

describe('an invitation', () => {
  test.each(LOSSES)('of somebody who %s lets nobody in', async (_, lose) => {
    const token = await invite(await world.person('mallory'))
    await lose()
    const refused = await accept(token)
    expect([refused.status, refused.body.code]).toEqual([409, 'inviter-may-not'])
    expect([await may('user:zoe'), await may('user:zoe', 'org:delete')]).toEqual([false, false])
    expect((await as('alice', 'GET /members/zoe')).status).toBe(404)
  })

  test('of somebody who is removed, and made a member again, lets nobody in', async () => {
    const token = await invite(await world.person('mallory'))
    await make('DELETE /members/mallory')
    await make('PUT /members/mallory', { roles: ['chief'] })
    expect((await accept(token)).status).toBe(404)
    expect(await may('user:zoe')).toBe(false)
  })

  test('to ownership, of an owner who is none any more, makes none', async () => {
    await make('PUT /members/olga', { roles: ['owner'] })
    const token = await invite(await world.person('olga'), ['owner'])
    await make('PATCH /members/olga', { roles: ['admin'] })
    const refused = await accept(token)
    expect([refused.status, refused.body.code]).toEqual([409, 'inviter-may-not'])
    expect(await may('user:zoe', 'org:delete')).toBe(false)
  })

  test('of a key that is revoked lets nobody in: who stole it does not stay', async () => {
    const roles = { name: 'stolen', roles: ['chief'] }
    const { id, secret } = await make('POST /api-keys', roles)
    const token = await invite(secret)
    await make(`DELETE /api-keys/${id}`)
    const refused = await accept(token)
    expect([refused.status, refused.body.code]).toEqual([409, 'inviter-may-not'])
    expect([await may('user:zoe'), await may(`key:${id}`)]).toEqual([false, false])
  })

  test('of a key that is over lets nobody in', async () => {
    const expiresAt = new Date(Date.now() + 1000).toISOString()
    const { id, secret } = await make('POST /api-keys', { name: 'k', roles: ['chief'], expiresAt })
    const token = await invite(secret)
    await until(() => Date.now() > Date.parse(expiresAt))
    expect((await accept(token)).body.code).toBe('inviter-may-not')
    expect([await may('user:zoe'), await may(`key:${id}`)]).toEqual([false, false])
  })

  test('of a restricted personal key that is revoked lets nobody in', async () => {
    const bounds = {
      name: 'mine',
      personal: true,
      permissions: ['org:member:invite', 'scenario:delete'],
    }
    const { body } = await as('mallory', 'POST /api-keys', bounds)
    const token = await invite(body.secret)
    await make(`DELETE /api-keys/${body.id}`)
    expect((await accept(token)).body.code).toBe('inviter-may-not')
    expect(await may('user:zoe')).toBe(false)
  })

  test('to ownership, of an operator’s key that is revoked, makes no owner', async () => {
    const operator = { name: 'gone', role: 'super_admin' } as const
    const { id, token: secret } = await createOperatorKey(world.server.context, operator)
    const token = await invite(secret, ['owner'])
    await revokeOperatorKey(world.server.context, id)
    expect((await accept(token)).body.code).toBe('inviter-may-not')
    expect(await may('user:zoe', 'org:delete')).toBe(false)
  })
})

test('a domain opened by a key that is revoked lets nobody in', async () => {
  const permissions = ['org:read', 'org:security:update']
  await make('PUT /roles/newcomer', { permissions: ['org:read'] })
  const { id, secret } = await make('POST /api-keys', { name: 'k', permissions })
  const wanted = { enrollment: 'auto_join', role: 'newcomer' }
  expect(
    (await world.server.call(`PATCH ${organization.at}`, wanted, { key: secret })).status,
  ).toBe(200)
  await make(`DELETE /api-keys/${id}`)
  const key = await world.person('zoe', `zoe@${organization.domain}`)
  const asked = { organization: organization.slug }
  const joined = await world.server.call('POST /v1/domains/join', asked, { key })
  expect([joined.status, joined.body.code]).toEqual([404, 'nothing-to-join'])
  expect(await may('user:zoe', 'org:read')).toBe(false)
})

describe('who is suspended', () => {
  const self = 'PATCH /members/mallory'
  const WAYS: [name: string, what: string, body?: unknown][] = [
    ['by PATCH', self, { status: 'active' }],
    ['by PUT', 'PUT /members/mallory', { roles: ['chief'], status: 'active' }],
    ['with a document', 'POST /import', { members: [{ user: 'mallory', status: 'active' }] }],
    ['by a grant', 'POST /grants', { subject: 'user:mallory', permission: 'scenario:delete' }],
    ['with a key', 'POST /api-keys', { name: 'k', permissions: ['scenario:delete'] }],
    ['with a personal key', 'POST /api-keys', { name: 'k', personal: true }],
    ['as an owner would', 'POST /reactivate'],
    ['by an offer of ownership', 'POST /transfer/accept'],
  ]
  test.each(WAYS)('is not let back in by themselves, %s', async (_, what, body) => {
    await make('PUT /members/mallory', { roles: ['admin'] })
    const personal = { name: 'mine', personal: true }
    const { secret } = (await as('mallory', 'POST /api-keys', personal)).body
    await make(self, { status: 'suspended' })
    const before = await revisionOf(world, organization)
    const [method, at] = what.split(' ')
    const byKey = await world.server.call(`${method} ${organization.path}${at}`, body, {
      key: secret,
    })
    for (const { status } of [await as('mallory', what, body), byKey])
      expect([403, 404]).toContain(status)
    expect(await revisionOf(world, organization)).toBe(before)
    expect([await may('user:mallory'), await may('user:mallory', 'org:read')]).toEqual([
      false,
      false,
    ])
  })

  test('is not let back in by an invitation that waits, nor by the domain', async () => {
    const token = await invite(await world.person('alice'))
    await make('PUT /members/zoe', { roles: [], status: 'suspended' })
    expect((await accept(token)).body.code).toBe('member-suspended')
    await world.server.call(`PATCH ${organization.at}`, { enrollment: 'auto_join' })
    const asked = { organization: organization.slug }
    const key = await world.person('zoe', `zoe@${organization.domain}`)
    const joined = await world.server.call('POST /v1/domains/join', asked, { key })
    expect(joined.body.code).toBe('already-a-member')
    expect(await may('user:zoe')).toBe(false)
  })
})

test('who is removed and returns begins with nothing: no team, workspace, key, offer, denial or invitation of before', async () => {
  await make('POST /workspaces', { name: 'Lab', slug: 'lab' })
  await make('PUT /workspaces/lab/members/mallory', { roles: ['admin'] })
  await make('PUT /teams/eng', {})
  await make('PUT /teams/eng/members/mallory')
  await make('POST /grants', { subject: 'team:eng', role: 'strong' })
  const grant = { subject: 'user:mallory', permission: 'scenario:read', resource: 'scenario:1' }
  await make('POST /grants', grant)
  await make('PUT /members/mallory', { roles: ['chief'], attributes: { level: 9 } })
  const { secret } = (await as('mallory', 'POST /api-keys', { name: 'mine', personal: true })).body
  expect(secret).toBeTruthy()
  expect((await as('alice', 'POST /transfer', { to: 'mallory' })).status).toBe(201)
  await make('DELETE /members/mallory')
  expect(await may('user:mallory')).toBe(false)
  const gone = await as('alice', 'PATCH /members/mallory', { status: 'active' })
  expect([gone.status, gone.body.code]).toEqual([404, 'member-not-found'])

  await make('PUT /members/mallory', { roles: [] })
  const places = [{}, { workspace: 'lab' }, { resource: 'scenario:1' }]
  for (const more of places)
    for (const permission of ['scenario:delete', 'scenario:read', 'scenario:update'])
      expect([permission, more, await may('user:mallory', permission, more)]).toEqual([
        permission,
        more,
        false,
      ])
  expect(await may('user:mallory', 'model:deploy', { workspace: 'lab' })).toBe(false)
  expect((await as('alice', 'GET /members/mallory')).body).toMatchObject({
    attributes: {},
    version: 1,
  })
  const byKey = await world.server.call(`GET ${organization.path}`, undefined, { key: secret })
  expect(byKey.status).toBe(401)
  expect((await as('mallory', 'POST /transfer/accept')).status).toBe(404)
})
