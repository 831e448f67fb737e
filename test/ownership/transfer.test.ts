import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newId } from '../../src/platform/id.ts'
import { type Issuer, startIssuer } from '../support/issuer.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let issuer: Issuer
let server: TestServer
let organization: Awaited<ReturnType<TestServer['newOrganization']>>
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
  await put('bob', { roles: ['member'] })
})

const as = async (name: string, what: string, body?: unknown) =>
  server.call(what, body, { key: await issuer.tokenOf(name) })
const put = (name: string, body: object) =>
  server.call(`PUT ${organization.path}/members/${name}`, body)
const transfer = (name: string, verb = '', body?: unknown) =>
  as(name, `POST ${organization.path}/transfer${verb}`, body)
const offer = (body: object = {}, name = 'alice') => transfer(name, '', { to: 'bob', ...body })
const standing = async () => (await server.call(`GET ${organization.path}/transfer`)).status
const rolesOf = async (name: string) =>
  (await server.call(`GET ${organization.path}/members/${name}`)).body.roles

describe('ownership', () => {
  test('moves when it is accepted, and the former owner gets the role of the offer', async () => {
    const offered = await offer({ formerOwnerRole: 'admin' })
    expect([offered.status, offered.body]).toMatchObject([
      201,
      { from: 'user:alice', to: 'user:bob', formerOwnerRole: 'admin', version: 1 },
    ])
    const days = (Date.parse(offered.body.expiresAt) - Date.now()) / 86_400_000
    expect(days).toBeCloseTo(7, 2)
    expect([await rolesOf('alice'), await rolesOf('bob')]).toEqual([['owner'], ['member']])
    const seen = await as('bob', `GET ${organization.path}/transfer`)
    expect(seen.body).toEqual(offered.body)

    const accepted = await transfer('bob', '/accept')
    expect([accepted.status, accepted.body]).toEqual([200, offered.body])
    expect([await rolesOf('alice'), await rolesOf('bob')]).toEqual([['admin'], ['member', 'owner']])
    expect(await standing()).toBe(404)
    expect((await transfer('bob', '/accept')).status).toBe(404)
    expect((await as('alice', `DELETE ${organization.path}`)).status).toBe(403)
    const events = await server.sql`
      select event, actor from audit_events where log = ${organization.id} and event <> 'access.denied' order by id desc limit 3`
    expect(events.map(({ event, actor }) => [event, actor]).sort()).toEqual([
      ['member.updated', 'user:bob'],
      ['member.updated', 'user:bob'],
      ['ownership-offer.accepted', 'user:bob'],
    ])
    const changes = { organization: organization.slug, permission: 'org:delete' }
    const decided = async (subject: string) =>
      (await server.call('POST /check', { ...changes, subject })).body.allowed
    expect([await decided('user:alice'), await decided('user:bob')]).toEqual([false, true])
  })

  test('without a role leaves the former owner a member with nothing more', async () => {
    await offer()
    await transfer('bob', '/accept')
    expect(await rolesOf('alice')).toEqual([])
  })

  test('of one of two owners moves, and the other one’s stays', async () => {
    await put('carol', { roles: ['owner'] })
    await offer({}, 'carol')
    await transfer('bob', '/accept')
    expect([await rolesOf('alice'), await rolesOf('carol')]).toEqual([['owner'], []])
  })

  test('is offered once: the newer offer replaces the earlier', async () => {
    await put('carol', { roles: [] })
    await offer()
    const second = await offer({ to: 'carol' })
    expect([second.status, second.body.version]).toEqual([201, 2])
    expect((await transfer('bob', '/accept')).status).toBe(404)
    expect((await transfer('carol', '/accept')).status).toBe(200)
  })

  test('is declined, and withdrawn; neither can be accepted then', async () => {
    await offer()
    expect((await transfer('bob', '/decline')).status).toBe(204)
    expect((await transfer('bob', '/accept')).status).toBe(404)
    await offer()
    expect((await as('alice', `DELETE ${organization.path}/transfer`)).status).toBe(204)
    expect((await transfer('bob', '/accept')).status).toBe(404)
    expect((await as('alice', `DELETE ${organization.path}/transfer`)).status).toBe(404)
    const events = await server.sql`
      select event from audit_events where log = ${organization.id} and event like 'ownership%' order by id`
    expect(events.map(({ event }) => event)).toEqual([
      'ownership-offer.created',
      'ownership-offer.declined',
      'ownership-offer.created',
      'ownership-offer.withdrawn',
    ])
    expect(await rolesOf('alice')).toEqual(['owner'])
  })

  test('is withdrawn only as it was read: If-Match', async () => {
    await offer()
    await offer()
    const withdraw = async (version: number) =>
      server.call(`DELETE ${organization.path}/transfer`, undefined, {
        key: await issuer.tokenOf('alice'),
        headers: { 'if-match': `"${version}"` },
      })
    expect([(await withdraw(1)).status, (await withdraw(2)).status]).toEqual([412, 204])
  })
})

describe('nobody becomes an owner', () => {
  test('but the one to whom it is offered, with a token of their own', async () => {
    await put('carol', { roles: ['admin'] })
    await offer()
    for (const name of ['carol', 'alice']) {
      const { status, body } = await transfer(name, '/accept')
      expect([name, status, body.code]).toEqual([name, 404, 'offer-not-found'])
      expect((await transfer(name, '/decline')).status).toBe(404)
    }
    const personal = await as('bob', `POST ${organization.path}/api-keys`, {
      name: 'mine',
      personal: true,
    })
    const keys = [personal.body.secret, await organization.keyFor({ roles: ['admin'] })]
    for (const key of keys.filter(Boolean)) {
      const answer = await server.call(`POST ${organization.path}/transfer/accept`, {}, { key })
      expect([answer.status, answer.body.code]).toEqual([403, 'person-needed'])
    }
    expect((await server.call(`POST ${organization.path}/transfer/accept`)).status).toBe(403)
    expect((await transfer('stranger', '/accept')).status).toBe(404)
    expect(await rolesOf('alice')).toEqual(['owner'])
  })

  test('whom the security settings keep out, not even an operator of the platform', async () => {
    await server.sql`insert into grants (id, subject, role_home, role_scope, role_name, granted_by)
      values (${newId('grt')}, 'user:ops', 'platform', 'platform', 'support', 'service:test')`
    for (const to of ['bob', 'ops']) {
      await put(to, { roles: ['member'] })
      await offer({ to })
      await server.call(`PATCH ${organization.path}/security`, { requireMfa: true })
      const refused = await transfer(to, '/accept')
      expect([to, refused.status, refused.body.code]).toEqual([to, 403, 'mfa-required'])
      await server.call(`PATCH ${organization.path}/security`, { requireMfa: null })
    }
    expect((await transfer('ops', '/accept')).status).toBe(200)
  })

  test('by an offer of somebody who is no owner', async () => {
    await put('carol', { roles: ['admin'] })
    const refused = await offer({}, 'carol')
    expect([refused.status, refused.body.permission]).toEqual([403, 'org:transfer'])
    await server.call(`PUT ${organization.path}/roles/heir`, { permissions: ['org:transfer'] })
    await put('carol', { roles: ['heir'] })
    const held = await offer({}, 'carol')
    expect([held.status, held.body.code]).toEqual([403, 'not-an-owner'])
    const operator = await server.call(`POST ${organization.path}/transfer`, { to: 'bob' })
    expect([operator.status, operator.body.code]).toEqual([403, 'not-an-owner'])
  })

  test.each([
    ['oneself', 'alice', 'owner-already'],
    ['a stranger', 'zoe', 'member-not-active'],
    ['a service', 'service:ci', 'member-not-active'],
    ['somebody suspended', 'sue', 'member-not-active'],
    ['somebody whose time is over', 'tim', 'member-not-active'],
    ['another owner', 'olga', 'owner-already'],
  ])('by an offer to %s', async (_, to, code) => {
    await put('service:ci', { roles: ['viewer'] })
    await put('sue', { roles: [], status: 'suspended' })
    await put('tim', { roles: [], expiresAt: new Date(Date.now() + 60_000).toISOString() })
    await server.sql`update members set expires_at = now() - interval '1 s'
      where organization_id = ${organization.id} and subject = 'user:tim'`
    await put('olga', { roles: ['owner'] })
    const { status, body } = await offer({ to })
    expect([status, body.code, body.errors[0].pointer]).toEqual([422, code, '/to'])
  })

  test.each([
    ['ownership itself', 'owner', 'role-unknown'],
    ['a role that is none', 'wizard', 'role-unknown'],
    ['a role of workspaces', 'workspace_admin', 'role-unknown'],
    ['a role of the platform', 'super_admin', 'role-unknown'],
  ])('who leaves the former one %s', async (_, formerOwnerRole, code) => {
    const { status, body } = await offer({ formerOwnerRole })
    expect([status, body.code]).toEqual([422, code])
  })

  test.each([
    ['the offerer leaves', (path: string) => [`DELETE ${path}/members/alice`, undefined]],
    ['the offerer is demoted', (path: string) => [`PATCH ${path}/members/alice`, { roles: [] }]],
    [
      'the offerer is suspended',
      (path: string) => [`PATCH ${path}/members/alice`, { status: 'suspended' }],
    ],
    ['the other leaves', (path: string) => [`DELETE ${path}/members/bob`, undefined]],
    [
      'the other is suspended',
      (path: string) => [`PATCH ${path}/members/bob`, { status: 'suspended' }],
    ],
    [
      'the other became one already',
      (path: string) => [`PATCH ${path}/members/bob`, { roles: ['owner'] }],
    ],
  ] as const)('once %s, even if they come back', async (_, change) => {
    await put('olga', { roles: ['owner'] })
    await offer()
    const [what, body] = change(organization.path)
    expect((await server.call(what as string, body)).status).toBeLessThan(300)
    expect(await standing()).toBe(404)
    await put('alice', { roles: ['owner'], status: 'active' })
    await put('bob', { roles: ['viewer'], status: 'active' })
    expect((await transfer('bob', '/accept')).status).toBe(404)
    expect(await rolesOf('bob')).toEqual(['viewer'])
  })

  test('whose membership is over when they accept', async () => {
    await offer()
    await server.sql`update members set expires_at = now() - interval '1 s'
      where organization_id = ${organization.id} and subject = 'user:bob'`
    expect((await transfer('bob', '/accept')).status).toBe(404)
    expect(await rolesOf('alice')).toEqual(['owner'])
  })

  test('after seven days; a job tidies up and tells', async () => {
    await offer()
    await server.sql`update ownership_offers set expires_at = now() - interval '1 s'
      where organization_id = ${organization.id}`
    expect([(await transfer('bob', '/accept')).status, await standing()]).toEqual([404, 404])
    await server.jobs.handlers.get('ownership.expire-offers')!.run({
      context: server.context,
      signal: new AbortController().signal,
    } as never)
    const rows =
      await server.sql`select 1 from ownership_offers where organization_id = ${organization.id}`
    expect(rows).toHaveLength(0)
    const events = await server.sql`
      select actor from audit_events where log = ${organization.id} and event = 'ownership-offer.expired'`
    expect(events).toHaveLength(1)
  })

  test('by a role that was changed to hold more than the former owner could give', async () => {
    await server.call(`PUT ${organization.path}/roles/heir`, { permissions: ['scenario:read'] })
    await offer({ formerOwnerRole: 'heir' })
    await server.call(`DELETE ${organization.path}/roles/heir`)
    const { status, body } = await transfer('bob', '/accept')
    expect([status, body.code]).toEqual([422, 'role-unknown'])
    expect([await rolesOf('alice'), await rolesOf('bob')]).toEqual([['owner'], ['member']])
    expect(await standing()).toBe(200)
  })

  test('of an organization that is read only or closed; an offer can still be ended there', async () => {
    await offer()
    const level = (to: string) =>
      server.call(`POST ${organization.path}/suspend`, { level: to, reason: 'x' })
    await level('suspended')
    expect((await transfer('bob', '/accept')).status).toBe(409)
    await level('read_only')
    expect((await transfer('bob', '/accept')).body.code).toBe('organization-read-only')
    expect((await offer()).body.code).toBe('organization-read-only')
    expect((await as('alice', `DELETE ${organization.path}/transfer`)).status).toBe(204)
  })
})
