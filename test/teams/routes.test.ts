import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readPages, refusesGarbage } from '../support/paging.ts'
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
  path = organization.path
})

const put = (team: string, body: unknown = {}, headers = {}) =>
  server.call(`PUT ${path}/teams/${team}`, body, { headers })
const get = (team: string) => server.call(`GET ${path}/teams/${team}`)
const remove = (team: string) => server.call(`DELETE ${path}/teams/${team}`)
const may = async (subject: string, permission: string) =>
  (
    await server.call('POST /check', {
      organization: organization.slug,
      subject,
      permission,
    })
  ).body.allowed

describe('a team', () => {
  test('is made and edited by PUT, which leaves what is not named', async () => {
    const made = await put('eng', {})
    expect([made.status, made.headers.get('etag')]).toEqual([201, '"1"'])
    expect(made.body).toMatchObject({ slug: 'eng', name: 'eng', parent: null, version: 1 })
    await put('all')
    const moved = await put('eng', { parent: 'all' })
    expect([moved.status, moved.body.name, moved.body.parent]).toEqual([200, 'eng', 'all'])
    const renamed = await put('eng', { name: 'Engineering' })
    expect(renamed.body).toMatchObject({ name: 'Engineering', parent: 'all', version: 3 })
    expect((await get('eng')).body).toEqual(renamed.body)
    expect((await put('eng', { parent: null })).body.parent).toBe(null)
  })

  test.each(['Eng', 'a_b', '-', 'xn--a', 'a%00', 'a'.repeat(64), '%E6%97%A5'])(
    'is not called %s',
    async (slug) => {
      for (const what of ['PUT', 'GET', 'DELETE']) {
        const body = what === 'PUT' ? {} : undefined
        const answer = await server.call(`${what} ${path}/teams/${slug}`, body)
        expect([what, answer.status, answer.body.errors[0].pointer]).toEqual([what, 400, '/team'])
      }
    },
  )

  test('of another organization, or none, is not found', async () => {
    const other = await server.newOrganization()
    await server.call(`PUT ${other.path}/teams/eng`, {})
    for (const answer of [
      await get('eng'),
      await remove('eng'),
      await server.call(`GET ${path}/teams/eng/members`),
      await server.call(`PUT ${path}/teams/eng/members/alice`),
      await get('constructor'),
    ])
      expect([answer.status, answer.body.code]).toEqual([404, 'team-not-found'])
    const parent = await put('sub', { parent: 'eng' })
    expect([parent.status, parent.body.code]).toEqual([422, 'team-unknown'])
  })

  test('has a parent that exists, and learns of the nearest', async () => {
    await put('platform')
    const { status, body } = await put('eng', { parent: 'platfrom' })
    expect([status, body.code, body.errors[0].pointer]).toEqual([422, 'team-unknown', '/parent'])
    expect(body.detail).toContain('Did you mean platform?')
  })

  test.each([
    ['name', ''],
    ['name', 'x'.repeat(121)],
    ['name', 'a\u0000'],
    ['parent', 'A b'],
    ['id', 'x'],
  ])('refuses the %s %j', async (member, value) => {
    const { status, body } = await put('eng', { [member]: value })
    expect([status, body.errors[0].pointer]).toEqual([400, `/${member}`])
  })

  test('nests eight deep and not nine, wherever the chain grows', async () => {
    for (let depth = 1; depth <= 8; depth++) {
      const { status } = await put(`t${depth}`, depth > 1 ? { parent: `t${depth - 1}` } : {})
      expect([depth, status]).toEqual([depth, 201])
    }
    await put('top')
    for (const ninth of [await put('t9', { parent: 't8' }), await put('t1', { parent: 'top' })])
      expect([ninth.status, ninth.body.code]).toEqual([422, 'inheritance-too-deep'])
    expect((await get('t1')).body.parent).toBe(null)
    expect((await get('t9')).status).toBe(404)
    await server.call(`PUT ${path}/members/bob`, { roles: [] })
    await server.call(`PUT ${path}/teams/t8/members/bob`)
    await server.call(`POST ${path}/grants`, { subject: 'team:t1', permission: 'scenario:delete' })
    expect(await may('user:bob', 'scenario:delete')).toBe(true)
  })

  test('is no ancestor of itself', async () => {
    await put('a')
    await put('b', { parent: 'a' })
    await put('c', { parent: 'b' })
    for (const cycle of [await put('a', { parent: 'a' }), await put('a', { parent: 'c' })])
      expect([cycle.status, cycle.body.code]).toEqual([422, 'inheritance-cycle'])
    expect((await get('a')).body.parent).toBe(null)
  })

  test('with children stays; without them it takes its grants along', async () => {
    await put('a')
    await put('b', { parent: 'a' })
    const stays = await remove('a')
    expect([stays.status, stays.body.code]).toEqual([409, 'team-has-children'])
    await server.call(`PUT ${path}/members/bob`, { roles: [] })
    await server.call(`PUT ${path}/teams/b/members/bob`)
    await server.call(`POST ${path}/grants`, { subject: 'team:b', permission: 'scenario:delete' })
    expect(await may('user:bob', 'scenario:delete')).toBe(true)
    expect((await remove('b')).status).toBe(204)
    expect(await may('user:bob', 'scenario:delete')).toBe(false)
    await put('b')
    const { body } = await server.call(`GET ${path}/grants?subject=team:b`)
    expect(body.items).toEqual([])
    expect((await server.call(`GET ${path}/teams/b/members`)).body.items).toEqual([])
    expect((await remove('a')).status).toBe(204)
  })

  test('is not changed against an older version, nor made again where it is gone', async () => {
    await put('eng')
    const first = { 'if-match': '"1"' }
    expect((await put('eng', { name: 'A' }, first)).status).toBe(200)
    const deletion = await server.call(`DELETE ${path}/teams/eng`, undefined, { headers: first })
    for (const stale of [
      await put('eng', { name: 'B' }, first),
      deletion,
      await put('gone', {}, first),
    ])
      expect([stale.status, stale.body.code]).toEqual([412, 'version-stale'])
    expect((await get('gone')).status).toBe(404)
  })
})

describe('a member of a team', () => {
  test('is a member of the organization, and comes and goes', async () => {
    await put('eng')
    const stranger = await server.call(`PUT ${path}/teams/eng/members/eve`)
    expect([stranger.status, stranger.body.code]).toEqual([422, 'member-unknown'])
    expect(stranger.body.errors[0].pointer).toBe('/user')
    await server.call(`PUT ${path}/members/bob`, { roles: [] })
    await server.call(`POST ${path}/grants`, { subject: 'team:eng', permission: 'scenario:delete' })
    for (let time = 0; time < 2; time++) {
      const added = await server.call(`PUT ${path}/teams/eng/members/bob`)
      expect([added.status, added.body]).toEqual([200, { subject: 'user:bob' }])
    }
    expect(await may('user:bob', 'scenario:delete')).toBe(true)
    expect((await server.call(`DELETE ${path}/teams/eng/members/bob`)).status).toBe(204)
    expect(await may('user:bob', 'scenario:delete')).toBe(false)
    const again = await server.call(`DELETE ${path}/teams/eng/members/bob`)
    expect([again.status, again.body.code]).toEqual([404, 'team-member-not-found'])
  })

  test.each(['team:eng', 'role:x', 'key:k', 'a%00'])('is never %s', async (user) => {
    await put('eng')
    const { status, body } = await server.call(`PUT ${path}/teams/eng/members/${user}`)
    expect([status, body.errors[0].pointer]).toEqual([400, '/user'])
  })
})

describe('the lists', () => {
  test('come in pages, nothing missing and nothing twice', async () => {
    const slugs = ['a', 'a-b', 'a0', 'b', 'constructor', 'z9']
    for (const slug of slugs) await put(slug, slug === 'a' ? {} : { parent: 'a' })
    const idOf = ({ slug }: Record<string, string>) => slug!
    for (const limit of [1, 2, 3, 6, 200])
      expect(await readPages(server, `${path}/teams`, { limit, idOf })).toEqual(slugs.toSorted())
    expect(await readPages(server, `${path}/teams?parent=a`, { limit: 2, idOf })).toEqual(
      slugs.slice(1).toSorted(),
    )
    expect((await server.call(`GET ${path}/teams?parent=none`)).body.items).toEqual([])
    for (const user of ['c', 'b', 'a', 'é']) {
      await server.call(`PUT ${path}/members/${encodeURIComponent(user)}`, { roles: [] })
      await server.call(`PUT ${path}/teams/a/members/${encodeURIComponent(user)}`)
    }
    const members = await readPages(server, `${path}/teams/a/members`, {
      limit: 3,
      idOf: ({ subject }) => subject!,
    })
    expect(members).toEqual(['user:a', 'user:b', 'user:c', 'user:é'])
  })

  test('refuse cursors and limits that are none', async () => {
    await put('eng')
    await refusesGarbage(server, `${path}/teams`)
    await refusesGarbage(server, `${path}/teams/eng/members`)
  })
})
