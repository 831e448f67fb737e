import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AdviceLimits } from '../../src/advisor/advice.ts'
import { advise } from '../../src/advisor/advise.ts'
import type { Planner } from '../../src/advisor/planner.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { openBuilding } from './building.ts'
import { adviseBuilt, casesOf, parser, prepare, queryOf, readTried } from './cases.ts'

let database: TestDatabase
let planner: Planner
beforeAll(async () => {
  database = await openTestDatabase()
  planner = openBuilding(database.sql)
})
afterAll(() => database.drop())

const adviseFor = async (workload: [string, number][], limits: Partial<AdviceLimits> = {}) => {
  const queries = workload.map(([text, calls]) => queryOf(text, calls * 10_000))
  const advice = await adviseBuilt(database.sql, planner, queries, limits)
  return { ...advice, texts: advice.indexes.map(({ text }) => text) }
}

type Workload = { name: string; schema?: string[]; queries?: [string, number][]; expect: unknown }
const mcp = casesOf<{ workloads: Workload[] }>('postgres-mcp.json')
const named = (name: string) => {
  const found = mcp!.workloads.find((each) => each.name.startsWith(name))!
  return { schema: found.schema ?? [], queries: found.queries ?? [], expect: found.expect }
}

describe.skipIf(!mcp)('workloads of postgres-mcp:', () => {
  // (high_cardinality_col3) is not advised: to walk along the primary key until 100 of its rows are found is cheaper.
  test('diminishing returns: no fewer indexes where less is asked of each', async () => {
    const { schema, queries } = named('diminishing_returns')
    await prepare(database.sql, schema)
    const strict = await adviseFor(queries, { gainShareMin: 0.05, queryGainShareMin: 0 })
    const loose = await adviseFor(queries, { gainShareMin: 0.01, queryGainShareMin: 0 })
    expect(strict.texts.join()).toMatch(/\(high_cardinality_col1\).*\(high_cardinality_col2\)/)
    expect(strict.texts.filter((text) => text.includes('medium_cardinality_col2'))).toEqual([])
    expect(loose.texts.length).toBeGreaterThanOrEqual(strict.texts.length)
  })

  test('basic: only what is compared is indexed', async () => {
    const { schema, queries } = named('pareto_basic')
    await prepare(database.sql, schema)
    const { texts } = await adviseFor(queries)
    const columns = ['col1', 'col2', 'col3', 'col4']
    expect(texts.toSorted()).toEqual(columns.map((each) => `on public.pareto_test (${each})`))
  })

  test('several columns (which it does not pass itself): equality first', async () => {
    await prepare(database.sql, [
      'create table sales (id int primary key, status text, sale_date date, product_id int, customer_id int, payment_method text, note text)',
      `insert into sales select i, 's' || i % 17, date '2026-01-01' + i % 300, i % 91, i % 83, 'm' || i % 53, repeat('x', 60)
       from generate_series(1, 20000) i`,
      'vacuum analyze sales',
    ])
    const { texts } = await adviseFor([
      [
        `select * from sales where status = $1 and sale_date between '2026-02-01' and '2026-02-09'`,
        10,
      ],
      ['select * from sales where product_id = $1 and customer_id = $2', 10],
      ['select * from sales where payment_method = $1 and status = $2', 10],
    ])
    const expected = [
      /\(status, sale_date\)/,
      /product_id.*customer_id|customer_id.*product_id/,
      /\(payment_method, status\)|\(status, payment_method\)/,
    ]
    for (const each of expected) expect(texts.some((text) => each.test(text))).toBe(true)
    expect(texts).toHaveLength(3)
  })

  test('storage: what is small is indexed, what is huge never, and less room gives no more', async () => {
    await prepare(database.sql, [
      'create table stored (id int primary key, small_col int, other_col int, huge_col text)',
      `insert into stored select i, i % 997, i % 499, i || repeat('x', 500) from generate_series(1, 10000) i`,
      'vacuum analyze stored',
    ])
    const queries: [string, number][] = [
      ['select * from stored where small_col = $1', 10],
      ['select * from stored where other_col = $1', 5],
      ['select * from stored where huge_col = $1', 50],
    ]
    const { texts } = await adviseFor(queries)
    expect(texts).toEqual(['on public.stored (small_col)', 'on public.stored (other_col)'])
    const little = await adviseFor(queries, { budgetBytes: 150_000 })
    expect(little.texts).toEqual(['on public.stored (small_col)'])
    expect(little.refused).toContainEqual(
      expect.objectContaining({ text: 'on public.stored (other_col)', code: 'over-budget' }),
    )
  })
})

type Qualstats = { schema: string[]; workload: string[] }
const qualstats = casesOf<Qualstats>('pg_qualstats-advisor.json')

test.skipIf(!qualstats)(
  'pg_qualstats: two indexes serve all queries by their first keys',
  async () => {
    await prepare(database.sql, [...qualstats!.schema, 'vacuum analyze adv'])
    const { texts, queries, refused } = await adviseFor(
      qualstats!.workload.map((text) => [text, 1]),
    )
    expect(texts.map((text) => /\((\w+)/.exec(text)?.[1]).toSorted()).toEqual(['id1', 'val'])
    const helped = queries.filter(({ before, after }) => after < before / 2)
    // Half of the table is read as it is; ILIKE is found by no order. LIKE without a wildcard is found, which it does not see.
    expect(queries.filter((each) => !helped.includes(each)).map(({ text }) => text)).toEqual([
      'SELECT count(*) FROM adv WHERE id1 < 500',
      `SELECT * FROM adv WHERE val ILIKE 'moh'`,
    ])
    expect(refused).toContainEqual(expect.objectContaining({ code: 'only-by-hand' }))
  },
)

type Supabase = {
  cases: { file: string; schema?: string[]; sql: string; expect: { indexes?: string[] } }[]
  extra_own: { sql: string }[]
}
const supabase = casesOf<Supabase>('supabase-index-advisor.json')

describe.skipIf(!supabase)('supabase index_advisor:', () => {
  const caseOf = (start: string) =>
    supabase!.cases.find(({ sql, file }) => `${file} ${sql}`.includes(start))!
  const prepared = async (start: string) => {
    const found = caseOf(start)
    await prepare(database.sql, [
      'drop table if exists book, author, publisher, review cascade',
      ...(found.schema ?? []),
    ])
    planner = openBuilding(database.sql)
    return adviseFor([[found.sql, 1]])
  }

  test.each(['integration.sql', 'issue_1.sql'])(
    '%s: the same, and that it is guessed',
    async (file) => {
      const { texts, notes } = await prepared(file)
      expect(texts).toEqual(['on public.book (id)'])
      expect(notes.join()).toContain('public.book was never analyzed')
    },
  )

  test('without being told to, never of a table that was never analyzed', async () => {
    const target = await readTried(database.sql)
    const asked = [queryOf(caseOf('integration.sql').sql)]
    const { indexes } = await advise(parser, target, planner, asked)
    expect(indexes).toEqual([])
  })

  test('multi_index.sql: two that cost less than its three', async () => {
    const { texts, after } = await prepared('multi_index.sql')
    expect(texts).toEqual([
      'on public.book (publisher_id, author_id)',
      'on public.review (book_id)',
    ])
    expect(after / 10_000).toBeLessThan(42.37)
  })

  test('a semicolon in a comment or a text is one, a second statement is not', async () => {
    await prepare(database.sql, ['drop table book cascade', ...caseOf('integration.sql').schema!])
    const of = async (sql: string) => (await adviseFor([[sql, 1]])).queries[0]!.passedOver
    expect(await of(caseOf('comment with a semicolon').sql)).toBeNull()
    expect(await of(supabase!.extra_own[0]!.sql)).toBeNull()
    expect(await of(' select 1; ')).toContain('no table')
    expect(await of(' select 1; select 1 ')).toContain('2 statements')
    expect(await of(caseOf('unknown_parameter').sql)).toContain('data type of parameter $1')
  })
})
