import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'
import { givenPublisher, type Publisher } from './given.ts'

let server: TestServer
let mine: Publisher
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())
beforeEach(async () => {
  mine = await givenPublisher(server)
})

describe('a template', () => {
  test('is made as a private draft, and what it does is computed', async () => {
    const { status, body, headers, at } = await mine.make({
      tags: ['b', 'a', 'b'],
      description: '# Hello',
      definition: { nodes: [{ name: 'Tell', type: 'n8n-nodes-base.slack', parameters: {} }] },
    })
    expect([status, headers.get('etag')]).toEqual([201, '"1"'])
    expect(body).toMatchObject({
      kind: 'scenario',
      visibility: 'private',
      listing: 'draft',
      official: false,
      tags: ['a', 'b'],
      description: '# Hello',
      rating: { score: 0, count: 0 },
      installs: 0,
      pricing: 'free',
      latest: null,
      pendingEdit: null,
      number: expect.any(Number),
    })
    const version = await mine.must(`GET ${at}/versions/0.1.0`)
    expect(version).toMatchObject({
      status: 'draft',
      approved: false,
      capabilities: ['integration:slack'],
      inputs: [],
      integrity: expect.stringMatching(/^sha256-[A-Za-z0-9+/]{43}=$/),
    })
    const [event] = await mine.eventsOf('template.created')
    expect([event.resource, event.after.name]).toEqual([`template:${body.id}`, body.name])
  })

  test('is refused where somebody says what only the server or the platform knows', async () => {
    const known = {
      ...{ isOfficial: true, official: true, isApproved: true, listing: 'listed', author: 'me' },
      ...{ organizationId: mine.id, capabilities: [], inputs: [], integrity: 'x', sizeBytes: 1 },
      ...{ integrations: [], pricing: 'free', visibility: 'public', rating: 5, installs: 9 },
      ...{ status: 'published', version: '9.9.9', id: `tpl_${'0'.repeat(26)}` },
    }
    for (const [member, value] of Object.entries(known)) {
      const { status, body } = await mine.make({ [member]: value })
      expect([member, status, body.errors[0].pointer]).toEqual([member, 400, `/${member}`])
    }
    const { at } = await mine.make()
    for (const [member, value] of Object.entries(known)) {
      const patched = await server.call(`PATCH ${at}`, { [member]: value })
      expect([member, patched.status]).toEqual([member, 400])
      if (member === 'version') continue
      const version = { version: '0.2.0', definition: {}, [member]: value }
      const made = await server.call(`POST ${at}/versions`, version)
      expect([member, made.status]).toEqual([member, 400])
    }
  })

  test.each([
    ['a category that is none', { category: 'automatoin' }, 'category-unknown', '/category'],
    ['a license that is none', { license: 'MIT2' }, 'license-unknown', '/license'],
    [
      'a version it cannot see',
      { derivedFrom: { template: `tpl_${'0'.repeat(26)}`, version: '1.0.0' } },
      'derivation-unknown',
      '/derivedFrom',
    ],
  ])('is refused with %s', async (_, body, code, pointer) => {
    const refused = await mine.make(body)
    expect([refused.status, refused.body.code]).toEqual([422, code])
    expect(refused.body.errors[0].pointer).toBe(pointer)
  })

  test('is refused with a slug that is taken, and the seventh of a small plan', async () => {
    await mine.make({ slug: 'same' })
    const twice = await mine.make({ slug: 'same' })
    expect([twice.status, twice.body.code]).toEqual([409, 'template-exists'])
    await mine.must(`PUT ${mine.path}/limits`, { limits: { maxTemplates: 2 }, reason: 'a test' })
    expect((await mine.make()).status).toBe(201)
    const more = await mine.make()
    expect([more.status, more.body.code]).toEqual([409, 'limit-reached'])
  })

  test('is listed to its organization by kind, by where it stands, and by words', async () => {
    const [first, second] = [await mine.make({ name: 'Alpha' }), await mine.list({ name: 'Beta' })]
    const ids = async (query: string) =>
      (await mine.must(`GET ${mine.path}/templates${query}`)).items.map(
        ({ id }: { id: string }) => id,
      )
    expect(await ids('')).toEqual([first.body.id, second.body.id])
    expect(await ids('?listing=listed')).toEqual([second.body.id])
    expect(await ids('?kind=role_pack')).toEqual([])
    expect(await ids('?q=ALPH')).toEqual([first.body.id])
    expect(await ids('?q=%25')).toEqual([])
    const page = await mine.must(`GET ${mine.path}/templates?limit=1`)
    expect(page.items[0]).not.toHaveProperty('description')
    expect(await ids(`?limit=1&cursor=${page.nextCursor}`)).toEqual([second.body.id])
  })

  test('is edited at the version that was read, and deleted while others never could have it', async () => {
    const { at } = await mine.make()
    const ifMatch = (version: number) => ({ headers: { 'if-match': `"${version}"` } })
    const edited = await server.call(`PATCH ${at}`, { name: 'New' }, ifMatch(1))
    expect([edited.status, edited.body.name, edited.body.version]).toEqual([200, 'New', 2])
    expect((await server.call(`PATCH ${at}`, { name: 'Old' }, ifMatch(1))).status).toBe(412)
    expect((await server.call(`PATCH ${at}`, { name: 'New' })).body.version).toBe(2)
    await mine.must(`POST ${at}/versions/0.1.0/publish`)
    expect((await server.call(`DELETE ${at}`, undefined, ifMatch(1))).status).toBe(412)
    expect((await server.call(`DELETE ${at}`)).status).toBe(204)
    expect((await server.call(`GET ${at}`)).body.code).toBe('template-not-found')
  })

  test('that others could have is not deleted', async () => {
    const listed = await mine.list()
    const refused = await server.call(`DELETE ${listed.at}`)
    expect([refused.status, refused.body.code]).toEqual([409, 'template-was-listed'])
    await mine.must(`POST ${listed.at}/unlist`)
    expect((await server.call(`DELETE ${listed.at}`)).body.code).toBe('template-was-listed')
    // Never listed, but approved for those who know its id.
    const known = await mine.make()
    await mine.must(`PUT ${known.at}/visibility`, { visibility: 'unlisted' })
    await mine.must(`POST ${known.at}/versions/0.1.0/publish`)
    await server.sql`update template_versions set approved_integrity = integrity where template_id = ${known.body.id}`
    expect((await server.call(`DELETE ${known.at}`)).body.code).toBe('template-was-listed')
    // Nor is it hidden from who has it.
    const hidden = await server.call(`PUT ${known.at}/visibility`, { visibility: 'private' })
    expect([hidden.status, hidden.body.code]).toEqual([409, 'template-was-listed'])
  })

  test('of another organization is not there, whatever is asked of it', async () => {
    const [theirs, eve] = [await mine.list(), await givenPublisher(server)]
    const key = await eve.keyFor({ roles: ['admin'], permissions: ['marketplace:publish'] })
    const at = `${eve.path}/templates/${theirs.body.id}`
    const reason = { reason: 'x' }
    for (const [what, body] of [
      [`GET ${at}`],
      [`PATCH ${at}`, { name: 'Mine' }],
      [`DELETE ${at}`],
      [`PUT ${at}/visibility`, { visibility: 'private' }],
      [`POST ${at}/deprecate`, { note: 'x' }],
      [`POST ${at}/unlist`],
      [`POST ${at}/relist`],
      [`GET ${at}/versions`],
      [`POST ${at}/versions`, { version: '1.0.0', definition: {} }],
      [`GET ${at}/versions/0.1.0`],
      [`GET ${at}/versions/0.1.0/content`],
      [`PATCH ${at}/versions/0.1.0`, { changelog: 'x' }],
      [`DELETE ${at}/versions/0.1.0`],
      [`POST ${at}/versions/0.1.0/checks`],
      [`POST ${at}/versions/0.1.0/submit`, {}],
      [`POST ${at}/versions/0.1.0/withdraw`],
      [`POST ${at}/versions/0.1.0/yank`, reason],
      [`POST ${at}/versions/0.1.0/restore`, reason],
      [`POST ${at}/appeals`, { removal: `rmv_${'0'.repeat(26)}`, note: 'x' }],
    ] as const) {
      const { status, body: answer } = await server.call(what, body, { key })
      expect([what, status, answer.code]).toEqual([what, 404, 'template-not-found'])
    }
  })
})

describe('the words of a listed template', () => {
  test('change only when a moderator has approved it; the answer tells of what waits', async () => {
    const { at, body: before } = await mine.list({ description: 'Old.' })
    const patched = await mine.must(`PATCH ${at}`, { name: 'Other', tags: ['new'] })
    expect([patched.name, patched.tags]).toEqual([before.name, []])
    expect(patched.pendingEdit.proposed).toEqual({ name: 'Other', tags: ['new'] })
    // Another edit takes its place and keeps what it does not change.
    const again = await mine.must(`PATCH ${at}`, { description: 'New.', tags: [] })
    expect(again.pendingEdit.proposed).toEqual({ name: 'Other', description: 'New.' })
    const cases = await server.sql`
      select state from moderation_cases where template_id = ${before.id} and kind = 'edit' order by opened_at`
    expect(cases.map(({ state }) => state)).toEqual(['withdrawn', 'open'])
    // Back to what is shown: nothing waits.
    const back = await mine.must(`PATCH ${at}`, { name: before.name, description: 'Old.' })
    expect([back.pendingEdit, back.description]).toEqual([null, 'Old.'])
  })

  test('are checked before they wait, and cannot be changed by taking it off the list', async () => {
    const { at } = await mine.list()
    const unsafe = await server.call(`PATCH ${at}`, { description: '<script>x</script>' })
    expect([unsafe.status, unsafe.body.code]).toEqual([422, 'checks-failed'])
    await mine.must(`POST ${at}/unlist`)
    const renamed = await mine.must(`PATCH ${at}`, { name: 'Bank of Everything' })
    expect(renamed.pendingEdit.proposed.name).toBe('Bank of Everything')
    const relisted = await mine.must(`POST ${at}/relist`)
    expect([relisted.listing, relisted.name === 'Bank of Everything']).toEqual(['listed', false])
  })

  test('stay as they are while a moderator reads them with a version', async () => {
    const { at } = await mine.make()
    await mine.must(`PUT ${at}/visibility`, { visibility: 'public' })
    await mine.must(`POST ${at}/versions/0.1.0/submit`, {})
    for (const [what, body] of [
      [`PATCH ${at}`, { name: 'Other' }],
      [`PUT ${at}/visibility`, { visibility: 'private' }],
    ] as const)
      expect([what, (await server.call(what, body)).body.code]).toEqual([what, 'submission-open'])
    await mine.must(`POST ${at}/versions/0.1.0/withdraw`)
    expect((await mine.must(`PATCH ${at}`, { name: 'Other' })).name).toBe('Other')
  })
})

describe('how it is shown', () => {
  test('to others needs a publisher that is not banned', async () => {
    const other = await server.newOrganization()
    const { body } = await server.call(`POST ${other.path}/templates`, {
      slug: 'x',
      name: 'X',
      category: 'other',
      license: 'MIT',
    })
    const at = `${other.path}/templates/${body.id}`
    const put = (visibility: string) => server.call(`PUT ${at}/visibility`, { visibility })
    expect([(await put('public')).status, (await put('private')).status]).toEqual([422, 200])
    await mine.must(`PUT ${other.path}/publisher`, { handle: other.slug })
    expect((await put('unlisted')).body.visibility).toBe('unlisted')
    await server.sql`update publishers set status = 'banned', status_reason = 'spam' where organization_id = ${other.id}`
    const banned = await put('public')
    expect([banned.status, banned.body.code]).toEqual([403, 'publisher-banned'])
    expect((await put('private')).status).toBe(200)
  })

  test('stays public while it is listed; off the list and back is the publisher’s', async () => {
    const { at } = await mine.list()
    const hidden = await server.call(`PUT ${at}/visibility`, { visibility: 'unlisted' })
    expect([hidden.status, hidden.body.code]).toEqual([409, 'template-listed'])
    expect((await server.call(`POST ${at}/relist`)).body.code).toBe('template-not-unlisted')
    expect((await mine.must(`POST ${at}/unlist`)).listing).toBe('delisted')
    expect((await server.call(`POST ${at}/unlist`)).body.code).toBe('template-not-listed')
    await mine.must(`PUT ${at}/visibility`, { visibility: 'unlisted' })
    expect((await server.call(`POST ${at}/relist`)).body.code).toBe('template-listed')
    await mine.must(`PUT ${at}/visibility`, { visibility: 'public' })
    expect((await mine.must(`POST ${at}/relist`)).listing).toBe('listed')
    expect(await mine.eventsOf('template.relisted')).toHaveLength(1)
  })

  test('is deprecated with a note and a successor that can be seen, and that is taken back', async () => {
    const [old, next] = [await mine.list(), await mine.list()]
    const successor = next.body.id
    const deprecated = await mine.must(`POST ${old.at}/deprecate`, { note: 'Use that.', successor })
    expect([deprecated.successor, deprecated.deprecationNote]).toEqual([successor, 'Use that.'])
    expect(deprecated.deprecatedAt).not.toBeNull()
    const eve = await givenPublisher(server)
    const secret = await eve.make()
    for (const unknown of [old.body.id, secret.body.id, `tpl_${'0'.repeat(26)}`]) {
      const refused = await server.call(`POST ${old.at}/deprecate`, {
        note: 'x',
        successor: unknown,
      })
      expect([refused.status, refused.body.errors[0].pointer]).toEqual([422, '/successor'])
    }
    const lifted = await mine.must(`POST ${old.at}/deprecate`, { note: null })
    expect([lifted.deprecatedAt, lifted.successor]).toEqual([null, null])
  })
})

describe('an appeal', () => {
  test('is about a removal of the template that still holds, and one waits at a time', async () => {
    const [{ at, body }, other] = [await mine.list(), await mine.list()]
    const removal = body.id.replace('tpl_', 'rmv_')
    await server.sql`
      insert into removals (id, template_id, organization_id, template_name, handle, reason_code, note, removed_by)
      values (${removal}, ${body.id}, ${mine.id}, 'x', ${mine.handle}, 'spam', 'x', 'user:mod')`
    const ask = (where: string) =>
      server.call(`POST ${where}/appeals`, { removal, note: 'It is fine.' })
    expect((await ask(other.at)).body.code).toBe('removal-unknown')
    const opened = await ask(at)
    expect([opened.status, opened.body.kind, opened.body.appeals]).toEqual([201, 'appeal', removal])
    expect((await ask(at)).body.code).toBe('appeal-open')
    await server.sql`update removals set lifted_at = now() where id = ${removal}`
    expect((await ask(at)).body.code).toBe('removal-unknown')
  })
})
