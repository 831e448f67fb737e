import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let organization: Awaited<ReturnType<TestServer['newOrganization']>>
let path: string
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())
beforeEach(async () => {
  organization = await server.newOrganization()
  await must(`POST ${organization.path}/workspaces`, { name: 'Sales', slug: 'sales' })
  path = `${organization.path}/workspaces/sales/scenarios`
})

const must = async (...given: Parameters<TestServer['call']>) => {
  const { status, body } = await server.call(...given)
  expect([given[0], status < 300, body?.detail]).toEqual([given[0], true, undefined])
  return body
}
const create = (body: object = {}, options = {}) =>
  server.call(`POST ${path}`, { name: 'Greet', definition: { nodes: [] }, ...body }, options)

describe('a scenario', () => {
  test('is a registered resource: its place, its owner, and what is granted on it', async () => {
    const { status, body } = await create({ definition: { b: 1, a: [1.0, 'x'] } })
    expect([status, body.workspace, body.version]).toEqual([201, 'sales', 1])
    expect(body.definition).toEqual({ a: [1, 'x'], b: 1 })
    const resource = await must(`GET ${organization.path}/resources/scenario/${body.id}`)
    expect([resource.workspace, resource.owner]).toEqual(['sales', body.owner])
  })

  test('is edited at the version that was read, and says nothing happened where nothing did', async () => {
    const { body } = await create()
    const at = (version: number) => ({ headers: { 'if-match': `"${version}"` } })
    const edited = await server.call(`PATCH ${path}/${body.id}`, { name: 'Hello' }, at(1))
    expect([edited.status, edited.body.name, edited.body.version]).toEqual([200, 'Hello', 2])
    const stale = await server.call(`PATCH ${path}/${body.id}`, { name: 'Late' }, at(1))
    expect([stale.status, stale.body.code]).toEqual([412, 'version-stale'])
    const same = await server.call(`PATCH ${path}/${body.id}`, { definition: { nodes: [] } })
    expect([same.status, same.body.version]).toEqual([200, 2])
  })

  test('ends with every grant on it', async () => {
    const { body } = await create()
    const key = await organization.keyFor({ roles: ['viewer'] })
    await must(`POST ${organization.path}/grants`, {
      subject: 'user:alice',
      permission: 'scenario:execute',
      resource: `scenario:${body.id}`,
    })
    expect((await server.call(`DELETE ${path}/${body.id}`, undefined, { key })).status).toBe(403)
    expect((await server.call(`DELETE ${path}/${body.id}`)).status).toBe(204)
    expect((await server.call(`GET ${path}/${body.id}`)).status).toBe(404)
    const { items } = await must(`GET ${organization.path}/grants`)
    expect(items.filter((grant: { resource: string }) => grant.resource)).toEqual([])
  })

  test('is listed to whoever may read it, and to nobody else', async () => {
    const [first, second] = [(await create()).body, (await create()).body]
    const nobody = await organization.keyFor({ permissions: ['team:read'] })
    const listed = async (key?: string) =>
      (await must(`GET ${path}?limit=1`, undefined, key ? { key } : {})) as {
        items: { id: string }[]
        nextCursor: string | null
      }
    expect((await listed(nobody)).items).toEqual([])
    await must(`POST ${organization.path}/grants`, {
      subject: `key:key_${nobody.slice(3, 29)}`,
      permission: 'scenario:read',
      resource: `scenario:${second.id}`,
    })
    expect((await listed(nobody)).items.map(({ id }) => id)).toEqual([second.id])
    const all = await listed()
    expect([all.items[0]!.id, all.nextCursor]).toEqual([first.id, expect.any(String)])
    // What may not be read does not exist; what may be read and not changed is refused by name.
    const read = (id: string, method: string, body?: object) =>
      server.call(`${method} ${path}/${id}`, body, { key: nobody })
    expect((await read(first.id, 'GET')).status).toBe(404)
    expect((await read(first.id, 'PATCH', { name: 'x' })).body.code).toBe('scenario-not-found')
    expect((await read(second.id, 'PATCH', { name: 'x' })).body.permission).toBe('scenario:update')
  })

  test('of another workspace or organization is not there', async () => {
    const { body } = await create()
    await must(`POST ${organization.path}/workspaces`, { name: 'Other', slug: 'other' })
    const elsewhere = `${organization.path}/workspaces/other/scenarios/${body.id}`
    expect((await server.call(`GET ${elsewhere}`)).status).toBe(404)
    expect((await server.call(`PATCH ${elsewhere}`, { name: 'mine' })).status).toBe(404)
    expect((await server.call(`DELETE ${elsewhere}`)).status).toBe(404)
    const foreign = await server.newOrganization()
    const key = await foreign.keyFor({ roles: ['admin'] })
    expect((await server.call(`GET ${path}/${body.id}`, undefined, { key })).status).toBe(404)
  })

  test('counts towards the limit of the plan', async () => {
    await must(`PUT ${organization.path}/plan`, { plan: 'free' })
    const add = () => create()
    for (let made = 0; made < 10; made++) expect((await add()).status).toBe(201)
    const refused = await add()
    expect([refused.status, refused.body.code]).toEqual([409, 'limit-reached'])
  })
})

describe('a definition', () => {
  const deep = (levels: number) => {
    let value: unknown = 1
    for (let level = 1; level < levels; level++) value = level % 2 ? [value] : { a: value }
    return { a: value }
  }

  test.each([
    ['a list', []],
    ['null', null],
    ['text', 'x'],
  ])('that is %s is refused', async (_, definition) => {
    const { status, body } = await create({ definition })
    expect([status, body.errors[0].pointer]).toEqual([400, '/definition'])
  })

  test('is at most 64 deep, and too deep for any stack is refused as well', async () => {
    expect((await create({ definition: deep(64) })).status).toBe(201)
    const { status, body } = await create({ definition: deep(65) })
    expect([status, body.code]).toEqual([422, 'definition-too-deep'])
    const text = `{"name":"x","definition":{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}}`
    const answer = await server.app.request(path, {
      method: 'POST',
      body: text,
      headers: { authorization: `Bearer ${server.adminKey}`, 'content-type': 'application/json' },
    })
    expect([400, 422]).toContain(answer.status)
  })

  test('has at most 2,000 nodes', async () => {
    const nodes = (count: number) => ({ nodes: Array.from({ length: count }, () => ({})) })
    expect((await create({ definition: nodes(2000) })).status).toBe(201)
    const { status, body } = await create({ definition: nodes(2001) })
    expect([status, body.errors[0].pointer]).toEqual([422, '/definition/nodes'])
  })

  test('keeps every name and every text, and refuses half a character by its place', async () => {
    const definition = { __proto__x: 1, constructor: { prototype: '\u0000' }, é: 1e21 }
    expect((await create({ definition })).body.definition).toEqual(definition)
    const { status, body } = await create({ definition: { 'a/b': ['\ud800'] } })
    expect([status, body.errors[0].pointer]).toEqual([422, '/definition/a~1b/0'])
  })
})
