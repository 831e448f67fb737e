import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EVALUATIONS_MAX } from '../../src/authzen/schema.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const ALICE = { type: 'user', id: 'alice' }
const BOB = { type: 'user', id: 'bob' }
const READ = { name: 'read' }
const SHARE = { name: 'share' }
const SCENARIO = { type: 'scenario', id: '1' }
const ERROR = (message: string) => ({
  decision: false,
  context: { error: { status: 400, message } },
})

let server: TestServer
let key: string
beforeAll(async () => {
  server = await startTestServer()
  const { path, keyFor } = await server.newOrganization('user:alice')
  key = await keyFor({ permissions: ['decision:check'] })
  await server.call(`PUT ${path}/members/bob`, { roles: [] })
  await server.call(`POST ${path}/grants`, { subject: 'user:bob', permission: 'scenario:read' })
  const condition = 'resource.status == "draft"'
  const draft = { subject: 'user:bob', permission: 'scenario:update', condition }
  await server.call(`POST ${path}/grants`, draft)
  const safe = { subject: 'user:bob', permission: 'scenario:delete', condition: 'context.safe' }
  await server.call(`POST ${path}/grants`, safe)
})
afterAll(() => server.drop())

const ask = (body: unknown) => server.call('POST /access/v1/evaluations', body, { key })
/** Bob may read and not share. */
const bobAsks = (evaluations: unknown[], options?: unknown) =>
  ask({ subject: BOB, resource: SCENARIO, evaluations, options })
const decisionsOf = async (...asked: Parameters<typeof bobAsks>) => {
  const { status, body } = await bobAsks(...asked)
  expect([status, Object.keys(body)]).toEqual([200, ['evaluations']])
  return body.evaluations.map(({ decision }: { decision: boolean }) => decision)
}

describe('without evaluations', () => {
  test.each([
    ['absent', {}],
    ['empty', { evaluations: [] }],
    ['null', { evaluations: null }],
  ])('it is a single question: %s', async (_, more) => {
    const { status, body } = await ask({
      subject: ALICE,
      action: READ,
      resource: SCENARIO,
      ...more,
    })
    expect([status, body]).toEqual([200, { decision: true }])
    expect((await ask({ subject: ALICE, action: READ, ...more })).status).toBe(400)
  })
})

describe('an item', () => {
  test('takes each entity whole, its own or the default', async () => {
    const { body } = await ask({
      subject: BOB,
      action: { name: 'update' },
      resource: { ...SCENARIO, properties: { status: 'draft' } },
      evaluations: [{}, { resource: SCENARIO }, { subject: ALICE }, { action: READ }],
    })
    expect(body.evaluations.map((each: { decision: boolean }) => each.decision)).toEqual([
      ...[true, false, true, true],
    ])
  })

  test('takes the context whole, too', async () => {
    const { body } = await ask({
      subject: BOB,
      action: { name: 'delete' },
      resource: SCENARIO,
      context: { safe: true },
      evaluations: [{}, { context: null }, { context: {} }, { context: { safe: false } }],
    })
    expect(body.evaluations.map((each: { decision: boolean }) => each.decision)).toEqual([
      ...[true, true, false, false],
    ])
  })

  test('inherits where it says null', async () => {
    const item = { subject: null, action: READ, resource: null, context: null }
    expect(await decisionsOf([item])).toEqual([true])
  })

  test.each<[string, unknown, string]>([
    ['nothing', {}, '/action is required.'],
    ['null', null, 'The evaluation must be an object.'],
    ['a word', 'hunter2', 'The evaluation must be an object.'],
    ['a list', [READ], 'The evaluation must be an object.'],
    ['an action without a name', { action: {} }, '/action/name is required.'],
    ['a name that is a number', { action: { name: 7 } }, '/action/name must be string.'],
    ['a half subject', { action: READ, subject: { id: 'bob' } }, '/subject/type is required.'],
    ['an empty id', { action: READ, resource: { type: 'scenario', id: '' } }, ''],
    ['properties in a list', { action: { ...READ, properties: [] } }, ''],
    ['a context that is a word', { action: READ, context: 'hunter2' }, ''],
  ])('that cannot be understood is denied alone: %s', async (_, item, message) => {
    const { status, body } = await bobAsks([{ action: READ }, item, { action: READ }])
    expect([status, body.evaluations[0], body.evaluations[2]]).toEqual([
      200,
      { decision: true },
      { decision: true },
    ])
    expect(body.evaluations[1]).toEqual(message ? ERROR(message) : ERROR(expect.any(String)))
    expect(JSON.stringify(body)).not.toContain('hunter2')
  })

  test('that fails alone is still an answer', async () => {
    expect((await ask({ evaluations: [{}] })).body.evaluations).toEqual([
      ERROR('/subject is required.'),
    ])
  })

  test('cannot take anything from __proto__', async () => {
    const text = JSON.stringify({
      resource: SCENARIO,
      evaluations: [{ PROTO: { subject: ALICE, action: READ } }],
    }).replace('PROTO', '__proto__')
    const { status, body } = await ask(text)
    expect([status, body.evaluations[0].decision]).toEqual([200, false])
  })
})

test('defaults that nobody uses are not read', async () => {
  for (const unused of [{}, { type: 'scenario' }, 'text', 7, [], null]) {
    const { body } = await ask({
      subject: unused,
      action: READ,
      resource: unused,
      context: unused,
      evaluations: [{ subject: BOB, resource: SCENARIO, context: {} }],
    })
    expect(body).toEqual({ evaluations: [{ decision: true }] })
  }
})

describe('the semantic', () => {
  const [yes, no] = [{ action: READ }, { action: SHARE }]
  test.each([
    ['execute_all', [yes, no, yes], [true, false, true]],
    ['deny_on_first_deny', [yes, no, yes], [true, false]],
    ['deny_on_first_deny', [no, yes, yes], [false]],
    ['deny_on_first_deny', [yes, yes, yes], [true, true, true]],
    ['deny_on_first_deny', [yes, { action: {} }, yes], [true, false]],
    ['deny_on_first_deny', [null, yes], [false]],
    ['permit_on_first_permit', [no, yes, no], [false, true]],
    ['permit_on_first_permit', [yes, yes, no], [true]],
    ['permit_on_first_permit', [no, no, no], [false, false, false]],
    ['permit_on_first_permit', [{ action: {} }, yes, no], [false, true]],
  ])('%s stops where it says', async (evaluations_semantic, evaluations, decisions) => {
    expect(await decisionsOf(evaluations, { evaluations_semantic })).toEqual(decisions)
  })

  test.each([
    ['no options', undefined],
    ['options null', null],
    ['other options', { another: true }],
    ['a semantic of null', { evaluations_semantic: null }],
  ])('is execute_all with %s', async (_, options) => {
    expect(await decisionsOf([no, yes, no], options)).toEqual([false, true, false])
  })

  test.each<[string, unknown]>([
    ['an unknown semantic', { evaluations_semantic: 'hunter2' }],
    ['a semantic that is a number', { evaluations_semantic: 7 }],
    ['options that are a word', 'hunter2'],
    ['options that are a list', []],
  ])('is refused with the whole batch: %s', async (_, options) => {
    for (const evaluations of [[yes], []]) {
      const { status, body } = await ask({
        ...{ subject: BOB, action: READ, resource: SCENARIO },
        ...{ evaluations, options },
      })
      expect(status).toBe(400)
      expect(JSON.stringify(body)).not.toContain('hunter2')
    }
  })
})

describe('a batch', () => {
  test.each([{}, 'text', 7, true])(
    'is refused where evaluations is no list',
    async (evaluations) => {
      const { status } = await ask({ subject: BOB, action: READ, resource: SCENARIO, evaluations })
      expect(status).toBe(400)
    },
  )

  test('is refused as a list', async () => {
    expect((await ask([{ subject: BOB, evaluations: [{}] }])).status).toBe(400)
  })

  test('holds at most 1,000 questions', async () => {
    const many = (count: number) => Array.from({ length: count }, () => ({ action: READ }))
    expect(await decisionsOf(many(EVALUATIONS_MAX))).toHaveLength(1000)
    const { status, body } = await bobAsks(many(EVALUATIONS_MAX + 1))
    expect([status, body.errors[0].pointer]).toEqual([400, '/evaluations'])
  })

  test('is answered the same each time, with the revision in the head', async () => {
    const once = await bobAsks([{ action: READ }, {}])
    const twice = await bobAsks([{ action: READ }, {}])
    expect(twice.body).toEqual(once.body)
    expect(twice.revision).toMatch(/^org_/)
  })

  test('repeats large defaults only so often', async () => {
    const context = { list: Array.from({ length: 20_000 }, (_, index) => index) }
    const batch = (length: number) => ({
      ...{ subject: BOB, resource: SCENARIO, context },
      evaluations: Array.from({ length }, () => ({ action: READ })),
    })
    expect((await ask(batch(40))).status).toBe(200)
    const { status, body } = await ask(batch(1000))
    expect([status, body.code]).toEqual([400, 'defaults-too-large'])
  })
})
