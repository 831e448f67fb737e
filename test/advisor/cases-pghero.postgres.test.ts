import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { WorkloadQuery } from '../../src/advisor/advice.ts'
import { type Candidate, candidateText } from '../../src/advisor/candidate.ts'
import type { Planner } from '../../src/advisor/planner.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { openBuilding } from './building.ts'
import { adviseBuilt, casesOf, prepare, queryOf } from './cases.ts'

type Best = { sql: string; expect_columns: string[] }
type Given = {
  schema: string[]
  best_index: Best[]
  trigram: { sql: string }[]
  no_index: [string | null, string][]
  theirs_cannot_ours_must: [string, string][]
  covered_by_existing: [string, string][]
}
const given = casesOf<Given>('pghero-best-index.json')

/** Where the answer is another one: by the query, why. It costs no more in any case. */
const OTHERWISE: Record<string, string> = {
  'SELECT * FROM users WHERE login_attempts = 1 ORDER BY created_at':
    'the 167 rows are sorted for nothing: one key less costs the same',
  'SELECT * FROM users WHERE city_id = 1 and login_attempts = 2':
    'both orders of the keys cost the same',
  'SELECT * FROM users ORDER BY login_attempts, created_at':
    'to read all rows by an index is dearer than to sort them',
  'SELECT * FROM users ORDER BY login_attempts DESC, created_at':
    'to read all rows by an index is dearer than to sort them',
  'SELECT * FROM users ORDER BY id, created_at': 'the primary key is of as much use',
  'SELECT * FROM users WHERE city_id = $1 AND email LIKE $2':
    'pg_trgm is installed, so that both conditions find an index: 21 units and not 83',
  'SELECT * FROM users WHERE city_id > $1 and login_attempts > $2':
    'both ranges are looked for in one index: 124 units and not 137',
  'SELECT * FROM users WHERE zip_code IS NULL AND login_attempts = $1':
    'all nulls are 125 rows: the second key saves nothing',
}

/** Of what PgHero thinks is covered by an index that is there, or is not: what the planner says of it, and why. */
const COVERED: Record<string, { advised: string[]; why: string }> = {
  'SELECT * FROM users WHERE login_attempts > 1': {
    ...{ advised: [], why: 'no index is used for 96 % of the rows' },
  },
  "SELECT * FROM users WHERE country = 'Test 1'": {
    ...{ advised: [], why: 'since PostgreSQL 14 trigrams find equal texts, too' },
  },
  'SELECT * FROM users WHERE created_at = NOW()': {
    advised: ['on public.users (created_at)'],
    why: 'a BRIN index of a table of one range of pages reads all of it',
  },
  'SELECT * FROM users ORDER BY created_at LIMIT 1': {
    ...{ advised: ['on public.users (created_at)'], why: 'BRIN has no order' },
  },
  "SELECT * FROM users WHERE metadata = '{}'::jsonb": {
    ...{ advised: ['on public.users (metadata)'], why: 'GIN knows no equality of jsonb' },
  },
}
const EXISTING = [
  ...['(id)', '(updated_at)', 'using hash (login_attempts)', 'using gist (country gist_trgm_ops)'],
  ...['using gist (range)', 'using brin (created_at)', 'using gist (last_known_ip inet_ops)'],
  'using gin (metadata)',
]

let database: TestDatabase
let planner: Planner
const reset = async () => {
  database = await openTestDatabase()
  await prepare(database.sql, ['create extension if not exists pg_trgm'])
  await prepare(database.sql, [
    'drop table if exists users cascade',
    ...given!.schema.map((each) => (each === 'ANALYZE' ? 'vacuum analyze' : each)),
  ])
  planner = openBuilding(database.sql)
}
afterAll(() => database?.drop())

const onUsers = (columns: string[]): Candidate => ({
  ...{ table: { schema: 'public', name: 'users' }, method: 'btree', include: [], where: null },
  keys: columns.map((column) => ({ column })),
})
const costOf = async (query: WorkloadQuery, candidates: Candidate[]) =>
  (await planner.plan(query, { with: candidates })).cost

describe.skipIf(!given)('what PgHero answers, of statistics alone:', () => {
  beforeAll(reset)

  test.each(given?.best_index ?? [])('$sql', async (each) => {
    const query = queryOf(each.sql)
    const { indexes } = await adviseBuilt(database.sql, planner, [query])
    const advised = indexes.map(({ candidate }) => candidate)
    const [none, ours, theirs] = [
      await costOf(query, []),
      await costOf(query, advised),
      await costOf(query, [onUsers(each.expect_columns)]),
    ]
    const texts = indexes.map(({ text }) => text)
    if (!(each.sql in OTHERWISE))
      expect(texts).toEqual([candidateText(onUsers(each.expect_columns))])
    expect(ours).toBeLessThanOrEqual(theirs * 1.001)
    expect(ours < none).toBe(indexes.length > 0)
  })

  test.each(given?.no_index ?? [])('none for: %s', async (sql) => {
    const { indexes, queries } = await adviseBuilt(database.sql, planner, [queryOf(sql ?? '')])
    expect(indexes).toEqual([])
    // Of a query that could be planned the refusals say why, if it compares anything.
    const isPlanned = /from (?:users|states)|insert/i.test(sql ?? '')
    expect(queries[0]!.passedOver === null).toBe(isPlanned)
  })

  test('ours, and not theirs: OR and joins', async () => {
    const words = given!.theirs_cannot_ours_must
    const of = async (sql: string) => {
      const { indexes } = await adviseBuilt(database.sql, planner, [queryOf(sql)])
      return indexes.map(({ text }) => text)
    }
    expect(await of(words[0]![0])).toEqual(['on public.users (login_attempts)'])
    expect(await of(words[1]![0])).toEqual(['on public.users (city_id, login_attempts)'])
    await prepare(database.sql, [
      'create table cities (id int primary key)',
      'insert into cities select generate_series(0, 99)',
      'analyze cities',
    ])
    expect(await of(`${words[2]![0]} where cities.id = 7`)).toEqual(['on public.users (city_id)'])
  })

  test('patterns by trigrams: GIN, where PgHero says GiST', async () => {
    for (const { sql } of given!.trigram) {
      const { indexes } = await adviseBuilt(database.sql, planner, [queryOf(sql)])
      expect(indexes.map(({ text }) => text)).toEqual([
        'on public.users using gin (email gin_trgm_ops)',
      ])
    }
  })
})

describe.skipIf(!given)('what PgHero takes for covered by what is there:', () => {
  beforeAll(async () => {
    await prepare(
      database.sql,
      EXISTING.map((each) => `create index on users ${each}`),
    )
    await prepare(database.sql, ['vacuum analyze users'])
  })

  test.each(given?.covered_by_existing ?? [])('%s: %s', async (sql) => {
    const { indexes } = await adviseBuilt(database.sql, planner, [queryOf(sql)])
    expect(indexes.map(({ text }) => text)).toEqual(COVERED[sql]?.advised ?? [])
  })

  test('and the one that it has twice goes', async () => {
    const { drops } = await adviseBuilt(database.sql, planner, [])
    expect(drops).toMatchObject([{ index: 'public.users_id_idx', code: 'duplicate' }])
  })
})
