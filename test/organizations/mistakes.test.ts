import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newId } from '../../src/platform/id.ts'
import { startWithDns } from '../domains/fixtures.ts'
import { maker, tokenFor, type World } from './fixtures.ts'

// What naive implementations get wrong, each tried here by its name; the tests of the modules try the others.

let world: World
let organization: Awaited<ReturnType<World['server']['newOrganization']>>
let make: ReturnType<typeof maker>
beforeAll(async () => {
  world = await startWithDns()
})
afterAll(() => world.stop())
beforeEach(async () => {
  organization = await world.server.newOrganization()
  make = maker(world, organization.path)
})

const call = (...parameters: Parameters<World['server']['call']>) =>
  world.server.call(...parameters)
const as = async (name: string, what: string, body?: unknown) => {
  const [method, at] = what.split(' ')
  const path = at!.startsWith('/v1/') ? at : `${organization.path}${at}`
  return call(`${method} ${path}`, body, { key: await world.person(name) })
}
const decide = async (question: object) =>
  (await call('POST /check', { organization: organization.id, consistency: 'full', ...question }))
    .body
/** An answer without what names the request. */
const plain = ({ status, body }: Awaited<ReturnType<typeof call>>) => {
  const { instance: _instance, revision: _revision, ...rest } = body
  return [status, rest]
}

describe('an unknown person treated as a member', () => {
  test('a stranger learns of an organization what they learn of none', async () => {
    const theirs = await world.server.newOrganization('user:olga')
    const keys = [await world.person('eve'), await organization.keyFor({ roles: ['admin'] })]
    const question = { subject: 'user:olga', permission: 'scenario:read' }
    const asked = (name: string): [string, object?][] => [
      ['POST /check', { organization: name, ...question }],
      ['POST /check/batch', { defaults: { organization: name }, checks: [question] }],
      [`POST /${name}/access/v1/evaluation`, { subject: {}, action: {}, resource: {} }],
      [`GET /v1/organizations/${name}`],
      [`GET /v1/organizations/${name}/members/olga`],
      [`PUT /v1/organizations/${name}/members/eve`, { roles: ['owner'] }],
      ['POST /v1/domains/join', { organization: name }],
    ]
    const nowhere = asked('nowhere')
    for (const key of keys)
      for (const [index, [what, body]] of asked(theirs.slug).entries()) {
        const there = await call(what, body, { key })
        const [same, sameBody] = nowhere[index]!
        const none = await call(same, sameBody, { key })
        expect([what, JSON.stringify(plain(there)).replaceAll(theirs.slug, 'nowhere')]).toEqual([
          what,
          JSON.stringify(plain(none)),
        ])
        expect(there.body).not.toMatchObject({ allowed: true })
      }
  })

  test('who is no member is denied everything, whatever is given to others', async () => {
    await make('PUT /members/bob', { roles: ['admin'] })
    for (const subject of [
      'user:eve',
      'user:',
      'user:*',
      'user:BOB',
      'user:bob ',
      'identity:bob',
      'bob:user',
    ])
      for (const permission of ['scenario:read', 'org:read']) {
        const { allowed = false } = await decide({ subject, permission })
        expect([subject, permission, allowed]).toEqual([subject, permission, false])
      }
  })
})

test('a resource key without its organization: an id of another one is unknown here', async () => {
  const type = `wand${Date.now().toString(36)}`
  await call('POST /v1/permissions', { key: `${type}:swing`, scope: 'workspace' })
  await call(`PUT /v1/resource-types/${type}`, { strict: true })
  const other = await world.server.newOrganization()
  expect((await call(`PUT ${other.path}/resources/${type}/1`, { owner: 'alice' })).status).toBe(201)
  const question = { subject: 'user:alice', permission: `${type}:swing`, resource: `${type}:1` }
  expect(await decide(question)).toMatchObject({ allowed: false, code: 'unknown-resource' })
  expect((await decide({ ...question, organization: other.id })).allowed).toBe(true)
})

describe('an organization without an owner after a crash', () => {
  test('is none: what stops between the two inserts leaves nothing', async () => {
    const id = newId('org')
    const founding = world.server.sql.begin(async (tx) => {
      await tx`select set_config('role', 'latchkey_platform', true)`
      await tx`insert into organizations (id, slug, name) values (${id}, ${`x${id.slice(-12)}`}, 'Ownerless')`
    })
    await expect(founding).rejects.toMatchObject({ code: 'LK002', message: 'last-owner' })
    expect(await world.server.sql`select 1 from organizations where id = ${id}`).toHaveLength(0)
  })

  test('nor is one whose owner cannot be written', async () => {
    const slug = `y${Date.now().toString(36)}`
    const { status } = await call('POST /v1/organizations', { name: 'Y', slug, owner: 'team:eng' })
    expect(status).toBe(400)
    expect((await call('POST /v1/organizations', { name: 'Y', slug, owner: 'zoe' })).status).toBe(
      201,
    )
  })
})

describe('no decline, revoke, resend', () => {
  const STATES = ['accepted', 'declined', 'revoked', 'expired'] as const
  const end = {
    accepted: (token: string) => as('zoe', 'POST /v1/invitations/accept', { token }),
    declined: (token: string) => call('POST /v1/invitations/decline', { token }, { key: null }),
    revoked: (_token: string, id: string) => as('alice', `DELETE /invitations/${id}`),
    expired: (_token: string, id: string) => world.server.sql`
      update invitations set expires_at = now() - interval '1 s' where id = ${id}`,
  }
  test.each(STATES)(
    'an invitation that is %s is not accepted, declined, revoked or sent again',
    async (state) => {
      const { id } = await make('POST /invitations', { email: 'zoe@example.com' })
      const token = await tokenFor(world, id)
      await end[state](token, id)
      const answers = [
        await as('zoe', 'POST /v1/invitations/accept', { token }),
        await as('yan', 'POST /v1/invitations/accept', { token }),
        await as('yan', 'POST /v1/invitations/accept', { token: 'A'.repeat(43) }),
        await call('POST /v1/invitations/decline', { token }, { key: null }),
      ]
      // Nobody learns which of them it is.
      expect(new Set(answers.map((answer) => JSON.stringify(plain(answer)))).size).toBe(1)
      expect(answers[0]!.status).toBe(404)
      if (state === 'expired') return
      for (const what of [`POST /invitations/${id}/resend`, `DELETE /invitations/${id}`])
        expect((await as('alice', what)).body.code).toBe('invitation-ended')
    },
  )

  test('an address that only looks like the invited one accepts nothing', async () => {
    const { id } = await make('POST /invitations', { email: 'mark@example.com' })
    const token = await tokenFor(world, id)
    const accept = async (email: string) => {
      const key = await world.person('eve', email)
      return (await call('POST /v1/invitations/accept', { token }, { key })).status
    }
    for (const email of [
      'mar\u212A@example.com',
      'm\u00E0rk@example.com',
      'mark@example.com.evil.example',
      'mark@example.com ',
      'mark+1@example.com',
      'x, mark@example.com',
    ])
      expect([email, await accept(email)]).toEqual([email, 404])
    expect(await accept('MARK@Example.com')).toBe(200)
  })

  test('a scanner that follows the link of a mail accepts nothing', async () => {
    const { id } = await make('POST /invitations', { email: 'zoe@example.com' })
    const token = await tokenFor(world, id)
    const key = await world.person('zoe')
    for (const method of ['GET', 'HEAD', 'OPTIONS'])
      for (const verb of ['accept', 'decline'])
        expect(
          (await call(`${method} /v1/invitations/${verb}?token=${token}`, undefined, { key }))
            .status,
        ).toBeGreaterThanOrEqual(400)
    expect((await as('alice', `GET /invitations/${id}`)).body.status).toBe('pending')
  })
})

test('removal without an end to access: every door denies at once', async () => {
  const { path, slug } = organization
  await make('PUT /members/ben', { roles: ['admin'] })
  const key = await world.person('ben')
  const ask = { subject: 'user:ben', permission: 'scenario:read' }
  const named = {
    subject: { type: 'user', id: 'ben' },
    action: { name: 'read' },
    resource: { type: 'scenario', id: '1' },
  }
  const doors = async () => {
    const batch = await call('POST /check/batch', {
      defaults: { organization: slug },
      checks: [ask],
    })
    const evaluations = await call(`POST /${slug}/access/v1/evaluations`, {
      ...named,
      evaluations: [{}],
    })
    const found = await call(`POST ${path}/search/subjects`, { permission: 'scenario:read' })
    return [
      (await call('POST /check', { organization: slug, ...ask })).body.allowed,
      batch.body.results[0].allowed,
      (await call(`POST /${slug}/access/v1/evaluation`, named)).body.decision,
      evaluations.body.evaluations[0].decision,
      JSON.stringify(found.body.items).includes('user:ben'),
      (await call(`GET ${path}/members`, undefined, { key })).status === 200,
      (await call('GET /v1/organizations', undefined, { key })).body.items.length === 1,
    ]
  }
  expect(await doors()).toEqual(Array(7).fill(true))
  await make('DELETE /members/ben')
  expect(await doors()).toEqual(Array(7).fill(false))
})

test('a slug that changes hands: what was held in a workspace or team is not held in the next of its name', async () => {
  await make('PUT /members/bob', { roles: [] })
  const found = async () => {
    await make('POST /workspaces', { name: 'Lab', slug: 'lab' })
    await make('PUT /teams/eng', {})
  }
  await found()
  await make('PUT /workspaces/lab/members/bob', { roles: ['admin'] })
  await make('PUT /resources/model/m1', { workspace: 'lab' })
  await make('POST /grants', {
    subject: 'user:bob',
    permission: 'model:read',
    resource: 'model:m1',
  })
  await make('PUT /teams/eng/members/bob')
  await make('POST /grants', { subject: 'team:eng', permission: 'scenario:delete' })
  const held = async () => [
    (await decide({ subject: 'user:bob', permission: 'model:deploy', workspace: 'lab' })).allowed,
    (await decide({ subject: 'user:bob', permission: 'model:read', resource: 'model:m1' })).allowed,
    (await decide({ subject: 'user:bob', permission: 'scenario:delete' })).allowed,
  ]
  expect(await held()).toEqual([true, true, true])
  await make('DELETE /workspaces/lab?confirm=Lab')
  await make('DELETE /teams/eng')
  await found()
  expect(await held()).toEqual([false, false, false])
})
