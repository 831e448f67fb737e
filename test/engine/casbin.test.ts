import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type CasbinLine,
  createEnforcer,
  createSlices,
  fromCasbin,
  toCasbin,
  toRequest,
} from '../../src/engine/casbin.ts'
import { canAsk, LINK_BUDGET } from '../../src/engine/chain.ts'
import { createEngine } from '../../src/engine/engine.ts'
import type { Environment, Line, RoleLine } from '../../src/engine/line.ts'
import { modelText } from './agreement.ts'
import { policyCaseArb } from './random-policies.ts'

const environment: Environment = {
  subject: {},
  resource: {},
  action: {},
  context: {},
  now: new Date(0),
}

/** What Casbin's words cannot say: expiry, a prefix of nothing, and whose level an exact role is at. */
const inCasbinsWords = (line: Line): Line => {
  if (line.kind === 'role') {
    const isExact = line.resource !== null && line.place.kind === 'organization-only'
    const place = isExact ? { ...line.place, kind: 'organization' as const } : line.place
    return { ...line, place, expiresAtMs: null }
  }
  const { object, condition } = line
  return {
    ...line,
    object:
      object.kind === 'prefix' && object.prefix === ''
        ? { kind: 'type', type: object.type }
        : object,
    condition: condition === 'true' ? null : condition,
    expiresAtMs: null,
  }
}

test('reads back every line that it writes', () => {
  fc.assert(
    fc.property(policyCaseArb, ({ platform, organizations }) => {
      for (const line of [...platform, ...Object.values(organizations).flat()])
        expect(fromCasbin(toCasbin(line))).toEqual(inCasbinsWords(line))
    }),
    { numRuns: 100 },
  )
})

test('writes a line in the words of the model', () => {
  const place = { kind: 'workspace', organizationId: 'acme', workspaceId: 'ws/1' } as const
  const permission: Line = {
    kind: 'permission',
    subject: 'user:auth0|x',
    place,
    object: { kind: 'prefix', type: 'folder', prefix: '7.' },
    action: 'billing:update',
    condition: 'context.mfa',
    effect: 'deny',
    expiresAtMs: 5,
  }
  expect(toCasbin(permission)).toEqual({
    ptype: 'p',
    fields: [
      'user:auth0%7Cx',
      '/acme/ws%2F1/*',
      'folder:7.*',
      'billing:update',
      'context.mfa',
      'deny',
    ],
  })
  const role: Line = {
    kind: 'role',
    subject: 'user:x',
    holds: 'role:workspace.editor',
    place,
    resource: { type: 'doc', id: '*' },
    expiresAtMs: null,
  }
  expect(toCasbin(role)).toEqual({
    ptype: 'g',
    fields: ['user:x', 'role:workspace.editor', '/acme/ws%2F1/doc:%2A'],
  })
  expect(toCasbin({ ...role, place: { kind: 'everywhere' } }).fields[2]).toBe('/doc:%2A')
})

const p = (...fields: string[]): CasbinLine => ({ ptype: 'p', fields })
const g = (...fields: string[]): CasbinLine => ({ ptype: 'g', fields })

test.each([
  ['five fields', p('user:a', '*', '*', 'read', 'allow')],
  ['another effect', p('user:a', '*', '*', 'read', 'true', 'Deny')],
  ['a star inside of an id', p('user:a', '*', 'doc:a*b', 'read', 'true', 'allow')],
  ['an object without a type', p('user:a', '*', 'doc', 'read', 'true', 'allow')],
  ['an object with two colons', p('user:a', '*', 'doc:a:b', 'read', 'true', 'allow')],
  ['a workspace without those below', p('user:a', '/acme/ws1/', '*', 'read', 'true', 'allow')],
  ['a place without a slash', p('user:a', 'acme', '*', 'read', 'true', 'allow')],
  ['a place of three levels', p('user:a', '/a/b/c/*', '*', 'read', 'true', 'allow')],
  ['a role on a prefix', g('user:a', 'role:b', '/acme/doc:1*')],
  ['a role on a resource three levels down', g('user:a', 'role:b', '/a/b/c/doc:1')],
  ['a role on a resource of no place', g('user:a', 'role:b', 'acme/doc:1')],
  ['two fields', g('user:a', 'role:b')],
])('refuses words that no line becomes: %s', (_, line) => {
  expect(() => fromCasbin(line)).toThrow(/is not/)
})

test('lets only those ask who are neither role nor team', async () => {
  expect(['user:a', 'service:ci', 'role:a', 'team:a'].map(canAsk)).toEqual([
    true,
    true,
    false,
    false,
  ])
  const enforcer = await createEnforcer(modelText, [p('role:root', '*', '*', '*', 'true', 'allow')])
  expect(enforcer.enforceSync('role:root', '/', 'a:b', 'c', environment)).toBe(true)
})

/** A role over this many links, and a permission at its end. */
const chainOf = (links: number): Line[] => {
  const place = { kind: 'organization', organizationId: 'acme' } as const
  const names = ['user:a', ...Array.from({ length: links }, (_, at) => `role:${at}`)]
  const roles = names.slice(1).map(
    (holds, at): RoleLine => ({
      kind: 'role',
      subject: names[at]!,
      holds,
      place,
      resource: null,
      expiresAtMs: null,
    }),
  )
  const line = { place, object: { kind: 'all' }, action: null, condition: null } as const
  const end = { subject: names.at(-1)!, effect: 'allow', expiresAtMs: null } as const
  return [...roles, { kind: 'permission', ...line, ...end }]
}

const question = {
  subject: 'user:a',
  organizationId: 'acme',
  workspaceId: null,
  type: 'doc',
  id: '1',
  action: 'read',
  environment: () => environment,
  nowMs: 0,
}

test.each([
  [LINK_BUDGET, true],
  [LINK_BUDGET + 1, false],
])('follows a chain of %i links: %s', async (links, expected) => {
  const lines = chainOf(links)
  const words = lines.map(toCasbin)
  const request = toRequest(question, environment)
  expect((await createEnforcer(modelText, words)).enforceSync(...request)).toBe(expected)
  expect(createSlices(modelText).decide(words, request).allowed).toBe(expected)
  const engine = createEngine({ modelText, verify: 'off' })
  const policy = await engine.compileOrganization(engine.compilePlatform([]), 'acme', lines)
  const outcome = engine.decide(policy, question)
  expect(outcome.allowed).toBe(expected)
  expect(outcome.because()?.chain.length).toBe(expected ? links : undefined)
})

test('asks about a few lines at a time, and leaves nothing behind', () => {
  const slices = createSlices(modelText)
  const held = [
    p('role:editor', '*', 'doc:*', 'read', 'true', 'allow'),
    g('user:a', 'role:editor', '/acme/*'),
  ]
  const request = toRequest(question, environment)
  const first = slices.decide(held, request)
  expect(first.allowed).toBe(true)
  expect(first.fields).toBe(held[0]!.fields)
  expect(slices.decide(held.slice(0, 1), request)).toEqual({ allowed: false, fields: [] })
  expect(slices.decide([], request)).toEqual({ allowed: false, fields: [] })
})
