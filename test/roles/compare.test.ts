import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())

test('two roles are compared as sets of what they give, with all they inherit', async () => {
  const { path } = await server.newOrganization()
  const put = (name: string, body: object) => server.call(`PUT ${path}/roles/${name}`, body)
  const condition = 'resource.owner == subject.id'
  await put('base', { permissions: ['scenario:read'] })
  await put('left', { permissions: ['scenario:update'], inherits: ['base'] })
  await put('right', {
    permissions: ['scenario:read', { permission: 'scenario:update', condition }],
  })
  await put('same', { permissions: ['scenario:update', 'scenario:read'] })
  const compare = async (left: string, right: string) =>
    (await server.call(`GET ${path}/roles/${left}/compare/${right}`)).body
  expect(await compare('left', 'right')).toEqual({
    onlyLeft: [{ permission: 'scenario:update', condition: null }],
    onlyRight: [{ permission: 'scenario:update', condition }],
    both: [{ permission: 'scenario:read', condition: null }],
    relation: 'neither',
  })
  expect((await compare('left', 'same')).relation).toBe('equal')
  expect((await compare('base', 'left')).relation).toBe('left-within-right')
  expect((await compare('owner', 'viewer')).relation).toBe('right-within-left')
  const none = await server.call(`GET ${path}/roles/left/compare/wizard`)
  expect([none.status, none.body.code]).toEqual([404, 'role-not-found'])
})
