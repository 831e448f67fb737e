import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'
import { revisionOf } from './fixtures.ts'

let server: TestServer
let organization: Awaited<ReturnType<TestServer['newOrganization']>>
beforeAll(async () => {
  server = await startTestServer()
  organization = await server.newOrganization()
})
afterAll(() => server.drop())

const decide = async (question: object) =>
  (await server.call('POST /check', { organization: organization.id, ...question })).body

describe('map["constructor"]', () => {
  const NAMES = ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf']
  const WAYS: [what: string, requestOf: (name: string) => [string, unknown?]][] = [
    ['a role of a member', (name) => ['PUT /members/bob', { roles: [name] }]],
    ['a role of a grant', (name) => ['POST /grants', { subject: 'user:alice', role: name }]],
    ['a role of a key', (name) => ['POST /api-keys', { name: 'k', roles: [name] }]],
    [
      'a role of an invitation',
      (name) => ['POST /invitations', { email: 'a@b.example', roles: [name] }],
    ],
    ['a parent of a role', (name) => ['PUT /roles/lead', { permissions: [], inherits: [name] }]],
    ['a role that is copied', (name) => [`POST /roles/${name}/copy`, { name: 'lead' }]],
    ['a permission of a role', (name) => ['PUT /roles/lead', { permissions: [`${name}:${name}`] }]],
    [
      'a permission of a grant',
      (name) => ['POST /grants', { subject: 'user:alice', permission: `scenario:${name}` }],
    ],
    ['a permission of a key', (name) => ['POST /api-keys', { name: 'k', permissions: [name] }]],
    ['a type of a resource', (name) => [`PUT /resources/${name}/1`, {}]],
    [
      'a type of a grant',
      (name) => [
        'POST /grants',
        { subject: 'user:alice', permission: 'scenario:read', resource: `${name}:1` },
      ],
    ],
    [
      'a team',
      (name) => ['POST /grants', { subject: `team:${name}`, permission: 'scenario:read' }],
    ],
    ['a parent of a team', (name) => ['PUT /teams/eng', { parent: name }]],
    [
      'a workspace',
      (name) => [
        'POST /grants',
        { subject: 'user:alice', permission: 'scenario:read', workspace: name },
      ],
    ],
    [
      'an effect',
      (name) => [
        'POST /grants',
        { subject: 'user:alice', permission: 'scenario:read', effect: name },
      ],
    ],
    ['a plan', (name) => ['PUT /plan', { plan: name }]],
    ['a limit', (name) => ['PUT /limits', `{"limits":{"${name}":9},"reason":"x"}`]],
    ['a meter', (name) => ['POST /usage', { meter: name, amount: 1 }]],
    [
      'a meter of a reservation',
      (name) => ['POST /usage/reservations', { meter: name, amount: 1, expiresInSeconds: 60 }],
    ],
    ['a setting', (name) => ['PATCH /settings', `{"${name}":{"timezone":"UTC"}}`]],
    ['a setting inside one', (name) => ['PATCH /settings', `{"branding":{"${name}":"x"}}`]],
    ['a setting of security', (name) => ['PATCH /security', `{"${name}":true}`]],
    [
      'an event of a webhook',
      (name) => ['POST /webhooks', { url: 'https://hooks.example.com/a', events: [`${name}.*`] }],
    ],
    ['a kind of change', (name) => ['POST /preview', { change: { kind: name } }]],
    ['a status', (name) => ['PUT /members/alice', { roles: ['owner'], status: name }]],
    [
      'a role of a document',
      (name) => ['POST /import', { members: [{ user: 'bob', roles: [name] }] }],
    ],
    ['a kind of a document', (name) => ['POST /import', `{"${name}":[{"user":"bob"}]}`]],
  ]
  test.each(WAYS)('%s that objects have by nature is unknown', async (_, requestOf) => {
    const before = await revisionOf({ server }, organization)
    for (const name of NAMES) {
      const [what, body] = requestOf(name)
      const [method, at] = what.split(' ')
      const headers = { 'idempotency-key': `names-${name}` }
      const { status } = await server.call(`${method} ${organization.path}${at}`, body, { headers })
      expect([name, status, [400, 404, 422].includes(status)]).toEqual([name, status, true])
    }
    expect(await revisionOf({ server }, organization)).toBe(before)
  })

  test.each(NAMES)('%s is no permission that anybody holds, and no type', async (name) => {
    for (const [permission, resource] of [
      [`${name}:${name}`, undefined],
      [`scenario:${name}`, 'scenario:1'],
      ['scenario:read', `${name}:1`],
    ]) {
      const answer = await decide({ subject: 'user:alice', permission, resource })
      expect(answer.allowed).not.toBe(true)
    }
    expect(
      (await decide({ subject: `user:${name}`, permission: 'scenario:read' })).allowed,
    ).not.toBe(true)
  })
})
