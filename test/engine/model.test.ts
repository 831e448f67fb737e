import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { chooseTier } from '../../src/engine/model.ts'

const ours = readFileSync(new URL('../../model.conf', import.meta.url), 'utf8')
const shape = /^m = .*$/m

const matcher = (text: string) => ours.replace(shape, () => `m = ${text}`)

const KEYS = 'keyMatch(r.obj, p.obj) && keyMatch(r.dom, p.dom)'
const ROLE = 'g(r.sub, p.sub, r.dom + r.obj)'
const ACTION = "(r.act == p.act || p.act == '*')"
const CONDITION = 'condition(p.cond, p.eft, r.env)'

describe('the compiled index', () => {
  test.each<[string, string]>([
    ['model.conf', ours],
    [
      'other white space',
      ours.replace(shape, (m) => m.replaceAll(' ', '')).replace('r = sub, dom', 'r=sub ,dom'),
    ],
    ['another order', matcher([ROLE, ACTION, KEYS, CONDITION].join(' && '))],
    [
      'turned comparisons',
      matcher([KEYS, '(p.act == "*" || p.act == r.act)', ROLE, CONDITION].join(' && ')),
    ],
    ['parentheses', matcher(`(${KEYS}) && ((${ACTION}) && ${ROLE}) && (${CONDITION})`)],
    ['a long line', matcher(`${KEYS} && \\\n  ${ACTION} && ${ROLE} && ${CONDITION}`)],
    ['Windows line ends', ours.replaceAll('\n', '\r\n')],
  ])('decides %s', (_, text) => {
    expect(chooseTier(text)).toMatchObject({
      tier: 'index',
      reason: expect.stringContaining('shape'),
    })
  })
})

describe('any other model', () => {
  test.each<[string, string, 'narrowed' | 'full', string]>([
    [
      'no condition',
      matcher([KEYS, ACTION, ROLE].join(' && ')),
      'narrowed',
      'a part of the matcher is missing',
    ],
    [
      'the condition first',
      matcher([CONDITION, KEYS, ACTION, ROLE].join(' && ')),
      'narrowed',
      'the condition is not the last',
    ],
    [
      'another domain of roles',
      matcher([KEYS, ACTION, 'g(r.sub, p.sub, r.dom)', CONDITION].join(' && ')),
      'narrowed',
      'the matcher holds g(r.sub,p.sub,r.dom)',
    ],
    [
      'roles the other way round',
      matcher([KEYS, ACTION, 'g(p.sub, r.sub, r.dom + r.obj)', CONDITION].join(' && ')),
      'full',
      'the matcher holds g(p.sub,r.sub',
    ],
    [
      'the domain turned',
      matcher([KEYS, ACTION, 'g(r.sub, p.sub, r.obj + r.dom)', CONDITION].join(' && ')),
      'narrowed',
      'the matcher holds',
    ],
    [
      'keyMatch turned',
      matcher([KEYS.replace('r.obj, p.obj', 'p.obj, r.obj'), ACTION, ROLE, CONDITION].join(' && ')),
      'narrowed',
      'the matcher holds keyMatch(p.obj,r.obj)',
    ],
    [
      'another star',
      matcher([KEYS, "(r.act == p.act || r.act == '*')", ROLE, CONDITION].join(' && ')),
      'narrowed',
      'the matcher holds',
    ],
    [
      'a root user',
      matcher(`${KEYS} && ${ACTION} && ${ROLE} && ${CONDITION} || r.sub == "root"`),
      'full',
      'the matcher holds',
    ],
    [
      'one more part',
      matcher([KEYS, ACTION, ROLE, 'r.sub != "eve"', CONDITION].join(' && ')),
      'narrowed',
      'r.sub != "eve"',
    ],
    [
      'a role of the line’s domain',
      matcher([KEYS, 'g(r.sub, p.sub, p.dom)'].join(' && ')),
      'full',
      'no conjunct narrows',
    ],
    [
      'a function in the domain',
      matcher([KEYS, 'g(r.sub, p.sub, keyGet(r.dom, "/*"))'].join(' && ')),
      'full',
      'no conjunct narrows',
    ],
    [
      'another effect',
      ours.replace(/^e = .*$/m, 'e = some(where (p.eft == allow))'),
      'narrowed',
      'the effect differs',
    ],
    ['other roles', ours.replace('g = _, _, _', 'g = _, _'), 'narrowed', 'g differs'],
    [
      'no roles',
      matcher('r.sub == p.sub').replace(/\[role_definition\]\ng = .*/, ''),
      'narrowed',
      'g differs',
    ],
    [
      'two matchers',
      ours.replace(shape, (m) => `${m}\nm2 = r.sub == p.sub`),
      'narrowed',
      'it defines m2',
    ],
    [
      'in, which binds more loosely than &&',
      matcher("r.sub == p.sub && r.act in ('a', 'b')"),
      'full',
      'no conjunct narrows',
    ],
    [
      'a rule in the lines',
      matcher('eval(p.cond) && r.sub == p.sub'),
      'full',
      'no conjunct narrows',
    ],
    [
      'fields of another order',
      ours.replace('r = sub, dom', 'r = dom, sub'),
      'narrowed',
      'the fields of r differ',
    ],
    [
      'a field less',
      ours.replace(', cond, eft', ', eft, cond'),
      'narrowed',
      'the fields of p differ',
    ],
  ])('%s', (_, text, tier, reason) => {
    const choice = chooseTier(text)
    expect(choice.reason).toContain(reason)
    expect(choice.tier).toBe(tier)
    expect(choice.narrowings.length > 0).toBe(tier === 'narrowed')
  })

  test('what narrows is named by its positions', () => {
    const { narrowings } = chooseTier(
      matcher(
        'p.act == r.act && g(r.sub, p.sub, r.dom + "/" + r.obj) && r.dom == "x" && r.obj == p.obj',
      ),
    )
    expect(narrowings).toMatchObject([
      { kind: 'equal', asked: 3, field: 3 },
      { kind: 'role', role: 'g', asked: 0, field: 0 },
      { kind: 'equal', asked: 2, field: 2 },
    ])
    const [, role] = narrowings
    expect(role?.kind === 'role' && role.domain?.(['s', 'd', 'o'])).toBe('d/o')
  })
})

test.each<[string, string, string]>([
  [
    'an unknown section',
    ours.replace('[matchers]', '[matcher]'),
    'line 22: there is no section [matcher]',
  ],
  [
    'a line that is nothing',
    ours.replace('g = _, _, _', 'g'),
    'line 15: it is neither a [section] nor',
  ],
  [
    'a nameless definition',
    ours.replace('g = _, _, _', '= _, _'),
    'line 15: it is neither a [section] nor',
  ],
  ['a definition without section', `m = x\n${ours}`, 'line 1: m stands before the first [section]'],
  [
    'a name that Casbin ignores',
    ours.replace('r = sub', 'r1 = sub'),
    'line 7: [request_definition] cannot define r1, only r, r2',
  ],
  [
    'a name of another section',
    ours.replace('e = some', 'm = some'),
    'line 19: [policy_effect] cannot define m',
  ],
  ['two definitions', ours.replace(shape, (m) => `${m}\n${m}`), 'line 24: m is defined twice'],
  [
    'a gap',
    ours.replace(shape, (m) => `${m}\nm3 = r.sub == p.sub`),
    'line 24, [matchers] m3: Casbin does not read m3',
  ],
  ['a section twice', `${ours}\n[matchers]\n`, 'Duplicated section'],
  [
    'a missing section',
    ours.replace(/\[policy_effect\]\n.*/, ''),
    'missing required sections: policy_effect',
  ],
  [
    'a field without name',
    ours.replace('sub, dom, obj, act, env', 'sub, , obj, act, env'),
    'line 7, [request_definition] r: a field has no name',
  ],
  [
    'two fields of one name',
    ours.replace('sub, dom, obj, act, cond', 'sub, dom, dom, act, cond'),
    'line 11, [policy_definition] p: two fields have one name',
  ],
  [
    'a role of one',
    ours.replace('g = _, _, _', 'g = _'),
    'line 15, [role_definition] g: _ is neither',
  ],
  [
    'a role of four',
    ours.replace('g = _, _, _', 'g = _, _, _, _'),
    'line 15, [role_definition] g: _, _, _, _ is neither',
  ],
  [
    'an unknown effect',
    ours.replace(/^e = .*$/m, 'e = all(where (p.eft == allow))'),
    'line 19, [policy_effect] e: Casbin knows no effect',
  ],
  ['half a matcher', matcher('r.sub =='), 'line 23, [matchers] m: Expected expression'],
  [
    'two matchers in one',
    matcher('r.sub == p.sub r.obj'),
    'line 23, [matchers] m: it is not one expression',
  ],
  [
    'a matcher cut by a comment sign',
    matcher('r.sub == p.sub && r.act == "#"'),
    'line 23, [matchers] m: Unclosed quote',
  ],
  ['a single &', matcher('r.sub == p.sub & r.act == p.act'), 'Invalid operator in matcher'],
  [
    'a field that is not defined',
    matcher('r.sub == p.subject'),
    'line 23, [matchers] m: p.subject is not defined',
  ],
])('%s is refused', (_, text, detail) => {
  expect(() => chooseTier(text)).toThrow(detail)
  expect(() => chooseTier(text)).toThrow('The model is malformed: ')
})
