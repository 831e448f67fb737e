import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startWithDns } from './fixtures.ts'

let world: Awaited<ReturnType<typeof startWithDns>>
beforeAll(async () => {
  world = await startWithDns()
})
afterAll(() => world.stop())

const call = (...parameters: Parameters<typeof world.server.call>) =>
  world.server.call(...parameters)
const join = (organization: string, key: string) =>
  call('POST /v1/domains/join', { organization }, { key })
const suggestions = async (key: string) =>
  (await call('GET /v1/domains/suggestions', undefined, { key })).body.items
let people = 0
const newName = () => `zoe${people++}`

describe('people with an address of a proven domain', () => {
  test('join where they may, as a member from the domain, with the role of the domain', async () => {
    const { slug, id, path, domain } = await world.newProven({ enrollment: 'auto_join' })
    const name = newName()
    const key = await world.person(name, `Zoe@${domain.toUpperCase()}`)
    expect(await suggestions(key)).toEqual([
      { organization: { id, slug, name: slug }, domain, mayJoin: true },
    ])
    const joined = await join(slug, key)
    expect([joined.status, joined.body]).toEqual([
      200,
      {
        organization: { id, slug, name: slug },
        member: { subject: `user:${name}`, roles: ['member'] },
      },
    ])
    expect(joined.revision).toBeTruthy()
    const { body } = await call(`GET ${path}/members/${name}`)
    expect(body).toMatchObject({ source: 'domain', status: 'active', roles: ['member'] })
    expect(await suggestions(key)).toEqual([])
    const events = await world.server.sql`
      select event, actor from audit_events where log = ${id} and event in ('member.created', 'domain.joined') order by id`
    expect(events.map(({ event, actor }) => [event, actor])).toEqual([
      ['member.created', `user:${name}`],
      ['domain.joined', `user:${name}`],
    ])
  })

  test('are told of an organization that only suggests itself, and cannot join it', async () => {
    const { slug, domain } = await world.newProven({ enrollment: 'suggest' })
    const key = await world.person(newName(), `a@${domain}`)
    expect((await suggestions(key))[0]).toMatchObject({ mayJoin: false })
    expect((await join(slug, key)).body.code).toBe('nothing-to-join')
  })

  test('get the same answer wherever there is nothing to join', async () => {
    const open = await world.newProven({ enrollment: 'auto_join' })
    const manual = await world.newProven()
    const suggested = await world.newProven({ enrollment: 'suggest' })
    const closed = await world.newProven({ enrollment: 'auto_join' })
    await call(`POST ${closed.path}/suspend`, { reason: 'abuse' })
    const unpaid = await world.newProven({ enrollment: 'auto_join' })
    await call(`POST ${unpaid.path}/suspend`, { reason: 'x', level: 'read_only' })
    const answers = []
    for (const [organization, email] of [
      ['nowhere', `a@${open.domain}`],
      [open.slug, 'a@elsewhere.example'],
      [open.slug, `a@sub.${open.domain}`],
      [open.slug, `a@x${open.domain}`],
      [open.slug, `a@${open.domain}@elsewhere.example`],
      [open.slug, `"a@${open.domain}"@gmail.com`],
      [manual.slug, `a@${manual.domain}`],
      [suggested.slug, `a@${suggested.domain}`],
      [closed.slug, `a@${closed.domain}`],
      [unpaid.slug, `a@${unpaid.domain}`],
    ] as const) {
      const { status, body } = await join(organization, await world.person(newName(), email))
      const { instance: _instance, ...rest } = body
      answers.push(JSON.stringify([status, { ...rest, requestId: undefined }]))
    }
    expect(new Set(answers).size).toBe(1)
    expect(JSON.parse(answers[0]!)[0]).toBe(404)
  })

  test('need an address that the issuer has verified, and a token of their own', async () => {
    const { slug, path, domain, keyFor } = await world.newProven({ enrollment: 'auto_join' })
    const name = newName()
    await call(`PUT ${path}/members/${name}x`, { roles: ['admin'] })
    const keys = [
      await world.person(name, `a@${domain}`, false),
      await world.issuer.tokenOf(name),
      await world.issuer.tokenOf(name, { email: `a@${domain}`, email_verified: 'true' }),
      await keyFor({ roles: ['admin'] }),
      world.server.adminKey,
    ]
    for (const key of keys) {
      const answer = await join(slug, key)
      expect([answer.status, answer.body.code]).toEqual([403, 'verified-email-required'])
      expect(await suggestions(key)).toEqual([])
    }
  })

  test('who are members gain nothing by asking, suspended ones least of all', async () => {
    const { slug, path, domain } = await world.newProven({ enrollment: 'auto_join' })
    const [demoted, suspended] = [newName(), newName()]
    await call(`PUT ${path}/members/${demoted}`, { roles: [] })
    await call(`PUT ${path}/members/${suspended}`, { roles: ['member'], status: 'suspended' })
    for (const name of [demoted, suspended]) {
      const answer = await join(slug, await world.person(name, `a@${domain}`))
      expect([answer.status, answer.body.code]).toEqual([409, 'already-a-member'])
    }
    expect((await call(`GET ${path}/members/${demoted}`)).body.roles).toEqual([])
    expect((await call(`GET ${path}/members/${suspended}`)).body.status).toBe('suspended')
  })
})

describe('nobody lets others in with more than they may give', () => {
  const as = async (name: string, what: string, body?: unknown) =>
    call(what, body, { key: await world.issuer.tokenOf(name) })

  test('an admin gives what a member has, only an owner more, nobody ownership', async () => {
    const { path, at, slug, domain } = await world.newProven()
    await call(`PUT ${path}/members/abe`, { roles: ['admin'] })
    const enroll = (role: string) => ({ enrollment: 'auto_join', role })
    expect((await as('abe', `PATCH ${at}`, enroll('viewer'))).status).toBe(200)
    for (const role of ['manager', 'admin']) {
      const refused = await as('abe', `PATCH ${at}`, enroll(role))
      expect([role, refused.status, refused.body.code]).toEqual([
        role,
        403,
        'owner-required-for-role',
      ])
    }
    await call(`PUT ${path}/roles/wide`, { permissions: ['org:member:invite'] })
    expect((await as('abe', `PATCH ${at}`, enroll('wide'))).body.code).toBe(
      'owner-required-for-role',
    )
    for (const name of ['abe', 'alice'])
      expect((await as(name, `PATCH ${at}`, enroll('owner'))).status).toBe(422)
    expect((await as('alice', `PATCH ${at}`, enroll('workspace_admin'))).status).toBe(422)
    expect((await as('alice', `PATCH ${at}`, enroll('super_admin'))).status).toBe(422)
    expect((await as('alice', `PATCH ${at}`, enroll('manager'))).body.role).toBe('manager')
    const joined = await join(slug, await world.person(newName(), `a@${domain}`))
    expect(joined.body.member.roles).toEqual(['manager'])
  })

  test('a key that holds less than a member opens no way in as a member', async () => {
    const { at, keyFor } = await world.newProven()
    const key = await keyFor({ permissions: ['org:security:update', 'org:read'] })
    const refused = await call(`PATCH ${at}`, { enrollment: 'auto_join' }, { key })
    expect([refused.status, refused.body.code]).toEqual([403, 'above-ceiling'])
  })

  test('whoever opened the way and lost the power, or left, lets nobody in any more', async () => {
    for (const change of [{ roles: ['viewer'] }, { status: 'suspended' }, undefined]) {
      const { path, at, slug, domain } = await world.newProven()
      await call(`PUT ${path}/members/abe`, { roles: ['admin'] })
      await as('abe', `PATCH ${at}`, { enrollment: 'auto_join' })
      expect((await join(slug, await world.person(newName(), `a@${domain}`))).status).toBe(200)
      await (change
        ? call(`PATCH ${path}/members/abe`, change)
        : call(`DELETE ${path}/members/abe`))
      const refused = await join(slug, await world.person(newName(), `a@${domain}`))
      expect([refused.status, refused.body.code]).toEqual([404, 'nothing-to-join'])
    }
  })

  test('a role that is gone gives nothing; one that grew above its giver lets nobody in', async () => {
    const { path, at, slug, domain } = await world.newProven()
    await call(`PUT ${path}/members/abe`, { roles: ['admin'] })
    await call(`PUT ${path}/roles/newcomer`, { permissions: ['scenario:read'] })
    await as('abe', `PATCH ${at}`, { enrollment: 'auto_join', role: 'newcomer' })
    await call(`PUT ${path}/roles/newcomer`, { permissions: ['scenario:read', 'org:delete'] })
    const refused = await join(slug, await world.person(newName(), `a@${domain}`))
    expect([refused.status, refused.body.code]).toEqual([404, 'nothing-to-join'])
    await call(`DELETE ${path}/roles/newcomer`)
    const joined = await join(slug, await world.person(newName(), `a@${domain}`))
    expect([joined.status, joined.body.member.roles]).toEqual([200, []])
    expect((await call(`GET ${at}`)).body.role).toBe(null)
  })

  test('what is unknown in a body is refused', async () => {
    const { at } = await world.newProven()
    for (const [body, pointer] of [
      [{ state: 'verified' }, '/state'],
      [{ enrollment: 'everybody' }, '/enrollment'],
      [{ role: null }, '/role'],
    ] as const) {
      const refused = await call(`PATCH ${at}`, body)
      expect([refused.status, refused.body.errors[0].pointer]).toEqual([400, pointer])
    }
  })
})
