import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'
import { givenPublisher, type Publisher } from './given.ts'

let server: TestServer
let mine: Publisher
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())
beforeEach(async () => {
  mine = await givenPublisher(server)
})

const role = (more: object = {}) => ({
  name: 'clerk',
  permissions: ['scenario:read'],
  ...more,
})
const pack = (definition: object) => mine.make({ kind: 'role_pack', definition })

describe('a role pack', () => {
  test('is capable of what its roles give', async () => {
    const { at, status } = await pack({
      roles: [
        role(),
        role({
          name: 'chief',
          inherits: ['clerk'],
          permissions: [
            'scenario:read',
            { permission: 'scenario:delete', condition: "subject.team == 'a'" },
          ],
        }),
      ],
    })
    expect(status).toBe(201)
    const version = await mine.must(`GET ${at}/versions/0.1.0`)
    expect([version.capabilities, version.inputs]).toEqual([
      ['permission:scenario:delete', 'permission:scenario:read'],
      [],
    ])
  })

  test('is capable of what its roles inherit as well', async () => {
    const { at } = await pack({ roles: [role({ inherits: ['viewer'] })] })
    const { capabilities } = await mine.must(`GET ${at}/versions/0.1.0`)
    const viewer = await mine.must(`GET ${mine.path}/roles/viewer`)
    const keys = viewer.permissions.map((held: string | { permission: string }) =>
      typeof held === 'string' ? held : held.permission,
    )
    expect(keys.length).toBeGreaterThan(3)
    for (const key of keys) expect(capabilities).toContain(`permission:${key}`)
  })

  test.each([
    ['no roles', {}, '/definition/roles'],
    ['an empty list', { roles: [] }, '/definition/roles'],
    ['something else besides', { roles: [role()], nodes: [] }, '/definition/nodes'],
    [
      'a permission nobody knows',
      { roles: [role({ permissions: ['scenario:raed'] })] },
      '/definition/roles/0/permissions/0',
    ],
    [
      'a permission of the platform',
      { roles: [role({ permissions: ['marketplace:moderate'] })] },
      '/definition/roles/0/permissions/0',
    ],
    [
      'a permission wider than its role',
      { roles: [role({ scope: 'workspace', permissions: ['template:read'] })] },
      '/definition/roles/0/permissions/0',
    ],
    [
      'a condition that does not compile',
      { roles: [role({ permissions: [{ permission: 'scenario:read', condition: 'subject.' }] })] },
      '/definition/roles/0/permissions/0/condition',
    ],
    [
      'a parent nobody knows',
      { roles: [role({ inherits: ['wizard'] })] },
      '/definition/roles/0/inherits/0',
    ],
    [
      'a parent that owns',
      { roles: [role({ inherits: ['owner'] })] },
      '/definition/roles/0/inherits/0',
    ],
    [
      'itself as a parent',
      { roles: [role({ inherits: ['clerk'] })] },
      '/definition/roles/0/inherits',
    ],
    ['a role twice', { roles: [role(), role()] }, '/definition/roles/1/name'],
    ['who made it', { roles: [role({ builtIn: true })] }, '/definition/roles/0/builtIn'],
  ])('is refused with %s', async (_, definition, pointer) => {
    const { status, body } = await pack(definition)
    expect([status, body.errors?.[0].pointer]).toEqual([422, pointer])
  })

  test('names no role of the organization’s own as a parent', async () => {
    await mine.must(`PUT ${mine.path}/roles/ours`, { permissions: ['scenario:read'] })
    expect((await pack({ roles: [role({ inherits: ['ours'] })] })).body.code).toBe('role-unknown')
  })

  test('whose scenarios do not come out as they say is not published', async () => {
    const given = { roles: ['chief'], attributes: { team: 'a' } }
    const definition = (expect: 'allow' | 'deny') => ({
      roles: [
        role(),
        role({
          name: 'chief',
          inherits: ['clerk'],
          permissions: [{ permission: 'scenario:delete', condition: "subject.team == 'a'" }],
        }),
      ],
      scenarios: [
        { given, ask: { permission: 'scenario:read' }, expect: 'allow' },
        { given, ask: { permission: 'scenario:delete' }, expect },
        { given: { roles: ['chief'] }, ask: { permission: 'scenario:delete' }, expect: 'deny' },
        { given: { roles: ['clerk'] }, ask: { permission: 'scenario:delete' }, expect: 'deny' },
      ],
    })
    const wrong = await pack(definition('deny'))
    const refused = await server.call(`POST ${wrong.at}/versions/0.1.0/publish`)
    expect([refused.status, refused.body.errors]).toEqual([
      422,
      [{ pointer: '/definition/scenarios/1', detail: 'does not come out as it says' }],
    ])
    const right = await pack(definition('allow'))
    expect((await server.call(`POST ${right.at}/versions/0.1.0/publish`)).status).toBe(200)
  })
})
