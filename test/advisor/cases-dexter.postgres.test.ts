import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { WorkloadQuery } from '../../src/advisor/advice.ts'
import { type Candidate, candidateText } from '../../src/advisor/candidate.ts'
import type { Planner } from '../../src/advisor/planner.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { openBuilding } from './building.ts'
import { adviseBuilt, casesOf, prepare, queryOf } from './cases.ts'
import { shadowOf } from './shadow.ts'

type Case = { sql: string; expect: string[] | null; better?: string[] }
const given = casesOf<{ schema: string[]; cases: Case[] }>('dexter.json')

/** Where other words are used for as good an index, or a better one: by the query, why. */
const OTHERWISE: Record<string, string> = {
  'SELECT * FROM posts WHERE user_id = 1 AND blog_id = 2':
    '(blog_id, user_id) costs the same, and may take a page less',
  'SELECT * FROM posts WHERE user_id = 1 AND blog_id < 10':
    'equality goes first: (user_id, blog_id) costs 263 where (blog_id) costs 1,003',
  'SELECT * FROM posts ORDER BY user_id DESC, blog_id LIMIT 10':
    'the same order read from its other end',
}

/** `public.posts (user_id, blog_id DESC)` */
const candidateOf = (text: string): Candidate => {
  const [, schema = '', name = '', keys = ''] = /^(\w+)\.(\w+) \((.*)\)$/.exec(text) ?? []
  return {
    ...{ table: { schema, name }, method: 'btree', include: [], where: null },
    keys: keys.split(', ').map((key) => {
      const [column = '', direction] = key.split(' ')
      return { column, ...(direction === 'DESC' ? { descending: true } : {}) }
    }),
  }
}

let database: TestDatabase
let planner: Planner
let shadow: Planner
beforeAll(async () => {
  database = await openTestDatabase()
  planner = openBuilding(database.sql)
  if (!given) return
  await prepare(database.sql, given.schema)
  shadow = (await shadowOf(database.sql, ['public', 'Bar'])).planner
})
afterAll(async () => {
  await shadow?.close()
  await database.drop()
})

const costOf = async (query: WorkloadQuery, candidates: Candidate[]) =>
  (await planner.plan(query, { with: candidates })).cost

describe.skipIf(!given)('what dexter answers:', () => {
  test.each(given?.cases ?? [])('$sql', async (each) => {
    const query = queryOf(each.sql)
    const advice = await adviseBuilt(database.sql, planner, [query])
    const advised = advice.indexes.map(({ candidate }) => candidate)
    const expected = (each.better ?? each.expect ?? []).map(candidateOf)
    const texts = advised.map(candidateText)
    if (expected.length === 0) expect(texts).toEqual([])
    else if (!(each.sql in OTHERWISE)) expect(texts).toEqual(expected.map(candidateText))
    else {
      expect(texts).toHaveLength(1)
      const [ours, theirs] = [await costOf(query, advised), await costOf(query, expected)]
      expect(ours).toBeLessThanOrEqual(theirs)
    }
    if (/missing|\+|bad/.test(each.sql)) expect(advice.queries[0]!.passedOver).not.toBeNull()
  })

  test('the same of a shadow, where nothing is built', async () => {
    const dearer: string[] = []
    for (const each of given!.cases) {
      const query = queryOf(each.sql)
      const { indexes } = await adviseBuilt(database.sql, shadow, [query])
      const expected = (each.better ?? each.expect ?? []).map(candidateOf)
      expect([each.sql, indexes.length]).toEqual([each.sql, expected.length])
      if (expected.length === 0) continue
      const advised = indexes.map(({ candidate }) => candidate)
      const [ours, theirs] = [await costOf(query, advised), await costOf(query, expected)]
      if (ours > theirs * 1.01) dearer.push(`${each.sql}: ${ours} ${theirs}`)
    }
    expect(dearer).toEqual([])
  })

  test('its queries all together need few indexes, and none once those are there', async () => {
    const workload = given!.cases.map(({ sql }) => queryOf(sql))
    const limits = { indexesPerTableMax: 9 }
    const advice = await adviseBuilt(database.sql, planner, workload, limits)
    const texts = advice.indexes.map(({ text }) => text)
    expect(texts).toEqual(
      expect.arrayContaining(['on public.posts (id)', 'on public.posts (user_id, blog_id)']),
    )
    expect(texts.length).toBeLessThanOrEqual(9)
    expect(advice.after).toBeLessThan(advice.before / 5)
    for (const [at, { text }] of advice.indexes.entries())
      await prepare(database.sql, [`create index advised_${at} ${text}`])
    const again = await adviseBuilt(database.sql, planner, workload, limits)
    expect(again.indexes.map(({ text }) => text)).toEqual([])
    expect(Math.abs(again.before / advice.after - 1)).toBeLessThan(0.05)
  })
})

test.skipIf(!given)(
  'stress: a hundred conditions are answered by an index, and not for ever',
  async () => {
    const columns = Array.from({ length: 100 }, (_, at) => `c${at}`)
    await prepare(database.sql, [
      `create table wide (${columns.map((name) => `${name} int`).join(', ')})`,
      `insert into wide select ${columns.map((_, at) => `n % ${at + 2}`).join(', ')} from generate_series(1, 5000) n`,
      'analyze wide',
    ])
    const text = `select * from wide where ${columns.map((name) => `${name} = 1`).join(' and ')}`
    const { indexes } = await adviseBuilt(database.sql, planner, [queryOf(text)])
    expect(indexes).toHaveLength(1)
  },
)
