import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { inOrganization } from '../../src/platform/db/transaction.ts'
import { decideDownload, readContent } from '../../src/templates/service.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { givenPublisher, type Publisher } from './given.ts'

let server: TestServer
let theirs: Publisher
let mine: { id: string; path: string }
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())
beforeEach(async () => {
  theirs = await givenPublisher(server)
  mine = await server.newOrganization()
})

/** How many rows of each table an organization sees of a template, whatever a query forgets. */
const rowsOf = (template: string, organizationId: string) =>
  inOrganization({ sql: server.sql, organizationId }, async (tx) => {
    const [row] = await tx<Record<string, number>[]>`
      select (select count(*)::int from templates where id = ${template}) as templates,
        (select count(*)::int from template_versions where template_id = ${template}) as versions,
        (select count(*)::int from template_descriptions where template_id = ${template}) as descriptions,
        (select count(*)::int from prices where template_id = ${template}) as prices,
        (select count(*)::int from advisories where template_id = ${template}) as advisories,
        (select count(*)::int from moderation_cases where template_id = ${template}) as cases`
    return row
  })
const furnished = async () => {
  const made = await theirs.make({ description: 'Long.' })
  const { id } = made.body
  await server.sql`insert into prices (id, template_id, currency, amount_minor)
    values (${id.replace('tpl_', 'prc_')}, ${id}, 'EUR', 5)`
  await server.sql`insert into advisories (id, template_id, affected_range, severity, summary, published_by)
    values (${id.replace('tpl_', 'adv_')}, ${id}, '*', 'low', 'x', 'user:x')`
  return { ...made, id: id as string }
}
const NOTHING = { templates: 0, versions: 0, descriptions: 0, prices: 0, advisories: 0, cases: 0 }

describe('of a template, another organization sees', () => {
  test('nothing while it is private', async () => {
    const { id, at } = await furnished()
    await theirs.must(`POST ${at}/versions/0.1.0/publish`)
    expect(await rowsOf(id, mine.id)).toEqual(NOTHING)
    expect(await rowsOf(id, theirs.id)).toMatchObject({ templates: 1, versions: 1, prices: 1 })
  })

  test('no bytes that no moderator has approved, and never a case', async () => {
    const { id, at } = await furnished()
    await theirs.must(`PUT ${at}/visibility`, { visibility: 'public' })
    await theirs.must(`POST ${at}/versions/0.1.0/submit`, {})
    const seen = { ...NOTHING, templates: 1, descriptions: 1, prices: 1, advisories: 1 }
    expect(await rowsOf(id, mine.id)).toEqual(seen)
    await server.sql`update template_versions set status = 'published', approved_integrity = integrity where template_id = ${id}`
    await theirs.must(`POST ${at}/versions`, { version: '0.2.0', definition: {} })
    expect(await rowsOf(id, mine.id)).toEqual({ ...seen, versions: 1 })
    expect(await rowsOf(id, theirs.id)).toMatchObject({ versions: 2, cases: 1 })
  })

  test('nothing without being one', async () => {
    const { id } = (await theirs.list()).body
    expect(await rowsOf(id, '')).toMatchObject({ ...NOTHING, templates: 1, versions: 1 })
    expect((await server.call(`GET ${mine.path}/templates`)).body.items).toEqual([])
  })
})

describe('a download', () => {
  const download = (template: string, version: string, organizationId = mine.id) =>
    inOrganization({ sql: server.sql, organizationId }, async (tx) => {
      const found = await decideDownload(tx, { organizationId, template, version })
      const content = await readContent(tx, { organizationId, download: found })
      return [found.version.version, content.definition]
    }).catch((error: { code: string }) => error.code)

  test('is decided in order: seen, approved, not withdrawn, not yanked, paid', async () => {
    const { at, body } = await theirs.make({ definition: { a: 1 } })
    const { id } = body
    const all = (version = '0.1.0') => download(id, version)
    expect(await all()).toBe('template-not-found')
    expect(await download(id, '0.1.0', theirs.id)).toEqual(['0.1.0', '{"a":1}'])
    await theirs.must(`PUT ${at}/visibility`, { visibility: 'public' })
    expect(await all()).toBe('template-not-found')
    await theirs.must(`PUT ${at}/visibility`, { visibility: 'unlisted' })
    expect(await all()).toBe('version-not-found')
    await theirs.must(`POST ${at}/versions/0.1.0/publish`)
    expect(await all()).toBe('version-not-found')
    await server.sql`update template_versions set approved_integrity = integrity where template_id = ${id}`
    for (const version of ['0.1.0', 'latest', '^0.1.0', '*'])
      expect([version, await all(version)]).toEqual([version, ['0.1.0', '{"a":1}']])
    for (const version of ['0.2.0', '^1.0.0', 'newest', '', ' '.repeat(9)])
      expect([version, await all(version)]).toEqual([version, 'version-not-found'])
    await server.sql`update templates set pricing = 'paid' where id = ${id}`
    expect(await all()).toBe('purchase-required')
    expect(await download(id, '0.1.0', theirs.id)).toEqual(['0.1.0', '{"a":1}'])
    await theirs.must(`POST ${at}/versions/0.1.0/yank`, { reason: 'x' })
    expect(await all()).toBe('version-yanked')
    expect(await all('latest')).toBe('version-not-found')
    await server.sql`update template_versions set status = 'blocked' where template_id = ${id}`
    expect(await all()).toBe('template-withdrawn')
    await server.sql`update templates set visibility = 'public', listing = 'taken_down' where id = ${id}`
    expect(await all()).toBe('template-withdrawn')
    // Its own organization still reads what it wrote.
    expect(await download(id, '0.1.0', theirs.id)).toEqual(['0.1.0', '{"a":1}'])
  })

  test('counts once per organization and day, and moves no date', async () => {
    const { at, body } = await theirs.list()
    const before = await theirs.must(`GET ${at}`)
    for (let count = 0; count < 5; count++) await download(body.id, 'latest')
    await download(body.id, 'latest', theirs.id)
    const [day] =
      await server.sql`select downloads from template_days where template_id = ${body.id}`
    expect(day!.downloads).toBe(1)
    const after = await theirs.must(`GET ${at}`)
    expect([after.updatedAt, after.contentUpdatedAt]).toEqual([
      before.updatedAt,
      before.contentUpdatedAt,
    ])
  })
})
