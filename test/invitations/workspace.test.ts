import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { tokenIn } from '../support/mailbox.ts'
import { startWithMail } from './fixtures.ts'

let world: Awaited<ReturnType<typeof startWithMail>>
let path: string
let id: string
let slug: string
beforeAll(async () => {
  world = await startWithMail()
})
afterAll(() => world.stop())

const call = (...parameters: Parameters<typeof world.server.call>) =>
  world.server.call(...parameters)
const as = async (name: string, what: string, body?: unknown) =>
  call(what, body, { key: await world.person(name) })
const newAddress = () => `p${Math.random().toString(36).slice(2, 10)}@example.com`
const at = (workspace = 'lab') => `${path}/workspaces/${workspace}/invitations`
const accept = async (token: string, key: string) =>
  call('POST /v1/invitations/accept', { token }, { key })
const tokenTo = async (email: string, count = 1) =>
  tokenIn(await world.mailbox.mailTo(email, count))
const idsOf = (body: { items: { id: string }[] }) => body.items.map((each) => each.id)

// wanda manages the workspace lab, and nothing of the organization.
beforeEach(async () => {
  ;({ path, id, slug } = await world.server.newOrganization())
  for (const name of ['lab', 'two']) await call(`POST ${path}/workspaces`, { name, slug: name })
  await call(`PUT ${path}/members/wanda`, { roles: [] })
  await call(`PUT ${path}/workspaces/lab/members/wanda`, { roles: ['workspace_admin'] })
})

describe('an invitation to a workspace', () => {
  test('is sent by whom manages its members, and gives exactly its roles there', async () => {
    const email = newAddress()
    const above = await as('wanda', `POST ${path}/invitations`, { email })
    expect([above.status, above.body.permission]).toEqual([403, 'org:member:invite'])
    const invited = await as('wanda', `POST ${at()}`, {
      email: ` ${email.toUpperCase()} `,
      roles: ['user', 'user', 'guest'],
    })
    expect([invited.status, invited.headers.get('etag')]).toEqual([201, '"1"'])
    expect(invited.body).toMatchObject({
      email,
      roles: [],
      workspaces: [{ workspace: 'lab', roles: ['guest', 'user'] }],
      status: 'pending',
      invitedBy: 'user:wanda',
    })
    expect(JSON.stringify(invited.body)).not.toMatch(/token|hash/i)
    const joined = await accept(await tokenTo(email), await world.person('zoe', email))
    expect([joined.status, joined.body.member]).toEqual([200, { subject: 'user:zoe', roles: [] }])
    const { body: grants } = await call(`GET ${path}/grants?subject=user:zoe`)
    expect(
      grants.items.map(({ role, workspace }: Record<string, string>) => [role, workspace]).sort(),
    ).toEqual([
      ['guest', 'lab'],
      ['user', 'lab'],
    ])
    const may = async (permission: string, workspace?: string) =>
      (
        await call('POST /check', {
          organization: slug,
          subject: 'user:zoe',
          permission,
          workspace,
        })
      ).body.allowed
    expect(await may('conversation:create', 'lab')).toBe(true)
    expect(await may('conversation:create', 'two')).toBe(false)
    expect(await may('conversation:create')).toBe(false)
    expect(await may('org:read')).toBe(false)
    const events = await world.server.sql<{ event: string; body: string }[]>`
      select event, body from audit_events where log = ${id} and resource = ${`invitation:${invited.body.id}`} order by id`
    expect(events.map(({ event }) => event)).toEqual(['invitation.created', 'invitation.accepted'])
    const { body: lab } = await call(`GET ${path}/workspaces/lab`)
    expect(JSON.parse(events[0]!.body)).toMatchObject({ actor: 'user:wanda', workspaceId: lab.id })
    for (const { body } of events) expect(body).not.toContain(email)
  })

  test('holds a seat, and is refused where there is none', async () => {
    await call(`PUT ${path}/limits`, { limits: { maxMembers: 3 }, reason: 'a test' })
    const roles = ['user']
    expect((await as('wanda', `POST ${at()}`, { email: newAddress(), roles })).status).toBe(201)
    const full = await as('wanda', `POST ${at()}`, { email: newAddress(), roles })
    expect([full.status, full.body.code]).toEqual([409, 'limit-reached'])
  })

  test('of an address that is invited already is refused, whoever invited it', async () => {
    const email = newAddress()
    await call(`POST ${path}/invitations`, { email, roles: ['viewer'] })
    const twice = await as('wanda', `POST ${at()}`, { email, roles: ['user'] })
    expect([twice.status, twice.body.code, twice.body.errors[0].pointer]).toEqual([
      409,
      'invitation-pending',
      '/email',
    ])
  })

  test.each([
    ['no roles', { email: 'a@example.com', roles: [] }, 400, '/roles'],
    ['roles left out', { email: 'a@example.com' }, 400, '/roles'],
    ['ownership', { email: 'a@example.com', roles: ['owner'] }, 400, '/roles'],
    ['an address that is none', { email: 'a@', roles: ['user'] }, 400, '/email'],
    [
      'roles elsewhere',
      {
        email: 'a@example.com',
        roles: ['user'],
        workspaces: [{ workspace: 'two', roles: ['user'] }],
      },
      400,
      '/workspaces',
    ],
    ['a role that is none', { email: 'a@example.com', roles: ['user', 'usr'] }, 422, '/roles/1'],
    ['a role of the platform', { email: 'a@example.com', roles: ['super_admin'] }, 422, '/roles/0'],
  ])('refuses %s', async (_, body, status, pointer) => {
    const answer = await as('wanda', `POST ${at()}`, body)
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([status, pointer])
    expect((await as('wanda', `GET ${at()}`)).body.items).toEqual([])
  })

  test('to ownership is refused as a role in a workspace by the organization’s own route, too', async () => {
    const workspaces = [{ workspace: 'lab', roles: ['owner'] }]
    const answer = await as('alice', `POST ${path}/invitations`, {
      email: newAddress(),
      workspaces,
    })
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([400, '/workspaces/0/roles'])
  })
})

describe('whoever manages one workspace', () => {
  test('invites to no other, and gives nothing that they do not hold there', async () => {
    const elsewhere = await as('wanda', `POST ${at('two')}`, {
      email: newAddress(),
      roles: ['user'],
    })
    expect([elsewhere.status, elsewhere.body.permission]).toEqual([403, 'workspace:member:manage'])
    expect((await as('wanda', `GET ${at('two')}`)).status).toBe(403)
    // An organization's role held in the workspace gives what it has of the workspace: more than wanda holds there.
    const above = await as('wanda', `POST ${at()}`, { email: newAddress(), roles: ['manager'] })
    expect([above.status, above.body.code, above.body.errors[0].pointer]).toEqual([
      403,
      'above-ceiling',
      '/roles/0',
    ])
    await call(`PUT ${path}/members/mo`, { roles: [] })
    await call(`PUT ${path}/workspaces/lab/members/mo`, { roles: ['moderator'] })
    const moderator = await as('mo', `POST ${at()}`, { email: newAddress(), roles: ['guest'] })
    expect([moderator.status, moderator.body.permission]).toEqual([403, 'workspace:member:manage'])
    const permissions = ['workspace:member:manage', 'model:read', 'conversation:read', 'org:read']
    const key = await keyFor(permissions)
    const guest = await call(`POST ${at()}`, { email: newAddress(), roles: ['guest'] }, { key })
    expect(guest.status).toBe(201)
    const admin = await call(`POST ${at()}`, { email: newAddress(), roles: ['admin'] }, { key })
    expect([admin.status, admin.body.code]).toEqual([403, 'above-ceiling'])
  })

  const keyFor = async (permissions: string[]) =>
    (await call(`POST ${path}/api-keys`, { name: 'test', permissions })).body.secret as string

  test('lets nobody in any more once the power is gone, or they are', async () => {
    const [first, second] = [newAddress(), newAddress()]
    await as('wanda', `POST ${at()}`, { email: first, roles: ['admin'] })
    await call(`PUT ${path}/workspaces/lab/members/wanda`, { roles: ['moderator'] })
    const refused = await accept(await tokenTo(first), await world.person('bob', first))
    expect([refused.status, refused.body.code]).toEqual([409, 'inviter-may-not'])
    expect((await call(`GET ${path}/members/bob`)).status).toBe(404)
    await call(`PUT ${path}/workspaces/lab/members/wanda`, { roles: ['workspace_admin'] })
    await as('wanda', `POST ${at()}`, { email: second, roles: ['user'] })
    const token = await tokenTo(second)
    await call(`DELETE ${path}/members/wanda`)
    expect((await accept(token, await world.person('bob', second))).status).toBe(404)
  })

  test('sees, sends again and revokes what is of the workspace alone', async () => {
    const email = newAddress()
    const { body } = await as('wanda', `POST ${at()}`, { email, roles: ['user'] })
    const byOrganization = await call(`POST ${path}/invitations`, {
      email: newAddress(),
      roles: [],
      workspaces: [{ workspace: 'lab', roles: ['guest'] }],
    })
    const both = [byOrganization.body.id, body.id]
    expect(idsOf((await as('wanda', `GET ${at()}`)).body)).toEqual(both)
    const pages = await as('wanda', `GET ${at()}?limit=1`)
    expect(idsOf(pages.body)).toEqual([both[0]])
    const next = await as('wanda', `GET ${at()}?limit=1&cursor=${pages.body.nextCursor}`)
    expect([idsOf(next.body), next.body.nextCursor]).toEqual([[both[1]], null])
    const first = await tokenTo(email)
    const resent = await as('wanda', `POST ${at()}/${body.id}/resend`)
    expect([resent.status, resent.body.id]).toEqual([200, body.id])
    const second = await tokenTo(email, 2)
    expect(second).not.toBe(first)
    expect((await accept(first, await world.person('bob', email))).status).toBe(404)
    const stale = await call(`DELETE ${at()}/${body.id}`, undefined, {
      headers: { 'if-match': '"1"' },
    })
    expect(stale.status).toBe(412)
    expect((await as('wanda', `DELETE ${at()}/${body.id}`)).status).toBe(204)
    expect((await accept(second, await world.person('bob', email))).status).toBe(404)
    const again = await as('wanda', `DELETE ${at()}/${body.id}`)
    expect([again.status, again.body.code]).toEqual([409, 'invitation-ended'])
    expect(idsOf((await as('wanda', `GET ${at()}?status=pending`)).body)).toEqual([both[0]])
    expect(idsOf((await as('wanda', `GET ${at()}?status=revoked`)).body)).toEqual([both[1]])
  })

  test('neither sees nor touches what gives more elsewhere: the same 404 as for none', async () => {
    const invite = async (body: object) =>
      (await as('alice', `POST ${path}/invitations`, { email: newAddress(), ...body })).body.id
    const inLab = { workspace: 'lab', roles: ['guest'] }
    const inTwo = { workspace: 'two', roles: ['guest'] }
    const foreign = [
      await invite({ roles: ['viewer'] }),
      await invite({ roles: ['viewer'], workspaces: [inLab] }),
      await invite({ roles: [], workspaces: [inLab, inTwo] }),
      await invite({ roles: [], workspaces: [inTwo] }),
      await invite({ roles: ['owner'], workspaces: [inLab] }),
      await invite({ roles: [] }),
    ]
    const other = await world.server.newOrganization('user:eve')
    await call(`POST ${other.path}/workspaces`, { name: 'Lab', slug: 'lab' })
    const elsewhere = { email: newAddress(), roles: ['guest'] }
    foreign.push((await call(`POST ${other.path}/workspaces/lab/invitations`, elsewhere)).body.id)
    expect((await as('wanda', `GET ${at()}`)).body).toEqual({ items: [], nextCursor: null })
    const problem = async (what: string) => {
      const { status, body, headers } = await as('wanda', what)
      const resends = headers.get('ratelimit')?.match(/"invitation-resend";r=\d/)?.[0]
      return [status, body.code, body.detail, resends]
    }
    // What the organization has sent again shows in no header of the workspace.
    await as('alice', `POST ${path}/invitations/${foreign[1]}/resend`)
    const none = `inv_${'0'.repeat(26)}`
    for (const [method, rest] of [
      ['POST', '/resend'],
      ['DELETE', ''],
    ]) {
      const expected = await problem(`${method} ${at()}/${none}${rest}`)
      expect(expected[0]).toBe(404)
      for (const one of foreign)
        expect([one, await problem(`${method} ${at()}/${one}${rest}`)]).toEqual([one, expected])
    }
    // Nor does the workspace use up what the organization may send.
    for (let more = 0; more < 5; more++) await as('wanda', `POST ${at()}/${foreign[1]}/resend`)
    const resent = await as('alice', `POST ${path}/invitations/${foreign[1]}/resend`)
    expect([resent.status, resent.headers.get('ratelimit')]).toEqual([
      200,
      expect.stringContaining('"invitation-resend";r=3;'),
    ])
    const [row] = await world.server.sql`
      select count(*)::int as pending from invitations where id = any (${foreign}) and status = 'pending'`
    expect(row!.pending).toBe(foreign.length)
    const sent = await world.server.sql`
      select 1 from audit_events where event in ('invitation.resent', 'invitation.revoked') and log = ${id} and actor = 'user:wanda'`
    expect(sent).toHaveLength(0)
  })

  test('cannot send again what they could not give', async () => {
    const { body } = await as('alice', `POST ${at()}`, { email: newAddress(), roles: ['manager'] })
    const refused = await as('wanda', `POST ${at()}/${body.id}/resend`)
    expect([refused.status, refused.body.code]).toEqual([403, 'above-ceiling'])
    // Taking away gives nothing.
    expect((await as('wanda', `DELETE ${at()}/${body.id}`)).status).toBe(204)
  })
})

describe('a workspace that is deleted', () => {
  test('takes the invitations to it alone along, asks first, and takes its part of the others', async () => {
    const [alone, both] = [newAddress(), newAddress()]
    await as('wanda', `POST ${at()}`, { email: alone, roles: ['user'] })
    await call(`POST ${path}/invitations`, {
      email: both,
      roles: ['viewer'],
      workspaces: [{ workspace: 'lab', roles: ['user'] }],
    })
    const tokens = [await tokenTo(alone), await tokenTo(both)] as const
    await call(`DELETE ${path}/workspaces/lab/members/wanda`)
    const asked = await call(`DELETE ${path}/workspaces/lab`)
    const ends = { resources: 0, grants: 0, members: 0, invitations: 2 }
    expect([asked.status, asked.body.code, asked.body.ends]).toEqual([
      409,
      'confirmation-needed',
      ends,
    ])
    expect((await call(`DELETE ${path}/workspaces/lab?confirm=lab`)).status).toBe(204)
    expect((await accept(tokens[0], await world.person('bob', alone))).status).toBe(404)
    const joined = await accept(tokens[1], await world.person('bob', both))
    expect([joined.status, joined.body.member.roles]).toEqual([200, ['viewer']])
    const { body } = await call(`GET ${path}/invitations`)
    expect(body.items.map(({ email, status }: Record<string, string>) => [email, status])).toEqual([
      [both, 'accepted'],
      [alone, 'revoked'],
    ])
    const [event] = await world.server.sql<{ body: string }[]>`
      select body from audit_events where log = ${id} and event = 'workspace.deleted'`
    expect(JSON.parse(event!.body).after).toEqual({ ends })
  })
})
