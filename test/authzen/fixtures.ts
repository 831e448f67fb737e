import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { startTestServer, type TestServer } from '../support/server.ts'
import { type Door, type Person, readData } from './runner.ts'

// What the vectors expect to be stored, put there through the public API only.

/** How one organization is asked: by its own key, and by an operator who names it in the path. */
export type Doors = { slug: string; byKey: Door; byPath: Door }

/** A server that listens on a port of its own. */
export const startListening = async (options: Parameters<typeof startTestServer>[0] = {}) => {
  const server = await startTestServer(options)
  const listener = serve({ fetch: server.app.fetch, hostname: '127.0.0.1', port: 0 })
  await new Promise((resolve) => listener.once('listening', resolve))
  const url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`
  const drop = async () => {
    await new Promise((resolve) => listener.close(resolve))
    await server.drop()
  }
  return { ...server, url, drop }
}
export type Listening = Awaited<ReturnType<typeof startListening>>

/** A call that must succeed. */
const must = async (server: TestServer, what: string, body: unknown) => {
  const { status, body: answer } = await server.call(what, body)
  if (status >= 300) throw new Error(`${what}: ${status} ${JSON.stringify(answer)}`)
}

const openOrganization = async (server: Listening) => {
  const { slug, path, keyFor } = await server.newOrganization('user:founder')
  const key = await keyFor({ permissions: ['decision:check'] })
  const doors: Doors = {
    slug,
    byKey: { url: server.url, key },
    byPath: { url: `${server.url}/${slug}`, key: server.adminKey },
  }
  return { path, doors }
}

const registerPermissions = async (server: TestServer, keys: string[]) => {
  for (const key of keys) await must(server, 'POST /v1/permissions', { key, scope: 'workspace' })
}

type Held = string | { permission: string; condition: string }
type Role = { name: string; permissions: Held[]; inherits?: string[] }

const putRoles = async (server: TestServer, path: string, roles: Role[]) => {
  for (const { name, ...role } of roles) await must(server, `PUT ${path}/roles/${name}`, role)
}

type Fixture = {
  subjects: { id: string; properties: object }[]
  resources: { type: string; id: string; properties: object }[]
}

/** The certification scenario: two users, two records, and an admin who may write archived ones only. */
export const loadCertification = async (server: Listening): Promise<Doors> => {
  const fixture = readData<Fixture>('cert/fixture.json')
  const { path, doors } = await openOrganization(server)
  await registerPermissions(server, ['record:read', 'record:write', 'record:delete'])
  await must(server, 'PUT /v1/resource-types/record', { strict: true })
  const ofAdmin = 'subject.role == "admin" && resource.status == "archived"'
  await putRoles(server, path, [
    {
      name: 'record-reader',
      permissions: ['record:read', { permission: 'record:write', condition: ofAdmin }],
    },
  ])
  for (const { id, properties } of fixture.subjects)
    await must(server, `PUT ${path}/members/${id}`, {
      roles: ['record-reader'],
      attributes: properties,
    })
  for (const { type, id, properties } of fixture.resources)
    await must(server, `PUT ${path}/resources/${type}/${id}`, { attributes: properties })
  await must(server, `POST ${path}/grants`, {
    subject: 'user:alice',
    permission: 'record:write',
    condition: 'resource.status != "archived"',
  })
  await must(server, `POST ${path}/grants`, {
    subject: 'user:alice',
    permission: 'record:delete',
    resource: 'record:record-1',
    condition: 'action.soft == true',
  })
  return doors
}

const isOwn = (permission: string): Held => ({
  permission,
  condition: 'resource.ownerID == subject.email',
})

/** The people of the Todo scenario; behind the gateway they are identities, which need no membership. */
export const loadCitadel = async (server: Listening): Promise<Doors> => {
  const { path, doors } = await openOrganization(server)
  const todo = ['read_todos', 'create_todo', 'update_todo', 'delete_todo']
  await registerPermissions(server, [
    'user:can_read_user',
    ...todo.map((action) => `todo:can_${action}`),
    ...['GET', 'POST', 'PUT', 'DELETE'].map((method) => `route:${method}`),
  ])
  await putRoles(server, path, [
    { name: 'todo-viewer', permissions: ['user:can_read_user', 'todo:can_read_todos'] },
    {
      name: 'todo-editor',
      permissions: [
        'todo:can_create_todo',
        isOwn('todo:can_update_todo'),
        isOwn('todo:can_delete_todo'),
      ],
      inherits: ['todo-viewer'],
    },
    { name: 'todo-admin', permissions: ['todo:can_delete_todo'], inherits: ['todo-editor'] },
    { name: 'todo-evil_genius', permissions: ['todo:can_update_todo'], inherits: ['todo-editor'] },
    { name: 'route-viewer', permissions: ['route:GET'] },
    {
      name: 'route-editor',
      permissions: ['route:POST', 'route:PUT', 'route:DELETE'],
      inherits: ['route-viewer'],
    },
  ])
  for (const { sub, email, roles } of readData<Person[]>('todo/users.json')) {
    await must(server, `PUT ${path}/members/${sub}`, {
      roles: roles.map((role) => `todo-${role}`),
      attributes: { email },
    })
    const role = roles.includes('viewer') ? 'route-viewer' : 'route-editor'
    await must(server, `POST ${path}/grants`, { subject: `identity:${sub}`, role })
  }
  return doors
}
