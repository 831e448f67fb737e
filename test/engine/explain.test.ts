import { expect, test } from 'vitest'
import { createEngine, type Explanation } from '../../src/engine/engine.ts'
import type { Line } from '../../src/engine/line.ts'
import { modelText } from './agreement.ts'
import { ACME, ask, EVERYWHERE, NOW, permission, role, WS1 } from './fixtures.ts'

const PLATFORM = [
  permission('role:organization.viewer', 'read', 'doc:*', { place: EVERYWHERE }),
  permission('role:organization.editor', 'update', 'doc:*', { place: EVERYWHERE }),
  role('role:organization.editor', 'role:organization.viewer', { place: EVERYWHERE }),
  permission('role:platform.support', 'read', 'doc:*', { place: EVERYWHERE }),
  permission('role:workspace.editor', 'update', 'doc:*', { place: EVERYWHERE }),
  permission('role:workspace.editor', 'read', 'doc:*', { place: EVERYWHERE }),
]

const explainIn = async (lines: Line[], ...question: Parameters<typeof ask>) => {
  const engine = createEngine({ modelText, verify: 'off' })
  const platform = engine.compilePlatform(PLATFORM)
  const policy = await engine.compileOrganization(platform, 'acme', lines)
  return engine.explain(policy, ask(...question))
}

/** The nearest misses in short. */
const inShort = ({ nearest }: Explanation) =>
  nearest.map((miss) =>
    miss.kind === 'role'
      ? `${miss.line.holds} in ${miss.line.place.kind}`
      : `${miss.kind} ${miss.line.action} in ${miss.line.place.kind}`,
  )

test('names the line that Casbin decided by, and the roles that lead to it', async () => {
  const lines = [role('user:ann', 'team:eng'), role('team:eng', 'role:organization.editor')]
  const explanation = await explainIn(lines, 'user:ann', 'read', 'doc:1')
  expect(explanation).toEqual({
    allowed: true,
    code: 'role',
    line: PLATFORM[0],
    chain: [...lines, PLATFORM[2]],
    conditions: [],
    nearest: [],
  })
})

test('names the first deny, raw ids and all', async () => {
  const deny = permission('user:auth0|a', 'read', 'doc:*', {
    object: { kind: 'resource', type: 'doc', id: 'a/b*' },
    effect: 'deny',
  })
  const lines = [role('user:auth0|a', 'role:organization.editor'), deny]
  const explanation = await explainIn(lines, 'user:auth0|a', 'read', 'doc:a/b*')
  expect(explanation).toMatchObject({ code: 'denied', line: deny, chain: [], nearest: [] })
})

test('shows every condition that the question depends on', async () => {
  const lines = [
    permission('user:ann', 'read', 'doc:1', { condition: 'context.mfa' }),
    permission('user:ann', 'read', 'doc:*', { condition: 'context.missing == 1' }),
    permission('user:ann', 'read', 'doc:1', { condition: 'context.gone', effect: 'deny' }),
    permission('user:ann', 'read', 'doc:2', { condition: 'context.mfa' }),
  ]
  const { code, conditions } = await explainIn(lines, 'user:ann', 'read', 'doc:1', {
    context: { mfa: true },
  })
  const found = conditions.map(({ line, ...rest }) => [line.condition, rest])
  expect(code).toBe('denied')
  expect(Object.fromEntries(found)).toEqual({
    'context.mfa': { applies: true, failed: false },
    'context.missing == 1': { applies: false, failed: true },
    'context.gone': { applies: true, failed: true },
  })
})

test('tells what would turn a deny: a condition, a permission, the smallest roles', async () => {
  const custom = 'role:acme.organization.reader'
  const lines = [
    permission('user:ann', 'read', 'doc:*', { condition: 'context.mfa' }),
    permission(custom, 'read', 'doc:1…'),
    permission('team:readers', 'read', 'doc:1'),
    permission('team:others', 'read', 'doc:2'),
  ]
  const here = { context: { mfa: false }, workspaceId: 'ws1' }
  const explanation = await explainIn(lines, 'user:ann', 'read', 'doc:1', here)
  expect(explanation.code).toBe('condition')
  expect(inShort(explanation)).toEqual([
    'condition read in organization',
    'permission read in workspace',
    'role:organization.viewer in organization',
    `${custom} in organization`,
    'team:readers in organization',
    'role:workspace.editor in workspace',
  ])
})

test('names only what really turns it', async () => {
  const lines = [
    permission('role:organization.viewer', 'read', 'doc:*', { effect: 'deny' }),
    permission('role:acme.workspace.x', 'read', 'doc:*', { condition: 'context.mfa' }),
  ]
  const explanation = await explainIn(lines, 'user:ann', 'read', 'doc:*')
  expect(explanation).toMatchObject({ allowed: false, code: 'no-match', line: null })
  expect(inShort(explanation)).toEqual([
    'permission read in organization',
    'role:workspace.editor in organization',
  ])
})

test('tells at most ten things', async () => {
  const teams = Array.from({ length: 60 }, (_, at) => permission(`team:${at}`, 'read', 'doc:1'))
  const { nearest } = await explainIn(teams, 'user:ann', 'read', 'doc:1')
  expect(nearest).toHaveLength(10)
})

test('says nothing of a role that asks, and leaves out what has expired', async () => {
  const lines = [
    role('user:ann', 'role:organization.viewer', { expiresAtMs: NOW }),
    role('user:ann', 'role:organization.viewer', { place: WS1 }),
  ]
  const nothing = { allowed: false, code: 'no-match', line: null, nearest: [] }
  expect(await explainIn(lines, 'role:organization.viewer', 'read', 'doc:1')).toMatchObject(nothing)
  const { allowed, chain } = await explainIn(lines, 'user:ann', 'read', 'doc:1')
  expect([allowed, chain]).toEqual([false, []])
})

test('explains questions at the platform', async () => {
  const engine = createEngine({ modelText, verify: 'off' })
  const platform = engine.compilePlatform(PLATFORM)
  const question = ask('user:ann', 'update', 'doc:1', { organizationId: null, workspaceId: 'ws1' })
  const explanation = engine.explain(platform, question)
  expect(inShort(explanation)).toEqual([
    'permission update in everywhere',
    'role:organization.editor in everywhere',
    'role:workspace.editor in everywhere',
  ])
  expect(explanation.nearest[0]?.line.place).not.toEqual(ACME)
})
