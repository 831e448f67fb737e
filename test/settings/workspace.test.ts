import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Issuer, startIssuer } from '../support/issuer.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let issuer: Issuer
let server: TestServer
let organization: Awaited<ReturnType<TestServer['newOrganization']>>
beforeAll(async () => {
  issuer = await startIssuer()
  server = await startTestServer({ jwt: issuer.settings })
})
afterAll(async () => {
  await server.drop()
  await issuer.stop()
})
beforeEach(async () => {
  organization = await server.newOrganization()
  for (const slug of ['lab', 'two'])
    await server.call(`POST ${organization.path}/workspaces`, { name: slug, slug })
})

const as = async (name: string, what: string, body?: unknown) =>
  server.call(what, body, { key: await issuer.tokenOf(name) })
const at = (workspace = 'lab') => `${organization.path}/workspaces/${workspace}/settings`
const read = async (workspace?: string) => (await server.call(`GET ${at(workspace)}`)).body
const patch = (body: unknown, headers = {}) => server.call(`PATCH ${at()}`, body, { headers })
const patchOrganization = (body: unknown) =>
  server.call(`PATCH ${organization.path}/settings`, body)

const DEFAULTS = {
  timezone: 'UTC',
  locale: 'en-US',
  dateFormat: 'MM/DD/YYYY',
  timeFormat: '12h',
  notifications: { email: true, slack: false, webhook: false },
}
const FROM_DEFAULT = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, 'default']))

test('of a workspace that has set nothing are the organization’s, and tell where they come from', async () => {
  expect(await read()).toEqual({ ...DEFAULTS, sources: FROM_DEFAULT, version: 1 })
  await patchOrganization({ timezone: 'Europe/Berlin', notifications: { slack: true } })
  const answer = await server.call(`GET ${at()}`)
  expect(answer.headers.get('etag')).toBe('"1"')
  expect(answer.body).toEqual({
    ...DEFAULTS,
    timezone: 'Europe/Berlin',
    notifications: { email: true, slack: true, webhook: false },
    sources: { ...FROM_DEFAULT, timezone: 'organization', notifications: 'organization' },
    version: 1,
  })
})

test('lie over the organization’s, part by part, in this workspace only', async () => {
  await patchOrganization({ timezone: 'Europe/Berlin', notifications: { slack: true } })
  const { body } = await patch({
    timezone: 'Asia/Tokyo',
    locale: 'de-de',
    notifications: { email: false },
  })
  const expected = {
    ...DEFAULTS,
    timezone: 'Asia/Tokyo',
    locale: 'de-DE',
    notifications: { email: false, slack: true, webhook: false },
    sources: {
      ...FROM_DEFAULT,
      timezone: 'workspace',
      locale: 'workspace',
      notifications: 'workspace',
    },
    version: 2,
  }
  expect(body).toEqual(expected)
  expect(await read()).toEqual(expected)
  expect(await read('two')).toMatchObject({ timezone: 'Europe/Berlin', version: 1 })
  // What the organization sets later is seen through what the workspace has not set.
  await patchOrganization({ timezone: 'UTC', timeFormat: '24h', notifications: { webhook: true } })
  expect(await read()).toMatchObject({
    timezone: 'Asia/Tokyo',
    timeFormat: '24h',
    notifications: { email: false, slack: true, webhook: true },
    sources: { timezone: 'workspace', timeFormat: 'organization' },
  })
})

test('go back to the organization’s with null, one by one or together', async () => {
  await patchOrganization({ timezone: 'Europe/Berlin' })
  await patch({ timezone: 'Asia/Tokyo', notifications: { slack: true, webhook: true } })
  const one = await patch({ timezone: null, notifications: { slack: null } })
  expect(one.body).toMatchObject({
    timezone: 'Europe/Berlin',
    notifications: { email: true, slack: false, webhook: true },
    sources: { timezone: 'organization', notifications: 'workspace' },
  })
  const { body } = await patch({ notifications: { webhook: null } })
  expect(body).toMatchObject({
    notifications: DEFAULTS.notifications,
    sources: { notifications: 'default' },
  })
  await patch({ notifications: { slack: true } })
  expect((await patch({ notifications: null })).body.sources.notifications).toBe('default')
  const [row] = await server.sql`
    select settings from workspaces where organization_id = ${organization.id} and slug = 'lab'`
  expect(row!.settings).toEqual({})
})

test('are changed by whom they were read by, or not: If-Match on the workspace’s version', async () => {
  await server.call(`PATCH ${organization.path}/workspaces/lab`, { name: 'Laboratory' })
  const stale = await patch({ timezone: 'UTC' }, { 'if-match': '"1"' })
  expect([stale.status, stale.body.code]).toEqual([412, 'version-stale'])
  const fresh = await patch({ timezone: 'UTC' }, { 'if-match': '"2"' })
  expect([fresh.status, fresh.headers.get('etag')]).toEqual([200, '"3"'])
  expect((await server.call(`GET ${organization.path}/workspaces/lab`)).body.version).toBe(3)
})

test('leave what was and what is in the log, nothing where nothing changed, and raise no revision', async () => {
  const revision = async () => {
    const [row] = await server.sql<{ revision: number }[]>`
      select revision from organizations where id = ${organization.id}`
    return row!.revision
  }
  const before = await revision()
  const changed = await patch({ dateFormat: 'YYYY-MM-DD' })
  expect(changed.revision).toBeTruthy()
  await patch({ dateFormat: 'YYYY-MM-DD' })
  await patch({ locale: null, notifications: { slack: null } })
  await patch({})
  expect(await revision()).toBe(before)
  const events = await server.sql<{ body: string }[]>`
    select body from audit_events where log = ${organization.id} and event = 'workspace-settings.updated'`
  expect(events).toHaveLength(1)
  const event = JSON.parse(events[0]!.body)
  const { body: workspace } = await server.call(`GET ${organization.path}/workspaces/lab`)
  expect(event).toMatchObject({
    resource: `workspace-settings:${workspace.id}`,
    workspaceId: workspace.id,
    before: { dateFormat: 'MM/DD/YYYY', sources: { dateFormat: 'default' } },
    after: { dateFormat: 'YYYY-MM-DD', sources: { dateFormat: 'workspace' } },
  })
})

test.each([
  ['a member that is none', { wizard: 1 }, '/wizard'],
  ['branding, which is the organization’s', { branding: { name: 'x' } }, '/branding'],
  ['integrations, too', { integrations: { allowCustom: true } }, '/integrations'],
  ['security, most of all', { security: { requireMfa: false } }, '/security'],
  ['what only tells', { sources: { timezone: 'workspace' } }, '/sources'],
  ['a name of objects', '{"__proto__":{"timezone":"UTC"}}', '/__proto__'],
  ['a time zone that is none', { timezone: 'Mars/Olympus' }, '/timezone'],
  ['a language that is none', { locale: 'no_such' }, '/locale'],
  ['a format of dates', { dateFormat: 'YYYY' }, '/dateFormat'],
  ['a text for a switch', { notifications: { email: 'yes' } }, '/notifications/email'],
])('refuse %s', async (_, body, pointer) => {
  const answer = await patch(body)
  expect([answer.status, answer.body.errors?.[0]?.pointer]).toEqual([400, pointer])
  expect(await read()).toMatchObject({ ...DEFAULTS, version: 1 })
})

test('are bounded by the database, too', async () => {
  const forced = server.sql`
    update workspaces set settings = jsonb_build_object('timezone', (
      select string_agg(md5(n::text), '') from generate_series(1, 2000) n))
    where organization_id = ${organization.id}`
  await expect(forced).rejects.toMatchObject({ constraint_name: 'workspaces_settings_form' })
  const list = server.sql`update workspaces set settings = '[]' where organization_id = ${organization.id}`
  await expect(list).rejects.toMatchObject({ constraint_name: 'workspaces_settings_form' })
})

test('are read and changed by whom the workspace is: asked there, and nowhere else', async () => {
  const { path } = organization
  for (const name of ['wanda', 'gus', 'nora'])
    await server.call(`PUT ${path}/members/${name}`, { roles: [] })
  await server.call(`PUT ${path}/workspaces/lab/members/wanda`, { roles: ['workspace_admin'] })
  await server.call(`PUT ${path}/members/vic`, { roles: ['viewer'] })
  const zone = { timezone: 'Asia/Tokyo' }
  expect((await as('wanda', `PATCH ${at()}`, zone)).status).toBe(200)
  const elsewhere = await as('wanda', `PATCH ${at('two')}`, zone)
  expect([elsewhere.status, elsewhere.body.permission]).toEqual([403, 'workspace:update'])
  expect((await as('wanda', `GET ${at('two')}`)).body.permission).toBe('workspace:read')
  const above = await as('wanda', `PATCH ${path}/settings`, zone)
  expect([above.status, above.body.permission]).toEqual([403, 'org:settings:update'])
  expect((await as('vic', `GET ${at()}`)).status).toBe(200)
  const viewer = await as('vic', `PATCH ${at()}`, zone)
  expect([viewer.status, viewer.body.permission]).toEqual([403, 'workspace:update'])
  expect((await as('nora', `GET ${at()}`)).status).toBe(403)
  expect(await read('two')).toMatchObject(DEFAULTS)
})

test('of a workspace of another organization cannot be reached, nor of one that is gone', async () => {
  const other = await server.newOrganization()
  const { body } = await server.call(`POST ${other.path}/workspaces`, { name: 'X', slug: 'x' })
  const key = await organization.keyFor({ roles: ['admin'] })
  for (const method of ['GET', 'PATCH']) {
    const change = method === 'PATCH' ? { timezone: 'Asia/Tokyo' } : undefined
    const foreign = await server.call(`${method} ${at(body.id)}`, change, { key })
    expect([foreign.status, foreign.body.code]).toEqual([404, 'workspace-not-found'])
  }
  await server.call(`DELETE ${organization.path}/workspaces/two`)
  expect((await server.call(`GET ${at('two')}`)).status).toBe(404)
  expect((await server.call(`GET ${other.path}/workspaces/x/settings`)).body.timezone).toBe('UTC')
})

test('cannot be changed while the organization is read only, and are in its archive', async () => {
  await patch({ timezone: 'Asia/Tokyo' })
  const archive = await server.call(`POST ${organization.path}/archive`)
  const rows: { table?: string; row?: { slug: string; settings: unknown } }[] = archive.body
    .trim()
    .split('\n')
    .map((line: string) => JSON.parse(line))
  const lab = rows.find(({ table, row }) => table === 'workspaces' && row?.slug === 'lab')
  expect(lab?.row?.settings).toEqual({ timezone: 'Asia/Tokyo' })
  const unpaid = { level: 'read_only', reason: 'unpaid' }
  await server.call(`POST ${organization.path}/suspend`, unpaid)
  const refused = await as('alice', `PATCH ${at()}`, { timezone: 'UTC' })
  expect([refused.status, refused.body.code]).toEqual([409, 'organization-read-only'])
})
