import { expect, test } from 'vitest'
import { readCasbinTable } from '../../src/engine/casbin-table.ts'

test('takes fields as they are stored', () => {
  const rule = ['user:ann', '/acme/*', 'doc:1, read, allow', 'read', 'deny']
  const { lines, problems } = readCasbinTable([
    { id: 7, ptype: 'p', rule },
    {
      id: '9',
      ptype: 'p',
      rule: JSON.stringify([...rule.slice(0, 4), 'subject.id == "x"', 'allow']),
    },
    { id: 3, ptype: 'g', rule: ['user:ann', 'role:editor', '*'] },
  ])
  expect(problems).toEqual([])
  expect(lines).toEqual([
    // The adapter itself would load `…, doc:1, read, allow, …`: an allow.
    {
      line: 7,
      ptype: 'p',
      fields: ['user:ann', '/acme/*', 'doc:1, read, allow', 'read', 'true', 'deny'],
    },
    {
      line: 9,
      ptype: 'p',
      fields: ['user:ann', '/acme/*', 'doc:1, read, allow', 'read', 'subject.id == "x"', 'allow'],
    },
    { line: 3, ptype: 'g', fields: ['user:ann', 'role:editor', '*'] },
  ])
})

test.each<[string, string, unknown, string]>([
  ['three fields', 'p', ['alice', 'data1', 'read'], 'this has 3.'],
  ['a joined rule', 'p', 'user:a, *, n:*, read, allow', 'The rule is not an array of texts.'],
  ['a JSON object', 'p', { v0: 'user:a' }, 'The rule is not an array of texts.'],
  ['a number', 'p', '["user:a", "*", "n:*", 1, "allow"]', 'The rule is not an array of texts.'],
  ['nothing', 'p', null, 'The rule is not an array of texts.'],
  ['another effect', 'p', ['user:a', '*', 'n:*', 'read', 'Deny'], 'Did you mean `deny`?'],
  ['an empty field', 'p', ['user:a', '', 'n:*', 'read', 'allow'], 'The domain is empty.'],
  [
    'a bad condition',
    'p',
    ['user:a', '*', 'n:*', 'read', 'nope.x', 'deny'],
    '`nope` is not known here',
  ],
  ['another type', 'g2', ['a', 'b', '*'], 'none of "g2"'],
])('refuses %s and names the row', (_, ptype, rule, detail) => {
  const { lines, problems } = readCasbinTable([
    { id: 41, ptype, rule },
    { id: 42, ptype: 'g', rule: ['a', 'role:b', '*'] },
  ])
  expect(problems).toEqual([{ id: 41, detail: expect.stringContaining(detail) }])
  expect(lines).toHaveLength(1)
})

test('refuses an id that is no number', () => {
  expect(readCasbinTable([{ id: 'x', ptype: 'g', rule: ['a', 'role:b', '*'] }])).toEqual({
    lines: [],
    problems: [{ id: 'x', detail: 'The id is no whole number.' }],
  })
})
