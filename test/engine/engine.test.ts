import { expect, test } from 'vitest'
import { createEnforcer, toCasbin, toRequest } from '../../src/engine/casbin.ts'
import { createEngine, type EngineOptions } from '../../src/engine/engine.ts'
import type { Line } from '../../src/engine/line.ts'
import { modelText } from './agreement.ts'
import { ACME, ask, EVERYWHERE, NOW, permission, role, WS1 } from './fixtures.ts'

const newEngine = (options: Partial<EngineOptions> = {}) =>
  createEngine({ modelText, verify: 'off', ...options })

const PLATFORM = [
  permission('role:organization.editor', 'update', 'doc:*', { place: EVERYWHERE }),
  permission('role:organization.viewer', 'read', 'doc:*', { place: EVERYWHERE }),
  role('role:organization.editor', 'role:organization.viewer', { place: EVERYWHERE }),
  role('user:root', 'role:organization.editor', { place: EVERYWHERE }),
]

const newAcme = async (lines: Line[], options: Partial<EngineOptions> = {}) => {
  const engine = newEngine(options)
  const platform = engine.compilePlatform(PLATFORM)
  const policy = await engine.compileOrganization(platform, 'acme', lines)
  const decide = (...question: Parameters<typeof ask>) => engine.decide(policy, ask(...question))
  return { engine, platform, policy, decide }
}

test('says how each decision came about', async () => {
  const { decide } = await newAcme([
    role('user:ann', 'team:eng'),
    role('team:eng', 'role:organization.editor', { place: WS1 }),
    permission('user:ann', 'share', 'doc:1'),
    permission('user:ann', 'update', 'doc:9', { effect: 'deny' }),
    permission('user:ann', 'print', 'doc:*', { condition: 'context.mfa' }),
  ])
  const here = { workspaceId: 'ws1' }
  const codes = [
    decide('user:ann', 'read', 'doc:1', here),
    decide('user:ann', 'share', 'doc:1'),
    decide('user:ann', 'update', 'doc:9', here),
    decide('user:ann', 'print', 'doc:1', { context: { mfa: false } }),
    decide('user:ann', 'print', 'doc:1', { context: { mfa: true } }),
    decide('user:ann', 'read', 'doc:1'),
    decide('user:nobody', 'read', 'doc:1'),
    decide('team:eng', 'read', 'doc:1', here),
  ].map(({ allowed, code }) => [allowed, code])
  expect(codes).toEqual([
    [true, 'role'],
    [true, 'grant'],
    [false, 'denied'],
    [false, 'condition'],
    [true, 'grant'],
    [false, 'no-match'],
    [false, 'no-match'],
    [false, 'no-match'],
  ])
})

test('names the deciding line and the way to it, and remembers both', async () => {
  const lines = [
    role('user:ann', 'team:eng'),
    role('team:eng', 'role:organization.editor', { place: WS1 }),
  ]
  const { decide } = await newAcme(lines)
  const outcome = decide('user:ann', 'read', 'doc:1', { workspaceId: 'ws1' })
  expect(outcome.because()).toEqual({ line: PLATFORM[1], chain: [...lines, PLATFORM[2]] })
  expect(outcome.because()).toBe(outcome.because())
  expect(decide('user:ann', 'read', 'doc:1').because()).toBeNull()
})

test('names the resource on which a role is held', async () => {
  const on = (id: string) =>
    role('user:ann', 'role:organization.editor', { resource: { type: 'doc', id } })
  const { decide } = await newAcme([on('1'), on('2')])
  const chains = ['1', '2'].map((id) => decide('user:ann', 'update', `doc:${id}`).because()?.chain)
  expect(chains).toEqual([[on('1')], [on('2')]])
  expect(decide('user:ann', 'update', 'doc:3').allowed).toBe(false)
  expect(decide('user:ann', 'update', 'doc:*').allowed).toBe(false)
})

test('gives the same outcome again where no condition decides, so that its sentence is composed once', async () => {
  const { decide } = await newAcme([
    role('user:ann', 'role:organization.viewer'),
    permission('user:ann', 'share', 'doc:1'),
    permission('user:ann', 'print', 'doc:*', { condition: 'context.mfa' }),
  ])
  const first = decide('user:ann', 'read', 'doc:1')
  first.reason = 'a viewer reads'
  expect(decide('user:ann', 'read', 'doc:2')).toBe(first)
  expect(decide('user:ann', 'share', 'doc:1')).toBe(decide('user:ann', 'share', 'doc:1'))
  expect(decide('user:ann', 'share', 'doc:1')).not.toBe(decide('user:ann', 'share', 'doc:2'))
  expect(decide('user:ann', 'delete', 'doc:1')).not.toBe(first)
  const context = { mfa: true }
  const printed = decide('user:ann', 'print', 'doc:1', { context })
  expect(decide('user:ann', 'print', 'doc:1', { context })).not.toBe(printed)
})

test('keeps many different outcomes of one subject', async () => {
  const actions = Array.from({ length: 30 }, (_, at) => `action${at}`)
  const { decide } = await newAcme(actions.map((action) => permission('user:ann', action, 'doc:*')))
  const first = actions.map((action) => decide('user:ann', action, 'doc:1'))
  const again = actions.map((action) => decide('user:ann', action, 'doc:2'))
  expect(again.every((outcome, at) => outcome === first[at])).toBe(true)
  expect(first.map((outcome) => outcome.because()?.line.kind)).toEqual(
    actions.map(() => 'permission'),
  )
})

test('asks for the environment once, and only when a condition matters', async () => {
  const { engine, policy } = await newAcme([
    role('user:ann', 'role:organization.viewer'),
    permission('user:ann', 'read', 'doc:1', { condition: 'context.mfa' }),
    permission('user:ann', 'read', 'doc:2', { condition: 'context.a', effect: 'deny' }),
    permission('user:ann', 'read', 'doc:2', { condition: 'has(context.b)', effect: 'deny' }),
  ])
  let times = 0
  const decide = (resource: string) => {
    const question = ask('user:ann', 'read', resource, { context: { a: false } })
    const environment = () => {
      times += 1
      return question.environment()
    }
    return engine.decide(policy, { ...question, environment }).allowed
  }
  expect([decide('doc:1'), times, decide('doc:2'), times]).toEqual([true, 0, true, 1])
})

test('exchanges the lines of some subjects at once', async () => {
  const { engine, policy, decide } = await newAcme([
    role('user:ann', 'role:organization.viewer'),
    role('user:bob', 'team:eng'),
    role('team:eng', 'role:organization.viewer'),
  ])
  const may = () => ['ann', 'bob'].map((name) => decide(`user:${name}`, 'update', 'doc:1').allowed)
  expect(may()).toEqual([false, false])
  engine.replaceSubjects(policy, ['team:eng'], [role('team:eng', 'role:organization.editor')])
  expect(may()).toEqual([false, true])
  engine.replaceSubjects(policy, ['user:ann'], [permission('user:ann', 'update', 'doc:1')])
  expect(may()).toEqual([true, true])
  engine.replaceSubjects(policy, ['user:bob', 'user:ann'], [])
  expect(may()).toEqual([false, false])
  expect(engine.lineCount(policy)).toBe(1)
})

test('forgets everything compiled when too many changes were missed', async () => {
  const { engine, policy, decide } = await newAcme([role('user:ann', 'role:organization.editor')])
  expect(decide('user:ann', 'update', 'doc:1').allowed).toBe(true)
  for (let at = 0; at < 100; at++)
    engine.replaceSubjects(policy, [at === 0 ? 'user:ann' : `user:${at}`], [])
  expect(decide('user:ann', 'update', 'doc:1').allowed).toBe(false)
})

test('changes nothing when a change is refused', async () => {
  const lines = [role('user:ann', 'role:organization.viewer')]
  const { engine, policy } = await newAcme(lines)
  const bad: Line[][] = [
    [role('user:bob', 'role:organization.viewer')],
    [role('user:ann', 'role:x', { place: { kind: 'organization', organizationId: 'other' } })],
    [permission('user:ann', 'read', 'doc:1', { effect: 'Deny' as 'deny' })],
  ]
  for (const given of bad)
    expect(() => engine.replaceSubjects(policy, ['user:ann'], given)).toThrow()
  expect([...engine.linesOf(policy)]).toEqual(lines)
})

test('shares the lines of an organization between two states of the platform', async () => {
  const { engine, platform, policy } = await newAcme([role('user:ann', 'role:organization.viewer')])
  const next = engine.compilePlatform([
    permission('role:organization.viewer', 'print', 'doc:*', { place: EVERYWHERE }),
  ])
  const moved = engine.withPlatform(policy, next)
  const may = (action: string) =>
    [policy, moved].map((each) => engine.decide(each, ask('user:ann', action, 'doc:1')).allowed)
  expect([may('read'), may('print')]).toEqual([
    [true, false],
    [false, true],
  ])
  engine.replaceSubjects(moved, ['user:ann'], [])
  expect([may('read'), may('print')]).toEqual([
    [false, false],
    [false, false],
  ])
  expect(engine.holdsOnPlatform(platform, 'user:root')).toBe(true)
  expect(engine.holdsOnPlatform(next, 'user:root')).toBe(false)
})

test('answers questions at the platform from the platform alone', async () => {
  const { engine, platform, policy } = await newAcme([
    role('user:ann', 'role:organization.editor'),
    permission('role:organization.editor', 'read', 'log:*'),
  ])
  const at = (subject: string, action: string, resource: string) =>
    ask(subject, action, resource, { organizationId: null })
  for (const where of [platform, policy]) {
    expect(engine.decide(where, at('user:root', 'update', 'doc:1')).allowed).toBe(true)
    expect(engine.decide(where, at('user:ann', 'update', 'doc:1')).allowed).toBe(false)
    expect(engine.decide(where, at('user:root', 'read', 'log:1')).allowed).toBe(false)
    expect(engine.explain(where, at('user:root', 'update', 'doc:1')).allowed).toBe(true)
  }
  expect(engine.decide(policy, ask('user:root', 'read', 'log:1')).allowed).toBe(true)
})

test('refuses to answer for another organization', async () => {
  const { engine, platform, policy } = await newAcme([])
  const other = ask('user:ann', 'read', 'doc:1', { organizationId: 'other' })
  expect(() => engine.decide(policy, other)).toThrow(/other was asked of the policy of acme/)
  expect(() => engine.decide(platform, other)).toThrow(/of the platform/)
  expect(() => engine.explain(policy, other)).toThrow(/other/)
})

test('refuses lines that belong elsewhere', async () => {
  const engine = newEngine()
  const platform = engine.compilePlatform([])
  expect(() => engine.compilePlatform([role('user:a', 'role:b')])).toThrow(/belongs to acme/)
  const everywhere = [role('user:a', 'role:b', { place: EVERYWHERE })]
  await expect(engine.compileOrganization(platform, 'acme', everywhere)).rejects.toThrow(
    /belongs to the platform/,
  )
})

test('lets a line hold until it expires, and a view no longer', async () => {
  const { decide } = await newAcme([
    role('user:ann', 'role:organization.viewer', { expiresAtMs: NOW + 1000 }),
    permission('user:ann', 'share', 'doc:1', { expiresAtMs: NOW + 2000 }),
  ])
  const may = (nowMs: number) =>
    ['read', 'share'].map((action) => decide('user:ann', action, 'doc:1', { nowMs }).allowed)
  expect([0, 999, 1000, 1999, 2000, 0, Number.NaN].map((after) => may(NOW + after))).toEqual([
    [true, true],
    [true, true],
    [false, true],
    [false, true],
    [false, false],
    [true, true],
    [false, false],
  ])
})

test('gives all lines back, for stock Casbin as well', async () => {
  const lines: Line[] = [
    role('user:ann', 'team:eng', { expiresAtMs: NOW }),
    permission('user:ann', '*', '*', { place: WS1, effect: 'deny', condition: 'context.mfa' }),
    role('user:ann', 'role:organization.editor', {
      place: WS1,
      resource: { type: 'doc', id: '1' },
    }),
    permission('user:ann', 'read', 'doc:1…', { condition: 'context.a', expiresAtMs: NOW + 1 }),
    permission('user:bob', 'read', 'doc:1', {
      place: { kind: 'organization-only', organizationId: 'acme' },
    }),
  ]
  const { engine, platform, policy } = await newAcme(lines)
  expect([...engine.linesOf(policy)]).toEqual(lines)
  expect([...engine.linesOf(platform)]).toHaveLength(PLATFORM.length)
  expect(engine.lineCount(policy)).toBe(5)
  const all = [...engine.linesOf(platform), ...engine.linesOf(policy)].map(toCasbin)
  const enforcer = await createEnforcer(modelText, all)
  const question = ask('user:bob', 'read', 'doc:1')
  expect(enforcer.enforceSync(...toRequest(question, question.environment()))).toBe(true)
})

test('estimates its memory, and forgets what was taken away', async () => {
  const { engine, policy } = await newAcme([])
  const empty = engine.bytes(policy)
  const lines = Array.from({ length: 100 }, (_, at) => permission('user:ann', 'read', `doc:${at}`))
  engine.replaceSubjects(policy, ['user:ann'], lines)
  const full = engine.bytes(policy)
  expect(full - empty).toBeGreaterThan(100 * 30)
  expect(full - empty).toBeLessThan(100 * 200)
  engine.replaceSubjects(policy, ['user:ann'], [])
  expect(engine.bytes(policy)).toBe(empty)
})

test('lets other work run while a large organization is compiled', async () => {
  const engine = newEngine()
  let turns = 0
  const timer = setInterval(() => turns++, 0)
  const lines = Array.from({ length: 30_000 }, (_, at) => permission(`user:${at}`, 'read', 'doc:1'))
  await engine.compileOrganization(engine.compilePlatform([]), 'acme', lines)
  clearInterval(timer)
  expect(turns).toBeGreaterThanOrEqual(5)
})

test('knows more workspaces than it looks through one by one', async () => {
  const place = (at: number) => ({ ...WS1, workspaceId: `ws${at}` }) as typeof WS1
  const count = Array.from({ length: 20 }, (_, at) => at)
  const { engine, policy, decide } = await newAcme(
    count.map((at) => permission('user:ann', 'read', 'doc:*', { place: place(at) })),
  )
  const may = (workspaceId: string | null) =>
    decide('user:ann', 'read', 'doc:1', { workspaceId }).allowed
  expect(count.map((at) => may(`ws${at}`))).toEqual(count.map(() => true))
  expect([may('ws20'), may('elsewhere'), may(null)]).toEqual([false, false, false])
  engine.replaceSubjects(
    policy,
    ['user:ann'],
    [permission('user:ann', 'read', 'doc:*', { place: place(20) })],
  )
  expect([may('ws20'), may('ws1'), may('elsewhere')]).toEqual([true, false, false])
})

test('finds one of many lines about resources by its id', async () => {
  const { decide } = await newAcme([
    ...Array.from({ length: 500 }, (_, at) => permission('user:ann', 'read', `doc:${at}`)),
    permission('user:ann', 'read', 'doc:7', { effect: 'deny' }),
    permission('user:ann', 'read', 'doc:x…'),
    ...Array.from({ length: 50 }, (_, at) =>
      role('user:ann', 'role:organization.editor', { resource: { type: 'doc', id: `${at}` } }),
    ),
  ])
  const may = (action: string, id: string) => decide('user:ann', action, `doc:${id}`).allowed
  expect(['1', '499', '500', '7', 'x1', 'y'].map((id) => may('read', id))).toEqual([
    true,
    true,
    false,
    false,
    true,
    false,
  ])
  expect(['1', '50'].map((id) => may('update', id))).toEqual([true, false])
})

test('decides the same with room for a single view', async () => {
  const lines = Array.from({ length: 20 }, (_, at) =>
    role(`user:${at}`, at % 2 ? 'role:organization.viewer' : 'role:organization.editor'),
  )
  const { decide } = await newAcme(lines, { viewsMax: 1 })
  const places = [null, 'ws1', 'ws2']
  for (let round = 0; round < 3; round++)
    for (const workspaceId of places)
      for (let at = 0; at < 20; at++)
        expect(decide(`user:${at}`, 'update', 'doc:1', { workspaceId }).allowed).toBe(at % 2 === 0)
})

test('follows teams in a circle without end', async () => {
  const { decide } = await newAcme([
    role('user:ann', 'team:a'),
    role('team:a', 'team:b'),
    role('team:b', 'team:a'),
    permission('team:b', 'read', 'doc:*', { place: ACME }),
  ])
  expect(decide('user:ann', 'read', 'doc:1').because()?.chain).toHaveLength(2)
})
