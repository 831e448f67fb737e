import { describe, expect, test } from 'vitest'
import { type Candidate, candidateText } from '../../src/advisor/candidate.ts'
import { candidatesOf } from '../../src/advisor/candidates.ts'
import { canonicalTarget } from '../../src/advisor/canonical.ts'
import { coveredBy } from '../../src/advisor/covered.ts'
import { readReferences } from '../../src/advisor/references.ts'
import type { Target, TargetIndex } from '../../src/advisor/target.ts'
import { casesOf, parser } from './cases.ts'
import { columnOf, indexOf, tableOf, targetOf } from './targets.ts'

const COLUMNS = [
  ...['id', 'a', 'b', 'c', 'd', 'name text', 'data jsonb', 'place point', 'tags text[]'],
  ...['words tsvector', 'span int4range', 'plain json'],
  columnOf('wide', 'text', { averageBytes: 400 }),
  columnOf('state', 'text', {
    distinct: 3,
    common: [
      { value: 'done', share: 0.9 },
      { value: 'queued', share: 0.02 },
    ],
  }),
  columnOf('gone', 'date', { nullShare: 0.97 }),
  columnOf('seen', 'date', { nullShare: 0.05 }),
]
const targetWith = (indexes: TargetIndex[] = [], more: Partial<Target> = {}) =>
  targetOf([tableOf('t', COLUMNS, { indexes }), tableOf('u', ['id', 't_id'])], more)

const found = async (where: string, target = targetWith(), keysMax = 3) => {
  const asked = await canonicalTarget(parser, target)
  const { relations } = await readReferences(parser, `select * from t ${where}`, asked)
  const { candidates, refused } = candidatesOf(relations, asked, { keysMax })
  const texts = candidates.map((each) => candidateText(each).replace('on public.t ', ''))
  return { texts, refused }
}
const textsOf = async (where: string, target?: Target, keysMax?: number) =>
  (await found(where, target, keysMax)).texts

describe('candidates are', () => {
  test('each column that is compared, and pairs both ways', async () => {
    expect((await textsOf('where a = 1 and b = $1')).toSorted()).toEqual(
      ['(a)', '(b)', '(a, b)', '(b, a)'].toSorted(),
    )
  })

  test('equality before one range, before an order and before groups', async () => {
    const texts = await textsOf('where a = 1 and b > 2 and c < 3 order by d desc, id desc')
    expect(texts).toEqual(expect.arrayContaining(['(a, b)', '(a, c)', '(a, d, id)', '(d, id)']))
    expect(await textsOf('where a = 1 group by c, b')).toContain('(a, c, b)')
    expect(await textsOf('where a = 1 and b = 2 and c = 3 order by d')).toContain('(a, b, c, d)')
  })

  test('mixed directions as they are asked for, from either end', async () => {
    expect(await textsOf('order by a, b desc')).toEqual(['(a, b desc)'])
    expect(await textsOf('order by a desc, b')).toEqual(['(a, b desc)'])
    expect(await textsOf('where a = 1 order by a desc, b desc')).toContain('(a, b)')
  })

  test('columns of a join before and behind equality', async () => {
    const asked = targetWith()
    const text = 'select t.* from t join u on u.t_id = t.b where t.a = 1'
    const { relations } = await readReferences(parser, text, asked)
    const { candidates } = candidatesOf(relations, asked, { keysMax: 3 })
    expect(candidates.map(candidateText)).toEqual(
      expect.arrayContaining(['on public.t (a, b)', 'on public.t (b, a)', 'on public.u (t_id)']),
    )
  })

  test('each arm of an OR, alone and behind what stands around it', async () => {
    const texts = await textsOf('where a = 1 and (b = 2 or c > 3)')
    expect(texts).toEqual(expect.arrayContaining(['(b)', '(c)', '(a, b)', '(a, c)']))
  })

  test('those with what else the query speaks of', async () => {
    const asked = targetWith()
    const { relations } = await readReferences(parser, 'select b, c, d from t where a = 1', asked)
    const { candidates } = candidatesOf(relations, asked, { keysMax: 3 })
    const texts = candidates.map((each) => candidateText(each).replace('on public.t ', ''))
    expect(texts).toEqual(['(a)', '(a) include (b, c, d)', '(a, b)', '(a, c)', '(a, d)'])
  })

  test('of few rows only, where the query always asks for those', async () => {
    expect(await textsOf(`where state = 'queued' order by a`)).toContain(
      `(a) where state = 'queued'`,
    )
    expect(await textsOf('where seen is null and a = 1')).toContain('(a) where seen is null')
    for (const where of [`state = 'done'`, 'state = $1', 'gone is null', 'b = 7'])
      expect((await textsOf(`where ${where} and a = 1`)).join()).not.toContain('where')
  })

  test('on expressions, and of other kinds for what no order finds', async () => {
    expect(await textsOf('where lower(name) = $1')).toEqual(['((lower(name)))'])
    expect(await textsOf(`where data->>'k' = $1`)).toEqual([`(((data ->> 'k')))`])
    expect(await textsOf(`where name like 'x%'`)).toEqual(['(name)', '(name text_pattern_ops)'])
    expect(await textsOf(`where data @> $1`)).toEqual([
      'using gin (data)',
      'using gin (data jsonb_path_ops)',
    ])
    expect(await textsOf(`where data ? 'k'`)).toEqual(['using gin (data)'])
    expect(await textsOf('where tags && $1')).toEqual(['using gin (tags)'])
    expect(await textsOf('where words @@ $1')).toEqual(['using gin (words)'])
    expect(await textsOf('where span @> 3')).toEqual(['using gist (span)'])
    expect(await textsOf(`where to_tsvector('english', name) @@ $1`)).toEqual([
      `using gin ((to_tsvector('english'::regconfig, name)))`,
    ])
  })

  test('of trigrams where the extension is there; else it is said why not', async () => {
    const { texts, refused } = await found(`where name like '%x%'`)
    expect(texts).toEqual([])
    expect(refused).toMatchObject([
      { code: 'only-by-hand', text: 'on public.t using gin (name gin_trgm_ops)' },
    ])
    expect(refused[0]!.reason).toContain('pg_trgm')
    const able = targetWith([], { extensions: ['pg_trgm'] })
    expect(await textsOf('where name ilike $1', able)).toEqual(['using gin (name gin_trgm_ops)'])
  })
})

describe('no candidates are', () => {
  test.each(['where plain = $1', 'where place = $1', 'where wide = $1', 'where a <> 1', ''])(
    'there for: %s',
    async (where) => {
      expect(await textsOf(where)).toEqual([])
    },
  )

  test('there for tables that are small or were never analyzed', async () => {
    for (const more of [{ pages: 99 }, { rows: 499 }, { rows: null }]) {
      const target = targetOf([tableOf('t', COLUMNS, more)])
      expect(await textsOf('where a = 1', target)).toEqual([])
      const { relations } = await readReferences(parser, 'select * from t where a = 1', target)
      const limits = { keysMax: 3, smallTables: true }
      expect(candidatesOf(relations, target, limits).candidates).toHaveLength(1)
    }
  })

  test('without end for queries without end', async () => {
    const names = Array.from({ length: 100 }, (_, at) => `c${at}`)
    const target = targetOf([tableOf('t', names)])
    const text = `where ${names.map((name) => `${name} = 1`).join(' and ')}`
    const texts = await textsOf(text, target)
    expect(texts.length).toBeGreaterThan(100)
    expect(texts.length).toBeLessThan(20_000)
  })
})

describe('an index that is there covers', () => {
  const isCovered = async (where: string, index: TargetIndex) =>
    (await found(where, targetWith([index]))).refused.some(
      ({ code }) => code === 'covered-by-existing',
    )
  const key = indexOf('t', ['a']).keys[0]!

  test.each<[string, string, TargetIndex, boolean]>([
    ['its own keys', 'where a = 1', indexOf('t', ['a']), true],
    ['its first keys', 'where a = 1', indexOf('t', ['a', 'b']), true],
    ['its order backwards', 'order by a desc', indexOf('t', ['a']), true],
    ['not its other keys', 'where b = 1', indexOf('t', ['a', 'b']), false],
    ['nothing while it is invalid', 'where a = 1', indexOf('t', ['a'], { isValid: false }), false],
    ['nothing but its rows', 'where a = 1', indexOf('t', ['a'], { where: '(b > 1)' }), false],
    ['equality by hash', 'where a = 1', indexOf('t', ['a'], { method: 'hash' }), true],
    ['no range by hash', 'where a > 1', indexOf('t', ['a'], { method: 'hash' }), false],
    ['no order by hash', 'where a = 1 order by a', indexOf('t', ['a'], { method: 'hash' }), false],
    ['no order by BRIN', 'order by a', indexOf('t', ['a'], { method: 'brin' }), false],
    [
      'nothing of another collation',
      'where a = 1',
      indexOf('t', ['a'], { keys: [{ ...key, collation: 'de_DE' }] }),
      false,
    ],
    [
      'an expression, as the database writes it',
      'where lower(name) = $1',
      indexOf('t', ['x'], { keys: [{ ...key, column: null, expression: 'lower(name)' }] }),
      true,
    ],
    [
      'the same rows, as the database writes it',
      `where state = 'queued' and a = 1`,
      indexOf('t', ['a'], { where: `(state = 'queued'::text)` }),
      true,
    ],
  ])('%s', async (_, where, index, expected) => {
    expect(await isCovered(where, index)).toBe(expected)
  })
})

type Exists = { candidate: string; existing: string; expect: boolean }
const published = casesOf<{ index_exists: Exists[] }>('postgres-mcp.json')

test.skipIf(!published)('published: which index is there already', () => {
  const existing = (definition: string): TargetIndex => {
    const [, table = '', method = '', keys = ''] =
      /ON (?:public\.)?(\w+) USING (\w+) \((.*)\)$/.exec(definition) ?? []
    return indexOf(table, [], {
      method,
      keys: keys.split(', ').map((text) => ({
        ...indexOf(table, ['x']).keys[0]!,
        ...(text.includes('(') ? { column: null, expression: text } : { column: text }),
      })),
    })
  }
  const candidate = (text: string): Candidate => {
    const [, name = '', keys = '', method = 'btree'] = /^(\w+)\((.*)\) ?(\w+)?$/.exec(text) ?? []
    const columns = keys.split(',').map((column) => ({ column }))
    const table = { schema: 'public', name }
    return { table, method: method as 'btree', keys: columns, include: [], where: null }
  }
  for (const each of published!.index_exists) {
    const index = existing(each.existing)
    const asked = candidate(each.candidate)
    const { name } = asked.table
    const table = tableOf(name, [], { indexes: index.table.name === name ? [index] : [] })
    expect([each.candidate, coveredBy(table, asked) !== undefined]).toEqual([
      each.candidate,
      each.expect,
    ])
  }
})
