import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createResolveTxt } from '../src/platform/node/dns.ts'
import { CACHE_CHANGES, keepEntry } from './cache/changes.ts'
import { CATALOG_CHANGES, prepareRating } from './catalog/changes.ts'
import { INDEX_CHANGES, type PreparedIndexes, prepareIndexes } from './indexes/changes.ts'
import { INSTALLATION_CHANGES } from './installations/changes.ts'
import { JOB_CHANGES, type PreparedJobs, prepareJobs } from './jobs/changes.ts'
import { MODERATION_CHANGES } from './moderation/changes.ts'
import { OPTIMIZER_CHANGES } from './optimizer/changes.ts'
import { ORDER_CHANGES } from './orders/changes.ts'
import { RECOMMENDATION_CHANGES } from './recommendations/changes.ts'
import { SCENARIO_CHANGES } from './scenarios/changes.ts'
import { type DnsServer, startDns } from './support/dns.ts'
import { type PreparedMarket, prepareMarket } from './support/market.ts'
import { startTestServer, type TestServer } from './support/server.ts'
import { type PreparedTemplates, prepareTemplates, TEMPLATE_CHANGES } from './templates/changes.ts'

/** Routes that need no caller, and why that is right. */
const PUBLIC = new Set([
  'GET /healthz', // says nothing but that the process runs
  'GET /readyz',
  'GET /metrics', // no subject or resource in it; keep it inside by the network
  'GET /openapi.json',
  'GET /docs',
  'GET /docs/rapidoc.js',
  'GET /.well-known/authzen-configuration', // tells no organization apart from an invented one
  'GET /.well-known/authzen-configuration/:organization',
  'POST /v1/marketplace/payments/:provider/events', // the provider's signature says enough
  // The read key in the path says who asks (test/catalog/n8n.test.ts).
  'GET /n8n/:readKey/health',
  'GET /n8n/:readKey/templates/search',
  'GET /n8n/:readKey/templates/categories',
  'GET /n8n/:readKey/templates/collections',
  'GET /n8n/:readKey/templates/collections/:collection',
  'GET /n8n/:readKey/templates/workflows/:number',
  'GET /n8n/:readKey/workflows/templates/:number',
  'POST /v1/invitations/decline', // whoever declines need not have an account; the token says enough
])

type Route = { method: string; path: string }
type Operation = {
  'x-permission'?: string
  'x-no-permission'?: string
  'x-permission-asked-at'?: string
}

let server: TestServer
let dns: DnsServer
let routes: Route[]
let operations: Map<string, Operation>

const nameOf = ({ method, path }: Route) => `${method} ${path}`
const isWrite = ({ method }: Route) => method !== 'GET'

beforeAll(async () => {
  dns = await startDns()
  server = await startTestServer({ resolveTxt: createResolveTxt([dns.address]) })
  const seen = new Map(
    server.app.routes
      .filter(({ method }) => method !== 'ALL')
      .map(({ method, path }) => [`${method} ${path}`, { method, path }]),
  )
  routes = [...seen.values()]
  const { body } = await server.call('GET /openapi.json')
  operations = new Map(
    Object.entries(body.paths as Record<string, Record<string, Operation>>).flatMap(
      ([path, methods]) =>
        Object.entries(methods).map(([method, operation]): [string, Operation] => [
          `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`,
          operation,
        ]),
    ),
  )
})
afterAll(async () => {
  await server.drop()
  await dns.stop()
})

/** What belongs to no organization and is asked for one: it is named in the query. */
const isCatalog = (path: string) => /^\/v1\/templates(?:\/|$)/.test(path)

/** What a path's parameters are replaced by; the organization is given. */
const filled = (path: string, organization: string, over: Record<string, string> = {}) =>
  `${path}${isCatalog(path) ? '?organization=:organization' : ''}`.replace(
    /:(\w+)/g,
    (_, name: string) => {
      const values: Record<string, string> = {
        organization,
        workspace: 'lab',
        user: 'bob',
        name: 'lead',
        team: 'eng',
        type: 'scenario',
        job: `job_${'0'.repeat(26)}`,
        queue: 'default',
        schedule: 'grants.end-expired',
        webhook: `whk_${'0'.repeat(26)}`,
        invitation: `inv_${'0'.repeat(26)}`,
        reservation: `rsv_${'0'.repeat(26)}`,
        delivery: `dlv_${'0'.repeat(26)}`,
        domain: 'acme.example',
        scenario: `scn_${'0'.repeat(26)}`,
        template: `tpl_${'0'.repeat(26)}`,
        installation: `ins_${'0'.repeat(26)}`,
        advisory: `adv_${'0'.repeat(26)}`,
        order: `ord_${'0'.repeat(26)}`,
        entitlement: `ent_${'0'.repeat(26)}`,
        case: `cas_${'0'.repeat(26)}`,
        category: 'other',
        handle: 'somebody',
        slug: 'something',
        subject: 'user:bob',
        provider: 'stripe',
        version: path.includes('/moderation/') ? `ver_${'0'.repeat(26)}` : '1.0.0',
        namespace: 'idp',
        tag: 'template:tpl_1',
        id: /grants/.test(path)
          ? `grt_${'0'.repeat(26)}`
          : /api-keys/.test(path)
            ? `key_${'0'.repeat(25)}1`
            : /optimizer/.test(path)
              ? `rec_${'0'.repeat(26)}`
              : '42',
        ...over,
      }
      return values[name] ?? name
    },
  )

const managed = () => routes.filter((route) => !PUBLIC.has(nameOf(route)))
// An operator who names an organization in /v1/jobs/organizations/:organization is not inside it; nor in /v1/cache and /v1/marketplace.
const isOfOrganization = ({ path }: Route) =>
  isCatalog(path) ||
  (path.includes(':organization') && !/^\/v1\/(?:jobs|cache|marketplace)\//.test(path))
const ofOrganization = () => managed().filter(isOfOrganization)

describe('every route', () => {
  test('is documented with its permission, or with the reason why it needs none', () => {
    const undocumented = managed().filter((route) => {
      const operation = operations.get(nameOf(route))
      return !operation?.['x-permission'] && !operation?.['x-no-permission']
    })
    expect(undocumented.map(nameOf)).toEqual([])
  })

  test('names only permissions that exist', async () => {
    const { body } = await server.call('GET /v1/permissions?limit=200')
    const known = new Set(body.items.map(({ key }: { key: string }) => key))
    const named = [...operations.values()].flatMap(
      (operation) => operation['x-permission']?.split(' or ') ?? [],
    )
    expect(named.filter((permission) => !known.has(permission))).toEqual([])
  })

  test('asks who is calling: 401 as problem+json, without and with a wrong key', async () => {
    for (const route of managed())
      for (const key of [null, `lk_${'0'.repeat(26)}_${'a'.repeat(43)}`, 'nonsense']) {
        const answer = await server.call(
          `${route.method} ${filled(route.path, 'nowhere')}`,
          isWrite(route) ? {} : undefined,
          { key },
        )
        expect([nameOf(route), answer.status, answer.body.code]).toEqual([
          nameOf(route),
          401,
          'unauthenticated',
        ])
        expect(answer.headers.get('content-type')).toBe('application/problem+json')
        expect(answer.headers.get('www-authenticate')).toContain('Bearer')
        expect(answer.headers.get('x-request-id')).toBeTruthy()
      }
  })

  test('hides every organization from the keys of another: the same 404 as for none', async () => {
    const [mine, theirs] = [
      await server.newOrganization(),
      await server.newOrganization('user:eve'),
    ]
    const key = await mine.keyFor({ roles: ['admin'] })
    for (const route of ofOrganization()) {
      const ask = async (organization: string) => {
        const { status, body } = await server.call(
          `${route.method} ${filled(route.path, organization)}`,
          isWrite(route) ? {} : undefined,
          { key },
        )
        return { status, code: body.code, detail: body.detail }
      }
      const [foreign, byId, none] = [
        await ask(theirs.slug),
        await ask(theirs.id),
        await ask('nowhere'),
      ]
      expect([nameOf(route), foreign.status]).toEqual([nameOf(route), 404])
      expect([foreign, byId]).toEqual([none, none])
    }
  })

  test('refuses a caller without its permission, and names it', async () => {
    const organization = await server.newOrganization()
    await server.call(`POST ${organization.path}/workspaces`, { name: 'Lab', slug: 'lab' })
    // Something that no route asks for.
    const asked = [...operations.values()].map((operation) => operation['x-permission'] ?? '')
    const { body } = await server.call('GET /v1/permissions?limit=200')
    const { key: other } = body.items.find(
      (each: { key: string; scope: string }) =>
        each.scope === 'organization' &&
        !asked.some((named) => named.split(' or ').includes(each.key)),
    )
    const key = await organization.keyFor({ permissions: [other] })
    for (const route of ofOrganization()) {
      const permission = operations.get(nameOf(route))?.['x-permission']
      if (!permission) continue
      const path = filled(route.path, organization.slug)
      const answer = await server.call(`${route.method} ${path}`, isWrite(route) ? {} : undefined, {
        key,
      })
      // What is asked of one resource hides it from whoever may not even read it.
      if (answer.status === 404) {
        const { 'x-permission-asked-at': type } = operations.get(nameOf(route))!
        expect([nameOf(route), answer.body.code]).toEqual([nameOf(route), `${type}-not-found`])
        continue
      }
      expect([nameOf(route), answer.status]).toEqual([nameOf(route), 403])
      expect(permission.split(' or ')).toContain(answer.body.permission)
      expect(answer.headers.get('content-type')).toBe('application/problem+json')
    }
    for (const route of managed().filter(
      (each) => each.path.startsWith('/v1/') && !isOfOrganization(each),
    )) {
      if (!operations.get(nameOf(route))?.['x-permission']) continue
      const path = filled(route.path, organization.slug)
      const answer = await server.call(`${route.method} ${path}`, isWrite(route) ? {} : undefined, {
        key,
      })
      expect([nameOf(route), answer.status]).toEqual([nameOf(route), 403])
    }
  })

  test('refuses an unknown member in a body or a query, and names the place', async () => {
    const organization = await server.newOrganization()
    await server.call(`POST ${organization.path}/workspaces`, { name: 'Lab', slug: 'lab' })
    for (const route of managed().filter(({ path }) => !path.includes('/access/v1/'))) {
      const operation = operations.get(nameOf(route)) as Operation & {
        requestBody?: unknown
        parameters?: { in: string }[]
      }
      const path = filled(route.path, organization.slug)
      const asksBody = operation.requestBody !== undefined
      const asksQuery = operation.parameters?.some((parameter) => parameter.in === 'query')
      if (asksBody) {
        const answer = await server.call(`${route.method} ${path}`, { wizard: 1 })
        expect([nameOf(route), answer.status]).toEqual([nameOf(route), 400])
        expect(answer.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toContain(
          '/wizard',
        )
      } else if (asksQuery) {
        const answer = await server.call(
          `${route.method} ${path}${path.includes('?') ? '&' : '?'}wizard=1`,
        )
        expect([nameOf(route), answer.status]).toEqual([nameOf(route), 400])
        expect(answer.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toContain(
          '/wizard',
        )
      }
    }
  })

  test('takes JSON only, and says where it is not JSON', async () => {
    const organization = await server.newOrganization()
    await server.call(`POST ${organization.path}/workspaces`, { name: 'Lab', slug: 'lab' })
    for (const route of managed().filter(
      (each) => (operations.get(nameOf(each)) as { requestBody?: unknown }).requestBody,
    )) {
      const what = `${route.method} ${filled(route.path, organization.slug)}`
      const malformed = await server.call(what, '{"a":')
      expect([nameOf(route), malformed.status, malformed.body.code]).toEqual([
        nameOf(route),
        400,
        'malformed-request',
      ])
      const text = await server.call(what, 'a=1', {
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      })
      expect([nameOf(route), text.status]).toEqual([nameOf(route), 415])
    }
  })

  test('echoes the request id', async () => {
    const headers = { 'x-request-id': 'req-42' }
    for (const route of routes.filter(
      ({ path }) => path !== '/metrics' && !PUBLIC.has(nameOf({ method: 'GET', path })),
    )) {
      const answer = await server.call(
        `${route.method} ${filled(route.path, 'nowhere')}`,
        undefined,
        { headers },
      )
      expect([nameOf(route), answer.headers.get('x-request-id')]).toEqual([nameOf(route), 'req-42'])
    }
  })

  test('answers 405 with Allow for a method it does not take, 404 for a path that is none', async () => {
    const answer = await server.call('GET /check')
    expect([answer.status, answer.headers.get('allow'), answer.body.code]).toEqual([
      405,
      'POST',
      'method-not-allowed',
    ])
    const none = await server.call('GET /nothing/here')
    expect([none.status, none.body.code]).toEqual([404, 'path-not-found'])
  })
})

describe('every change', () => {
  /** One request that changes something, per route that can. */
  const CHANGES: Record<string, (o: Prepared) => [what: string, body?: unknown]> = {
    'POST /v1/permissions': () => [
      'POST /v1/permissions',
      { key: `wand:swing-${Date.now()}`, scope: 'workspace' },
    ],
    'PUT /v1/resource-types/:type': () => [
      `PUT /v1/resource-types/wand-${Date.now()}`,
      { strict: true },
    ],
    'POST /v1/organizations': () => [
      'POST /v1/organizations',
      { name: `New ${Date.now()}`, owner: 'user:zoe' },
    ],
    'PATCH /v1/organizations/:organization': ({ path }) => [`PATCH ${path}`, { name: 'Other' }],
    'DELETE /v1/organizations/:organization': ({ path }) => [`DELETE ${path}`],
    'POST /v1/organizations/:organization/suspend': ({ path }) => [
      `POST ${path}/suspend`,
      { reason: 'unpaid' },
    ],
    'POST /v1/organizations/:organization/reactivate': ({ path }) => [`POST ${path}/reactivate`],
    'PUT /v1/organizations/:organization/members/:user': ({ path }) => [
      `PUT ${path}/members/carol`,
      { roles: ['viewer'] },
    ],
    'PATCH /v1/organizations/:organization/members/:user': ({ path }) => [
      `PATCH ${path}/members/bob`,
      { roles: ['member'] },
    ],
    'DELETE /v1/organizations/:organization/members/:user': ({ path }) => [
      `DELETE ${path}/members/bob`,
    ],
    'PUT /v1/organizations/:organization/roles/:name': ({ path }) => [
      `PUT ${path}/roles/chief`,
      { permissions: ['scenario:read'] },
    ],
    'DELETE /v1/organizations/:organization/roles/:name': ({ path }) => [
      `DELETE ${path}/roles/lead`,
    ],
    'POST /v1/organizations/:organization/roles/:name/copy': ({ path }) => [
      `POST ${path}/roles/viewer/copy`,
      { name: 'seer' },
    ],
    'PUT /v1/organizations/:organization/teams/:team': ({ path }) => [
      `PUT ${path}/teams/eng`,
      { name: 'Engineering' },
    ],
    'DELETE /v1/organizations/:organization/teams/:team': ({ path }) => [
      `DELETE ${path}/teams/eng`,
    ],
    'PUT /v1/organizations/:organization/teams/:team/members/:user': ({ path }) => [
      `PUT ${path}/teams/eng/members/alice`,
    ],
    'DELETE /v1/organizations/:organization/teams/:team/members/:user': ({ path }) => [
      `DELETE ${path}/teams/eng/members/bob`,
    ],
    'POST /v1/organizations/:organization/workspaces': ({ path }) => [
      `POST ${path}/workspaces`,
      { name: 'Two' },
    ],
    'PATCH /v1/organizations/:organization/workspaces/:workspace': ({ path }) => [
      `PATCH ${path}/workspaces/lab`,
      { name: 'L' },
    ],
    'DELETE /v1/organizations/:organization/workspaces/:workspace': ({ path }) => [
      `DELETE ${path}/workspaces/lab?confirm=Lab`,
    ],
    'PUT /v1/organizations/:organization/workspaces/:workspace/members/:user': ({ path }) => [
      `PUT ${path}/workspaces/lab/members/bob`,
      { roles: ['user'] },
    ],
    'DELETE /v1/organizations/:organization/workspaces/:workspace/members/:user': ({ path }) => [
      `DELETE ${path}/workspaces/lab/members/alice`,
    ],
    'PUT /v1/organizations/:organization/resources/:type/:id': ({ path }) => [
      `PUT ${path}/resources/scenario/43`,
      { workspace: 'lab' },
    ],
    'DELETE /v1/organizations/:organization/resources/:type/:id': ({ path }) => [
      `DELETE ${path}/resources/scenario/42`,
    ],
    'POST /v1/organizations/:organization/grants': ({ path }) => [
      `POST ${path}/grants`,
      { subject: 'user:bob', role: 'editor-in-chief' },
    ],
    'PATCH /v1/organizations/:organization/grants/:id': ({ path, grant }) => [
      `PATCH ${path}/grants/${grant}`,
      { reason: 'because' },
    ],
    'DELETE /v1/organizations/:organization/grants/:id': ({ path, grant }) => [
      `DELETE ${path}/grants/${grant}`,
    ],
    'POST /v1/organizations/:organization/api-keys': ({ path }) => [
      `POST ${path}/api-keys`,
      { name: 'ci', roles: ['viewer'] },
    ],
    'DELETE /v1/organizations/:organization/api-keys/:id': ({ path, apiKey }) => [
      `DELETE ${path}/api-keys/${apiKey}`,
    ],
    'POST /v1/organizations/:organization/api-keys/:id/rotate': ({ path, apiKey }) => [
      `POST ${path}/api-keys/${apiKey}/rotate`,
      {},
    ],
    'POST /v1/organizations/:organization/webhooks': ({ path }) => [
      `POST ${path}/webhooks`,
      { url: 'https://hooks.example.com/new' },
    ],
    'PATCH /v1/organizations/:organization/webhooks/:webhook': ({ path, webhook }) => [
      `PATCH ${path}/webhooks/${webhook}`,
      { enabled: false },
    ],
    'DELETE /v1/organizations/:organization/webhooks/:webhook': ({ path, webhook }) => [
      `DELETE ${path}/webhooks/${webhook}`,
    ],
    'POST /v1/organizations/:organization/webhooks/:webhook/rotate': ({ path, webhook }) => [
      `POST ${path}/webhooks/${webhook}/rotate`,
      {},
    ],
    'POST /v1/organizations/:organization/webhooks/:webhook/test': ({ path, webhook }) => [
      `POST ${path}/webhooks/${webhook}/test`,
    ],
    'POST /v1/organizations/:organization/webhooks/:webhook/replay': ({ path, webhook }) => [
      `POST ${path}/webhooks/${webhook}/replay`,
      { since: '2026-01-01T00:00:00Z' },
    ],
    'POST /v1/organizations/:organization/webhooks/:webhook/deliveries/:delivery/replay': ({
      path,
      webhook,
      delivery,
    }) => [`POST ${path}/webhooks/${webhook}/deliveries/${delivery}/replay`],
    'POST /v1/organizations/:organization/invitations': ({ path }) => [
      `POST ${path}/invitations`,
      { email: 'zoe@example.com' },
    ],
    'POST /v1/organizations/:organization/invitations/bulk': ({ path }) => [
      `POST ${path}/invitations/bulk`,
      { csv: 'email\nyan@example.com' },
    ],
    'POST /v1/organizations/:organization/invitations/:invitation/resend': ({
      path,
      invitation,
    }) => [`POST ${path}/invitations/${invitation}/resend`],
    'DELETE /v1/organizations/:organization/invitations/:invitation': ({ path, invitation }) => [
      `DELETE ${path}/invitations/${invitation}`,
    ],
    'POST /v1/organizations/:organization/workspaces/:workspace/invitations': ({ path }) => [
      `POST ${path}/workspaces/lab/invitations`,
      { email: 'una@example.com', roles: ['user'] },
    ],
    'POST /v1/organizations/:organization/workspaces/:workspace/invitations/:invitation/resend': ({
      path,
      toLab,
    }) => [`POST ${path}/workspaces/lab/invitations/${toLab}/resend`],
    'DELETE /v1/organizations/:organization/workspaces/:workspace/invitations/:invitation': ({
      path,
      toLab,
    }) => [`DELETE ${path}/workspaces/lab/invitations/${toLab}`],
    'POST /v1/organizations/:organization/archive': ({ path }) => [`POST ${path}/archive`],
    'PATCH /v1/organizations/:organization/settings': ({ path }) => [
      `PATCH ${path}/settings`,
      { timezone: 'Europe/Berlin' },
    ],
    'PATCH /v1/organizations/:organization/workspaces/:workspace/settings': ({ path }) => [
      `PATCH ${path}/workspaces/lab/settings`,
      { timezone: 'Asia/Tokyo' },
    ],
    'PATCH /v1/organizations/:organization/security': ({ path }) => [
      `PATCH ${path}/security`,
      { requireMfa: true },
    ],
    'DELETE /v1/organizations/:organization/transfer': ({ path }) => [`DELETE ${path}/transfer`],
    'POST /v1/organizations/:organization/domains': ({ path }) => [
      `POST ${path}/domains`,
      { domain: 'new.example' },
    ],
    'PATCH /v1/organizations/:organization/domains/:domain': ({ path }) => [
      `PATCH ${path}/domains/acme.example`,
      { role: 'viewer' },
    ],
    'DELETE /v1/organizations/:organization/domains/:domain': ({ path }) => [
      `DELETE ${path}/domains/acme.example`,
    ],
    'POST /v1/organizations/:organization/domains/:domain/verify': ({ path }) => [
      `POST ${path}/domains/acme.example/verify`,
    ],
    'PUT /v1/organizations/:organization/plan': ({ path }) => [
      `PUT ${path}/plan`,
      { plan: 'enterprise' },
    ],
    'PUT /v1/organizations/:organization/limits': ({ path }) => [
      `PUT ${path}/limits`,
      { limits: { maxMembers: 50 }, reason: 'a promise' },
    ],
    'POST /v1/organizations/:organization/import': ({ path }) => [
      `POST ${path}/import`,
      { teams: [{ slug: 'new', members: [] }] },
    ],
  }
  Object.assign(CHANGES, JOB_CHANGES, CACHE_CHANGES, SCENARIO_CHANGES, TEMPLATE_CHANGES)
  Object.assign(CHANGES, MODERATION_CHANGES, ORDER_CHANGES, INSTALLATION_CHANGES, CATALOG_CHANGES)
  Object.assign(CHANGES, OPTIMIZER_CHANGES, INDEX_CHANGES, RECOMMENDATION_CHANGES)
  /** Routes that only ask, and those that only a person can take (tests of their modules have them). */
  const ASKING =
    /^POST (\/check(\/batch)?|.*\/access\/v1\/evaluations?|.*\/(leave|preview|accept|transfer|decline|join|simulations|checks)|.*\/search\/.*)$/

  /**
   * What services report as they work, many times a second: each report is a row of its own with who sent it, no decision
   * depends on it, and in the log it would bury the changes (test/usage sees that it leaves neither event nor revision).
   */
  const METERING = /^POST .*\/usage(\/reservations(\/:reservation\/(commit|release))?)?$/

  type Prepared = {
    path: string
    id: string
    grant: string
    apiKey: string
    webhook: string
    delivery: string
    invitation: string
    toLab: string
    scenario: string
    templates: PreparedTemplates
    market: PreparedMarket
    jobs: PreparedJobs
    indexes: PreparedIndexes
  }

  const prepare = async (): Promise<Prepared> => {
    const { path, id } = await server.newOrganization()
    await server.call(`POST ${path}/workspaces`, { name: 'Lab', slug: 'lab' })
    await server.call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
    await server.call(`PUT ${path}/roles/lead`, { permissions: ['scenario:read'] })
    await server.call(`PUT ${path}/roles/editor-in-chief`, { permissions: ['scenario:update'] })
    await server.call(`PUT ${path}/teams/eng`, {})
    await server.call(`PUT ${path}/teams/eng/members/bob`)
    await server.call(`PUT ${path}/workspaces/lab/members/alice`, { roles: ['guest'] })
    await server.call(`PUT ${path}/resources/scenario/42`, {})
    const grant = await server.call(`POST ${path}/grants`, {
      subject: 'user:bob',
      permission: 'scenario:execute',
    })
    const key = await server.call(`POST ${path}/api-keys`, { name: 'k', roles: ['viewer'] })
    const webhooks = `${path}/webhooks`
    const { body } = await server.call(`POST ${webhooks}`, { url: 'https://hooks.example.com/a' })
    const sent = await server.call(`POST ${webhooks}/${body.id}/test`)
    const claimed = await server.call(`POST ${path}/domains`, { domain: 'acme.example' })
    dns.put(claimed.body.record)
    await server.sql`insert into ownership_offers (organization_id, offered_by, offered_to, expires_at)
      values (${id}, 'user:alice', 'user:bob', now() + interval '7 days')`
    const invited = await server.call(`POST ${path}/invitations`, { email: 'xi@example.com' })
    const invitedToLab = await server.call(`POST ${path}/workspaces/lab/invitations`, {
      email: 'pi@example.com',
      roles: ['user'],
    })
    const scenarios = `${path}/workspaces/lab/scenarios`
    const scenario = await server.call(`POST ${scenarios}`, { name: 'Greet', definition: {} })
    const made = {
      scenario: scenario.body.id,
      webhook: body.id,
      delivery: sent.body.id,
      invitation: invited.body.id,
      toLab: invitedToLab.body.id,
    }
    await keepEntry(server, id)
    const jobs = await prepareJobs(server, id)
    const templates = await prepareTemplates(server as never, { path, id })
    const market = await prepareMarket(server, { path, advised: templates.listed })
    await prepareRating(server, { id, market })
    const indexes = await prepareIndexes(server)
    const ids = { path, id, grant: grant.body.id, apiKey: key.body.id, ...made }
    return { ...ids, jobs, templates, market, indexes }
  }

  test('leaves one event with its request id in the same transaction, and answers its revision', async () => {
    const writes = managed().filter(
      (route) => isWrite(route) && !ASKING.test(nameOf(route)) && !METERING.test(nameOf(route)),
    )
    expect(writes.map(nameOf).filter((name) => !CHANGES[name])).toEqual([])
    let prepared = await prepare()
    const changeBy = async (route: Route) => {
      const [what, body] = CHANGES[nameOf(route)]!(prepared)
      const requestId = `change-${Math.random()}`
      const answer = await server.call(what, body, { headers: { 'x-request-id': requestId } })
      const events =
        await server.sql`select log, event, actor, revision, body from audit_events where request_id = ${requestId}`
      return { requestId, answer, events }
    }
    for (const route of writes) {
      let changed = await changeBy(route)
      // What changed before may be in its way: then it has an organization of its own.
      if (changed.answer.status >= 300 || changed.events.length === 0) {
        prepared = await prepare()
        changed = await changeBy(route)
      }
      const { requestId, answer, events } = changed
      expect([nameOf(route), answer.status, answer.status < 300]).toEqual([
        nameOf(route),
        answer.status,
        true,
      ])
      // Most leave one. What a moderator does stands in two logs, and what is made of parts leaves one for each.
      expect([nameOf(route), events.length > 0]).toEqual([nameOf(route), true])
      expect([nameOf(route), answer.revision]).toEqual([nameOf(route), expect.any(String)])
      const [home, revision, platform] = answer.revision!.split('.')
      const told = events.filter(({ log }) => log === home)
      expect([nameOf(route), told.length > 0]).toEqual([nameOf(route), true])
      const reached = Number.parseInt((home === 'platform' ? platform : revision)!, 36)
      expect(reached).toBe(Math.max(...told.map((each) => each.revision as number)))
      for (const { event, body } of events) {
        expect(JSON.parse(body as string)).toMatchObject({ requestId, event })
        expect(body).not.toMatch(/lk_[0-9a-z]{26}_|whsec_/)
      }
    }
  })

  test('that is refused leaves neither event nor revision', async () => {
    const { path, id } = await prepare()
    const state = async () => {
      const [row] =
        await server.sql`select revision, (select count(*) from audit_events where log = ${id}) as events
        from organizations where id = ${id}`
      return row
    }
    const before = await state()
    const refused = [
      await server.call(`POST ${path}/grants`, { subject: 'user:bob', role: 'wizard' }),
      await server.call(`POST ${path}/grants`, { subject: 'user:nobody', role: 'lead' }),
      await server.call(`PUT ${path}/members/alice`, { roles: ['viewer'] }),
      await server.call(`PUT ${path}/teams/eng`, { parent: 'eng' }),
      await server.call(`DELETE ${path}/roles/admin`),
      await server.call(`PUT ${path}/resources/nosuchtype/1`, {}),
    ]
    expect(refused.map(({ status }) => status)).toEqual([422, 422, 409, 422, 409, 422])
    expect(await state()).toEqual(before)
  })
})
