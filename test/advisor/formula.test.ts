import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { advise } from '../../src/advisor/advise.ts'
import { openFormulaPlanner } from '../../src/advisor/formula.ts'
import { PlanError, type Planner } from '../../src/advisor/planner.ts'
import { readTarget } from '../../src/advisor/read-target.ts'
import type { Target } from '../../src/advisor/target.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { openBuilding } from './building.ts'
import { parser, prepare, queryOf } from './cases.ts'
import { index } from './shadow.ts'

let database: TestDatabase
let target: Target
let built: Planner
let formula: Planner

const QUERIES = [
  'select * from things where owner_id = $1',
  'select * from things where owner_id = $1 and kind = 3',
  'select * from things where at > $1',
  'select * from things where owner_id = $1 order by at desc limit 10',
  'select owner_id from things where owner_id = $1',
  'select * from things order by at limit 5',
  'select t.* from owners o join things t on t.owner_id = o.id where o.name = $1',
  'select * from things where owner_id = $1 or kind = 7',
  'select count(*) from things where kind = $1',
  'select * from things where note is null',
  'update things set note = $2 where owner_id = $1',
]
const INDEXES = [
  index('things', ['owner_id']),
  index('things', ['kind']),
  index('things', ['owner_id', 'kind']),
  index('things', ['owner_id', 'at']),
  index('things', ['at']),
  index('things', ['note'], { where: 'note is null' }),
  index('owners', ['name']),
]

beforeAll(async () => {
  database = await openTestDatabase()
  await prepare(database.sql, [
    'create table owners (id int primary key, name text)',
    `insert into owners select i, 'owner ' || i from generate_series(1, 1000) i`,
    'create table things (id int primary key, owner_id int, kind int, at timestamptz, note text)',
    `insert into things select i, (i * 7919) % 1000, (i * 31) % 40, timestamptz '2026-01-01' + i * interval '1 minute',
      case when i % 100 > 0 then repeat('x', 40) end from generate_series(1, 30000) i`,
    'vacuum analyze owners',
    'vacuum analyze things',
  ])
  target = await readTarget(database.sql)
  built = openBuilding(database.sql)
  formula = openFormulaPlanner(target, parser)
})
afterAll(() => database.drop())

describe('costs that are computed from statistics', () => {
  test('are near those of the planner, and say the same of most indexes', async () => {
    const ratios: number[] = []
    let disagreed = 0
    for (const text of QUERIES)
      for (const set of [[], ...INDEXES.map((each) => [each])]) {
        const one = await formula.plan(queryOf(text), { with: set })
        const other = await built.plan(queryOf(text), { with: set })
        ratios.push(Math.max(one.cost / other.cost, other.cost / one.cost))
        if (one.candidates.length !== other.candidates.length) disagreed++
      }
    ratios.sort((a, b) => a - b)
    // Of these 88 pairs the median is 1.001, nine tenths are below 1.72, the worst 3.2; one is not agreed on.
    expect(ratios[Math.floor(ratios.length / 2)]).toBeLessThan(1.05)
    expect(ratios[Math.floor(ratios.length * 0.9)]).toBeLessThan(2)
    expect(ratios.at(-1)).toBeLessThan(4)
    expect(disagreed).toBeLessThanOrEqual(3)
  })

  test('choose indexes that are as good as those that the planner chooses', async () => {
    const workload = QUERIES.map((text) => queryOf(text))
    const [one, other] = [
      await advise(parser, target, formula, workload),
      await advise(parser, target, built, workload),
    ]
    const costOf = async (advised: typeof one) => {
      const set = advised.indexes.map(({ candidate }) => candidate)
      let cost = 0
      for (const query of workload) cost += (await built.plan(query, { with: set })).cost
      return cost
    }
    const none = (await costOf({ ...one, indexes: [] })) - (await costOf(other))
    expect((await costOf(one)) - (await costOf(other))).toBeLessThan(none * 0.05)
    expect(
      one.indexes.every(({ confidence, how }) => confidence === 'unverified' && how === 'formula'),
    ).toBe(true)
    expect(one.notes.join()).toContain('unverified')
  })

  test('are of no table that is not known', async () => {
    for (const text of ['select * from nowhere', 'select +', 'select 1; select 2'])
      await expect(formula.plan(queryOf(text), { with: [] })).rejects.toThrow(PlanError)
    expect(await formula.plan(queryOf('select 1'), { with: [] })).toMatchObject({ candidates: [] })
  })

  test('leave out what is hidden', async () => {
    const query = queryOf('select * from things where id = 1')
    const shown = await formula.plan(query, { with: [] })
    expect(shown.indexes).toEqual(['public.things_pkey'])
    const hidden = await formula.plan(query, { with: [], without: ['public.things_pkey'] })
    expect(hidden.indexes).toEqual([])
    expect(hidden.cost).toBeGreaterThan(shown.cost * 10)
  })
})
