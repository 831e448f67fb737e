import { expect, test } from 'vitest'
import { adviseDrops } from '../../src/advisor/drops.ts'
import type { Planner } from '../../src/advisor/planner.ts'
import type { TargetIndex, TargetTable } from '../../src/advisor/target.ts'
import { queryOf } from './cases.ts'
import { indexOf, tableOf, targetOf } from './targets.ts'

const NOW = new Date('2026-03-01T00:00:00Z')
const key = indexOf('t', ['a']).keys[0]!

/** Says what a query costs by the indexes that are hidden from it. */
const plannerOf = (costOf: (hidden: readonly string[]) => number): Planner => ({
  how: 'built',
  plan: async (_, { without = [] }) => ({
    ...{ cost: costOf(without), candidates: [], indexes: ['public.t_a_idx'], plan: null },
  }),
  bytesOf: async () => 0,
  close: async () => {},
})

const dropsOf = (indexes: TargetIndex[], more: Partial<TargetTable> = {}, costOf = () => 100) =>
  adviseDrops(targetOf([tableOf('t', ['a', 'b', 'c'], { indexes, ...more })]), {
    now: NOW,
    planner: plannerOf(costOf),
    workload: [queryOf('select from t')],
  })
const codesOf = async (...given: Parameters<typeof dropsOf>) =>
  (await dropsOf(...given)).map(({ index, code }) => `${index} ${code}`)

test('of two that are the same one goes, and never the one that is needed', async () => {
  const one = indexOf('t', ['a'], { name: 'one', scans: 3 })
  const two = indexOf('t', ['a'], { name: 'two', scans: 5 })
  expect(await codesOf([one, two])).toEqual(['public.one duplicate'])
  for (const needed of [{ isUnique: true }, { isPrimary: true }, { isNeeded: true }])
    expect(await codesOf([{ ...one, ...needed }, two])).toEqual(['public.two duplicate'])
  expect(
    await codesOf([
      { ...one, isUnique: true },
      { ...two, isUnique: true },
    ]),
  ).toEqual([])
})

test('what differs in anything is no duplicate', async () => {
  const plain = indexOf('t', ['a'], { name: 'plain' })
  for (const other of [
    { where: '(b > 1)' },
    { method: 'hash' },
    { isValid: false, isUnique: true },
    { keys: [{ ...key, descending: true }] },
    { keys: [{ ...key, collation: 'C' }] },
    { keys: [{ ...key, operatorClass: 'text_pattern_ops' }] },
    { keys: [{ ...key, column: null, expression: 'lower(a)' }] },
  ])
    expect(await codesOf([plain, { ...plain, name: 'other', ...other }], {}, () => 0)).toEqual([])
})

test('what a wider one begins with goes if no query gets dearer', async () => {
  const narrow = indexOf('t', ['a'])
  const wide = indexOf('t', ['a', 'b'])
  expect(await codesOf([narrow, wide])).toEqual(['public.t_a_idx covered'])
  const dearer = (share: number) =>
    adviseDrops(targetOf([tableOf('t', ['a', 'b'], { indexes: [narrow, wide] })]), {
      now: NOW,
      planner: plannerOf((hidden) => (hidden.includes('public.t_a_idx') ? 100 * (1 + share) : 100)),
      workload: [queryOf('select from t')],
    })
  expect(await dearer(0.03)).toEqual([])
  expect(await dearer(0.01)).toHaveLength(1)
  // Nobody can say that no query gets dearer.
  const target = targetOf([tableOf('t', ['a', 'b'], { indexes: [narrow, wide] })])
  expect(await adviseDrops(target, { now: NOW })).toEqual([])
  expect(await codesOf([{ ...narrow, isUnique: true }, wide])).toEqual([])
  expect(await codesOf([narrow, { ...wide, where: '(b > 1)' }])).toEqual([])
  expect(await codesOf([narrow, indexOf('t', ['b', 'a'])])).toEqual([])
  expect(await codesOf([narrow, indexOf('t', ['a'], { name: 'more', include: ['b'] })])).toEqual([
    'public.t_a_idx covered',
  ])
})

test('what carries columns goes for one that carries more only if a query was seen to use it', async () => {
  const carrying = (name: string) => [
    indexOf('t', ['a'], { name, include: ['b'] }),
    indexOf('t', ['a'], { name: 'more', include: ['b', 'c'] }),
  ]
  expect(await codesOf(carrying('t_a_idx'))).toEqual(['public.t_a_idx covered'])
  expect(await codesOf(carrying('unseen'))).toEqual([])
})

test('what nobody uses goes, after five weeks and if the table is read', async () => {
  const unused = indexOf('t', ['a'], { scans: 0 })
  const used = indexOf('t', ['b'])
  expect(await codesOf([unused, used])).toEqual(['public.t_a_idx unused'])
  expect(await codesOf([unused])).toEqual([])
  for (const needed of [{ isUnique: true }, { isPrimary: true }, { isNeeded: true }])
    expect(await codesOf([{ ...unused, ...needed }, used])).toEqual([])
  const foreignKeys = [{ name: 'f', columns: ['a'], references: { schema: 'public', name: 'u' } }]
  expect(await codesOf([unused, used], { foreignKeys })).toEqual([])
  const since = (countedSince: string | null) =>
    adviseDrops(
      targetOf([tableOf('t', ['a', 'b'], { indexes: [unused, used] })], { countedSince }),
      { now: NOW },
    )
  expect(await since('2026-01-26T00:00:00Z')).toEqual([])
  expect(await since('2026-01-24T00:00:00Z')).toHaveLength(1)
  expect(await since(null)).toEqual([])
})

test('what was never finished goes, and every advice says how to undo it', async () => {
  const [drop, ...more] = await dropsOf([
    indexOf('t', ['a'], { isValid: false, name: 'Left"over' }),
  ])
  expect(more).toEqual([])
  expect(drop).toMatchObject({
    code: 'invalid',
    table: 'public.t',
    bytes: 1_000_000,
    statement: 'drop index concurrently public."Left""over"',
    undo: expect.stringMatching(/^CREATE INDEX CONCURRENTLY /),
  })
})
