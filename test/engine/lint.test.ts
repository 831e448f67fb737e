import { describe, expect, test } from 'vitest'
import { LINK_BUDGET } from '../../src/engine/chain.ts'
import { lintPolicy } from '../../src/engine/lint.ts'

const policy = (...lines: string[]) => lines.join('\n')

const clean = policy(
  '# roles of the pack',
  'p, role:organization.editor, *, note:*, read, true, allow',
  'g, role:organization.admin, role:organization.editor, *',
  'p, role:organization.admin, *, note:*, *, true, allow',
  '# one organization',
  `p, user:ann, /acme/*, note:7, read, "context.mfa == false", deny`,
  'g, user:ann, team:team_1, /acme/*',
  'g, team:team_1, role:organization.admin, /acme/ws1/*',
  'g, user:bob, role:organization.editor, /acme/ws1/note:3',
)

test('a policy without problems', () => {
  expect(lintPolicy(clean)).toEqual([])
})

test.each<[string, string, 'error' | 'warning', string]>([
  [
    'what the reader finds',
    'p, user:ann, *, note:*, read, true, Deny',
    'error',
    'Did you mean `deny`?',
  ],
  ['the subject *', 'p, *, /acme/*, note:*, read, true, deny', 'error', 'matches no one'],
  ['the subject * of a role', 'g, *, role:organization.editor, /acme/*', 'error', 'matches no one'],
  [
    'an odd domain',
    'p, user:ann, acme, note:*, read, true, allow',
    'error',
    '"acme" is not a domain pattern',
  ],
  [
    'an odd object',
    'p, user:ann, *, notes, read, true, allow',
    'error',
    '"notes" is not an object',
  ],
  ['a user that is held', 'g, user:ann, user:bob, *', 'error', 'Only a role or a team can be held'],
  [
    'a role held nowhere',
    'g, user:ann, role:organization.editor, /acme/',
    'error',
    'Nothing is held in /acme/ alone; write /acme/*.',
  ],
  ['a line twice', 'g, user:ann, team:team_1, /acme/*', 'warning', 'The same as line 7.'],
  [
    'an unknown role',
    'g, user:ann, role:rol_9, /acme/*',
    'warning',
    'role:rol_9 is held, and no line says what it may.',
  ],
  [
    'a deny on a role',
    'p, role:organization.editor, *, note:*, print, true, deny',
    'warning',
    'hits everyone who holds',
  ],
  [
    'a changed built-in role',
    'p, role:organization.editor, /acme/*, note:*, print, true, allow',
    'error',
    'role:organization.editor is a built-in role',
  ],
  [
    'a link to oneself',
    'g, team:team_1, team:team_1, /acme/*',
    'error',
    'The links go round: team:team_1 → team:team_1.',
  ],
])('%s', (_, line, severity, detail) => {
  expect(lintPolicy(`${clean}\n${line}`)).toContainEqual({
    line: 10,
    severity,
    detail: expect.stringContaining(detail),
  })
})

test('problems come in the order of the lines', () => {
  const problems = lintPolicy(
    policy('g, a, b, *', 'p, x', 'p, *, *, n:*, read, true, allow', 'g, a, b, *'),
  )
  expect(problems.map(({ line }) => line)).toEqual([1, 2, 3, 4, 4])
})

test('rows are as good as text, and built-in roles may be named', () => {
  const rows = [
    { line: 91, ptype: 'g', fields: ['user:ann', 'role:base', '*'] },
    { line: 92, ptype: 'p', fields: ['role:base', '*', 'n:*', 'read', 'true', 'allow'] },
  ] as const
  expect(lintPolicy(rows)).toEqual([])
  const builtInRoles = ['role:base']
  expect(lintPolicy(rows.slice(0, 1), { builtInRoles })).toEqual([])
  expect(lintPolicy(rows, { builtInRoles })).toEqual([
    {
      line: 92,
      severity: 'error',
      detail: 'role:base is a built-in role, and this line would change it.',
    },
  ])
})

describe('cycles', () => {
  const role = (name: string) => `p, role:${name}, *, n:*, read, true, allow`
  const roles = ['a', 'b', 'c', 'd'].map(role)

  test.each<[string, string[], string | undefined]>([
    ['of two', ['g, role:a, role:b, *', 'g, role:b, role:a, *'], 'role:a → role:b → role:a'],
    [
      'of three, with a way in and a way out',
      [
        'g, role:d, role:a, *',
        'g, role:a, role:b, *',
        'g, role:b, role:c, *',
        'g, role:c, role:a, *',
        'g, role:c, role:x, *',
      ],
      'role:a → role:b → role:c → role:a',
    ],
    [
      'over nested places',
      ['g, role:a, role:b, *', 'g, role:b, role:c, /acme/*', 'g, role:c, role:a, /acme/ws1/*'],
      'role:c → role:a',
    ],
    ['over one resource', ['g, role:a, role:b, /acme/*', 'g, role:b, role:a, /acme/n:1'], '→'],
    [
      'not over places apart',
      ['g, role:a, role:b, /acme/*', 'g, role:b, role:a, /globex/*'],
      undefined,
    ],
    [
      'not over names that begin alike',
      ['g, role:a, role:b, /acme/*', 'g, role:b, role:a, /acme2/ws1/*'],
      undefined,
    ],
    [
      'not over workspaces apart',
      ['g, role:a, role:b, /acme/ws1/*', 'g, role:b, role:a, /acme/ws2/*'],
      undefined,
    ],
    [
      'not where two ways meet',
      [
        'g, role:a, role:b, *',
        'g, role:a, role:c, *',
        'g, role:b, role:d, *',
        'g, role:c, role:d, *',
      ],
      undefined,
    ],
  ])('%s', (_, links, detail) => {
    const found = lintPolicy(policy(...roles, ...links)).filter(
      ({ severity }) => severity === 'error',
    )
    if (detail === undefined) expect(found).toEqual([])
    else {
      expect(found[0]!.detail).toMatch(/^The links go round: .*\.$/)
      expect(`${found[0]!.detail} ${found[0]!.detail}`).toContain(detail)
    }
  })
})

describe('chains', () => {
  const chain = (links: number, place = '*') =>
    [...Array(links).keys()].map((n) => `g, role:${n}, role:${n + 1}, ${place}`)
  const errors = (...lines: string[]) =>
    lintPolicy(policy(...lines)).filter(({ severity }) => severity === 'error')

  test('of the longest length that holds', () => {
    expect(errors(...chain(LINK_BUDGET))).toEqual([])
  })

  test('of one link more', () => {
    expect(errors(...chain(LINK_BUDGET + 1))).toEqual([
      { line: 25, severity: 'error', detail: expect.stringContaining('is link 25 of a chain') },
    ])
  })

  test('over nested places', () => {
    expect(errors(...chain(LINK_BUDGET), 'g, user:ann, role:0, /acme/*')).toHaveLength(1)
    expect(errors(...chain(12, '/acme/*'), 'g, role:12, role:x, /globex/*')).toEqual([])
  })

  test('of any length without running out of stack', () => {
    const rows = [...Array(20_000).keys()].map((n) => ({
      line: n + 1,
      ptype: 'g' as const,
      fields: [`role:${n}`, `role:${n + 1}`, '*'],
    }))
    expect(lintPolicy(rows).filter(({ severity }) => severity === 'error')).toHaveLength(1)
  })
})
