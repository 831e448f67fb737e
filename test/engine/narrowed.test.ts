import { readFileSync } from 'node:fs'
import { newEnforcer, newModelFromString, Util } from 'casbin'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { conditionHolds } from '../../src/engine/condition.ts'
import { createGenericEngine, type MatchingFunction } from '../../src/engine/narrowed.ts'

const BASIC = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && r.obj == p.obj && r.act == p.act`

const DOMAINS = `
[request_definition]
r = sub, dom, obj
[policy_definition]
p = sub, obj, eft
[role_definition]
g = _, _, _
[policy_effect]
e = priority(p.eft) || deny
[matchers]
m = g(r.sub, p.sub, r.dom) && keyMatch(r.obj, p.obj)`

test('asks only about lines that can match, in policy order', () => {
  const engine = createGenericEngine(BASIC)
  const lines = [
    ['ann', 'a', 'read'],
    ['bob', 'a', 'read'],
    ['ann', 'b', 'read'],
    ['ann', 'a', 'write'],
  ]
  engine.load({ p: lines })
  expect(engine.linesFor(['bob', 'a', 'read'])).toEqual([lines[1]])
  expect(engine.linesFor(['ann', 'a', 'write'])).toEqual([lines[3]])
  expect(engine.linesFor(['eve', 'a', 'read'])).toEqual([])
  expect(engine.explain(['ann', 'a', 'write'])).toEqual({ allowed: true, line: lines[3] })
  expect(engine.explain(['eve', 'a', 'read'])).toEqual({ allowed: false, line: null })
})

test('a value that is no text is compared as the matcher compares', async () => {
  const engine = createGenericEngine(BASIC)
  engine.load({
    p: [
      ['1', 'a', 'read'],
      ['2', 'a', 'read'],
      ['1', 'b', 'read'],
    ],
  })
  const full = await newEnforcer(newModelFromString(BASIC))
  await full.addPolicies([
    ['1', 'a', 'read'],
    ['2', 'a', 'read'],
    ['1', 'b', 'read'],
  ])
  for (const subject of [1, 2, 3, null, undefined, true, ['1'], { toString: () => '2' }]) {
    const request = [subject, 'a', 'read']
    expect(engine.enforce(request)).toBe(full.enforceSync(...request))
  }
  expect(engine.linesFor([1, 'a', 'read'])).toEqual([
    ['1', 'a', 'read'],
    ['1', 'b', 'read'],
  ])
})

test('new lines replace the old ones at once, or not at all', () => {
  const engine = createGenericEngine(BASIC)
  expect(() => engine.enforce(['ann', 'a', 'read'])).toThrow('No lines are loaded.')
  expect(() => engine.linesFor(['ann', 'a', 'read'])).toThrow('No lines are loaded.')
  engine.load({ p: [['ann', 'a', 'read']] })
  expect(() => engine.load({ p: [['bob', 'a']] })).toThrow(
    'A line of p has 3 fields, and this has 2: bob, a.',
  )
  expect(() => engine.load({ p2: [['bob', 'a', 'read']] })).toThrow('The model defines no p2')
  expect(() => engine.load({ g: [['bob', 'ann']] })).toThrow('The model defines no g')
  expect(() => engine.load({ m: [] })).toThrow('The model defines no m')
  expect(engine.enforce(['ann', 'a', 'read'])).toBe(true)
  engine.load({ p: [['bob', 'a', 'read']] })
  expect(engine.enforce(['ann', 'a', 'read'])).toBe(false)
  expect(engine.enforce(['bob', 'a', 'read'])).toBe(true)
})

test('what Casbin throws is thrown, and the lines are there for the next question', () => {
  const engine = createGenericEngine(BASIC)
  engine.load({ p: [['ann', 'a', 'read']] })
  expect(() => engine.enforce(['ann', 'a'])).toThrow('invalid request size')
  expect(engine.enforce(['ann', 'a', 'read'])).toBe(true)
  expect(engine.linesFor(['ann', 'a', 'read'])).toHaveLength(1)
})

test('a model that nothing narrows is refused above its limit of lines', () => {
  const open = createGenericEngine(`${BASIC} || r.sub == "root"`, { fullScanLinesMax: 2 })
  const line = ['ann', 'a', 'read']
  expect(open.tier).toBe('full')
  open.load({ p: [line, line] })
  expect(() => open.load({ p: [line, line, line] })).toThrow(
    'There are 3 lines of p that nothing narrows',
  )
  const narrowed = createGenericEngine(BASIC, { fullScanLinesMax: 2 })
  narrowed.load({ p: [line, line, line] })
  expect(narrowed.enforce(line)).toBe(true)
  expect(() => narrowed.enforce(line, { r: 'r', p: 'p', e: 'e', m: 'm' })).toThrow('3 lines of p')
})

test.each<[string, () => unknown, string]>([
  [
    'a function of Casbin',
    () => createGenericEngine(BASIC, { functions: { keyMatch: () => true } }),
    'keyMatch cannot be replaced',
  ],
  [
    'an unknown function',
    () => createGenericEngine(BASIC.replace('r.act ==', 'keyMach(r.act) ==')),
    'The matcher m calls keyMach',
  ],
  [
    'a forgotten function',
    () => createGenericEngine(readFileSync('model.conf', 'utf8')),
    'The matcher m calls condition',
  ],
  [
    'matching of an unknown role',
    () => createGenericEngine(BASIC, { matching: { g: Util.keyMatchFunc } }),
    'defines no role g',
  ],
  [
    'a hierarchy of an unknown role',
    () => createGenericEngine(DOMAINS, { domainHierarchy: { g: 'g2' } }),
    'defines no role g2',
  ],
])('%s is refused', (_, create, detail) => {
  expect(create).toThrow(detail)
})

test('a link chain counts up to its limit', () => {
  const engine = createGenericEngine(DOMAINS, { linksMax: 3 })
  const chain = [1, 2, 3, 4].map((n) => [`s${n}`, `s${n + 1}`, 'd'])
  engine.load({ p: [['s5', '*', 'allow']], g: chain })
  expect(engine.enforce(['s2', 'd', 'x'])).toBe(true)
  expect(engine.enforce(['s1', 'd', 'x'])).toBe(false)
})

test('questions about unknown domains leave nothing behind', () => {
  let compared = 0
  const matches = (asked: string, held: string) => {
    compared += 1
    return Util.keyMatchFunc(asked, held)
  }
  const engine = createGenericEngine(DOMAINS, { domainMatching: { g: matches } })
  engine.load({ p: [['role', '*', 'allow']], g: [['ann', 'role', '/a/*']] })
  const costOf = (domain: string) => {
    const before = compared
    engine.enforce(['ann', domain, 'x'])
    return compared - before
  }
  const first = costOf('/a/0/')
  for (let n = 0; n < 100; n++) for (const domain of [`/a/${n}/`, `/b/${n}/`]) costOf(domain)
  expect(costOf('/a/0/')).toBe(first)
  expect(engine.enforce(['ann', 'casbin::default', 'x'])).toBe(false)
  expect(engine.enforce(['ann', '/a/', 'x'])).toBe(true)
})

test('decides our own model as Casbin does', () => {
  const engine = createGenericEngine(readFileSync('model.conf', 'utf8'), {
    functions: { condition: conditionHolds },
    domainMatching: { g: Util.keyMatchFunc },
  })
  expect(engine.tier).toBe('index')
  engine.load({
    p: [
      ['role:editor', '*', 'note:*', 'read', 'true', 'allow'],
      ['user:ann', '/acme/*', 'note:7', 'read', 'context.mfa == false', 'deny'],
    ],
    g: [['user:ann', 'role:editor', '/acme/*']],
  })
  const ask = (object: string, context: object) =>
    engine.enforce(['user:ann', '/acme/', object, 'read', { context }])
  expect(ask('note:1', {})).toBe(true)
  expect(ask('note:7', { mfa: true })).toBe(true)
  expect(ask('note:7', { mfa: false })).toBe(false)
  expect(ask('note:7', {})).toBe(false)
})

test('narrows without ever changing a decision, whatever the lines and the effect are', async () => {
  const name = fc.constantFrom('a', 'b', 'c', '')
  const effects = [
    'some(where (p.eft == allow))',
    '!some(where (p.eft == deny))',
    'some(where (p.eft == allow)) && !some(where (p.eft == deny))',
    'priority(p.eft) || deny',
  ]
  const matchers = [
    'r.sub == p.sub && r.obj == p.obj',
    'g(r.sub, p.sub, r.dom) && keyMatch(r.obj, p.obj)',
    'p.obj == r.obj && g(r.sub, p.sub, r.dom)',
    'keyMatch(r.obj, p.obj) && (r.sub == p.sub || r.sub == "a")',
    'g(r.sub, p.sub, r.dom + r.obj) && r.dom != "c"',
  ]
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...effects),
      fc.constantFrom(...matchers),
      fc.array(
        fc.tuple(name, fc.constantFrom('a', 'b', '*'), fc.constantFrom('allow', 'deny', 'no')),
      ),
      fc.array(fc.tuple(name, name, fc.constantFrom('a', 'b', 'ab', '*')), { maxLength: 6 }),
      fc.constantFrom(undefined, Util.keyMatchFunc),
      async (effect, matcher, p, g, matching) => {
        const text = DOMAINS.replace(/e = .*/, `e = ${effect}`).replace(/m = .*/, `m = ${matcher}`)
        const domainMatching: Record<string, MatchingFunction> = matching ? { g: matching } : {}
        const engine = createGenericEngine(text, { domainMatching, linksMax: 10 })
        engine.load({ p, g })
        const model = newModelFromString(text)
        const full = await newEnforcer(model)
        if (matching) await full.addNamedDomainMatchingFunc('g', matching)
        model.model.get('p')!.get('p')!.policy = p
        model.model.get('g')!.get('g')!.policy = g
        await full.buildRoleLinks()
        for (const subject of ['a', 'b', 'c', ''])
          for (const domain of ['a', 'b', 'c'])
            for (const object of ['a', 'b', 'x']) {
              const request = [subject, domain, object]
              const [allowed, line] = full.enforceExSync(...request)
              expect(engine.explain(request)).toEqual({
                allowed,
                line: line.length > 0 ? line : null,
              })
            }
      },
    ),
    { numRuns: 150 },
  )
})
