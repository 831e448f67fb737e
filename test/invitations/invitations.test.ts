import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tokenIn } from '../support/mailbox.ts'
import { until } from '../support/until.ts'
import { startWithMail } from './fixtures.ts'

let world: Awaited<ReturnType<typeof startWithMail>>
beforeAll(async () => {
  world = await startWithMail()
})
afterAll(() => world.stop())

const call = (...parameters: Parameters<typeof world.server.call>) =>
  world.server.call(...parameters)
const newAddress = () => `p${Math.random().toString(36).slice(2, 10)}@example.com`
const invite = async (path: string, body: object, key?: string) =>
  call(`POST ${path}/invitations`, body, key === undefined ? {} : { key })
const accept = async (token: string, key: string) =>
  call('POST /v1/invitations/accept', { token }, { key })
const seconds = (text: string) => Date.parse(text) / 1000

describe('an invitation', () => {
  test('is mailed, accepted by the person with that address, and gives exactly its roles', async () => {
    const { path, id } = await world.server.newOrganization()
    await call(`POST ${path}/workspaces`, { name: 'Lab', slug: 'lab' })
    const email = newAddress()
    const invited = await invite(path, {
      email: email.toUpperCase(),
      roles: ['viewer'],
      workspaces: [{ workspace: 'lab', roles: ['user'] }],
    })
    expect([invited.status, invited.body]).toMatchObject([
      201,
      {
        email,
        roles: ['viewer'],
        workspaces: [{ workspace: 'lab', roles: ['user'] }],
        status: 'pending',
      },
    ])
    expect(seconds(invited.body.expiresAt) - seconds(invited.body.createdAt)).toBeCloseTo(
      7 * 86400,
      -1,
    )
    expect(JSON.stringify(invited.body)).not.toMatch(/token|hash/i)

    const mail = await world.mailbox.mailTo(email)
    expect(mail.html).toContain('Accept the invitation')
    expect(mail.from?.address).toBe('no-reply@latchkey.example')
    const token = tokenIn(mail)
    const joined = await accept(token, await world.person('zoe', email))
    expect([joined.status, joined.body]).toMatchObject([
      200,
      { organization: { id }, member: { subject: 'user:zoe', roles: ['viewer'] } },
    ])
    const inLab = await call(`GET ${path}/workspaces/lab/members`)
    expect(inLab.body.items).toContainEqual({ subject: 'user:zoe', roles: ['user'] })
    const { body: member } = await call(`GET ${path}/members/zoe`)
    expect(member).toMatchObject({ source: 'invitation', status: 'active' })
    // Once only.
    expect((await accept(token, await world.person('zoe', email))).status).toBe(404)
    const events = await world.server.sql`
      select event, actor, body from audit_events where log = ${id} and resource like 'invitation:%' order by id`
    expect(events.map(({ event, actor }) => [event, actor])).toEqual([
      ['invitation.created', expect.stringMatching(/^key:/)],
      ['invitation.accepted', 'user:zoe'],
    ])
    for (const { body } of events) {
      expect(body).not.toContain(email)
      expect(body).not.toContain(token)
    }
    const kept = await world.server.sql`select payload from jobs`
    const finished = await world.server
      .sql`select payload, result from finished_jobs where queue = 'email'`
    expect(JSON.stringify([kept, finished])).not.toContain(token)
    const [row] = await world.server
      .sql`select token_hash from invitations where id = ${invited.body.id}`
    expect(row).toEqual({ tokenHash: null })
  })

  test('looks like the organization that sends it, and carries nothing in with its name', async () => {
    const { path } = await world.server.newOrganization()
    const name = '<b>Acme</b> "&'
    await call(`PATCH ${path}/settings`, { branding: { name, primaryColor: '#aa00FF' } })
    const email = newAddress()
    await invite(path, { email })
    const mail = await world.mailbox.mailTo(email)
    expect(mail.subject).toBe(`You are invited to ${name}`)
    expect(mail.html).toContain('color:#aa00FF')
    expect(mail.html).toContain('&lt;b&gt;Acme&lt;/b&gt;')
    expect(mail.html).not.toContain('<b>Acme')
  })

  test.each([
    ['of another address', (email: string) => world.person('eve', `x${email}`)],
    ['whose address is not verified', (email: string) => world.person('eve', email, false)],
    ['without an address', () => world.issuer.tokenOf('eve')],
  ])('cannot be accepted by a person %s', async (_, tokenOf) => {
    const { path } = await world.server.newOrganization()
    const email = newAddress()
    await invite(path, { email })
    const token = tokenIn(await world.mailbox.mailTo(email))
    const answer = await accept(token, await tokenOf(email))
    expect([403, 404]).toContain(answer.status)
    expect((await call(`GET ${path}/members/eve`)).status).toBe(404)
    expect((await accept(token, await world.person('bob', email))).status).toBe(200)
  })

  test('answers alike to a token that is wrong, used, over, revoked or another’s, whatever became of its organization', async () => {
    const { path, slug } = await world.server.newOrganization()
    const closed = await world.server.newOrganization()
    const make = async (organization = path) => {
      const email = newAddress()
      const { body } = await invite(organization, { email })
      return { id: body.id as string, token: tokenIn(await world.mailbox.mailTo(email)) }
    }
    const [used, over, revoked, foreign] = [await make(), await make(), await make(), await make()]
    const ofClosed = await make(closed.path)
    await call('POST /v1/invitations/decline', { token: used.token }, { key: null })
    await call(`DELETE ${path}/invitations/${revoked.id}`)
    await world.server
      .sql`update invitations set expires_at = now() - interval '1 second' where id = ${over.id}`
    await call(`POST ${closed.path}/suspend`, { reason: 'abuse' })
    const key = await world.person('mallory')
    const answers = new Set<string>()
    for (const token of [
      'A'.repeat(43),
      ...[used, over, revoked, foreign, ofClosed].map((each) => each.token),
    ]) {
      const { status, body } = await accept(token, key)
      expect(JSON.stringify(body)).not.toContain(slug)
      answers.add(JSON.stringify([status, { ...body, instance: '' }]))
    }
    expect([...answers]).toHaveLength(1)
    expect([...answers][0]).toContain('[404,')
  })

  test('cannot be accepted by an API key', async () => {
    const { path, keyFor } = await world.server.newOrganization()
    const email = newAddress()
    await invite(path, { email })
    const token = tokenIn(await world.mailbox.mailTo(email))
    const answer = await accept(token, await keyFor({ roles: ['admin'] }))
    expect([answer.status, answer.body.code]).toEqual([403, 'verified-email-needed'])
  })

  test('of one address is pending once, whatever the case of its letters', async () => {
    const { path } = await world.server.newOrganization()
    const email = newAddress()
    expect((await invite(path, { email })).status).toBe(201)
    const again = await invite(path, { email: email.toUpperCase() })
    expect([again.status, again.body.code]).toEqual([409, 'invitation-pending'])
  })

  test('adds roles to a member and takes none away', async () => {
    const { path } = await world.server.newOrganization()
    const email = newAddress()
    await call(`PUT ${path}/members/carol`, { roles: ['manager'] })
    await invite(path, { email, roles: ['viewer'] })
    const token = tokenIn(await world.mailbox.mailTo(email))
    const { body } = await accept(token, await world.person('carol', email))
    expect(body.member.roles).toEqual(['manager', 'viewer'])
  })

  test('lifts no suspension', async () => {
    const { path } = await world.server.newOrganization()
    const email = newAddress()
    await call(`PUT ${path}/members/carol`, { roles: [], status: 'suspended' })
    await invite(path, { email })
    const token = tokenIn(await world.mailbox.mailTo(email))
    const answer = await accept(token, await world.person('carol', email))
    expect([answer.status, answer.body.code]).toEqual([409, 'member-suspended'])
  })

  test('is sent again with another token; the one before is worth nothing', async () => {
    const { path } = await world.server.newOrganization()
    const email = newAddress()
    const { body } = await invite(path, { email })
    const first = tokenIn(await world.mailbox.mailTo(email))
    const resent = await call(`POST ${path}/invitations/${body.id}/resend`)
    expect([resent.status, resent.body.id]).toEqual([200, body.id])
    const second = tokenIn(await world.mailbox.mailTo(email, 2))
    expect(second).not.toBe(first)
    expect((await accept(first, await world.person('bob', email))).status).toBe(404)
    expect((await accept(second, await world.person('bob', email))).status).toBe(200)
  })

  test('is revoked, declined without an account, and expires; none of them can be accepted', async () => {
    const { path } = await world.server.newOrganization()
    const make = async () => {
      const email = newAddress()
      const { body } = await invite(path, { email })
      const token = tokenIn(await world.mailbox.mailTo(email))
      return { id: body.id as string, email, token }
    }
    const [revoked, declined, overdue] = [await make(), await make(), await make()]
    expect((await call(`DELETE ${path}/invitations/${revoked.id}`)).status).toBe(204)
    const declining = await call(
      'POST /v1/invitations/decline',
      { token: declined.token },
      { key: null },
    )
    expect(declining.status).toBe(204)
    await world.server
      .sql`update invitations set expires_at = now() - interval '1 second' where id = ${overdue.id}`
    for (const { token, email } of [revoked, declined, overdue])
      expect((await accept(token, await world.person('bob', email))).status).toBe(404)

    await world.server.sql`update job_schedules set seen_until = now() - interval '1 day'`
    const { context, jobs } = world.server
    await jobs.handlers.get('invitations.expire')!.run({
      context,
      signal: new AbortController().signal,
    } as never)
    const statuses = await call(`GET ${path}/invitations`)
    expect(
      Object.fromEntries(
        statuses.body.items.map(({ id, status }: { id: string; status: string }) => [id, status]),
      ),
    ).toEqual({ [revoked.id]: 'revoked', [declined.id]: 'declined', [overdue.id]: 'expired' })
    for (const { id } of [revoked, declined, overdue]) {
      expect((await call(`POST ${path}/invitations/${id}/resend`)).body.code).toBe(
        'invitation-ended',
      )
      expect((await call(`DELETE ${path}/invitations/${id}`)).body.code).toBe('invitation-ended')
    }
    expect((await invite(path, { email: overdue.email })).status).toBe(201)
  })

  test('stands when the mail server is away, and is mailed later', async () => {
    const { path } = await world.server.newOrganization()
    const email = newAddress()
    world.mailbox.state.refuses = 451
    const { status } = await invite(path, { email })
    expect(status).toBe(201)
    await until(async () => {
      const [job] = await world.server
        .sql`select attempts from jobs where queue = 'email' and attempts > 0`
      return job !== undefined
    })
    world.mailbox.state.refuses = undefined
    const token = tokenIn(await world.mailbox.mailTo(email))
    expect((await accept(token, await world.person('bob', email))).status).toBe(200)
  })
})

describe('nobody invites above the own ceiling', () => {
  test('who may invite, but is no admin, invites no admin and no owner; an admin no owner', async () => {
    const { path, keyFor } = await world.server.newOrganization()
    const key = await keyFor({ permissions: ['org:member:invite', 'org:read'] })
    for (const roles of [['admin'], ['owner']]) {
      const answer = await invite(path, { email: newAddress(), roles }, key)
      expect([roles, answer.status]).toEqual([roles, 403])
    }
    const admin = await keyFor({ roles: ['admin'] })
    expect((await invite(path, { email: newAddress(), roles: ['owner'] }, admin)).status).toBe(403)
    expect((await invite(path, { email: newAddress(), roles: ['viewer'] }, admin)).status).toBe(201)
  })

  test('and whoever lost the power since, or left, lets nobody in', async () => {
    const { path } = await world.server.newOrganization()
    await call(`PUT ${path}/members/mallory`, { roles: ['admin'] })
    const mallory = await world.person('mallory')
    const email = newAddress()
    expect((await invite(path, { email, roles: ['manager'] }, mallory)).status).toBe(201)
    const token = tokenIn(await world.mailbox.mailTo(email))
    await call(`PUT ${path}/members/mallory`, { roles: ['viewer'] })
    const refused = await accept(token, await world.person('bob', email))
    expect([refused.status, refused.body.code]).toEqual([409, 'inviter-may-not'])
    expect((await call(`GET ${path}/members/bob`)).status).toBe(404)
    await call(`DELETE ${path}/members/mallory`)
    expect((await accept(token, await world.person('bob', email))).status).toBe(404)
    const { body } = await call(`GET ${path}/invitations?status=revoked`)
    expect(body.items).toHaveLength(1)
  })
})

describe('a table of addresses', () => {
  test('is invited line by line, with a report per line', async () => {
    const { path } = await world.server.newOrganization()
    await call(`POST ${path}/workspaces`, { name: 'Lab', slug: 'lab' })
    const [a, b] = [newAddress(), newAddress()]
    const csv = [
      'email,roles,workspaces',
      `${a},viewer,lab=user`,
      'not an address,viewer,',
      `${b},"member viewer",`,
      `${a},viewer,`,
      `${newAddress()},wizard,`,
    ].join('\n')
    const { status, body } = await call(`POST ${path}/invitations/bulk`, { csv })
    expect([status, body.invited, body.refused]).toEqual([200, 2, 3])
    expect(
      body.lines.map(({ line, code }: { line: number; code: string }) => [line, code]),
    ).toEqual([
      [2, null],
      [3, 'invalid-request'],
      [4, null],
      [5, 'invitation-pending'],
      [6, 'role-unknown'],
    ])
    await world.mailbox.mailTo(b)
  })

  test.each([
    ['without a column email', 'name\nx'],
    ['that is no table', 'email\n"a'],
    ['of too many lines', `email\n${'a@b.example\n'.repeat(1001)}`],
  ])('%s is refused whole', async (_, csv) => {
    const { path } = await world.server.newOrganization()
    const answer = await call(`POST ${path}/invitations/bulk`, { csv })
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, '/csv'])
  })
})
