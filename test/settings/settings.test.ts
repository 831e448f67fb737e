import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Issuer, startIssuer } from '../support/issuer.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let issuer: Issuer
let server: TestServer
let organization: Awaited<ReturnType<TestServer['newOrganization']>>
beforeAll(async () => {
  issuer = await startIssuer()
  server = await startTestServer({ jwt: issuer.settings, peerAddress: () => '203.0.113.7' })
})
afterAll(async () => {
  await server.drop()
  await issuer.stop()
})
beforeEach(async () => {
  organization = await server.newOrganization()
})

const as = async (name: string, what: string, body?: unknown) =>
  server.call(what, body, { key: await issuer.tokenOf(name) })
const patch = (body: unknown, options = {}) =>
  server.call(`PATCH ${organization.path}/settings`, body, options)
const patchSecurity = (body: unknown, options = {}) =>
  server.call(`PATCH ${organization.path}/security`, body, options)
const eventsOf = (event: string) => server.sql<{ body: string }[]>`
  select body from audit_events where log = ${organization.id} and event = ${event} order by id`

const DEFAULTS = {
  timezone: 'UTC',
  locale: 'en-US',
  dateFormat: 'MM/DD/YYYY',
  timeFormat: '12h',
  notifications: { email: true, slack: false, webhook: false },
  integrations: { allowCustom: false, requireApproval: true },
  branding: { name: null, primaryColor: '#3B82F6', logo: null },
}
const SECURE_DEFAULTS = { requireMfa: false, sessionTimeoutSeconds: 86_400, ipAllowList: [] }

describe('settings', () => {
  test('of a new organization are the defaults', async () => {
    const settings = await server.call(`GET ${organization.path}/settings`)
    expect(settings.body).toEqual({ ...DEFAULTS, version: 1 })
    expect(settings.headers.get('etag')).toBe('"1"')
    const security = await server.call(`GET ${organization.path}/security`)
    expect(security.body).toEqual({ ...SECURE_DEFAULTS, version: 1 })
  })

  test('are merged at every depth: what is not named stays', async () => {
    await patch({ locale: 'de-de', notifications: { slack: true } })
    const { body } = await patch({ notifications: { email: false }, timeFormat: '24h' })
    expect(body).toEqual({
      ...DEFAULTS,
      locale: 'de-DE',
      timeFormat: '24h',
      notifications: { email: false, slack: true, webhook: false },
      version: 3,
    })
    const { body: security } = await server.call(`GET ${organization.path}/security`)
    expect(security).toEqual({ ...SECURE_DEFAULTS, version: 3 })
  })

  test('go back to the default with null, one by one or together', async () => {
    await patch({
      timezone: 'Asia/Tokyo',
      notifications: { slack: true, webhook: true },
      branding: { name: 'Acme', primaryColor: '#ff0000', logo: 'https://example.com/l.png' },
    })
    const { body } = await patch({ timezone: null, notifications: { slack: null }, branding: null })
    expect(body).toEqual({
      ...DEFAULTS,
      notifications: { email: true, slack: false, webhook: true },
      version: 3,
    })
  })

  test('have one logo, which is the organization’s', async () => {
    const logo = 'https://example.com/logo.png'
    await server.call(`PATCH ${organization.path}`, { logo })
    const { body } = await server.call(`GET ${organization.path}/settings`)
    expect(body.branding.logo).toBe(logo)
    await patch({ branding: { primaryColor: '#00ff00' } })
    expect((await server.call(`GET ${organization.path}`)).body.logo).toBe(logo)
    await patch({ branding: { logo: null } })
    expect((await server.call(`GET ${organization.path}`)).body.logo).toBe(null)
  })

  test('are changed by whom they were read by, or not: If-Match', async () => {
    await patch({ timezone: 'Europe/Berlin' })
    const stale = await patch({ timezone: 'UTC' }, { headers: { 'if-match': '"1"' } })
    expect([stale.status, stale.body.code]).toEqual([412, 'version-stale'])
    const fresh = await patch({ timezone: 'UTC' }, { headers: { 'if-match': '"2"' } })
    expect([fresh.status, fresh.headers.get('etag')]).toEqual([200, '"3"'])
  })

  test('leave what was and what is in the log, and nothing where nothing changed', async () => {
    await patch({ branding: { primaryColor: '#123456' } })
    await patch({ branding: { primaryColor: '#123456' } })
    await patch({})
    const events = await eventsOf('settings.updated')
    expect(events).toHaveLength(1)
    expect(JSON.parse(events[0]!.body)).toMatchObject({
      before: { branding: { primaryColor: '#3B82F6' } },
      after: { branding: { primaryColor: '#123456' } },
    })
  })

  test('raise no revision, but security does', async () => {
    const revision = async () => {
      const [row] = await server.sql<{ revision: number }[]>`
        select revision from organizations where id = ${organization.id}`
      return row!.revision
    }
    const before = await revision()
    await patch({ timezone: 'Europe/Berlin' })
    expect(await revision()).toBe(before)
    await patchSecurity({ requireMfa: true })
    expect(await revision()).toBe(before + 1)
    await patchSecurity({ requireMfa: true })
    expect(await revision()).toBe(before + 1)
  })

  test.each([
    ['a member that is none', { wizard: 1 }, '/wizard'],
    ['security among them', { security: { requireMfa: false } }, '/security'],
    ['styles of one’s own', { branding: { customCss: 'a{}' } }, '/branding/customCss'],
    ['a name of objects', '{"__proto__":{"timezone":"UTC"}}', '/__proto__'],
    ['a time zone that is none', { timezone: 'Mars/Olympus' }, '/timezone'],
    ['an offset as a time zone', { timezone: '+01:00' }, '/timezone'],
    ['a language that is none', { locale: 'no_such' }, '/locale'],
    ['a language nobody knows', { locale: 'qqx' }, '/locale'],
    ['a format of dates', { dateFormat: 'YYYY' }, '/dateFormat'],
    ['a format of times', { timeFormat: 24 }, '/timeFormat'],
    ['a color by name', { branding: { primaryColor: 'red' } }, '/branding/primaryColor'],
    ['a color that goes on', { branding: { primaryColor: '#fff;}' } }, '/branding/primaryColor'],
    ['a logo without TLS', { branding: { logo: 'http://x.example/l' } }, '/branding/logo'],
    ['a logo that is a script', { branding: { logo: 'javascript:alert(1)' } }, '/branding/logo'],
    ['a text for an object', { notifications: 'all' }, '/notifications'],
    ['a text for a switch', { notifications: { email: 'yes' } }, '/notifications/email'],
  ])('refuse %s', async (_, body, pointer) => {
    const answer = await patch(body)
    expect([answer.status, answer.body.errors?.[0]?.pointer]).toEqual([400, pointer])
    expect((await server.call(`GET ${organization.path}/settings`)).body).toMatchObject(DEFAULTS)
  })

  test.each([
    ['a range with bits after its length', { ipAllowList: ['10.0.0.1/8'] }, '/ipAllowList/0'],
    ['a range that is too long', { ipAllowList: ['::/129'] }, '/ipAllowList/0'],
    ['a name for an address', { ipAllowList: ['10.0.0.1', 'localhost'] }, '/ipAllowList/1'],
    ['an address with a zone', { ipAllowList: ['fe80::1%eth0'] }, '/ipAllowList/0'],
    ['too many ranges', { ipAllowList: Array(101).fill('10.0.0.1') }, '/ipAllowList'],
    ['a timeout of no time', { sessionTimeoutSeconds: 0 }, '/sessionTimeoutSeconds'],
    ['a timeout of half a second', { sessionTimeoutSeconds: 300.5 }, '/sessionTimeoutSeconds'],
    ['a timeout of a year', { sessionTimeoutSeconds: 31_536_000 }, '/sessionTimeoutSeconds'],
    ['a text for a switch', { requireMfa: 'false' }, '/requireMfa'],
    ['settings among security', { timezone: 'UTC' }, '/timezone'],
  ])('of security refuse %s', async (_, body, pointer) => {
    const answer = await patchSecurity(body)
    expect([answer.status, answer.body.errors?.[0]?.pointer]).toEqual([400, pointer])
  })

  test('have two permissions: a manager changes the language, and not what protects', async () => {
    await server.call(`PUT ${organization.path}/members/mia`, { roles: ['manager'] })
    await server.call(`PUT ${organization.path}/members/abe`, { roles: ['admin'] })
    await server.call(`PUT ${organization.path}/members/vic`, { roles: ['viewer'] })
    const locale = { locale: 'fr-FR' }
    expect((await as('mia', `PATCH ${organization.path}/settings`, locale)).status).toBe(200)
    const refused = await as('mia', `PATCH ${organization.path}/security`, { requireMfa: false })
    expect([refused.status, refused.body.permission]).toEqual([403, 'org:security:update'])
    const timeout = { sessionTimeoutSeconds: 3600 }
    expect((await as('abe', `PATCH ${organization.path}/security`, timeout)).status).toBe(200)
    const viewer = await as('vic', `PATCH ${organization.path}/settings`, locale)
    expect([viewer.status, viewer.body.permission]).toEqual([403, 'org:settings:update'])
    expect((await as('vic', `GET ${organization.path}/settings`)).status).toBe(200)
  })

  test('cannot be changed while the organization is read only', async () => {
    await server.call(`POST ${organization.path}/suspend`, { level: 'read_only', reason: 'unpaid' })
    for (const noun of ['settings', 'security']) {
      const { status, body } = await as('alice', `PATCH ${organization.path}/${noun}`, {})
      expect([status, body.code]).toEqual([409, 'organization-read-only'])
    }
  })

  test('of twenty changes at once are all there afterwards', async () => {
    const zones = ['UTC', 'Europe/Berlin', 'Asia/Tokyo', 'America/Lima']
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        index % 2 === 0
          ? patch({ timezone: zones[(index / 2) % 4], notifications: { slack: true } })
          : patch({ branding: { primaryColor: `#0000${10 + index}` } }),
      ),
    )
    const { body } = await server.call(`GET ${organization.path}/settings`)
    expect(body.notifications.slack).toBe(true)
    expect(zones).toContain(body.timezone)
    expect(body.branding.primaryColor).toMatch(/^#0000\d\d$/)
  })
})
