import { readFileSync } from 'node:fs'
import { newModelFromString, StringAdapter } from 'casbin'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readCasbinCsv } from '../../src/engine/csv.ts'

test('reads lines of p and g as they stand', () => {
  const { lines, problems } = readCasbinCsv(
    [
      '\ufeff# a comment, with "quotes"',
      '',
      'p, role:editor, *, note:*, read, true, allow',
      '  # another',
      `p,user:ann,/acme/*,note:7.*,*,"resource.owner in ['a',  'b'] && size('(x)') > 2",deny`,
      'p, user:bob, /acme/, billing:*, read, deny\r',
      '  g ,  user:ann , role:editor , /acme/ws1/* ',
      '   ',
    ].join('\n'),
  )
  expect(problems).toEqual([])
  expect(lines).toEqual([
    { line: 3, ptype: 'p', fields: ['role:editor', '*', 'note:*', 'read', 'true', 'allow'] },
    {
      line: 5,
      ptype: 'p',
      fields: [
        'user:ann',
        '/acme/*',
        'note:7.*',
        '*',
        "resource.owner in ['a',  'b'] && size('(x)') > 2",
        'deny',
      ],
    },
    { line: 6, ptype: 'p', fields: ['user:bob', '/acme/', 'billing:*', 'read', 'true', 'deny'] },
    { line: 7, ptype: 'g', fields: ['user:ann', 'role:editor', '/acme/ws1/*'] },
  ])
})

test.each<[string, string, string]>([
  [
    'an effect in capitals',
    'p, user:a, *, n:*, read, true, Deny',
    'The effect is "Deny"; only allow and deny are known. Did you mean `deny`?',
  ],
  ['a misspelt effect', 'p, user:a, *, n:*, read, true, alow', 'Did you mean `allow`?'],
  [
    'another effect',
    'p, user:a, *, n:*, read, true, maybe',
    'The effect is "maybe"; only allow and deny are known.',
  ],
  [
    'no effect, with a condition',
    `p, user:a, *, n:*, read, "subject.id == 'x'"`,
    'The effect is "subject.id',
  ],
  [
    'four fields',
    'p, user:a, *, n:*, read',
    'A line of p has 6 fields (subject, domain, object, action, condition, effect), or five without a condition; this has 4.',
  ],
  ['three fields, as in other models', 'p, alice, data1, read', 'this has 3.'],
  ['a comma too many', 'p, user:a, *, n:*, read, true, allow,', 'this has 7.'],
  ['an unquoted comma', "p, user:a, *, n:*, read, subject.id in ['x', 'y'], allow", 'this has 7.'],
  [
    'no domain of a role',
    'g, user:a, role:b',
    'A line of g has 3 fields (subject, role or team, domain); this has 2.',
  ],
  ['another type of line', 'p2, user:a, *, n:*, read, true, allow', 'none of "p2"'],
  ['a type in capitals', 'P, user:a, *, n:*, read, true, allow', 'Did you mean p?'],
  ['an empty field', 'p, user:a, , n:*, read, true, allow', 'The domain is empty.'],
  ['an empty condition', 'p, user:a, *, n:*, read, "", allow', 'The condition is empty.'],
  [
    'a blank at the end',
    'p, user:a, *, "n:1 ", read, true, allow',
    'The object begins or ends with a blank.',
  ],
  [
    'a control character',
    'p, user:a, *, n:1\u0007, read, true, allow',
    'The object holds a line break',
  ],
  ['a carriage return', 'p, user:a, *, n:1\rx, read, true, allow', 'The object holds a line break'],
  [
    'half a character',
    'p, user:\ud800, *, n:1, read, true, allow',
    'The line holds half of a surrogate pair.',
  ],
  [
    'a star in the middle',
    'p, user:a, /a*/, n:*, read, true, allow',
    'A `*` in the domain must be its last character',
  ],
  [
    'two stars',
    'p, user:a, *, n:**, read, true, allow',
    'A `*` in the object must be its last character',
  ],
  [
    'a star in an action',
    'p, user:a, *, n:*, re*, true, allow',
    'A `*` in the action must be the whole of it.',
  ],
  [
    'a star in a subject',
    'p, user:*, *, n:*, read, true, allow',
    'A `*` in the subject must be the whole of it.',
  ],
  [
    'a star in a role',
    'g, user:a, role:*, *',
    'A `*` in the role or team must be the whole of it.',
  ],
  [
    'a condition that does not parse',
    'p, user:a, *, n:*, read, "resource.owner ==", deny',
    'The condition is refused at character 18',
  ],
  [
    'a condition that reads something else',
    'p, user:a, *, n:*, read, "principal.id == 1", deny',
    '`principal` is not known here',
  ],
  [
    'a condition without quotes',
    'p, user:a, *, n:*, read, context.mfa, allow',
    'A condition other than true stands in double quotes.',
  ],
  [
    'a double quote in a condition',
    'p, user:a, *, n:*, read, "subject.id == """"", allow',
    'A field holds a double quote',
  ],
  [
    'an odd parenthesis in a text',
    `p, user:a, *, n:*, read, "subject.id == '('", allow`,
    'a different number of parentheses',
  ],
  [
    'a quote that stays open',
    'p, user:a, *, n:*, read, "true, allow',
    'The line cannot be read: Quote Not Closed',
  ],
  [
    'a quote in the middle',
    'p, user:a"b, *, n:*, read, true, allow',
    'The line cannot be read: Invalid Opening Quote',
  ],
])('refuses %s', (_, text, detail) => {
  const { lines, problems } = readCasbinCsv(`# first\n${text}\ng, user:a, role:b, *\n`)
  expect(problems[0]).toEqual({ line: 2, detail: expect.stringContaining(detail) })
  expect(lines.map(({ line }) => line)).toEqual([3])
})

test('names everything that is wrong in a line', () => {
  const { problems } = readCasbinCsv('p, , *, n:*, read, true, Deny')
  expect(problems).toHaveLength(2)
})

test('Casbin’s own reader finds the same fields in what is accepted', async () => {
  const modelText = readFileSync('model.conf', 'utf8')
  const word = fc.constantFrom(
    'user:ann',
    'a b',
    'a,b',
    '*',
    'n:*',
    '/acme/*',
    "it's",
    'x#y',
    '(a)',
    ')(',
    'é',
    '""',
    '',
  )
  const condition = fc.constantFrom(
    'true',
    "subject.id == 'a,  b'",
    "subject.id == '# ; (x)'",
    "'' == subject.id",
    'context.a["b"]',
    "f('('",
  )
  const quote = fc.constantFrom(
    (text: string) => `"${text}"`,
    (text: string) => text,
  )
  const field = fc.tuple(fc.oneof(word, condition), quote).map(([text, write]) => write(text))
  const blanks = fc.constantFrom(', ', ',', ' ,  ')
  const line = fc
    .tuple(
      fc.constantFrom('p', 'g'),
      fc.array(field, { minLength: 3, maxLength: 6 }),
      condition,
      blanks,
    )
    .map(([ptype, fields, text, comma]) =>
      [
        ptype,
        ...(ptype === 'g' ? fields.slice(0, 3) : [...fields.slice(0, 4), `"${text}"`, 'deny']),
      ].join(comma),
    )
  let accepted = 0
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 12 }), async (texts) => {
      for (const text of texts) {
        const [row] = readCasbinCsv(text).lines
        if (!row) continue
        accepted += 1
        const model = newModelFromString(modelText)
        await new StringAdapter(text).loadPolicy(model)
        const [theirs = []] = model.model.get(row.ptype)!.get(row.ptype)!.policy
        const inserted = row.ptype === 'p' && theirs.length === 5 ? ['true'] : []
        expect([...theirs.slice(0, 4), ...inserted, ...theirs.slice(4)]).toEqual(row.fields)
      }
    }),
    { numRuns: 150 },
  )
  expect(accepted).toBeGreaterThan(50)
})

test('never throws', () => {
  fc.assert(
    fc.property(
      fc.string({
        unit: fc.constantFrom('p', 'g', ',', '"', "'", '\n', '\r', '*', '#', ' ', 'x', '('),
        maxLength: 60,
      }),
      (text) => {
        const { lines, problems } = readCasbinCsv(text)
        for (const { line } of [...lines, ...problems]) expect(line).toBeGreaterThan(0)
      },
    ),
    { numRuns: 1000 },
  )
})
