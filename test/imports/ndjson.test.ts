import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DOCUMENT_BYTES_MAX, OBJECTS_MAX } from '../../src/imports/schema.ts'
import { FULL, FULL_COUNTS, type ImportServer, placesOf, startImportServer } from './fixtures.ts'

let server: ImportServer
beforeAll(async () => {
  server = await startImportServer()
})
afterAll(() => server.drop())

const headers = { 'content-type': 'application/x-ndjson' }
const lines = (...objects: unknown[]) => objects.map((each) => JSON.stringify(each)).join('\n')
const KINDS = {
  role: FULL.roles,
  member: FULL.members,
  team: FULL.teams,
  workspace: FULL.workspaces,
  resource: FULL.resources,
  grant: FULL.grants,
}
const OBJECTS = Object.entries(KINDS).flatMap(([kind, objects]) =>
  (objects as object[]).map((object) => ({ kind, ...object })),
)

describe('lines', () => {
  test.each([
    ['in order', OBJECTS],
    ['in any order', OBJECTS.toReversed()],
    ['as fragments of a document', [{ roles: FULL.roles }, { ...FULL, roles: [] }]],
    ['as one document', [FULL]],
  ])('are one document: %s', async (_, objects) => {
    const { path } = await server.newOrganization()
    const text = `\ufeff${lines(...objects)}\r\n\n`
    const { status, body } = await server.call(`POST ${path}/import`, text, { headers })
    expect([status, body.created]).toEqual([200, FULL_COUNTS])
    const again = await server.call(`POST ${path}/import`, FULL)
    expect(again.body.unchanged).toEqual(FULL_COUNTS)
  })

  test('are named by the place they have in the document', async () => {
    const { path } = await server.newOrganization()
    const text = lines(
      { kind: 'member', user: 'bob' },
      { kind: 'grant', subject: 'user:bob', role: 'viewer' },
      { kind: 'grant', subject: 'user:bob', role: 'wizard' },
    )
    const answer = await server.call(`POST ${path}/import`, text, { headers })
    expect([answer.status, placesOf(answer)]).toEqual([422, ['/grants/1/role']])
  })

  test.each([
    [
      'that are not JSON',
      '{"kind":"member","user":"bob"}\n{"kind":',
      'malformed-request',
      'Line 2',
    ],
    ['of no known kind', '\n{"kind":"wizard"}', 'invalid-request', 'Line 2'],
    ['whose kind is no text', '{"kind":{"toString":1}}', 'invalid-request', 'Line 1'],
    ['without a kind', '{"user":"bob"}', 'invalid-request', 'Line 1'],
    ['that are no objects', '[1]', 'invalid-request', 'Line 1'],
  ])('%s are refused', async (_, text, code, detail) => {
    const { path } = await server.newOrganization()
    const answer = await server.call(`POST ${path}/import`, text, { headers })
    expect([answer.status, answer.body.code]).toEqual([400, code])
    expect(answer.body.detail).toContain(detail)
  })
})

describe('a body', () => {
  test.each([
    ['that is not JSON', '{"members":', 400, 'malformed-request'],
    ['with a list that is none', '{"members":{}}', 400, 'invalid-request'],
    ['with an unknown list', '{"wizards":[]}', 400, 'invalid-request'],
    ['that is a list', '[]', 400, 'invalid-request'],
  ])('%s is refused', async (_, text, status, code) => {
    const { path } = await server.newOrganization()
    const answer = await server.call(`POST ${path}/import`, text)
    expect([answer.status, answer.body.code]).toEqual([status, code])
  })

  test('that is empty imports nothing', async () => {
    const { path } = await server.newOrganization()
    expect((await server.call(`POST ${path}/import`, {})).status).toBe(200)
    expect((await server.call(`POST ${path}/import`, '', { headers })).status).toBe(200)
  })

  test('of another type, and bytes that are no text, are refused', async () => {
    const { path } = await server.newOrganization()
    const csv = await server.call(`POST ${path}/import`, 'a,b', {
      headers: { 'content-type': 'text/csv' },
    })
    expect(csv.status).toBe(415)
    const response = await server.app.request(`${path}/import`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${server.adminKey}`,
        'content-type': 'application/json',
      },
      body: new Uint8Array([0x22, 0xff, 0x22]),
    })
    expect([response.status, (await response.json()).code]).toEqual([400, 'malformed-request'])
  })

  test('may be larger than elsewhere, and not without bound', async () => {
    const { path } = await server.newOrganization()
    const large = await server.call(`POST ${path}/import`, `${' '.repeat(2_000_000)}{}`)
    expect(large.status).toBe(200)
    // Sent piece by piece, so that no header tells how much is to come.
    let sent = 0
    const piece = new Uint8Array(4 * 1024 * 1024).fill(0x20)
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        sent += piece.length
        controller.enqueue(piece)
      },
    })
    const response = await server.app.request(`${path}/import`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${server.adminKey}`,
        'content-type': 'application/json',
      },
      body,
      duplex: 'half',
    } as RequestInit)
    expect([response.status, (await response.json()).code]).toEqual([413, 'body-too-large'])
    expect(sent).toBeLessThan(DOCUMENT_BYTES_MAX * 2)
  })

  test('holds a bounded number of objects', async () => {
    const { path } = await server.newOrganization()
    const grants = Array(OBJECTS_MAX + 1).fill({})
    const answer = await server.call(`POST ${path}/import`, { grants })
    expect([answer.status, answer.body.code]).toEqual([413, 'import-too-large'])
  })
})

test('stands in the OpenAPI document, both ways', async () => {
  const { paths } = (await server.call('GET /openapi.json')).body
  const operation = paths['/v1/organizations/{organization}/import'].post
  expect(Object.keys(operation.requestBody.content)).toEqual([
    'application/json',
    'application/x-ndjson',
  ])
  const { schema } = operation.requestBody.content['application/json']
  expect(Object.keys(schema.properties)).toEqual(Object.keys(FULL))
  expect(operation.parameters).toContainEqual(
    expect.objectContaining({ name: 'dryRun', in: 'query' }),
  )
  expect(paths['/v1/organizations/{organization}/export'].get['x-permission']).toBe('org:read')
})
