import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Candidate, candidateText } from '../../src/advisor/candidate.ts'
import { canTry, openHypopgPlanner } from '../../src/advisor/hypopg-planner.ts'
import { PlanError, type Planner } from '../../src/advisor/planner.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { canInstall, installPackage } from '../support/installed.ts'
import { skipped } from '../support/provided.ts'
import { casesOf } from './cases.ts'
import { index, planned, run, shadowOf } from './shadow.ts'

type Case = {
  index?: string | string[]
  sql: string
  uses: boolean | string
  hidden?: boolean
  schema?: string[]
}
type Cases = {
  schema: string[]
  cases: Case[]
  reported_crash: { schema: string[]; index: string; sql: string }
}

const cases = casesOf<Cases>('hypopg-whatif.json')

/** The indexes of the cases, as candidates. */
const CANDIDATES: Record<string, Candidate> = {
  'hypo(id)': index('hypo', ['id']),
  'hypo(id) WHERE id < 5': index('hypo', ['id'], { where: 'id < 5' }),
  'hypo(md5(val))': index('hypo', ['(md5(val))']),
  'hypo(id) INCLUDE (val)': index('hypo', ['id'], { include: ['val'] }),
  'hypo USING hash (id)': index('hypo', ['id'], { method: 'hash' }),
  'hypo_part(id3)': index('hypo_part', ['id3']),
}
const candidatesOf = ({ index: texts = [] }: Case) =>
  [texts].flat().map((text) => CANDIDATES[text]!)

let database: TestDatabase
let shadow: Awaited<ReturnType<typeof shadowOf>>
let hypopg: Planner | undefined
beforeAll(async () => {
  if (!cases) return
  database = await openTestDatabase()
  const { sql } = database
  const { reported_crash: crash } = cases
  // A table that large takes seconds to fill; a fortieth is enough to be asked the same.
  const smaller = crash.schema.map((text) => text.replace('1000000', '25000'))
  const parts = cases.cases.flatMap(({ schema = [] }) => schema)
  for (const each of [...cases.schema, ...parts, ...smaller]) await run(sql, each)
  await run(sql, 'create index hypo_hidden on hypo (val)')
  await run(sql, 'vacuum analyze hypo')
  shadow = await shadowOf(sql, ['public'])
  const [server] = await run(
    sql,
    `select current_setting('server_version_num')::int / 10000 as major`,
  )
  const find = () => run(sql, `select from pg_available_extensions where name = 'hypopg'`)
  if ((await find()).length === 0 && canInstall())
    await installPackage(`postgresql-${server!.major}-hypopg`)
  if ((await find()).length === 0) return
  await run(sql, 'create schema what_if')
  await run(sql, 'create extension hypopg schema what_if')
  hypopg = await openHypopgPlanner(sql, shadow.target)
}, 120_000)
afterAll(async () => {
  await hypopg?.close()
  await shadow?.planner.close()
  await database?.drop()
})

const NOT_THERE = 'HypoPG is not here and cannot be installed.'

/**
 * The cases that ask for a setting of the session or for an index that is there are asked below. A table of two columns that
 * was just vacuumed is the same before and after, so that an `Index Scan` may be an `Index Only Scan`.
 */
const asked = (cases?.cases ?? []).filter(({ index: text, schema }) => text && !schema)

describe.runIf(cases)('what others expect of indexes that are not there', () => {
  test.each(asked)('the shadow: $index for $sql', async (given) => {
    const candidates = candidatesOf(given)
    const said = await shadow.planner.plan(planned(given.sql), { with: candidates })
    // Where both are there, a server reads the least value from the whole index and then expects 2 rows; the shadow has no
    // values, expects 10 by the histogram, and finds the whole index cheaper, as a server does with 10.
    const expected = given.uses === false ? [] : [candidateText(candidates[0]!)]
    expect(said.candidates).toEqual(expected)
    if (String(given.uses).startsWith('Index')) expect(said.plan?.['Node Type']).toBe(given.uses)
  })

  test.each(asked)('HypoPG: $index for $sql', async (given) => {
    if (!hypopg) return void skipped(NOT_THERE)
    const candidates = candidatesOf(given)
    const asking = hypopg.plan(planned(given.sql), { with: candidates })
    // Partial indexes, expressions and hashes are never asked of it: they have brought servers down.
    if (!candidates.every(canTry)) return expect(asking).rejects.toThrow(PlanError)
    const said = await asking
    expect(said.candidates).toEqual(given.uses === false ? [] : [candidateText(candidates[0]!)])
    // Its sizes and heights are rougher.
    const same = await shadow.planner.plan(planned(given.sql), { with: candidates })
    expect(Math.abs(said.cost / same.cost - 1)).toBeLessThan(0.1)
  })

  test('a partial index is used where it is alone', async () => {
    const candidate = CANDIDATES['hypo(id) WHERE id < 5']!
    const said = await shadow.planner.plan(planned('select * from hypo where id < 3'), {
      with: [candidate],
    })
    expect(said.candidates).toEqual([candidateText(candidate)])
  })

  test('an index of a partitioned table is used', async () => {
    // There with sequential scans turned off, since the table has few pages; here because few rows are asked for.
    const { sql } = cases!.cases.find(({ schema }) => schema)!
    const said = await shadow.planner.plan(planned(sql), { with: [CANDIDATES['hypo_part(id3)']!] })
    expect(said.candidates).toEqual(['on public.hypo_part (id3)'])
  })

  test('an index that is there is looked away from', async () => {
    const query = planned(`select * from hypo where val = 'line 1'`)
    const seen = await shadow.planner.plan(query, { with: [] })
    const hidden = await shadow.planner.plan(query, { with: [], without: ['public.hypo_hidden'] })
    expect([seen.indexes, hidden.indexes]).toEqual([['public.hypo_hidden'], []])
  })

  test('what has brought down a server is planned in the shadow, and not asked of HypoPG', async () => {
    const { sql } = cases!.reported_crash
    const candidate = index('pt', ['(num::numeric / denom)'], { where: 'num > 0 and denom >= 10' })
    const said = await shadow.planner.plan(planned(sql), { with: [candidate] })
    expect(said.cost).toBeGreaterThan(0)
    expect(canTry(candidate)).toBe(false)
    if (hypopg)
      await expect(hypopg.plan(planned(sql), { with: [candidate] })).rejects.toThrow(PlanError)
  })

  test('HypoPG forgets after each question, also one that failed', async (context) => {
    if (!hypopg) return context.skip(skipped(NOT_THERE).skip)
    const query = planned('select * from hypo where id = $1')
    const used = await hypopg.plan(query, { with: [CANDIDATES['hypo(id)']!] })
    expect(used.candidates).toEqual(['on public.hypo (id)'])
    await expect(
      hypopg.plan(planned('select nothing from hypo'), { with: [CANDIDATES['hypo(id)']!] }),
    ).rejects.toThrow(PlanError)
    const [plain, ...others] = await Promise.all([
      hypopg.plan(query, { with: [] }),
      hypopg.plan(query, { with: [CANDIDATES['hypo(id)']!] }),
      hypopg.plan(query, { with: [CANDIDATES['hypo(id)']!] }),
    ])
    expect(plain.candidates).toEqual([])
    expect(others.map(({ cost }) => cost)).toEqual([used.cost, used.cost])
    expect(used.cost).toBeLessThan(plain.cost)
  })
})
