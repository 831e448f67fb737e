import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let organization: Awaited<ReturnType<TestServer['newOrganization']>>
let permissions: string[]
const subjects = Array.from({ length: 12 }, (_, n) => `user:u${String(n).padStart(2, '0')}`)

beforeAll(async () => {
  server = await startTestServer()
  organization = await server.newOrganization()
  const { path } = organization
  const roles = [['viewer'], ['member'], ['manager'], []]
  for (const [n, subject] of subjects.entries())
    await server.call(`PUT ${path}/members/${subject.slice(5)}`, { roles: roles[n % 4] })
  await server.call(`PUT ${path}/members/u03`, { roles: ['admin'], status: 'suspended' })
  await server.call(`POST ${path}/workspaces`, { name: 'Lab', slug: 'lab' })
  for (let n = 0; n < 8; n++)
    await server.call(`PUT ${path}/resources/scenario/s${n}`, n % 2 ? { workspace: 'lab' } : {})
  await server.call(`PUT ${path}/workspaces/lab/members/u07`, { roles: ['admin'] })
  const grant = (body: object) => server.call(`POST ${path}/grants`, body)
  await grant({ subject: 'user:u11', permission: 'scenario:execute', resource: 'scenario:s1' })
  await grant({
    subject: 'user:u11',
    permission: 'scenario:execute',
    resource: 'scenario:unregistered',
  })
  await grant({ subject: 'service:ci', permission: 'scenario:execute' })
  await grant({
    subject: 'user:u02',
    permission: 'scenario:read',
    effect: 'deny',
    resource: 'scenario:s2',
  })
  const { body } = await server.call('GET /v1/permissions?limit=200')
  permissions = body.items.map(({ key }: { key: string }) => key)
})
afterAll(() => server.drop())

const search = (what: string, body: object, headers = {}) =>
  server.call(`POST ${organization.path}/search/${what}`, body, { headers })
/** All pages of a search. */
const all = async (what: string, body: object, limit = 3) => {
  const items: Record<string, string>[] = []
  let cursor: string | undefined
  do {
    const page = await search(what, { ...body, limit, ...(cursor ? { cursor } : {}) })
    expect(page.status).toBe(200)
    expect(page.body.complete || page.body.nextCursor !== null).toBe(true)
    items.push(...page.body.items)
    cursor = page.body.nextCursor ?? undefined
  } while (cursor)
  return items
}
const isAllowed = async (question: object) => {
  const { body } = await server.call('POST /check', {
    organization: organization.slug,
    ...question,
    consistency: 'full',
  })
  return body.allowed as boolean
}

describe('a search says what /check says, over all pages', () => {
  test.each(['user:u00', 'user:u02', 'user:u03', 'user:u11', 'service:ci', 'user:nobody'])(
    'permissions of %s',
    async (subject) => {
      const found = (await all('permissions', { subject }, 7)).map(({ permission }) => permission)
      const allowed = []
      for (const permission of permissions)
        if (await isAllowed({ subject, permission })) allowed.push(permission)
      expect(found).toEqual(allowed.sort())
    },
  )

  test.each([
    { permission: 'scenario:execute' },
    { permission: 'scenario:execute', resource: 'scenario:s1' },
    { permission: 'org:read' },
    { permission: 'model:create', workspace: 'lab' },
    { permission: 'scenario:read', resource: 'scenario:s2' },
  ])('subjects for %j', async (question) => {
    const found = (await all('subjects', question)).map(({ subject }) => subject)
    const allowed = []
    for (const subject of [...subjects, 'user:alice', 'service:ci'])
      if (await isAllowed({ ...question, subject })) allowed.push(subject)
    // Operators may, too: they are in no organization's list of members.
    expect(found.filter((subject) => !subject?.startsWith('key:'))).toEqual(allowed.sort())
    expect(found.length).toBeGreaterThan(0)
  })

  test.each(['user:u11', 'user:u02', 'user:u07', 'service:ci', 'user:alice'])(
    'resources for %s',
    async (subject) => {
      for (const permission of ['scenario:execute', 'scenario:read']) {
        const found = (await all('resources', { subject, permission })).map(
          ({ resource }) => resource,
        )
        const allowed = []
        for (const id of [...Array.from({ length: 8 }, (_, n) => `s${n}`), 'unregistered'])
          if (await isAllowed({ subject, permission, resource: `scenario:${id}` }))
            allowed.push(`scenario:${id}`)
        expect([subject, permission, found]).toEqual([subject, permission, allowed])
      }
    },
  )
})

describe('a search', () => {
  test('counts as no check: a list is asked once, not once for everybody who could be on it', async () => {
    const before = JSON.stringify(server.policies.counts)
    await search('subjects', { permission: 'org:read' })
    await search('permissions', { subject: 'user:alice' })
    expect(JSON.stringify(server.policies.counts)).toBe(before)
    await isAllowed({ subject: 'user:alice', permission: 'org:read' })
    expect(JSON.stringify(server.policies.counts)).not.toBe(before)
  })

  test('says why', async () => {
    const { body } = await search('subjects', {
      permission: 'scenario:execute',
      resource: 'scenario:s1',
    })
    const why = Object.fromEntries(
      body.items.map((item: { subject: string }) => [item.subject, item]),
    )
    expect(why['user:u11']).toMatchObject({ code: 'grant' })
    expect(why['user:alice']).toMatchObject({
      code: 'role',
      reason: expect.stringContaining('owner'),
    })
  })

  test('is a table where one is asked for, and runs nothing in a spreadsheet', async () => {
    await server.call(`POST ${organization.path}/grants`, {
      subject: '=cmd:x,"y"',
      permission: 'template:rate',
    })
    const answer = await search('subjects', { permission: 'template:rate' }, { accept: 'text/csv' })
    expect(answer.headers.get('content-type')).toContain('text/csv')
    const lines = answer.body.split('\r\n')
    expect(lines[0]).toBe('subject,reason,code')
    expect(answer.body).not.toMatch(/^=/m)
  })

  test.each([
    ['permissions', { subject: 'user:u00', resource: 'wand' }, 400],
    ['subjects', { permission: 'scenario:exekute' }, 422],
    ['subjects', { permission: 'scenario:read', workspace: 'nowhere' }, 422],
    ['resources', { subject: 'user:u00', permission: 'scenario:read', type: 'model' }, 422],
    ['subjects', { permission: 'scenario:read', cursor: 'nonsense' }, 400],
    ['subjects', { permission: 'scenario:read', limit: 0 }, 400],
  ])('of %s refuses %j', async (what, body, status) => {
    expect((await search(what, body)).status).toBe(status)
  })

  test('of another organization is not there', async () => {
    const other = await server.newOrganization('user:eve')
    const key = await other.keyFor({ roles: ['admin'] })
    const answer = await server.call(
      `POST ${organization.path}/search/subjects`,
      { permission: 'org:read' },
      { key },
    )
    expect(answer.status).toBe(404)
  })
})
