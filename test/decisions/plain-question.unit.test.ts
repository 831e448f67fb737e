import fc from 'fast-check'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { isPlainBatchCheck, isPlainQuestion } from '../../src/decisions/plain-question.ts'
import { BatchCheck, CheckRequest } from '../../src/decisions/schema.ts'

const odd = fc.constantFrom<unknown>(
  ...[
    '',
    'user:alice',
    'user:',
    ':x',
    'a b:c',
    'a:b:c',
    '*',
    'x:*',
    'acme',
    'Acme',
    '-a',
    'org_01',
    'user:\u0000',
    'user:\ud800',
  ],
  ...[
    'scenario:execute',
    'scenario',
    'scenario:a,b',
    `user:${'x'.repeat(600)}`,
    `user:${'é'.repeat(200)}`,
    `user:${'x'.repeat(160)}`,
  ],
  ...[
    'minimize_latency',
    'full',
    'eventual',
    null,
    7,
    true,
    false,
    [],
    {},
    { atLeast: 'x' },
    { ip: '::1' },
    undefined,
  ],
)
/** Mostly what is right, now and then what is not. */
const mostly = (...right: unknown[]) =>
  fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...right) }, { weight: 1, arbitrary: odd })
const question = fc
  .record(
    {
      organization: mostly('acme', 'org_01'),
      workspace: mostly(null, 'lab'),
      subject: mostly('user:alice', 'identity:a b'),
      permission: mostly('scenario:execute', 'org:member:invite'),
      resource: mostly(null, 'scenario:42', 'scenario:a:b'),
      context: mostly({}, { ip: '::1' }),
      consistency: mostly('full', 'minimize_latency'),
      explain: mostly(true, false),
    },
    { requiredKeys: ['organization', 'subject', 'permission'] },
  )
  .chain((plain) =>
    fc.oneof(
      { weight: 9, arbitrary: fc.constant(plain) },
      fc.record({ wizard: odd }).map((more) => ({ ...plain, ...more })),
    ),
  )
/** As a body arrives: parsed from JSON. */
const received = fc
  .oneof(question, odd)
  .map((value) => JSON.parse(JSON.stringify(value) ?? 'null') as unknown)

test('the quick look never takes what the schema refuses, and takes it as the schema does', () => {
  let taken = 0
  fc.assert(
    fc.property(received, (value) => {
      for (const [isPlain, schema] of [
        [isPlainQuestion, CheckRequest],
        [isPlainBatchCheck, BatchCheck],
      ] as const) {
        if (!isPlain(value)) continue
        taken++
        const parsed = v.safeParse(schema, value)
        expect(parsed.success).toBe(true)
        expect(parsed.output).toEqual(value)
      }
    }),
    { numRuns: 20_000 },
  )
  expect(taken).toBeGreaterThan(5000)
})

test('takes the questions that services ask', () => {
  const plain = { organization: 'acme', subject: 'user:alice', permission: 'scenario:execute' }
  expect(
    isPlainQuestion({
      ...plain,
      resource: 'scenario:42',
      context: {},
      explain: false,
      workspace: null,
    }),
  ).toBe(true)
  expect(isPlainQuestion({ ...plain, consistency: { atLeast: 'x' } })).toBe(false)
  expect(isPlainBatchCheck({ ...plain, consistency: 'full' })).toBe(false)
})
