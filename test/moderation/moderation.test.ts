import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newId } from '../../src/platform/id.ts'
import { integrityOf } from '../../src/templates/integrity.ts'
import { type Issuer, startIssuer } from '../support/issuer.ts'
import { putListed } from '../support/listed.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let issuer: Issuer
let server: TestServer
let publisher: Awaited<ReturnType<TestServer['newOrganization']>>
beforeAll(async () => {
  issuer = await startIssuer()
  server = await startTestServer({ jwt: issuer.settings })
})
afterAll(async () => {
  await server.drop()
  await issuer.stop()
})
beforeEach(async () => {
  publisher = await server.newOrganization()
})

const MODERATION = '/v1/marketplace/moderation'
const REASON = { reasonCode: 'broken', note: 'It does not start.' }

/** A template with one version that waits for a moderator. */
const submit = async (openedBy = 'user:alice') => {
  const { id } = await putListed(server, publisher.id, { listing: 'draft' })
  const definition = '{"nodes":[{"type":"slack"}]}'
  const [versionId, caseId] = [newId('ver'), newId('cas')]
  const integrity = await integrityOf(definition)
  await server.sql`insert into template_versions ${server.sql({
    ...{ id: versionId, templateId: id, major: 1, minor: 1, patch: 0, definition, integrity },
    ...{ sizeBytes: definition.length, status: 'submitted' },
    capabilities: server.sql.json(['integration:slack']),
  })}`
  await server.sql`update templates set listing = 'in_review' where id = ${id}`
  await server.sql`insert into moderation_cases (id, kind, template_id, version_id, opened_by)
    values (${caseId}, 'submission', ${id}, ${versionId}, ${openedBy})`
  return { id, versionId, caseId, integrity }
}
const stateOf = async (id: string, versionId: string) => {
  const [state] =
    await server.sql`select t.listing, t.integrations, v.status, v.approved_integrity from templates t
    join template_versions v on v.template_id = t.id where t.id = ${id} and v.id = ${versionId}`
  return state
}
const approve = (caseId: string, body: object, options = {}) =>
  server.call(`POST ${MODERATION}/cases/${caseId}/approve`, body, options)

describe('a submission', () => {
  test('is shown with its bytes and how they differ from what was approved', async () => {
    const { caseId, integrity } = await submit()
    const { body } = await server.call(`GET ${MODERATION}/cases/${caseId}`)
    expect(body).toMatchObject({
      kind: 'submission',
      state: 'open',
      submitted: { integrity, definition: { nodes: [{ type: 'slack' }] } },
      difference: { from: '1.0.0', capabilities: { added: ['integration:slack'], removed: [] } },
    })
  })

  test('is approved for the bytes that were seen, and for no others', async () => {
    const { id, versionId, caseId, integrity } = await submit()
    const blind = await approve(caseId, {})
    expect([blind.status, blind.body.code]).toEqual([422, 'integrity-missing'])
    const other = await approve(caseId, { integrity: await integrityOf('{}') })
    expect([other.status, other.body.code]).toEqual([409, 'integrity-changed'])
    expect(await stateOf(id, versionId)).toMatchObject({
      status: 'submitted',
      listing: 'in_review',
    })
    const { status, body } = await approve(caseId, { integrity })
    expect([status, body.state]).toEqual([200, 'approved'])
    expect(await stateOf(id, versionId)).toEqual({
      listing: 'listed',
      integrations: ['slack'],
      status: 'published',
      approvedIntegrity: integrity,
    })
    const events =
      await server.sql`select log from audit_events where event = 'template-case.approved'
      and body like ${`%${caseId}%`} order by log`
    expect(events.map(({ log }) => log)).toEqual([publisher.id, 'platform'].toSorted())
  })

  test('is decided once, of eight at once', async () => {
    const { caseId, integrity } = await submit()
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, at) =>
        at % 2
          ? approve(caseId, { integrity })
          : server.call(`POST ${MODERATION}/cases/${caseId}/reject`, REASON),
      ),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(answers.filter(({ body }) => body.code === 'case-closed')).toHaveLength(7)
  })

  test('is refused with a reason, and can be changed again', async () => {
    const { id, versionId, caseId } = await submit()
    const silent = await server.call(`POST ${MODERATION}/cases/${caseId}/reject`, { note: 'no' })
    expect(silent.status).toBe(400)
    const { body } = await server.call(`POST ${MODERATION}/cases/${caseId}/reject`, REASON)
    expect(body).toMatchObject({ state: 'rejected', reasonCode: 'broken' })
    expect(await stateOf(id, versionId)).toMatchObject({ status: 'rejected', listing: 'rejected' })
    await server.sql`update template_versions set changelog = 'mended' where id = ${versionId}`
  })

  test('is decided by nobody of the publisher, and not by who opened it', async () => {
    const { caseId, integrity } = await submit()
    // The publisher's own people and keys hold nothing on the platform.
    const admin = await publisher.keyFor({ roles: ['admin'] })
    expect((await approve(caseId, { integrity }, { key: admin })).status).toBe(403)
    // The operator's key as who opened it, and as a member of the publisher.
    const operator = `key:key_${server.adminKey.slice(3, 29)}`
    const own = await submit(operator)
    const refused = await approve(own.caseId, { integrity: own.integrity })
    expect([refused.status, refused.body.code]).toEqual([403, 'own-case'])
    // Its owner, who moderates on the platform as well.
    await server.sql`insert into grants (id, subject, role_home, role_scope, role_name, granted_by)
      values (${newId('grt')}, 'user:alice', 'platform', 'platform', 'moderator', 'test')`
    server.access.changed('platform')
    const key = await issuer.tokenOf('alice')
    const inside = await submit(operator)
    const member = await approve(inside.caseId, { integrity: inside.integrity }, { key })
    expect([member.status, member.body.code]).toEqual([403, 'own-case'])
    const takeDown = `POST ${MODERATION}/templates/${inside.id}/take-down`
    const down = await server.call(takeDown, REASON, { key })
    expect(down.body.code).toBe('own-case')
    expect(await stateOf(own.id, own.versionId)).toMatchObject({ status: 'submitted' })
    expect(await stateOf(inside.id, inside.versionId)).toMatchObject({ status: 'submitted' })
  })

  test('of a version that is published inside stays so, whatever is decided', async () => {
    const [one, two] = [await submit(), await submit()]
    for (const { versionId } of [one, two])
      await server.sql`update template_versions set status = 'published' where id = ${versionId}`
    await server.call(`POST ${MODERATION}/cases/${one.caseId}/reject`, REASON)
    expect(await stateOf(one.id, one.versionId)).toMatchObject({
      ...{ status: 'published', listing: 'rejected', approvedIntegrity: null, integrations: [] },
    })
    expect((await approve(two.caseId, { integrity: two.integrity })).status).toBe(200)
    expect(await stateOf(two.id, two.versionId)).toMatchObject({ integrations: ['slack'] })
  })

  test('does not list again what its publisher took off', async () => {
    const { id, versionId, caseId, integrity } = await submit()
    await server.sql`update templates set listing = 'delisted' where id = ${id}`
    expect((await approve(caseId, { integrity })).status).toBe(200)
    expect(await stateOf(id, versionId)).toMatchObject({ status: 'published', listing: 'delisted' })
  })
})

describe('what is withdrawn', () => {
  test('is told in public, with a reason, and lifted again', async () => {
    const { id } = await putListed(server, publisher.id)
    const down = await server.call(`POST ${MODERATION}/templates/${id}/take-down`, REASON)
    expect([down.status, down.body.listing]).toEqual([200, 'taken_down'])
    const twice = await server.call(`POST ${MODERATION}/templates/${id}/take-down`, REASON)
    expect([twice.status, twice.body.code]).toEqual([409, 'taken-down-already'])
    const up = await server.call(`POST ${MODERATION}/templates/${id}/restore`, {})
    expect([up.status, up.body.listing]).toEqual([200, 'listed'])
    const [removal] =
      await server.sql`select reason_code, lifted_at from removals where template_id = ${id}`
    expect(removal).toMatchObject({ reasonCode: 'broken', liftedAt: expect.anything() })
  })

  test('a version: its number stays used, and its content stays', async () => {
    const { id, versionId } = await putListed(server, publisher.id)
    const block = await server.call(`POST ${MODERATION}/versions/${versionId}/block`, REASON)
    expect([block.status, block.body.status]).toEqual([200, 'blocked'])
    const unblock = await server.call(`POST ${MODERATION}/versions/${versionId}/unblock`, {})
    expect([unblock.status, unblock.body.status]).toEqual([200, 'published'])
    expect(await stateOf(id, versionId)).toMatchObject({ listing: 'listed' })
  })

  test('comes back as it was: off the list where its publisher took it off', async () => {
    const { id } = await putListed(server, publisher.id)
    await server.sql`update templates set listing = 'delisted' where id = ${id}`
    await server.call(`POST ${MODERATION}/templates/${id}/take-down`, REASON)
    const up = await server.call(`POST ${MODERATION}/templates/${id}/restore`, {})
    expect([up.status, up.body.listing]).toEqual([200, 'delisted'])
  })

  test('comes back to the queue where nobody has read it yet, else as it was decided since', async () => {
    const [one, two, three] = [await submit(), await submit(), await submit()]
    for (const { id } of [one, two, three])
      await server.call(`POST ${MODERATION}/templates/${id}/take-down`, REASON)
    expect((await approve(two.caseId, { integrity: two.integrity })).status).toBe(200)
    const rejected = await server.call(`POST ${MODERATION}/cases/${three.caseId}/reject`, REASON)
    expect(rejected.status).toBe(200)
    const up = async (id: string) =>
      (await server.call(`POST ${MODERATION}/templates/${id}/restore`, {})).body.listing
    expect([await up(one.id), await up(two.id), await up(three.id)]).toEqual([
      'in_review',
      'listed',
      'rejected',
    ])
    expect((await approve(one.caseId, { integrity: one.integrity })).status).toBe(200)
    expect(await stateOf(one.id, one.versionId)).toMatchObject({ listing: 'listed' })
  })

  test('a version comes back yanked, with its reason, where its publisher yanked it', async () => {
    const { id, versionId } = await putListed(server, publisher.id)
    await server.sql`
      update template_versions set status = 'yanked', status_reason = 'greets too loudly' where id = ${versionId}`
    expect(
      (await server.call(`POST ${MODERATION}/versions/${versionId}/block`, REASON)).status,
    ).toBe(200)
    const unblock = await server.call(`POST ${MODERATION}/versions/${versionId}/unblock`, {})
    expect([unblock.status, unblock.body.status]).toEqual([200, 'yanked'])
    const [version] =
      await server.sql`select status_reason from template_versions where id = ${versionId}`
    expect([version!.statusReason, (await stateOf(id, versionId))!.status]).toEqual([
      'greets too loudly',
      'yanked',
    ])
  })

  test('an appeal against what was lifted already changes nothing', async () => {
    const { id, versionId } = await putListed(server, publisher.id)
    const operator = 'user:somebody-else'
    const appealed = async (what: string, lift: string) => {
      const { body } = await server.call(`POST ${MODERATION}/${what}`, REASON)
      const caseId = newId('cas')
      await server.sql`insert into moderation_cases (id, kind, template_id, appeals, opened_by)
        values (${caseId}, 'appeal', ${id}, ${body.removal}, 'user:alice')`
      await server.sql`update removals set removed_by = ${operator} where id = ${body.removal}`
      expect((await server.call(`POST ${MODERATION}/${lift}`, {})).status).toBe(200)
      return caseId
    }
    const cases = [
      await appealed(`versions/${versionId}/block`, `versions/${versionId}/unblock`),
      await appealed(`templates/${id}/take-down`, `templates/${id}/restore`),
    ]
    await server.sql`update template_versions set status = 'yanked' where id = ${versionId}`
    await server.sql`update templates set listing = 'delisted' where id = ${id}`
    const [ofVersion, ofTemplate] = cases as [string, string]
    expect((await approve(ofVersion, {})).status).toBe(200)
    expect(await stateOf(id, versionId)).toMatchObject({ listing: 'delisted', status: 'yanked' })
    // Nor is it an appeal against what came after it.
    await server.call(`POST ${MODERATION}/templates/${id}/take-down`, REASON)
    expect((await approve(ofTemplate, {})).status).toBe(200)
    expect(await stateOf(id, versionId)).toMatchObject({ listing: 'taken_down' })
  })

  test('comes back by an appeal, which who removed it does not decide', async () => {
    const { id } = await putListed(server, publisher.id)
    const { body } = await server.call(`POST ${MODERATION}/templates/${id}/take-down`, REASON)
    const caseId = newId('cas')
    await server.sql`insert into moderation_cases (id, kind, template_id, appeals, opened_by)
      values (${caseId}, 'appeal', ${id}, ${body.removal}, 'user:alice')`
    const refused = await approve(caseId, {})
    expect([refused.status, refused.body.code]).toEqual([403, 'own-case'])
    await server.sql`update removals set removed_by = 'user:zoe' where id = ${body.removal}`
    expect((await approve(caseId, {})).status).toBe(200)
    const [template] = await server.sql`select listing from templates where id = ${id}`
    expect(template!.listing).toBe('listed')
  })
})

describe('an edit of a listed template', () => {
  test('shows once it is approved, and only what was proposed', async () => {
    const { id } = await putListed(server, publisher.id, { name: 'Before' })
    const caseId = newId('cas')
    const proposed = { name: 'After', tags: ['a', 'b'], description: 'Long.', license: 'ISC' }
    await server.sql`insert into moderation_cases (id, kind, template_id, proposed, opened_by)
      values (${caseId}, 'edit', ${id}, ${server.sql.json(proposed)}, 'user:alice')`
    expect((await approve(caseId, {})).status).toBe(200)
    const [shown] =
      await server.sql`select name, summary, category, tags, license, description from templates t
      join template_descriptions d on d.template_id = t.id where t.id = ${id}`
    expect(shown).toEqual({ ...proposed, summary: '', category: 'other' })
  })
})

describe('a publisher', () => {
  const act = (what: string, body: object) =>
    server.call(`POST ${MODERATION}/publishers/${publisher.slug}/${what}`, body)

  test('is banned with all it has listed, let in again, and vouched for', async () => {
    const { id } = await putListed(server, publisher.id)
    expect((await act('ban', REASON)).body.status).toBe('banned')
    const [template] = await server.sql`select listing from templates where id = ${id}`
    expect(template!.listing).toBe('taken_down')
    const { items } = (
      await server.call(`GET /v1/templates/removals?organization=${publisher.slug}`)
    ).body
    expect(items[0]).toMatchObject({ template: id, ...REASON, liftedAt: null })
    expect((await act('unban', {})).body.status).toBe('active')
    expect((await act('verify', {})).body.verifiedBy).toBe('moderator')
  })

  test('that is none is not found', async () => {
    const { status, body } = await act('ban', REASON)
    expect([status, body.code]).toEqual([404, 'publisher-not-found'])
  })
})

describe('categories', () => {
  const put = (slug: string, body: object) =>
    server.call(`PUT ${MODERATION}/categories/${slug}`, body)

  test('are a tree: nothing stands below itself', async () => {
    const [a, b] = [`a${Date.now()}`, `b${Date.now()}`]
    expect((await put(a, { name: 'A' })).status).toBe(200)
    expect((await put(b, { name: 'B', parent: a })).body.parent).toBe(a)
    expect((await put(a, { name: 'A', parent: b })).body.code).toBe('category-loop')
    expect((await put(a, { name: 'A', parent: a })).body.code).toBe('category-loop')
    expect((await put(a, { name: 'A', parent: 'nowhere' })).body.code).toBe('category-unknown')
  })

  test('end with a replacement, where their templates go', async () => {
    const slug = `c${Date.now()}`
    await put(slug, { name: 'C' })
    const { id } = await putListed(server, publisher.id)
    await server.sql`update templates set category = ${slug} where id = ${id}`
    const end = (replacement: string) =>
      server.call(`DELETE ${MODERATION}/categories/${slug}?replacement=${replacement}`)
    expect((await end(slug)).body.code).toBe('category-unknown')
    expect((await end('other')).status).toBe(204)
    const [moved] = await server.sql`select category from templates where id = ${id}`
    expect(moved!.category).toBe('other')
  })
})

test('the queue pages from the oldest on, and counts', async () => {
  const cases = [(await submit()).caseId, (await submit()).caseId, (await submit()).caseId]
  const seen: string[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const at: string = cursor === '' ? '' : `&cursor=${cursor}`
    const { body } = await server.call(
      `GET ${MODERATION}/cases?limit=2&publisher=${publisher.id}${at}`,
    )
    seen.push(...body.items.map(({ id }: { id: string }) => id))
    cursor = body.nextCursor
  }
  expect(seen).toEqual(cases)
  const { body } = await server.call(`GET ${MODERATION}/stats`)
  expect(
    body.open.find(({ kind }: { kind: string }) => kind === 'submission').cases,
  ).toBeGreaterThan(2)
})
