import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  bothConditions,
  checkCondition,
  conditionHolds,
  environmentOf,
  evaluateCondition,
} from '../../src/engine/condition.ts'
import {
  ATTRIBUTE_STRING_LENGTH_MAX,
  ATTRIBUTE_VALUES_MAX,
  CONDITION_STEPS_MAX,
} from '../../src/engine/condition-rules.ts'
import type { Bag } from '../../src/engine/line.ts'

const now = new Date('2026-11-21T12:00:00Z')

const asked = ({
  subject,
  resource,
  context,
  owner,
}: {
  subject?: Bag
  resource?: Bag
  context?: Bag
  owner?: string | null
} = {}) =>
  environmentOf({
    subject: { type: 'user', id: 'ann', attributes: subject },
    resource: { type: 'note', id: '1', attributes: resource, owner },
    action: { name: 'update' },
    context,
    now,
  })

describe('what CEL answers', () => {
  const fails = undefined
  test.each<[string, boolean | undefined, Parameters<typeof asked>[0]]>([
    ['resource.nope == "x"', fails, {}],
    ['resource.nope != "x"', fails, {}],
    ['resource.nope == null', fails, {}],
    ['has(resource.nope) && resource.nope == "x"', false, {}],
    ['has(resource.a.b)', fails, {}],
    ['resource.owner == subject.id', false, { owner: null }],
    ['resource.owner == subject.id', fails, {}],
    ['resource.owner == subject.id', true, { owner: 'ann' }],
    ['resource.size > 3', true, { resource: { size: 10 } }],
    ['resource.size == 10', true, { resource: { size: 10 } }],
    ['subject.level in [5, 6]', true, { subject: { level: 5 } }],
    ['resource.size + 1 == 11', fails, { resource: { size: 10 } }],
    ['resource.size + 1.0 == 11.0', true, { resource: { size: 10 } }],
    ['int(resource.size) + 1 == 11', true, { resource: { size: 10 } }],
    ['context.s > 3', fails, { context: { s: '5' } }],
    ['context.s == 5', false, { context: { s: '5' } }],
    ['subject.id == "ann" || resource.nope', true, {}],
    ['resource.nope || subject.id == "ann"', true, {}],
    ['false && resource.nope', false, {}],
    ['resource.nope && false', false, {}],
    ['true && resource.nope', fails, {}],
    ['"ell" in "hello"', fails, {}],
    ['now < timestamp("2026-12-01T00:00:00Z")', true, {}],
    ['now < timestamp("2026-11-01T00:00:00Z")', false, {}],
    ['now - timestamp("2026-11-20T00:00:00Z") > duration("24h")', true, {}],
    ['now.getHours() == 12', true, {}],
    ['now.getHours("America/New_York") == 7', true, {}],
    ['now.getHours("Nowhere/Town") == 7', fails, {}],
    ['context.roles.exists(r, r == "boss")', true, { context: { roles: ['boss'] } }],
    ['context.roles.exists(r, r.name == "boss")', true, { context: { roles: [{ name: 'boss' }] } }],
    ['"a" in context.scopes', true, { context: { scopes: ['a', 'b'] } }],
    [
      'context.scopes.all(s, s in subject.scopes)',
      true,
      {
        context: { scopes: ['a'] },
        subject: { scopes: ['a', 'b'] },
      },
    ],
    ['context["mfa"]', true, { context: { mfa: true } }],
    ['"mfa" in context', false, {}],
    ['resource.type == "note" && action.name == "update"', true, {}],
    ['resource.constructor == null', fails, {}],
    ['resource.owner ==', fails, {}],
    ['', fails, {}],
    ['subject.id', fails, {}],
    ['1', fails, {}],
    ['unknown.x', fails, {}],
    ['context.gone == null', true, { context: { gone: null } }],
  ])('%s is %s', (text, result, given) => {
    expect(evaluateCondition(text, asked(given))).toBe(result)
  })
})

describe('whether a line applies', () => {
  test.each<[string, string, boolean]>([
    ['true', 'allow', true],
    ['true', 'deny', true],
    ['subject.id == "ann"', 'allow', true],
    ['subject.id == "ann"', 'deny', true],
    ['subject.id == "bob"', 'allow', false],
    ['subject.id == "bob"', 'deny', false],
    ['resource.nope', 'allow', false],
    ['resource.nope', 'deny', true],
    ['resource.nope ==', 'allow', false],
    ['resource.nope ==', 'deny', true],
    ['subject.id', 'allow', false],
    ['subject.id', 'deny', true],
    ['', 'allow', false],
    ['', 'deny', true],
    ['resource.nope', 'Deny', false],
  ])('%j of an %s: %s', (text, effect, applies) => {
    expect(conditionHolds(text, effect, asked())).toBe(applies)
  })

  test('a condition of a role and one of its line hold only together', () => {
    expect(bothConditions(null, null)).toBe(null)
    expect(bothConditions('a', null)).toBe('a')
    expect(bothConditions(null, 'b')).toBe('b')
    const both = bothConditions('context.a || context.b', 'context.c')!
    expect(evaluateCondition(both, asked({ context: { a: true, b: true, c: false } }))).toBe(false)
    expect(evaluateCondition(both, asked({ context: { a: false, b: true, c: true } }))).toBe(true)
  })

  test('two of the largest conditions can be joined', () => {
    const deep = `${'('.repeat(18)}context.a${')'.repeat(18)}`
    const wide = `${'context.a && '.repeat(66)}true`
    for (const text of [deep, wide]) {
      expect(checkCondition(text)).toEqual({ ok: true })
      expect(evaluateCondition(bothConditions(text, text)!, asked({ context: { a: true } }))).toBe(
        true,
      )
    }
  })
})

describe('what may be written', () => {
  test.each([
    'true',
    'resource.owner == subject.id',
    'has(resource.status) && resource.status in ["draft", "review"]',
    'context.mfa',
    'now < timestamp("2026-12-01T00:00:00Z")',
    'now - timestamp(context.since) > duration("24h")',
    'context.scopes.all(s, s in subject.scopes)',
    'context.roles.exists(r, r.organization == resource.organization && r.name == "boss")',
    'context.a.all(x, x == 1) && context.b.all(x, x == 1)',
    '["Europe/Paris", "Asia/Tokyo"].exists(z, now.getHours(z) < 5)',
    'context.note == "no // comment, no \\n line"',
    "resource.path.startsWith('/public/')",
    'context.a ? context.b : !context.c',
    'size(context.list) > -3',
    'context.x == {"a": 1, "b": 2}',
    '"x" in context',
    'resource["owner"] == subject["id"]',
    'context.sizes.map(s, s * 2.0) == [2.0]',
  ])('%s', (text) => {
    expect(checkCondition(text)).toEqual({ ok: true })
  })

  test.each<[string, string, string]>([
    ['nothing', ' ', 'is empty'],
    ['too long a text', `context.a == '${'x'.repeat(1024)}'`, 'has 1039 characters, and 1024'],
    ['half a character', 'context.a == "\ud800"', 'surrogate'],
    ['a line break', 'true\n&& true', 'at character 5: it must be one line'],
    ['U+0000', 'context.a == "\0"', 'at character 15: it must be one line'],
    ['half an expression', 'resource.owner ==', 'at character 18: unexpected end'],
    ['a stray character', 'true @', 'at character 6: unexpected character'],
    ['too many nodes', `true${' && true'.repeat(100)}`, 'more than 200 parts'],
    ['too deep an expression', `${'('.repeat(20)}true${')'.repeat(20)}`, 'more than 20 levels'],
    ['too long a list', `1 in [${'1,'.repeat(64)}1]`, 'more than 64 elements'],
    [
      'too large a map',
      `1 in {${[...Array(65).keys()].map((n) => `${n}:1`)}}`,
      'more than 64 entries',
    ],
    ['too many arguments', 'f(1,2,3,4,5,6,7,8,9)', 'more than 8 arguments'],
    ['another root', 'principal.id == "x"', 'at character 1: `principal` is not known here'],
    ['another root deep inside', 'true || [1].all(x, y == x)', 'at character 20: `y` is not known'],
    ['a variable outside its macro', '[1].all(x, x == 1) && x', '`x` is not known here'],
    ['a constant of the library', 'google == google', '`google` is not known here'],
    ['a binding', 'cel.bind(x, 1, x == 1)', '`cel` is not known here'],
    ['a whole bag', 'context == subject', '`context` holds attributes'],
    ['a loop over a bag', 'context.all(k, k == "x")', '`context` holds attributes'],
    ['a root as variable', '[1].all(subject, subject == 1)', 'may not be called `subject`'],
    ['a pattern', 'context.name.matches("^(a+)+$")', '`matches` is not allowed'],
    ['a pattern as a function', 'matches(context.name, "^(a+)+$")', '`matches` is not allowed'],
    ['a macro in a macro', '[1].all(x, [2].exists(y, x == y))', 'may not stand inside'],
    ['a macro after a macro', '[1].map(x, [x, x]).all(x, size(x) > 1)', 'may not stand inside'],
    ['a duration from outside', 'duration(context.d) > duration("1s")', '`duration` takes a text'],
    [
      'a long duration',
      `duration("${'1'.repeat(40)}s") > duration("1s")`,
      '`duration` takes a text',
    ],
    [
      'much work',
      'context.a.all(x, x in context.b || x in context.c || x in context.d || x in context.e)',
      'steps on large attributes',
    ],
    ['time zones in a loop', 'context.zones.all(z, now.getHours(z) > 3)', 'steps on large attr'],
    ['types that never compare', '"ell" in "hello"', 'at character 1: no such overload'],
    ['a number', '1 + 1', 'this is of type int'],
    ['a text', '"true"', 'this is of type string'],
    ['a comment', 'context.a // && context.b', 'at character 11: it holds a comment'],
    ['an unknown function', 'now.frobnicate(1)', 'found no matching overload'],
  ])('not %s', (_, text, part) => {
    expect(checkCondition(text)).toEqual({ ok: false, detail: expect.stringContaining(part) })
  })

  test('what is refused for its cost fails when it stands in the policy all the same', () => {
    const given = asked({ context: { name: 'aaaa', d: '1s', l: [1] } })
    for (const text of [
      'context.name.matches("a+")',
      'duration(context.d) == duration("1s")',
      'context.l.all(x, context.l.all(y, x == y))',
      `${'true && '.repeat(400)}true`,
      `true ${' '.repeat(4000)}`,
    ])
      expect(evaluateCondition(text, given)).toBe(undefined)
  })
})

describe('the environment', () => {
  test('attributes cannot replace type, id, name and a known owner', () => {
    const posing = { type: 'x', id: 'x', name: 'x', owner: 'x', ok: 1 }
    const environment = environmentOf({
      subject: { type: 'user', id: 'ann', attributes: posing },
      resource: { type: 'note', id: '1', attributes: posing, owner: 'bob' },
      action: { name: 'read', properties: posing },
      context: posing,
      now,
    })
    expect(environment).toEqual({
      subject: { ...posing, type: 'user', id: 'ann' },
      resource: { ...posing, type: 'note', id: '1', owner: 'bob' },
      action: { ...posing, name: 'read' },
      context: posing,
      now,
    })
  })

  test('a registered resource always has an owner, another only if it is known', () => {
    const ownerOf = (resource: { owner?: string | null; registered?: boolean; attributes?: Bag }) =>
      environmentOf({
        subject: { type: 'user', id: 'ann' },
        resource: { type: 'note', id: '1', ...resource },
        action: { name: 'read' },
        now,
      }).resource.owner
    expect(ownerOf({ registered: true })).toBe(null)
    expect(ownerOf({ registered: true, attributes: { owner: 'ann' } })).toBe(null)
    expect(ownerOf({ registered: true, owner: 'bob' })).toBe('bob')
    expect(ownerOf({})).toBe(undefined)
    expect(ownerOf({ attributes: { owner: 'ann' } })).toBe('ann')
  })

  test.each([undefined, null])('a question about a whole type has only the type (%s)', (id) => {
    const { resource } = environmentOf({
      subject: { type: 'user', id: 'ann' },
      resource: { type: 'note', id, owner: 'ann', attributes: { a: 1 }, registered: true },
      action: { name: 'read' },
      now,
    })
    expect(resource).toEqual({ type: 'note' })
  })

  test('a parsed __proto__ is an attribute like any other, at every depth', () => {
    const hostile = JSON.parse('{"__proto__":{"admin":true},"deep":{"__proto__":{"admin":true}}}')
    const environment = asked({ subject: hostile, resource: hostile, context: hostile })
    for (const bag of [environment.subject, environment.resource, environment.context]) {
      expect(Object.getPrototypeOf(bag)).toBe(null)
      expect(bag.admin).toBe(undefined)
      expect(Object.getPrototypeOf(bag.deep)).toBe(null)
      expect((bag.deep as Bag).admin).toBe(undefined)
    }
    for (const text of ['subject.admin', 'context.deep.admin', 'resource.toString != null'])
      expect(evaluateCondition(text, environment)).toBe(undefined)
    expect(Object.hasOwn(Object.prototype, 'admin')).toBe(false)
  })

  test('an attribute called constructor closes its bag and opens nothing', () => {
    const environment = asked({ context: { constructor: 'x', mfa: true } })
    expect(conditionHolds('context.mfa', 'allow', environment)).toBe(false)
    expect(conditionHolds('context.mfa == false', 'deny', environment)).toBe(true)
    expect(conditionHolds('subject.id == "ann"', 'allow', environment)).toBe(true)
  })

  const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)])
  test.each<[string, unknown]>([
    ['a long list', Array(ATTRIBUTE_VALUES_MAX).fill(1)],
    ['many values in all', Array(50).fill({ values: Array(20).fill(1) })],
    ['a map of many', Object.fromEntries([...Array(600).keys()].map((n) => [`k${n}`, n]))],
    ['a long text', 'x'.repeat(ATTRIBUTE_STRING_LENGTH_MAX + 1)],
    ['a deep list', nested(17)],
    ['a function', () => true],
    ['a class of its own', [new URL('https://latchkey.example')]],
  ])('%s cannot be read, nor taken for missing', (_, large) => {
    const environment = asked({ context: { large } })
    for (const text of [
      'has(context.large)',
      '!has(context.large)',
      'context.large == 1',
      'context.large',
      '1 in context.large',
      '!(1 in context.large)',
      'context.large.exists(x, x == 2)',
      'size(context.large) == 0',
      'context.large.k1 == 1',
    ])
      expect(evaluateCondition(text, environment)).toBe(undefined)
  })

  test('values within the limits arrive as they are', () => {
    const context = {
      list: Array(ATTRIBUTE_VALUES_MAX - 1).fill(1),
      text: 'x'.repeat(ATTRIBUTE_STRING_LENGTH_MAX),
      nested: nested(16),
      at: now,
      nothing: null,
      map: { a: { b: [true, null] } },
    }
    expect(asked({ context: { ...context, left: undefined } }).context).toEqual(context)
    expect(asked({ context: { map: { a: undefined } } }).context).toEqual({ map: {} })
  })
})

test('never throws, whatever the text and the attributes are', () => {
  const word = fc.constantFrom(
    ...'subject resource context now . [ ] ( ) { } , : ? " \' + - * / % ! == != < in && || has all'.split(
      ' ',
    ),
    ...'map exists filter x id owner list size matches duration 1 2.5 0x 1u null true \\ // \n b" r\''.split(
      ' ',
    ),
  )
  const text = fc.oneof(
    fc.string({ maxLength: 60 }),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.array(word, { maxLength: 14 }).map((words) => words.join(' ')),
    fc.array(word, { maxLength: 14 }).map((words) => words.join('')),
  )
  fc.assert(
    fc.property(text, fc.dictionary(fc.string(), fc.jsonValue()), (text, bag) => {
      const environment = asked({ subject: bag, resource: bag, context: bag })
      const check = checkCondition(text)
      const result = evaluateCondition(text, environment)
      expect(['boolean', 'undefined']).toContain(typeof result)
      expect(typeof conditionHolds(text, 'allow', environment)).toBe('boolean')
      // Whatever may be written alone may be joined with another.
      if (check.ok) {
        expect(evaluateCondition(bothConditions('true', text)!, environment)).toBe(result)
        expect(check).toEqual({ ok: true })
      } else expect(check.detail).toMatch(/^The condition is refused.*\.$/s)
    }),
    { numRuns: 1000 },
  )
})

describe('the work of a condition', () => {
  /** The largest of these conditions that may be written, and how often its part stands in it. */
  const largestOf = (grown: (count: number) => string) => {
    let count = 0
    while (checkCondition(grown(count + 1)).ok) count += 1
    return { count, text: grown(count) }
  }

  test.each<[string, (count: number) => string]>([
    ['lookups', (n) => `context.a.all(x, ${'!(x in context.b) && '.repeat(n)}true)`],
    ['comparisons', (n) => `context.a.all(x, ${'context.a == context.c && '.repeat(n)}true)`],
    ['sums', (n) => `context.a.all(x, (context.a${' + context.a'.repeat(n)}) != [])`],
    ['sums outside', (n) => `(context.a${' + context.a'.repeat(n)}) != []`],
    ['copies', (n) => `context.a.map(x, [x${', x'.repeat(n)}]) == context.a`],
    ['lists of lists', (n) => `context.a.map(x, [x${', context.b'.repeat(n)}]) == context.a`],
    ['loops', (n) => `${'context.a.all(x, !(x in context.b)) && '.repeat(n)}true`],
    ['filters', (n) => `${'size(context.a.filter(x, x == "a")) > 0 && '.repeat(n)}true`],
  ])('reads no more elements than it may take steps: %s', (_, grown) => {
    let reads = 0
    const counted = (word: string) =>
      new Proxy(Array(ATTRIBUTE_VALUES_MAX - 1).fill(word), {
        get: (list, name) => {
          if (typeof name === 'string' && /^[0-9]+$/.test(name)) reads += 1
          return Reflect.get(list, name)
        },
      })
    const context = { a: counted('a'), b: counted('b'), c: counted('a') }
    const { text } = largestOf(grown)
    expect(evaluateCondition(text, { ...asked(), context })).toBe(!text.includes('map'))
    expect(reads).toBeGreaterThan(ATTRIBUTE_VALUES_MAX)
    // A comparison is one step and reads two.
    expect(reads).toBeLessThan(2 * CONDITION_STEPS_MAX)
  })

  test.each<[string, number, (count: number) => string]>([
    ['sizes of texts', 4, (n) => `context.a.all(x, ${'size(context.t) > 3 && '.repeat(n)}true)`],
    ['splits', 1, (n) => `context.a.all(x, ${'size(context.t.split("")) > 3 && '.repeat(n)}true)`],
    ['time zones', 0, (n) => `context.a.all(x, ${'now.getHours(x.zone) > 3 && '.repeat(n)}true)`],
    ['lookups', 3, (n) => `context.a.all(x, ${'x in context.b && '.repeat(n)}true)`],
    ['starts', 36, (n) => `context.a.all(x, ${'x.startsWith("a") && '.repeat(n)}true)`],
  ])('is bounded for %s: at most %i in a loop', (_, count, grown) => {
    expect(largestOf(grown).count).toBe(count)
  })
})
