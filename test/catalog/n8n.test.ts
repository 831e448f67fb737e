import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Log, silentLog } from '../../src/platform/log.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { putTemplate } from './listing.ts'

let server: TestServer
let publisher: Awaited<ReturnType<TestServer['newOrganization']>>
let reader: Awaited<ReturnType<TestServer['newOrganization']>>
let key: string
const lines: string[] = []
const note = (fields: unknown, message?: unknown) => {
  const plain = fields instanceof Error ? String(fields) : fields
  lines.push(JSON.stringify([plain, message]))
}
const log: Log = { ...silentLog, debug: note, info: note, warn: note, error: note } as Log

beforeAll(async () => {
  server = await startTestServer({ log })
})
afterAll(() => server.drop())
beforeEach(async () => {
  ;[publisher, reader] = [await server.newOrganization(), await server.newOrganization()]
  key = await reader.keyFor({ permissions: ['template:read'] })
})

const get = (path: string, readKey = key, headers = {}) =>
  server.call(`GET /n8n/${readKey}${path}`, undefined, { key: null, headers })
const numberOf = async (id: string) =>
  (await server.sql`select number from templates where id = ${id}`)[0]!.number as number
const PATHS = [
  ...['/health', '/templates/search', '/templates/categories', '/templates/collections'],
  ...['/templates/workflows/1', '/workflows/templates/1', '/templates/collections/1'],
]

describe('a read key', () => {
  test('is one that may read templates and nothing else: to all others nothing is there', async () => {
    const role = await server.call(`PUT ${reader.path}/roles/looker`, {
      permissions: ['template:read'],
    })
    expect(role.status).toBeLessThan(300)
    const granted = await reader.keyFor({ permissions: ['template:read'] })
    const id = `key_${granted.slice(3, 29)}`
    const given = { subject: `key:${id}`, permission: 'scenario:read' }
    const grant = await server.call(`POST ${reader.path}/grants`, given)
    expect(grant.status).toBe(201)
    const revoked = await reader.keyFor({ permissions: ['template:read'] })
    await server.call(`DELETE ${reader.path}/api-keys/key_${revoked.slice(3, 29)}`)
    const wrong = [
      await reader.keyFor({ permissions: ['template:read', 'template:rate'] }),
      await reader.keyFor({ permissions: ['template:rate'] }),
      await reader.keyFor({ roles: ['admin'] }),
      await reader.keyFor({ roles: ['looker'] }),
      ...[granted, revoked, server.adminKey, `${key.slice(0, -1)}x`, 'nonsense', 'lk_', '%00'],
    ]
    const nothing = await server.call('GET /nowhere/at/all')
    for (const each of wrong)
      for (const path of PATHS) {
        const { status, body } = await get(path, each)
        const { instance: _, ...told } = body
        const { instance: __, ...none } = nothing.body
        expect([each.slice(0, 6), path, status, told]).toEqual([each.slice(0, 6), path, 404, none])
      }
    expect((await get('/health')).body).toEqual({ status: 'OK' })
    await server.call(`DELETE ${reader.path}/grants/${grant.body.id}`)
    expect((await get('/health', granted)).status).toBe(200)
  })

  test('stands in no log line, no event and no problem', async () => {
    await putTemplate(server, publisher.id)
    const wide = await reader.keyFor({ roles: ['admin'] })
    for (const readKey of [key, wide])
      for (const path of [
        ...PATHS,
        '/templates/workflows/999999',
        '/templates/workflows/x',
        '/nowhere',
      ])
        expect(JSON.stringify((await get(path, readKey)).body)).not.toContain(readKey.slice(-20))
    const told = await server.sql`select body from audit_events`
    const said = [...lines, ...told.map(({ body }) => String(body))].join('\n')
    expect(said).toContain('/n8n/:readKey/templates/search')
    for (const readKey of [key, wide]) expect(said).not.toContain(readKey.slice(-20))
  })

  test('is let in from every origin, here only', async () => {
    const origin = { origin: 'https://n8n.example.com' }
    for (const path of [...PATHS, '/nowhere'])
      expect((await get(path, key, origin)).headers.get('access-control-allow-origin')).toBe('*')
    const preflight = await server.call(`OPTIONS /n8n/${key}/templates/search`, undefined, {
      key: null,
      headers: { ...origin, 'access-control-request-headers': 'x-n8n-version' },
    })
    expect([preflight.status, preflight.headers.get('access-control-allow-headers')]).toEqual([
      ...[204, 'x-n8n-version'],
    ])
    const other = await server.call('GET /v1/templates', undefined, { key, headers: origin })
    expect(other.headers.get('access-control-allow-origin')).toBe(null)
  })
})

describe('n8n', () => {
  test('searches, looks at and imports a workflow', async () => {
    const nodes = [
      { id: 'a', name: 'Say', type: 'n8n-nodes-base.slack', parameters: {} },
      { id: 'b', name: 'Say more', type: 'n8n-nodes-base.slack', parameters: {} },
    ]
    const { id } = await putTemplate(server, publisher.id, {
      name: 'Aardvark greeter',
      ...{ category: 'sales', integrations: ['slack'], summary: 'Greets.' },
      definition: JSON.stringify({ connections: { Say: {} }, nodes, other: 'x' }),
    })
    await putTemplate(server, publisher.id, { name: 'Aardvark roles', kind: 'role_pack' })
    const number = await numberOf(id)
    const { body } = await get('/templates/search?search=aardvark&page=1&rows=10&category=&foo=bar')
    expect(body.totalWorkflows).toBe(1)
    expect(body.workflows).toMatchObject([
      {
        ...{ id: number, name: 'Aardvark greeter', totalViews: 0 },
        user: { username: expect.stringMatching(/^h/) },
        nodes: [{ id: 1, displayName: 'slack' }],
      },
    ])
    expect(body.filters).toMatchObject([
      { field_name: 'categories', counts: [{ count: 1, value: 'Sales' }] },
      { field_name: 'apps', counts: [{ count: 1, value: 'slack' }] },
    ])
    const shown = await get(`/templates/workflows/${number}`)
    expect(shown.body.workflow).toMatchObject({
      ...{ id: number, categories: [{ name: 'Sales', id: expect.any(Number) }] },
      workflowInfo: { nodeCount: 2, nodeTypes: { 'n8n-nodes-base.slack': { count: 2 } } },
      workflow: { nodes, connections: { Say: {} } },
    })
    const imported = await get(`/workflows/templates/${number}`)
    expect(imported.body).toEqual({
      ...{ id: number, name: 'Aardvark greeter' },
      workflow: { nodes, connections: { Say: {} } },
    })
    const { body: categories } = await get('/templates/categories')
    expect(categories.categories).toContainEqual({ id: expect.any(Number), name: 'Sales' })
    expect((await get('/templates/collections?search=&category=')).body).toEqual({
      collections: [],
    })
    expect((await get('/templates/collections/1')).status).toBe(404)
  })

  test('finds by category, app and page, every workflow once', async () => {
    const ids: number[] = []
    for (let n = 0; n < 7; n++) {
      const over = { category: 'finance', integrations: ['xero'], popularity: 9 }
      ids.push(await numberOf((await putTemplate(server, publisher.id, over)).id))
    }
    for (const filter of ['category=Finance', 'categories=finance', 'apps=xero', 'app=xero']) {
      const found: number[] = []
      for (let page = 1; page <= 4; page++) {
        const { body } = await get(
          `/templates/search?${filter}&page=${page}&limit=2&sort=views:desc`,
        )
        expect([filter, body.totalWorkflows]).toEqual([filter, 7])
        found.push(...body.workflows.map(({ id }: { id: number }) => id))
      }
      expect([filter, found.toSorted()]).toEqual([filter, ids.toSorted()])
    }
    const none = await get('/templates/search?category=nowhere')
    expect([none.body.totalWorkflows, none.body.workflows]).toEqual([0, []])
  })

  test('is given nothing that is not listed, not for all, or not bought', async () => {
    const put = (over: object) => putTemplate(server, publisher.id, over)
    const hidden = [
      await put({ listing: 'draft' }),
      await put({ visibility: 'private', listing: 'draft' }),
      await put({ visibility: 'unlisted', listing: 'draft' }),
      await put({ listing: 'taken_down' }),
      await put({ kind: 'role_pack' }),
    ]
    for (const { id } of hidden)
      for (const path of ['/templates/workflows', '/workflows/templates'])
        expect((await get(`${path}/${await numberOf(id)}`)).status).toBe(404)
    const definition = '{"nodes":[{"type":"secret sauce"}]}'
    const paid = await put({ prices: [{ currency: 'EUR', amountMinor: 5 }], definition })
    const number = await numberOf(paid.id)
    const shown = await get(`/templates/workflows/${number}`)
    expect([shown.status, shown.body.workflow.workflow]).toEqual([
      200,
      { nodes: [], connections: {} },
    ])
    expect(JSON.stringify(shown.body)).not.toContain('sauce')
    const refused = await get(`/workflows/templates/${number}`)
    expect([refused.status, refused.body.code]).toEqual([402, 'purchase-required'])
    for (const wrong of ['0x1', '-1', '1.5', '99999999999', 'tpl_1'])
      expect((await get(`/workflows/templates/${wrong}`)).status).toBe(400)
    for (const wrong of [
      'page=0',
      'page=NaN',
      'limit=101',
      'page=1&page=2',
      `search=${'x'.repeat(201)}`,
    ])
      expect((await get(`/templates/search?${wrong}`)).status).toBe(400)
  })
})
