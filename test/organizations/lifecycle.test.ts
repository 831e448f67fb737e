import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sha256, toBase64Url } from '../../src/platform/crypto/hash.ts'
import { enqueue } from '../../src/platform/jobs/enqueue.ts'
import { type Issuer, startIssuer } from '../support/issuer.ts'
import { startTestWorkers, testJob } from '../support/jobs.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { until } from '../support/until.ts'

let issuer: Issuer
let server: TestServer
beforeAll(async () => {
  issuer = await startIssuer()
  server = await startTestServer({ jwt: issuer.settings })
})
afterAll(async () => {
  await server.drop()
  await issuer.stop()
})

const STATES = ['active', 'read_only', 'suspended', 'pending_deletion'] as const
type State = (typeof STATES)[number]
const isOpen = (state: State) => state === 'active' || state === 'read_only'
/** What a change is answered with where the state forbids it. */
const REFUSED = {
  active: undefined,
  read_only: 'organization-read-only',
  suspended: 'organization-suspended',
  pending_deletion: 'organization-suspended',
}

const as = async (name: string, what: string, body?: unknown) =>
  server.call(what, body, { key: await issuer.tokenOf(name, person(name)) })
const person = (name: string) => ({ email: `${name}@example.com`, email_verified: true })

type Things = Record<'grant' | 'denial' | 'key' | 'webhook' | 'invitation', string>

/** An organization with an owner, an admin, a key and something of everything, and then in a state. */
const inState = async (state: State) => {
  const organization = await server.newOrganization()
  const { path } = organization
  const make = async (what: string, body?: unknown) => {
    const answer = await server.call(what, body)
    if (answer.status >= 300) throw new Error(`${what}: ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  await make(`PUT ${path}/members/abe`, { roles: ['admin'] })
  await make(`PUT ${path}/members/bob`, { roles: ['viewer'] })
  const given = { subject: 'user:bob', permission: 'scenario:execute' }
  const things: Things = {
    grant: (await make(`POST ${path}/grants`, given)).id,
    denial: (
      await make(`POST ${path}/grants`, {
        ...given,
        permission: 'scenario:delete',
        effect: 'deny',
      })
    ).id,
    key: (await make(`POST ${path}/api-keys`, { name: 'k', roles: ['viewer'] })).id,
    webhook: (await make(`POST ${path}/webhooks`, { url: 'https://hooks.example.com/a' })).id,
    invitation: (await make(`POST ${path}/invitations`, { email: 'zoe@example.com' })).id,
  }
  await make(`POST ${path}/domains`, { domain: 'acme.example' })
  await as('alice', `POST ${path}/transfer`, { to: 'bob' })
  const key = await organization.keyFor({ roles: ['admin'] })
  if (state === 'pending_deletion') await as('alice', `DELETE ${path}`)
  else if (state !== 'active') await make(`POST ${path}/suspend`, { level: state, reason: 'x' })
  return { ...organization, things, key }
}

describe.each(STATES)('an organization that is %s', (state) => {
  test('is decided about, or denied to all', async () => {
    const { slug } = await inState(state)
    const question = { organization: slug, subject: 'user:alice', permission: 'scenario:read' }
    const { body } = await server.call('POST /check', question)
    expect([body.allowed, body.code]).toEqual(isOpen(state) ? [true, 'role'] : [false, 'suspended'])
    const evaluated = await server.call(`POST /${slug}/access/v1/evaluation`, {
      subject: { type: 'user', id: 'alice' },
      action: { name: 'read' },
      resource: { type: 'scenario', id: '1' },
    })
    expect(evaluated.body.decision).toBe(isOpen(state))
  })

  test('is read by all who may, or by its owners alone, and then no further than itself', async () => {
    const { path, slug, key } = await inState(state)
    const itself = [
      '',
      '/members',
      '/members/bob',
      '/settings',
      '/security',
      '/export',
      '/transfer',
    ]
    const inside = [
      '/roles',
      '/teams',
      '/grants',
      '/api-keys',
      '/webhooks',
      '/invitations',
      '/jobs',
    ]
    const read = async (callers: string, what: string) => {
      const answer = await server.call(`GET ${path}${what}`, undefined, { key: callers })
      return answer.status === 200 ? 200 : `${answer.status} ${answer.body.code}`
    }
    const [alice, abe] = [await issuer.tokenOf('alice'), await issuer.tokenOf('abe')]
    for (const what of [...itself, ...inside]) {
      const closed = isOpen(state) ? 200 : '403 organization-suspended'
      expect([what, await read(alice, what)]).toEqual([what, itself.includes(what) ? 200 : closed])
      for (const other of [abe, key])
        expect([what, await read(other, what)]).toEqual([what, closed])
    }
    const question = { organization: slug, subject: 'user:bob', permission: 'scenario:read' }
    for (const caller of [alice, key]) {
      const answer = await server.call('POST /check', question, { key: caller })
      expect([answer.status, answer.body.code]).toEqual(
        isOpen(state) ? [200, 'role'] : [403, 'organization-suspended'],
      )
    }
  })

  test('is changed by all who may, or not at all', async () => {
    const { path, key } = await inState(state)
    const changes: [what: string, body?: unknown][] = [
      [`PATCH ${path}`, { name: 'Other' }],
      [`PATCH ${path}/settings`, { timezone: 'Asia/Tokyo' }],
      [`PATCH ${path}/security`, { sessionTimeoutSeconds: 7200 }],
      [`PUT ${path}/members/carol`, { roles: ['viewer'] }],
      [`PATCH ${path}/members/bob`, { roles: [] }],
      [`POST ${path}/invitations`, { email: 'yan@example.com' }],
      [`PUT ${path}/roles/lead`, { permissions: ['scenario:read'] }],
      [`PUT ${path}/teams/eng`, {}],
      [`POST ${path}/workspaces`, { name: 'Lab' }],
      [`PUT ${path}/resources/scenario/1`, {}],
      [`POST ${path}/grants`, { subject: 'user:bob', permission: 'scenario:read' }],
      [`POST ${path}/api-keys`, { name: 'k', roles: ['viewer'] }],
      [`POST ${path}/webhooks`, { url: 'https://hooks.example.com/b' }],
      [`POST ${path}/domains`, { domain: 'other.example' }],
      [`POST ${path}/transfer`, { to: 'bob' }],
      [`POST ${path}/import`, { teams: [{ slug: 'new', members: [] }] }],
    ]
    for (const [what, body] of changes) {
      const owner = await as('alice', what, body)
      expect([what, owner.body.code]).toEqual([what, REFUSED[state]])
      expect([what, owner.status < 300]).toEqual([what, state === 'active'])
      if (state === 'active') continue
      const byKey = await server.call(what, body, { key })
      expect([what, byKey.status]).toEqual([
        what,
        // An admin's key may not transfer, whatever the state.
        isOpen(state) && !what.endsWith('/transfer') ? 409 : 403,
      ])
    }
  })

  test('shrinks by its owners also where it is only read, and by nobody else there', async () => {
    const { path, things } = await inState(state)
    const shrinking = [
      `DELETE ${path}/grants/${things.grant}`,
      `DELETE ${path}/api-keys/${things.key}`,
      `DELETE ${path}/invitations/${things.invitation}`,
      `DELETE ${path}/webhooks/${things.webhook}`,
      `DELETE ${path}/domains/acme.example`,
      `DELETE ${path}/transfer`,
      `DELETE ${path}/members/bob`,
    ]
    if (state !== 'active')
      for (const what of [...shrinking, `DELETE ${path}/grants/${things.denial}`]) {
        const admin = await as('abe', what)
        const held = isOpen(state) && !what.endsWith('/transfer')
        expect([what, admin.status]).toEqual([what, held ? 409 : 403])
      }
    // The end of a denial gives something.
    const denial = await as('alice', `DELETE ${path}/grants/${things.denial}`)
    expect(denial.body.code).toBe(REFUSED[state])
    for (const what of shrinking) {
      const owner = await as('alice', what)
      expect([what, owner.status]).toEqual([what, isOpen(state) ? 204 : 409])
    }
    for (const what of [`DELETE ${path}/roles/nothing`, `DELETE ${path}`]) {
      if (state === 'active') break
      const owner = await as('alice', what)
      expect([what, owner.status, owner.body.code]).toEqual([what, 409, REFUSED[state]])
    }
  })

  test('can be left, unless it is closed', async () => {
    const { path } = await inState(state)
    expect((await as('bob', `POST ${path}/leave`)).status).toBe(isOpen(state) ? 204 : 409)
    expect((await as('alice', `POST ${path}/leave`)).status).toBe(409)
  })

  test('takes in the invited, or does not', async () => {
    const { path, things, id } = await inState(state)
    const token = toBase64Url(randomBytes(32))
    await server.sql`
      update invitations set token_hash = ${await sha256(token)} where id = ${things.invitation}`
    const { status, body } = await as('zoe', 'POST /v1/invitations/accept', { token })
    expect([status, body.code]).toEqual([state === 'active' ? 200 : 409, REFUSED[state]])
    const members = await server.sql`
      select 1 from members where organization_id = ${id} and subject = 'user:zoe'`
    expect(members).toHaveLength(state === 'active' ? 1 : 0)
    expect((await server.call(`GET ${path}`)).body.status).toBe(state)
  })

  test('is opened by the platform; by its owner only where the owner closed it', async () => {
    const { path } = await inState(state)
    for (const [name, mayOpen] of [
      ['abe', false],
      ['bob', false],
      ['alice', state === 'pending_deletion'],
    ] as const) {
      const { status } = await as(name, `POST ${path}/reactivate`)
      expect([name, status]).toEqual([name, mayOpen ? 200 : 403])
    }
    const opened = await server.call(`POST ${path}/reactivate`)
    expect([opened.status, opened.body.status, opened.body.deleteAfter]).toEqual([
      200,
      'active',
      null,
    ])
    expect((await as('alice', `PATCH ${path}`, { name: 'Open' })).status).toBe(200)
  })
})

test('jobs of closed organizations wait until they are opened', async () => {
  const made = new Map<string, string>()
  for (const state of STATES) made.set(state, (await inState(state)).id)
  const numbers = new Map([...made.keys()].map((state, index) => [index, state]))
  for (const [n, state] of numbers)
    await server.sql.begin((tx) =>
      enqueue(tx, 'default', testJob({ n }), { organizationId: made.get(state)! }),
    )
  const ran: string[] = []
  const workers = await startTestWorkers(
    server.sql,
    async ({ payload }) => ran.push(numbers.get(payload.n)!),
    { queues: ['default'] },
  )
  try {
    await until(() => ran.length >= 2)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(ran.toSorted()).toEqual(['active', 'read_only'])
    for (const state of ['suspended', 'pending_deletion'])
      await server.call(`POST /v1/organizations/${made.get(state)}/reactivate`)
    await until(() => ran.length >= 4)
    expect(ran.toSorted()).toEqual([...STATES].toSorted())
  } finally {
    await workers.stop(1000)
  }
})

test('an owner cannot lift what the platform closed by deleting and restoring', async () => {
  for (const state of ['read_only', 'suspended'] as const) {
    const { path } = await inState(state)
    expect((await as('alice', `DELETE ${path}`)).status).toBe(409)
    expect((await as('alice', `POST ${path}/reactivate`)).status).toBe(403)
  }
  const { path } = await inState('pending_deletion')
  await server.call(`POST ${path}/suspend`, { reason: 'abuse' })
  expect((await as('alice', `POST ${path}/reactivate`)).status).toBe(403)
  expect((await server.call(`GET ${path}`)).body).toMatchObject({
    status: 'suspended',
    deleteAfter: null,
  })
})

describe('a slug', () => {
  test('of an organization that is gone is refused to everybody, in every way', async () => {
    const { slug, id, path } = await server.newOrganization()
    await as('alice', `DELETE ${path}`)
    await server.sql`update organizations set delete_after = now() - interval '1 s' where id = ${id}`
    await server.jobs.handlers.get('organizations.end-deleted')!.run({
      context: server.context,
      signal: new AbortController().signal,
    } as never)
    expect((await server.call(`GET ${path}`)).status).toBe(404)
    const founded = await as('alice', 'POST /v1/organizations', { name: 'Again', slug })
    expect([founded.status, founded.body.code]).toEqual([409, 'slug-unavailable'])
    const other = await server.newOrganization()
    const renamed = await server.call(`PATCH ${other.path}`, { slug })
    expect([renamed.status, renamed.body.code]).toEqual([409, 'slug-unavailable'])
  })
})

describe('a service as a member', () => {
  test('has roles, is decided about, and is removed like everybody', async () => {
    const { path, slug, id } = await server.newOrganization()
    const put = await server.call(`PUT ${path}/members/service:ci`, { roles: ['viewer'] })
    expect([put.status, put.body.subject]).toEqual([201, 'service:ci'])
    const question = { organization: slug, subject: 'service:ci', permission: 'scenario:read' }
    const decided = async () => (await server.call('POST /check', question)).body.allowed
    expect(await decided()).toBe(true)
    await server.call(`PATCH ${path}/members/service:ci`, { status: 'suspended' })
    expect(await decided()).toBe(false)
    await server.call(`PATCH ${path}/members/service:ci`, { status: 'active' })
    expect((await server.call(`DELETE ${path}/members/service:ci`)).status).toBe(204)
    expect(await decided()).toBe(false)
    const left =
      await server.sql`select 1 from grants where organization_id = ${id} and subject = 'service:ci'`
    expect(left).toHaveLength(0)
  })

  test('holds no seat, and is let in where there is none left', async () => {
    const { path } = await server.newOrganization()
    const seats = async () => {
      const { body } = await server.call(`GET ${path}/limits`)
      return body.items.find(({ limit }: { limit: string }) => limit === 'maxMembers')
    }
    const before = await seats()
    for (const name of ['one', 'two'])
      await server.call(`PUT ${path}/members/service:${name}`, { roles: ['viewer'] })
    expect(await seats()).toEqual(before)
    const full = { limits: { maxMembers: before.used }, reason: 'a test' }
    expect((await server.call(`PUT ${path}/limits`, full)).status).toBe(200)
    expect((await server.call(`PUT ${path}/members/dan`, { roles: [] })).status).toBe(409)
    const late = await server.call(`PUT ${path}/members/service:late`, { roles: [] })
    expect(late.status).toBe(201)
  })

  test('is not a person of the same name, and owns nothing alone', async () => {
    const { path, slug } = await server.newOrganization()
    await server.call(`PUT ${path}/members/service:alice2`, { roles: ['admin'] })
    const question = { organization: slug, subject: 'user:alice2', permission: 'scenario:read' }
    expect((await server.call('POST /check', question)).body.code).toBe('not-a-member')
    const asPerson = await as('alice2', `GET ${path}`)
    expect(asPerson.status).toBe(404)
  })
})
