import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWithMail } from '../invitations/fixtures.ts'
import { tokenIn } from '../support/mailbox.ts'

let world: Awaited<ReturnType<typeof startWithMail>>
beforeAll(async () => {
  world = await startWithMail()
})
afterAll(() => world.stop())

test('a whole life: born, joined by mail, changed, previewed, suspended, handed over, deleted, restored', async () => {
  const { server, mailbox, person } = world
  const [alice, bob] = [await person('alice'), await person('bob')]
  const as = (key: string) => (what: string, body?: unknown) => server.call(what, body, { key })
  const may = async (subject: string, permission: string) =>
    (
      await server.call('POST /check', {
        organization: 'paper',
        subject,
        permission,
        consistency: 'full',
      })
    ).body

  // A person creates an organization and owns it.
  const born = await as(alice)('POST /v1/organizations', { name: 'Paper', slug: 'paper' })
  expect([born.status, born.body.status]).toEqual([201, 'active'])
  const path = '/v1/organizations/paper'
  expect(await may('user:alice', 'org:delete')).toMatchObject({ allowed: true })

  // Somebody else knows nothing of it, is invited, takes the token out of the mail, and joins.
  expect((await as(bob)(`GET ${path}`)).status).toBe(404)
  const invited = await as(alice)(`POST ${path}/invitations`, {
    email: 'bob@example.com',
    roles: ['viewer'],
  })
  expect(invited.status).toBe(201)
  const token = tokenIn(await mailbox.mailTo('bob@example.com'))
  const joined = await as(bob)('POST /v1/invitations/accept', { token })
  expect([joined.status, joined.body.member.roles]).toEqual([200, ['viewer']])
  expect((await as(bob)(`GET ${path}`)).status).toBe(200)
  expect(await may('user:bob', 'scenario:read')).toMatchObject({ allowed: true, code: 'role' })

  // A preview tells what a role would give; then it is given, and gives just that.
  const change = { kind: 'member', user: 'bob', roles: ['manager'] }
  const told = await as(alice)(`POST ${path}/preview`, { change })
  expect(told.body).toMatchObject({ possible: true, subjectsGaining: 1, complete: true })
  const gained = told.body.gains.map(({ permission }: { permission: string }) => permission)
  expect(gained).toContain('team:manage')
  expect(await may('user:bob', 'team:manage')).toMatchObject({ allowed: false })
  await as(alice)(`PATCH ${path}/members/bob`, { roles: ['manager'] })
  for (const permission of gained)
    expect([permission, (await may('user:bob', permission)).allowed]).toEqual([permission, true])

  // Suspended: everybody is denied, at once; then it is lifted, by the platform only.
  expect((await server.call(`POST ${path}/suspend`, { reason: 'abuse' })).status).toBe(200)
  expect(await may('user:bob', 'team:manage')).toMatchObject({ allowed: false, code: 'suspended' })
  expect((await as(alice)(`POST ${path}/reactivate`)).status).toBe(403)
  expect((await server.call(`POST ${path}/reactivate`)).status).toBe(200)
  expect(await may('user:bob', 'team:manage')).toMatchObject({ allowed: true })

  // Handed over: offered, accepted by the one it was offered to, and by nobody else.
  const offered = await as(alice)(`POST ${path}/transfer`, { to: 'bob', formerOwnerRole: 'member' })
  expect(offered.status).toBe(201)
  expect((await as(alice)(`POST ${path}/transfer/accept`)).status).toBeGreaterThanOrEqual(403)
  expect((await as(bob)(`POST ${path}/transfer/accept`)).status).toBe(200)
  expect((await as(bob)(`GET ${path}/members/bob`)).body.roles).toContain('owner')
  expect((await as(bob)(`GET ${path}/members/alice`)).body.roles).not.toContain('owner')
  expect(await may('user:alice', 'org:delete')).toMatchObject({ allowed: false })

  // Deleted: denied at once, kept for a while, restored by its owner with everything in it.
  expect((await as(alice)(`DELETE ${path}`)).status).toBe(403)
  const deleted = await as(bob)(`DELETE ${path}`)
  expect([deleted.status, deleted.body.status]).toEqual([200, 'pending_deletion'])
  expect(await may('user:bob', 'team:manage')).toMatchObject({ allowed: false, code: 'suspended' })
  expect((await as(bob)(`POST ${path}/reactivate`)).body.status).toBe('active')
  expect(await may('user:bob', 'org:delete')).toMatchObject({ allowed: true })
  expect((await as(bob)(`GET ${path}/members/alice`)).body.roles).toContain('member')

  // And the log tells the whole story, in its order.
  const events = await server.sql`
    select event from audit_events where log = ${born.body.id} and outcome = 'success' order by id`
  expect(events.map(({ event }) => event)).toEqual([
    'organization.created',
    'invitation.created',
    'member.created',
    'invitation.accepted',
    'member.updated',
    'organization.suspended',
    'organization.reactivated',
    ...['ownership-offer.created', 'member.updated', 'member.updated', 'ownership-offer.accepted'],
    'organization.deleted',
    'organization.reactivated',
  ])
})
