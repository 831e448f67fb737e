import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'
import { givenPublisher, type Publisher } from './given.ts'

let server: TestServer
let mine: Publisher
let at: string
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())
beforeEach(async () => {
  mine = await givenPublisher(server)
  at = (await mine.make()).at
})

const slack = { name: 'Tell', type: 'n8n-nodes-base.slack', parameters: {} }
const add = (version: string, definition: object = {}, body: object = {}) =>
  server.call(`POST ${at}/versions`, { version, definition, ...body })
const publish = (version: string) => server.call(`POST ${at}/versions/${version}/publish`)
const resultOf = (checks: { name: string; result: string }[], name: string) =>
  checks.filter((check) => check.name === name).map(({ result }) => result)

describe('a version', () => {
  test('is a draft with what the server computes of it, and what the checks say', async () => {
    const { status, body, headers } = await add('1.0.0', { nodes: [slack] }, { changelog: 'New.' })
    expect([status, headers.get('etag')]).toEqual([201, '"1"'])
    expect(body).toMatchObject({ version: '1.0.0', status: 'draft', changelog: 'New.', edit: 1 })
    expect(body.capabilities).toEqual(['integration:slack'])
    expect([...new Set(body.checks.map(({ result }: { result: string }) => result))]).toEqual([
      'passed',
      'skipped',
    ])
    const { items } = await mine.must(`GET ${at}/versions`)
    expect(items.map(({ version }: { version: string }) => version)).toEqual(['0.1.0', '1.0.0'])
    expect(JSON.stringify(items)).not.toContain('definition')
  })

  test.each([
    ...['1', '1.0', 'v1.0.0', '1.0.0+build', '01.0.0', '1.0.0-', '1.0.0-01', ' 1.0.0', '1.0.0 '],
    ...[
      '1.0.0-ä',
      '-1.0.0',
      '1.0.2147483648',
      '1.0.99999999999999999999',
      'latest',
      '^1.0.0',
      '1.x',
    ],
  ])('is not numbered %s', async (version) => {
    const { status, body } = await add(version)
    expect([status, body.errors[0].pointer]).toEqual([422, '/version'])
  })

  test.each([
    '0.0.1',
    '1.0.0-alpha.1',
    '1.0.0--',
    '10.20.30',
    '2147483647.0.0',
    '1.0.0-0A.is.legal',
  ])('may be numbered %s', async (version) => {
    expect([(await add(version)).status, version]).toEqual([201, version])
    expect((await mine.must(`GET ${at}/versions/${version}`)).version).toBe(version)
  })

  test('has a number of its own; that of a draft is free again, that of a published one never', async () => {
    expect((await add('1.0.0')).status).toBe(201)
    const twice = await add('1.0.0')
    expect([twice.status, twice.body.code]).toEqual([409, 'version-exists'])
    expect((await server.call(`DELETE ${at}/versions/1.0.0`)).status).toBe(204)
    expect((await add('1.0.0')).status).toBe(201)
    expect((await publish('1.0.0')).body.status).toBe('published')
    await mine.must(`POST ${at}/versions/1.0.0/yank`, { reason: 'a mistake' })
    expect((await server.call(`DELETE ${at}/versions/1.0.0`)).body.code).toBe('version-immutable')
    expect((await add('1.0.0')).body.code).toBe('version-exists')
  })

  test('is edited as a draft, at the edit that was read', async () => {
    const ifMatch = (edit: number) => ({ headers: { 'if-match': `"${edit}"` } })
    const what = `PATCH ${at}/versions/0.1.0`
    const edited = await server.call(what, { definition: { nodes: [slack] } }, ifMatch(1))
    expect([edited.status, edited.body.edit]).toEqual([200, 2])
    expect(edited.body.capabilities).toEqual(['integration:slack'])
    expect((await server.call(what, { changelog: 'x' }, ifMatch(1))).status).toBe(412)
    const renamed = await server.call(what, { version: '0.2.0-rc.1' }, ifMatch(2))
    expect([renamed.body.version, renamed.body.capabilities]).toEqual([
      '0.2.0-rc.1',
      ['integration:slack'],
    ])
    expect((await server.call(`GET ${at}/versions/0.1.0`)).body.code).toBe('version-not-found')
  })

  test('holds what it held, byte for byte, whoever changes the answer', async () => {
    const definition = { b: [1.0, 'é'], a: { z: null, y: 1e21 } }
    const { body } = await add('1.0.0', definition)
    const read = () => server.call(`GET ${at}/versions/1.0.0/content`)
    const first = await read()
    expect(first.body).toMatchObject({ definition, integrity: body.integrity, license: 'MIT' })
    expect(first.headers.get('etag')).toBe(`"${body.integrity}"`)
    first.body.definition.a.z = 'mine'
    const second = await read()
    expect(second.body.definition).toEqual(definition)
    const canonical = '{"a":{"y":1e+21,"z":null},"b":[1,"é"]}'
    const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(canonical))
    expect(second.body.integrity).toBe(`sha256-${Buffer.from(hash).toString('base64')}`)
    // The other order is the same content.
    expect((await add('1.0.1', { a: definition.a, b: definition.b })).body.integrity).toBe(
      body.integrity,
    )
  })
})

describe('the step from one version to the next', () => {
  const asking = (...names: string[]) => ({ ask: names.map((name) => ({ $input: name })) })

  test.each([
    ['patch', 'nothing', asking('a'), asking('a')],
    ['minor', 'one more input', asking('a'), asking('a', 'b')],
    ['minor', 'one more capability', asking('a'), { ...asking('a'), hosts: ['x.example'] }],
    ['patch', 'a capability less', { hosts: ['x.example'] }, {}],
    ['major', 'an input less', asking('a', 'b'), asking('a')],
    ['major', 'an input renamed', asking('a'), asking('b')],
    ['major', 'an input of another type', { x: { $input: 'a' } }, { token: { $input: 'a' } }],
  ])('is %s where there is %s', async (proposedStep, _, before, after) => {
    await add('1.0.0', before)
    await publish('1.0.0')
    const numbers = ['1.0.1', '1.1.0', '2.0.0']
    const needed = ['patch', 'minor', 'major'].indexOf(proposedStep)
    for (const [step, number] of numbers.entries()) {
      // A prerelease stands as far off as what it precedes.
      for (const version of [`${number}-beta.1`, number]) {
        const { status, body } = await add(version, after)
        expect([version, status]).toEqual([version, step < needed ? 422 : 201])
        if (step < needed)
          expect([body.proposedStep, body.proposed]).toEqual([proposedStep, numbers[needed]])
      }
    }
  })

  test('is asked again when a draft is edited and when it is published', async () => {
    await add('1.0.1', { hosts: ['x.example'] })
    await add('1.0.0', {})
    await publish('1.0.0')
    const late = await publish('1.0.1')
    expect([late.status, resultOf(late.body.checks, 'step')]).toEqual([422, ['failed']])
    const patched = await server.call(`PATCH ${at}/versions/1.0.1`, { changelog: 'x' })
    expect([patched.status, patched.body.proposed]).toEqual([422, '1.1.0'])
    expect((await server.call(`PATCH ${at}/versions/1.0.1`, { version: '1.1.0' })).status).toBe(200)
  })

  test('does not stand in the way of a lower line', async () => {
    await add('1.0.0', asking('a'))
    await add('2.0.0', asking('b'))
    await publish('1.0.0')
    await publish('2.0.0')
    expect((await add('1.0.1', asking('a'))).status).toBe(201)
    expect((await add('1.0.2', asking('b'))).status).toBe(422)
  })
})

describe('once submitted or published, a version', () => {
  const attempts = (version: string) =>
    [
      [`PATCH ${at}/versions/${version}`, { definition: { other: true } }],
      [`PATCH ${at}/versions/${version}`, { version: '9.9.9' }],
      [`PATCH ${at}/versions/${version}`, { changelog: 'Harmless.' }],
      [`DELETE ${at}/versions/${version}`, undefined],
    ] as const
  const standsAsItIs = async (version: string) => {
    const before = await server.call(`GET ${at}/versions/${version}/content`)
    for (const [what, body] of attempts(version)) {
      const { status, body: answer } = await server.call(what, body)
      expect([what, status, answer.code]).toEqual([what, 409, 'version-immutable'])
    }
    const again = await publish(version)
    expect([again.status, again.body.code]).toEqual([409, 'version-not-draft'])
    expect((await add(version, { other: true })).body.code).toBe('version-exists')
    expect((await server.call(`GET ${at}/versions/${version}/content`)).body).toEqual(before.body)
  }

  test('stands as it is while a moderator looks', async () => {
    await mine.must(`PUT ${at}/visibility`, { visibility: 'public' })
    await mine.must(`POST ${at}/versions/0.1.0/submit`, {})
    await standsAsItIs('0.1.0')
  })

  test('stands as it is, published, yanked and restored', async () => {
    await publish('0.1.0')
    await standsAsItIs('0.1.0')
    const step = (verb: string) =>
      server.call(`POST ${at}/versions/0.1.0/${verb}`, { reason: 'a reason' })
    expect((await step('restore')).body.code).toBe('version-not-yanked')
    const yanked = await step('yank')
    expect([yanked.body.status, yanked.body.statusReason]).toEqual(['yanked', 'a reason'])
    await standsAsItIs('0.1.0')
    expect((await step('yank')).body.code).toBe('version-not-published')
    expect((await step('restore')).body).toMatchObject({ status: 'published', statusReason: null })
    const [event] = await mine.eventsOf('template-version.yanked')
    expect(event.reason).toBe('a reason')
  })

  test('stands as it is in the database as well', async () => {
    const { body } = await add('1.0.0')
    await publish('1.0.0')
    const set = [
      ...['definition = \'{"a":1}\'', 'major = 9', "version = '9.0.0'", "integrity = ''"],
      ...["status = 'draft'", "status = 'submitted'", "capabilities = '[]'", "inputs = '[{}]'"],
    ]
    const statements = [
      ...set.map((each) => `update template_versions set ${each} where id = '${body.id}'`),
      `delete from template_versions where id = '${body.id}'`,
    ]
    for (const role of ['latchkey_app', 'latchkey_platform'])
      for (const statement of statements) {
        const refused = await server.sql
          .begin(async (tx) => {
            await tx`select set_config('role', ${role}, true), set_config('latchkey.organization', ${mine.id}, true)`
            const { count } = await tx.unsafe(statement)
            return count
          })
          .catch((error: { code: string }) => error.code)
        // Row-level security, the trigger, a generated column, or a check: never a row.
        if (!statement.includes("capabilities = '[]'"))
          expect([role, statement, typeof refused]).toEqual([role, statement, 'string'])
      }
    const after = await mine.must(`GET ${at}/versions/1.0.0`)
    expect(after).toMatchObject({ status: 'published', integrity: body.integrity })
  })
})

describe('publishing inside', () => {
  test('needs no moderator and lets nobody else have it', async () => {
    const published = await publish('0.1.0')
    expect(published.body).toMatchObject({ status: 'published', approved: false, review: null })
    expect((await mine.must(`GET ${at}`)).latest).toBe('0.1.0')
    const publisher = await mine.keyFor({ permissions: ['scenario:template:publish'] })
    const submitter = await mine.keyFor({ permissions: ['template:submit'] })
    await add('0.1.1')
    const what = `POST ${at}/versions/0.1.1/publish`
    expect((await server.call(what, undefined, { key: submitter })).body.permission).toBe(
      'scenario:template:publish',
    )
    expect((await server.call(what, undefined, { key: publisher })).status).toBe(200)
  })

  test('tells the catalog of nothing that others have not been let have', async () => {
    const listed = await mine.list()
    at = listed.at
    await add('1.0.0', { nodes: [slack] })
    await publish('1.0.0')
    expect((await mine.must(`GET ${at}`)).integrations).toEqual([])
  })
})

describe('a submission', () => {
  const submit = (body: object = {}) => server.call(`POST ${at}/versions/0.1.0/submit`, body)

  test('is for others: what is private needs none', async () => {
    const { status, body } = await submit()
    expect([status, body.code]).toEqual([422, 'visibility-private'])
  })

  test('opens a case with what the checks say, one at a time, and is taken back', async () => {
    await mine.must(`PUT ${at}/visibility`, { visibility: 'public' })
    const opened = await submit({ note: 'Please.' })
    expect([opened.status, opened.body.kind, opened.body.state]).toEqual([
      201,
      'submission',
      'open',
    ])
    expect(opened.body).toMatchObject({ version: '0.1.0', note: 'Please.', proposed: null })
    expect(opened.body.checks.length).toBeGreaterThan(5)
    const version = await mine.must(`GET ${at}/versions/0.1.0`)
    expect([version.status, version.review.state]).toEqual(['submitted', 'open'])
    expect((await mine.must(`GET ${at}`)).listing).toBe('in_review')
    expect((await submit()).body.code).toBe('version-not-submittable')
    const back = await mine.must(`POST ${at}/versions/0.1.0/withdraw`)
    expect([back.id, back.state]).toEqual([opened.body.id, 'withdrawn'])
    expect((await mine.must(`GET ${at}`)).listing).toBe('draft')
    expect((await mine.must(`GET ${at}/versions/0.1.0`)).status).toBe('draft')
    const twice = await server.call(`POST ${at}/versions/0.1.0/withdraw`)
    expect([twice.status, twice.body.code]).toEqual([409, 'submission-not-open'])
  })

  test('of what is published inside leaves it there, and withdrawn it is published still', async () => {
    await mine.must(`PUT ${at}/visibility`, { visibility: 'unlisted' })
    await publish('0.1.0')
    expect((await submit()).status).toBe(201)
    expect((await submit()).body.code).toBe('submission-open')
    expect((await mine.must(`GET ${at}/versions/0.1.0`)).status).toBe('published')
    expect((await mine.must(`GET ${at}`)).listing).toBe('draft')
    await mine.must(`POST ${at}/versions/0.1.0/withdraw`)
    expect((await mine.must(`GET ${at}/versions/0.1.0`)).status).toBe('published')
  })

  test('is refused with the checks where one fails', async () => {
    await mine.must(`PUT ${at}/visibility`, { visibility: 'public' })
    await mine.must(`PATCH ${at}`, { description: 'A [link](javascript:alert(1)).' })
    const refused = await submit()
    expect([refused.status, refused.body.code]).toEqual([422, 'checks-failed'])
    expect(resultOf(refused.body.checks, 'markdown')).toEqual(['failed'])
    expect(refused.body.errors[0].pointer).toBe('/description')
    expect((await mine.must(`GET ${at}/versions/0.1.0`)).status).toBe('draft')
    const asked = await mine.must(`POST ${at}/versions/0.1.0/checks`)
    expect(resultOf(asked.checks, 'markdown')).toEqual(['failed'])
  })

  test('is refused of a banned publisher, and of what was taken down', async () => {
    await mine.must(`PUT ${at}/visibility`, { visibility: 'public' })
    await server.sql`update publishers set status = 'banned' where organization_id = ${mine.id}`
    expect((await submit()).body.code).toBe('publisher-banned')
    await server.sql`update publishers set status = 'active' where organization_id = ${mine.id}`
    await server.sql`update templates set listing = 'taken_down' where organization_id = ${mine.id}`
    expect((await submit()).body.code).toBe('template-taken-down')
  })

  test('is one, however many ask at once; and so is a number, and a withdrawal', async () => {
    await mine.must(`PUT ${at}/visibility`, { visibility: 'public' })
    const statusesOf = async (ask: () => Promise<{ status: number }>) =>
      (await Promise.all(Array.from({ length: 12 }, ask))).map(({ status }) => status).toSorted()
    const once = (status: number) => [status, ...Array.from({ length: 11 }, () => 409)]
    expect(await statusesOf(() => submit())).toEqual(once(201))
    expect(await statusesOf(() => server.call(`POST ${at}/versions/0.1.0/withdraw`))).toEqual(
      once(200),
    )
    expect(await statusesOf(() => add('3.0.0'))).toEqual(once(201))
    expect(await statusesOf(() => publish('3.0.0'))).toEqual(once(200))
  })

  test('is not decided by its own organization, whatever it writes', async () => {
    await mine.must(`PUT ${at}/visibility`, { visibility: 'public' })
    await submit()
    const statements = {
      "update moderation_cases set state = 'approved'": '23514',
      "update moderation_cases set state = 'rejected'": '23514',
      "update moderation_cases set decided_by = 'user:eve'": '42501',
      "update templates set listing = 'listed'": 'LK011',
      "update templates set listing = 'rejected'": 'LK011',
      "update template_versions set status = 'rejected'": 'LK011',
      "update template_versions set status = 'published'": 'LK011',
      'update template_versions set approved_integrity = integrity': '42501',
      'update templates set is_official = true': '42501',
    }
    for (const [statement, code] of Object.entries(statements)) {
      const refused = await server.sql
        .begin(async (tx) => {
          await tx`select set_config('role', 'latchkey_app', true), set_config('latchkey.organization', ${mine.id}, true)`
          return tx.unsafe(statement)
        })
        .catch((error: { code: string }) => error.code)
      expect([statement, refused]).toEqual([statement, code])
    }
  })
})

describe('what a moderator has decided', () => {
  const asApp = (statement: string) =>
    server.sql
      .begin(async (tx) => {
        await tx`select set_config('role', 'latchkey_app', true), set_config('latchkey.organization', ${mine.id}, true)`
        return (await tx.unsafe(statement)).count
      })
      .catch((error: { code: string }) => error.code)

  test('about a version is not undone by its organization', async () => {
    await publish('0.1.0')
    await server.sql`update template_versions set status = 'blocked' where template_id = ${at.slice(-30)}`
    for (const status of ['published', 'yanked', 'draft'])
      expect([status, await asApp(`update template_versions set status = '${status}'`)]).toEqual([
        status,
        'LK011',
      ])
    const what = `POST ${at}/versions/0.1.0/restore`
    expect((await server.call(what, { reason: 'x' })).body.code).toBe('version-not-yanked')
  })

  test('is not there from the start, whatever is written with a row', async () => {
    const ids = { template: at.slice(-30), organization: mine.id }
    const hash = `sha256-${'A'.repeat(43)}=`
    for (const [more, value] of [
      ['is_official', 'true'],
      ['listing', "'listed'"],
      ['rating_sum', '50'],
      ['install_count', '50'],
      ['popularity', '50'],
    ])
      expect([
        more,
        await asApp(`insert into templates (id, organization_id, slug, name, category, license, ${more})
          values ('tpl_${'0'.repeat(26)}', '${ids.organization}', 'x', 'X', 'other', 'MIT', ${value})`),
      ]).toEqual([more, '42501'])
    for (const [more, value] of [
      ['approved_integrity', `'${hash}'`],
      ['status', "'published'"],
      ['published_at', 'now()'],
    ])
      expect([
        more,
        await asApp(`insert into template_versions (id, template_id, major, minor, patch, definition, integrity, size_bytes,
            capabilities, ${more})
          values ('ver_${'0'.repeat(26)}', '${ids.template}', 9, 0, 0, '{}', '${hash}', 2, '[]', ${value})`),
      ]).toEqual([more, '42501'])
    for (const [more, value] of [
      ['state', "'approved'"],
      ['decided_by', "'user:eve'"],
    ])
      expect([
        more,
        await asApp(`insert into moderation_cases (id, kind, template_id, opened_by, ${more})
          values ('cas_${'0'.repeat(26)}', 'edit', '${ids.template}', 'user:x', ${value})`),
      ]).toEqual([more, '42501'])
  })

  test('about the words of a template is not undone either', async () => {
    const { body } = await mine.list({ description: 'Old.' })
    for (const statement of [
      "update templates set name = 'Bank' where listing = 'listed'",
      "update templates set tags = '{bank}' where listing = 'listed'",
      "update templates set license = 'GPL-3.0-only' where listing = 'listed'",
      `update template_descriptions set description = 'New.'`,
      `delete from template_descriptions`,
    ])
      expect([statement, await asApp(statement)]).toEqual([statement, 'LK011'])
    await server.sql`update templates set listing = 'taken_down' where id = ${body.id}`
    expect(await asApp("update templates set listing = 'listed'")).toBe('LK011')
  })
})
