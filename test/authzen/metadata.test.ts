import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const WELL_KNOWN = '/.well-known/authzen-configuration'

let database: TestDatabase
const servers = new Map<string | undefined, TestServer>()
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(() => database.drop())

const serverAt = async (publicUrl?: string) => {
  const known = servers.get(publicUrl)
  if (known) return known
  const server = await startTestServer({ database, ...(publicUrl ? { publicUrl } : {}) })
  servers.set(publicUrl, server)
  return server
}
const read = async (publicUrl: string | undefined, path: string) =>
  (await serverAt(publicUrl)).call(`GET ${WELL_KNOWN}${path}`, undefined, { key: null })

describe('the identifier', () => {
  test.each([
    ['https://pdp.example.com', '', 'https://pdp.example.com'],
    ['https://pdp.example.com', '/acme', 'https://pdp.example.com/acme'],
    ['https://pdp.example.com/', '', 'https://pdp.example.com'],
    ['https://pdp.example.com/', '/acme', 'https://pdp.example.com/acme'],
    ['https://PDP.example.com:443', '/acme', 'https://PDP.example.com:443/acme'],
    ['https://pdp.example.com:8443', '', 'https://pdp.example.com:8443'],
    ['https://example.com/authz', '/authz', 'https://example.com/authz'],
    ['https://example.com/authz/', '/authz/acme', 'https://example.com/authz/acme'],
    ['https://example.com/authz', '', 'https://example.com/authz'],
    ['https://example.com?a=b#c', '', 'https://example.com'],
    [undefined, '', 'http://localhost'],
    [undefined, '/acme', 'http://localhost/acme'],
  ])('of PUBLIC_URL %s at %s is %s', async (publicUrl, path, identifier) => {
    const { status, body } = await read(publicUrl, path)
    expect([status, body]).toEqual([
      200,
      {
        policy_decision_point: identifier,
        access_evaluation_endpoint: `${identifier}/access/v1/evaluation`,
        access_evaluations_endpoint: `${identifier}/access/v1/evaluations`,
      },
    ])
  })

  test('without PUBLIC_URL is where the request came to', async () => {
    const { app } = await serverAt()
    const answer = await app.request(`https://pdp.test:8443${WELL_KNOWN}/acme`)
    const { policy_decision_point } = (await answer.json()) as Record<string, string>
    expect(policy_decision_point).toBe('https://pdp.test:8443/acme')
  })
})

describe('the document', () => {
  test('may be cached, and is answered without a key', async () => {
    const { headers } = await read(undefined, '')
    expect(headers.get('cache-control')).toBe('public, max-age=3600')
    expect(headers.get('content-type')).toBe('application/json')
  })

  test('tells nothing of which organizations exist', async () => {
    const server = await serverAt()
    const { id, slug } = await server.newOrganization()
    for (const name of [id, slug, 'nobody-has-this', 'org_01m80gk8eceh2stmdc4mapjmj4']) {
      const { status, body } = await read(undefined, `/${name}`)
      expect([status, body.policy_decision_point]).toEqual([200, `http://localhost/${name}`])
    }
  })

  test.each(['/Acme', '/ac%6de', '/a%00', '/a_b', '/-a', `/${'a'.repeat(64)}`, '/org_1', '/'])(
    'is not there for %s, which cannot be a name',
    async (path) => {
      const { status, headers } = await read(undefined, path)
      expect([status, headers.get('content-type')]).toEqual([404, 'application/problem+json'])
    },
  )

  test('is read only', async () => {
    const server = await serverAt()
    for (const path of ['', '/acme']) {
      const { status, headers } = await server.call(`POST ${WELL_KNOWN}${path}`, {})
      expect([status, headers.get('allow')]).toEqual([405, 'GET'])
    }
  })
})

test('every route is in the OpenAPI document, with its permission', async () => {
  const server = await serverAt('https://example.com/authz')
  const { body } = await server.call('GET /openapi.json')
  for (const base of ['', '/{organization}'])
    for (const api of ['evaluation', 'evaluations']) {
      const { post } = body.paths[`${base}/access/v1/${api}`]
      expect(post).toMatchObject({ 'x-permission': 'decision:check' })
      expect(post.requestBody.content['application/json'].schema.type).toBe('object')
    }
  for (const path of ['', '/{organization}', '/authz', '/authz/{organization}']) {
    const { get } = body.paths[`${WELL_KNOWN}${path}`]
    expect(get).toMatchObject({ security: [], 'x-no-permission': expect.any(String) })
  }
})

test('no other route is shadowed', async () => {
  const server = await serverAt()
  const own = new Set(server.app.routes.filter(isOurs).map(({ path }) => path))
  const others = server.app.routes.filter((route) => !isOurs(route) && route.method !== 'ALL')
  for (const { method, path } of others) {
    const concrete = path.replaceAll(/:[a-z]+/gi, 'acme')
    const [handlers] = server.app.router.match(method, concrete)
    const paths = handlers.map(([[, route]]) => (route as { path: string }).path)
    expect([path, paths.filter((each) => own.has(each))]).toEqual([path, []])
  }
})
const isOurs = ({ path }: { path: string }) => /access\/v1|authzen/.test(path)
