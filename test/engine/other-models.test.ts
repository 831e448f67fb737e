import { expect, test } from 'vitest'
import { createEngine } from '../../src/engine/engine.ts'
import { modelText, runAgreement } from './agreement.ts'
import { ask, EVERYWHERE, NOW, permission, role } from './fixtures.ts'

// An operator may change model.conf. What the index does not know, Casbin decides, by the same interface.

const change = (from: string, to: string): string => {
  expect(modelText).toContain(from)
  return modelText.replace(from, to)
}

const DENY_BY_DEFAULT = 'some(where (p.eft == allow)) && !some(where (p.eft == deny))'
const MODELS: [string, string, () => string][] = [
  [
    'narrowed',
    'a deny line counts for nothing',
    () => change(DENY_BY_DEFAULT, 'some(where (p.eft == allow))'),
  ],
  ['narrowed', 'nobody writes', () => change('m = keyMatch', "m = r.act != 'write' && keyMatch")],
  [
    'full',
    'one subject may do all',
    () => change('m = keyMatch', "m = r.sub == 'user:a%2Cb' || keyMatch"),
  ],
]

test.each(MODELS)('decides by Casbin (%s) when %s', { timeout: 60_000 }, async (tier, _, model) => {
  expect(createEngine({ modelText: model(), verify: 'off' })).toMatchObject({ tier })
  const { message, tally } = await runAgreement(createEngine, {
    policies: 40,
    shrinks: true,
    model: model(),
  })
  expect(message).toBe('')
  expect(tally.allowed).toBeGreaterThan(tally.decisions / 5)
})

test('tells what decided, with its expiry, and what a condition hindered', async () => {
  const [, , model] = MODELS[1]!
  const engine = createEngine({ modelText: model(), verify: 'all' })
  expect(engine.tierReason).toMatch(/Not the shape of the compiled index/)
  const line = permission('role:organization.viewer', 'read', 'doc:*', { place: EVERYWHERE })
  const platform = engine.compilePlatform([line])
  const held = role('user:ann', 'role:organization.viewer', { expiresAtMs: NOW + 1000 })
  const conditional = permission('user:ann', 'print', 'doc:1', { condition: 'context.mfa' })
  const policy = await engine.compileOrganization(platform, 'acme', [held, conditional])
  const decide = (action: string, nowMs = NOW) =>
    engine.decide(policy, ask('user:ann', action, 'doc:1', { nowMs }))
  const outcome = decide('read')
  expect([outcome.allowed, outcome.code]).toEqual([true, 'role'])
  expect(outcome.because()).toEqual({ line, chain: [held] })
  expect(decide('read', NOW + 1000).code).toBe('no-match')
  expect(decide('print').code).toBe('condition')
  expect(decide('print').because()?.line).toEqual(conditional)
  expect(engine.decide(policy, ask('role:organization.viewer', 'read', 'doc:1')).allowed).toBe(
    false,
  )
  const explanation = engine.explain(policy, ask('user:ann', 'print', 'doc:1'))
  expect(explanation).toMatchObject({ allowed: false, code: 'condition', line: null })
  expect(engine.explain(policy, ask('user:ann', 'write', 'doc:1')).nearest).toEqual([])
  engine.replaceSubjects(policy, ['user:ann'], [])
  expect(decide('read').allowed).toBe(false)
  expect(() =>
    engine.decide(policy, ask('user:ann', 'read', 'doc:1', { organizationId: 'other' })),
  ).toThrow(/other/)
})

test.each([
  ['a question of four', 'r = sub, dom, obj, act, env', 'r = sub, dom, obj, act', /r/],
  ['a line of five', 'p = sub, dom, obj, act, cond, eft', 'p = sub, dom, obj, act, eft', /p/],
  ['a link of two', 'g = _, _, _', 'g = _, _', /g needs 3/],
  ['an order of lines', DENY_BY_DEFAULT, 'priority(p.eft) || deny', /order of lines/],
  ['nothing', '[matchers]', '[matcher]', /malformed/],
])('refuses a model with room for %s', (_, from, to, message) => {
  expect(() => createEngine({ modelText: change(from, to), verify: 'off' })).toThrow(message)
})
