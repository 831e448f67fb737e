import { describe, expect, test } from 'vitest'
import { isPassing, Refused, reasonOf } from '../../src/indexes/failure.ts'
import { indexNameOf, isOurName } from '../../src/indexes/name.ts'
import { progressOf } from '../../src/indexes/progress.ts'
import { dropStatement, quoted, readDefinition, statementOf } from '../../src/indexes/statement.ts'

describe('a name', () => {
  test('is of the table and what the index is, so that the same index has the same', async () => {
    const definition = 'on public.grants (subject)'
    expect(await indexNameOf('grants', definition)).toBe(await indexNameOf('grants', definition))
    expect(await indexNameOf('grants', definition)).toMatch(/^adv_grants_[0-9a-f]{8}$/)
    expect(await indexNameOf('grants', `${definition} where true`)).not.toBe(
      await indexNameOf('grants', definition),
    )
  })

  test.each([['x'.repeat(63)], ['ß'.repeat(31)], ['😀'.repeat(15)]])(
    'of a long table has 63 bytes at most, and no half characters',
    async (table) => {
      const name = await indexNameOf(table, 'on t (a)')
      expect(new TextEncoder().encode(name).length).toBeLessThanOrEqual(63)
      expect(name).toMatch(/^adv_[xß😀]+_[0-9a-f]{8}$/u)
      expect(isOurName(name)).toBe(true)
    },
  )

  test('of somebody else is none of ours', () => {
    expect(isOurName('parcels_pkey')).toBe(false)
    expect(isOurName(`adv_${'x'.repeat(60)}`)).toBe(false)
  })
})

describe('a definition', () => {
  test.each([
    ['on public.grants (subject)', 'public', 'grants', '(subject)'],
    ['on "A b"."c""d.e" using gin (x) where y', 'A b', 'c"d.e', 'using gin (x) where y'],
    ['on public.Grants (a)', 'public', 'grants', '(a)'],
  ])('is taken apart: %s', (definition, schema, table, rest) => {
    expect(readDefinition(definition)).toEqual({ schema, table, rest })
  })

  test.each([['on grants (subject)'], ['using btree (a)'], ['on "a.b (c)'], ['']])(
    'is none: %s',
    (definition) => expect(readDefinition(definition)).toBeUndefined(),
  )
})

describe('a statement', () => {
  const entry = { index: 'adv_"x', definition: 'on public.t (a)', undo: '' }
  test('quotes what is named and never overlooks an invalid index', () => {
    const text = statementOf({ ...entry, kind: 'create' }, { concurrently: true })
    expect(text).toBe('create index concurrently "adv_""x" on public.t (a)')
    expect(dropStatement({ schema: 's', index: 'i' }, { concurrently: false })).toBe(
      'drop index if exists "s"."i"',
    )
    expect(quoted('a"b')).toBe('"a""b"')
  })

  test('makes again what the catalog wrote down', () => {
    const undo = 'CREATE UNIQUE INDEX i ON public.t USING btree (a)'
    expect(statementOf({ ...entry, kind: 'drop', undo }, { concurrently: true })).toBe(
      'create unique index concurrently i ON public.t USING btree (a)',
    )
    const dropped = { ...entry, kind: 'drop', undo: 'drop table t' } as const
    expect(() => statementOf(dropped, { concurrently: true })).toThrow(Refused)
  })
})

test('progress goes on only: through the phases in the order in which they come', () => {
  const phases = [
    ['initializing', 0, 0],
    ['waiting for writers before build', 0, 0],
    ['building index: scanning table', 10, 100],
    ['building index: scanning table', 90, 100],
    ['building index: sorting live tuples', 0, 0],
    ['building index: loading tuples in tree', 0, 0],
    ['waiting for writers before validation', 0, 0],
    ['index validation: scanning index', 50, 100],
    ['index validation: sorting tuples', 0, 0],
    ['index validation: scanning table', 100, 100],
    ['waiting for old snapshots', 0, 0],
  ] as const
  const shares = phases.map(([phase, blocksDone, blocksTotal]) => {
    return progressOf({ phase, blocksDone, blocksTotal, tuplesDone: 0, tuplesTotal: 0 }).share
  })
  expect(shares).toEqual(shares.toSorted((a, b) => a - b))
  expect(shares[3]! - shares[2]!).toBeGreaterThan(0.2)
  expect(Math.max(...shares)).toBeLessThan(1)
})

test.each([
  ['55P03', true, /old transaction/],
  ['40P01', true, /deadlock/],
  ['57P01', true, /connection to the database was lost/],
  ['CONNECTION_CLOSED', true, /connection to the database was lost/],
  ['57014', false, /canceled/],
  ['53100', false, /disk is full/],
  ['53400', false, /temporary files/],
  ['23505', false, /^broken$/],
])('%s: whether it passes, and in words', (code, passes, words) => {
  const error = Object.assign(new Error('broken'), { code })
  expect(isPassing(error)).toBe(passes)
  expect(reasonOf(error)).toMatch(words)
})
