import { expect, test } from 'vitest'
import { createEngine, type Difference } from '../../src/engine/engine.ts'
import { modelText } from './agreement.ts'
import { ask, EVERYWHERE, permission, role } from './fixtures.ts'
import { type Mistake, withPlanted } from './planted-engine.ts'

/** An index that does not see denies on types. */
const BLIND: Mistake = {
  file: 'compiled-index.ts',
  text: "if (deny) return createOutcome('denied', view, deny, null, instance)",
  planted: '',
}

const PLATFORM = [permission('role:organization.viewer', 'read', 'doc:*', { place: EVERYWHERE })]
const DENY = permission('user:ann', 'read', 'doc:*', { effect: 'deny' })
const LINES = [role('user:ann', 'role:organization.viewer'), DENY]
const QUESTION = ask('user:ann', 'read', 'doc:1', { context: { a: 1 } })

type Make = typeof createEngine

const decideMany = async (make: Make, verify: 'off' | 'sample' | 'all', times: number) => {
  const differences: Difference[] = []
  const onDifference = (difference: Difference) => differences.push(difference)
  const engine = make({ modelText, verify, onDifference })
  const platform = engine.compilePlatform(PLATFORM)
  const policy = await engine.compileOrganization(platform, 'acme', LINES)
  const outcomes = Array.from({ length: times }, () => engine.decide(policy, QUESTION))
  return { differences, outcomes }
}

test('answers what Casbin decides, and says so, when the index is wrong', async () => {
  const { differences, outcomes } = await withPlanted([BLIND], (planted) =>
    decideMany(planted.createEngine, 'all', 1),
  )
  const [outcome] = outcomes
  expect(outcome).toMatchObject({ allowed: false, code: 'denied' })
  expect(outcome!.because()).toEqual({ line: DENY, chain: [] })
  expect(outcome!.because()).toBe(outcome!.because())
  const { environment, ...question } = QUESTION
  expect(differences).toEqual([
    { question, environment: environment(), indexAllowed: true, lines: expect.any(Array) },
  ])
  expect(differences[0]!.lines).toHaveLength(3)
})

test('answers what the index says when nothing is verified', async () => {
  const { differences, outcomes } = await withPlanted([BLIND], (planted) =>
    decideMany(planted.createEngine, 'off', 1),
  )
  expect(outcomes[0]!.allowed).toBe(true)
  expect(differences).toEqual([])
})

test('verifies about one in a thousand as a sample', async () => {
  const { differences, outcomes } = await withPlanted([BLIND], (planted) =>
    decideMany(planted.createEngine, 'sample', 30_000),
  )
  expect(differences.length).toBeGreaterThan(5)
  expect(differences.length).toBeLessThan(90)
  expect(outcomes.filter(({ allowed }) => !allowed)).toHaveLength(differences.length)
})

test('finds nothing to say of the real index, and lets no role ask', async () => {
  const { differences, outcomes } = await decideMany(createEngine, 'all', 3)
  expect(outcomes.map(({ code }) => code)).toEqual(['denied', 'denied', 'denied'])
  expect(outcomes[0]).toBe(outcomes[1])
  const engine = createEngine({ modelText, verify: 'all' })
  const platform = engine.compilePlatform(PLATFORM)
  const policy = await engine.compileOrganization(platform, 'acme', LINES)
  expect(engine.decide(policy, ask('role:organization.viewer', 'read', 'doc:1')).allowed).toBe(
    false,
  )
  expect(differences).toEqual([])
})
