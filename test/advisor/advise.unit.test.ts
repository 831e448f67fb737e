import { describe, expect, test } from 'vitest'
import type { Advice, AdviceLimits } from '../../src/advisor/advice.ts'
import { type AdviceProgress, advise } from '../../src/advisor/advise.ts'
import { type Candidate, candidateText } from '../../src/advisor/candidate.ts'
import { openFormulaPlanner } from '../../src/advisor/formula.ts'
import { LIMITS, limitsOf } from '../../src/advisor/limits.ts'
import type { Planner } from '../../src/advisor/planner.ts'
import type { Target, TargetIndex } from '../../src/advisor/target.ts'
import { writeCostOf } from '../../src/advisor/write-cost.ts'
import { parser, queryOf } from './cases.ts'
import { columnOf, indexOf, tableOf, targetOf } from './targets.ts'

const NOTE = columnOf('note', 'text', { averageBytes: 60 })
const COLUMNS = ['id', 'a', 'b', 'c', 'name text', NOTE]
const tables = (indexes: TargetIndex[] = []) => [
  tableOf('t', COLUMNS, { indexes }),
  tableOf('u', ['id', 't_id', 'kind', NOTE]),
  tableOf('never', ['id'], { rows: null }),
]
const target = targetOf(tables())
const WORKLOAD = [
  queryOf('select * from t where a = $1', 1000),
  queryOf('select * from t where b = $1 order by c limit 10', 500),
  queryOf('select * from u where kind = $1', 100),
  queryOf('select * from t where lower(name) = $1', 50),
]

const run = (
  limits: Partial<AdviceLimits> = {},
  more: Parameters<typeof advise>[5] = {},
  asked: Target = target,
  workload = WORKLOAD,
) => advise(parser, asked, openFormulaPlanner(asked, parser), workload, limits, more)
const textsOf = ({ indexes }: Advice) => indexes.map(({ text }) => text.replace('public.', ''))

describe('advice', () => {
  test('says of each index what it is worth, and of each query what it costs then', async () => {
    const advice = await run()
    expect(textsOf(advice)).toEqual([
      'on t (a)',
      'on t (b, c)',
      'on u (kind)',
      'on t ((lower(name)))',
    ])
    for (const each of advice.indexes) {
      expect(each.gain).toBeGreaterThan(0)
      expect(each.bytes).toBeGreaterThan(100_000)
      expect(each.helps).toHaveLength(1)
      expect(each.text).toBe(candidateText(each.candidate))
    }
    const gains = advice.indexes.reduce((sum, { gain }) => sum + gain, 0)
    expect(advice.before - advice.after).toBeCloseTo(gains, 3)
    expect(advice.queries.map(({ uses }) => uses.length)).toEqual([1, 1, 1, 1])
    expect(advice.plans).toBeGreaterThan(4)
  })

  test('given again once its indexes are there is none', async () => {
    const first = await run()
    const made = first.indexes.map(({ candidate }, at) => {
      const keys = candidate.keys.map((key) => ({
        ...indexOf('t', ['a']).keys[0]!,
        ...('column' in key
          ? { column: key.column }
          : // As the database writes it.
            { column: null, expression: 'lower(name)' }),
      }))
      return indexOf(candidate.table.name, [], {
        ...{ name: `advised_${at}`, keys, include: [...candidate.include] },
      })
    })
    const asked = targetOf(
      tables().map((each) => ({
        ...each,
        indexes: made.filter((index) => index.table.name === each.name),
      })),
    )
    const again = await run({}, {}, asked)
    expect(textsOf(again)).toEqual([])
    expect(again.before).toBeLessThan(first.before / 5)
    expect(again.refused.some(({ code }) => code === 'covered-by-existing')).toBe(true)
  })

  test('keeps to limits and says which one it was', async () => {
    const codes = async (limits: Partial<AdviceLimits>) => {
      const advice = await run(limits)
      return { texts: textsOf(advice), codes: new Set(advice.refused.map(({ code }) => code)) }
    }
    const two = await codes({ indexesMax: 2 })
    expect(two.texts).toEqual(['on t (a)', 'on t (b, c)'])
    expect(two.codes).toContain('too-many')
    expect((await codes({ indexesPerTableMax: 1 })).texts).toEqual(['on t (a)', 'on u (kind)'])
    const none = await codes({ budgetBytes: 1000 })
    expect(none.texts).toEqual([])
    expect(none.codes).toContain('over-budget')
    expect((await codes({ gainShareMin: 0.6 })).codes).toContain('gain-too-small')
    expect((await codes({ keysMax: 1 })).texts).toContain('on t (a)')
  })

  test('is none where writes cost more', async () => {
    const written = { inserted: 1e9, updated: 0, hotUpdated: 0, deleted: 0 }
    const asked = targetOf(tables().map((each) => ({ ...each, writes: written })))
    const advice = await run({}, {}, asked)
    expect(textsOf(advice)).toEqual([])
    expect(advice.refused.map(({ code }) => code)).toContain('gain-too-small')
  })

  test('passes over what it can do nothing for, and says why', async () => {
    const { queries, notes, indexes } = await run({}, {}, target, [
      queryOf('select +'),
      queryOf('select * from gone'),
      queryOf('select 1'),
      queryOf('select * from never where id = $1'),
    ])
    expect(indexes).toEqual([])
    const reasons = queries.map(({ passedOver }) => passedOver?.split(/[.:]/)[0])
    expect(reasons.slice(0, 3)).toEqual([
      'It is not SQL',
      'It cannot be planned',
      'It reads no table that is looked after',
    ])
    expect(notes.join()).toMatch(/never was never analyzed.*3 of 4 queries were passed over/)
  })

  test('tells how far it is, and ends when it is told to', async () => {
    const seen: AdviceProgress[] = []
    await run({}, { onProgress: (progress) => seen.push(progress) })
    expect([...new Set(seen.map(({ phase }) => phase))]).toEqual([
      'reading',
      'candidates',
      'choosing',
      'confirming',
      'drops',
    ])
    expect(seen.filter(({ phase }) => phase === 'candidates').at(-1)).toMatchObject({
      done: 4,
      total: 4,
    })
    const controller = new AbortController()
    const ended = run(
      {},
      {
        signal: controller.signal,
        onProgress: ({ phase }) => phase === 'choosing' && controller.abort(),
      },
    )
    await expect(ended).rejects.toThrow(/abort/i)
  })
})

describe('a second opinion', () => {
  const saying = (costOf: (texts: string[]) => number): Planner => ({
    how: 'built',
    plan: async (_, { with: candidates }) => {
      const texts = candidates.map(candidateText)
      return { cost: costOf(texts), candidates: texts, indexes: [], plan: null }
    },
    bytesOf: async () => 0,
    close: async () => {},
  })

  test('that agrees makes sure; what it gains nothing by is left out', async () => {
    const confirm = saying(
      (texts) => 1000 - 100 * texts.filter((text) => text.includes('(a)')).length,
    )
    const advice = await run({}, { confirm })
    expect(advice.indexes.map(({ text, confidence }) => [text, confidence])).toEqual([
      ['on public.t (a)', 'high'],
    ])
    const refused = advice.refused.find(({ text }) => text.includes('(kind)'))
    expect(refused).toMatchObject({ code: 'no-gain', reason: expect.stringContaining('built') })
    expect(advice.queries[2]!.uses).toEqual([])
  })

  test('by which a query gets dearer forbids the index', async () => {
    const confirm = saying((texts) =>
      texts.some((text) => text.includes('(b, c)')) ? 5000 : 1000 - texts.length,
    )
    const advice = await run({}, { confirm })
    expect(textsOf(advice)).not.toContain('on t (b, c)')
    expect(advice.refused).toContainEqual(
      expect.objectContaining({ text: 'on public.t (b, c)', code: 'makes-a-query-dearer' }),
    )
  })
})

test('limits are the usual ones, by the size of the database, but for those that are given', () => {
  expect(limitsOf(targetOf([], { bytes: 1e9 }))).toEqual({ ...LIMITS, budgetBytes: 1e9 })
  expect(limitsOf(targetOf([], { bytes: 1e6 }), { keysMax: 2 })).toMatchObject({
    ...{ budgetBytes: 64 * 1024 * 1024, keysMax: 2 },
  })
})

test('writes cost more for each index, and where rows no longer stay for all of them', () => {
  const writes = { inserted: 1000, updated: 500, hotUpdated: 400, deleted: 7 }
  const asked = targetOf([tableOf('t', COLUMNS, { indexes: [indexOf('t', ['id'])], writes })])
  const on = (column: string): Candidate => ({
    ...{ table: { schema: 'public', name: 't' }, method: 'btree', include: [], where: null },
    keys: [{ column }],
  })
  const updated = new Map([['public.t', new Set(['b'])]])
  // 1,000 rows of 2 units, 100 updates of 2.5.
  expect(writeCostOf(asked, [on('a')], updated)).toBe(2250)
  expect(writeCostOf(asked, [on('a'), on('c')], updated)).toBe(4500)
  // 400 more updates that the index there learns of, too.
  expect(writeCostOf(asked, [on('b')], updated)).toBe(2250 + 400 * 2 * 2.5)
  expect(writeCostOf(asked, [{ ...on('a'), where: 'b is null' }], updated)).toBe(2250 + 2000)
})
