import { afterAll, expect, test } from 'vitest'
import { findDifference, startPair } from './slices-agree.ts'
import type { Watching } from './watched-sql.ts'

const RUNS = process.env.LATCHKEY_LONG === 'on' ? 200 : 20

const drops: (() => Promise<void>)[] = []
const started = async (plant?: Watching['plant']) => {
  const pair = await startPair(plant)
  drops.push(pair.drop)
  return pair
}
afterAll(async () => {
  for (const drop of drops) await drop()
})

test('slices decide as whole organizations do, with changes in between', async () => {
  let [allowed, denied] = [0, 0]
  const pair = await started()
  const onAnswers = (answers: { allowed: boolean }[]) => {
    for (const answer of answers) answer.allowed ? allowed++ : denied++
  }
  let difference: string | undefined
  // Some draws allow little: then as many again are drawn.
  for (let draws = 0; draws < 5 && difference === undefined; draws++)
    if (Math.min(allowed, denied) <= 100)
      difference = await findDifference(pair, { runs: RUNS, onAnswers })
  expect(difference).toBeUndefined()
  expect(allowed).toBeGreaterThan(100)
  expect(denied).toBeGreaterThan(100)
  process.stdout.write(`${allowed + denied} questions of slices and of the whole: 0 differences\n`)
}, 900_000)

const SLICE = /with recursive o as/
const CHANGES = /select revision, touched from policy_changes/
type Rows = { touched: string[] | null }[]

test.each<[string, NonNullable<Watching['plant']>]>([
  [
    'a team’s parent is forgotten',
    {
      matches: SLICE,
      change: (rows) => {
        for (const row of rows) row.teams = row.teams.map(([slug]: [string]) => [slug, null])
      },
    },
  ],
  [
    'a resource’s row is forgotten',
    {
      matches: SLICE,
      change: (rows) => {
        for (const row of rows) row.resources = []
      },
    },
  ],
  [
    'a subject is kept across a revision',
    {
      matches: CHANGES,
      change: (rows: Rows) => {
        for (const row of rows)
          row.touched = row.touched?.filter((each) => !each.startsWith('grants:')) ?? null
      },
    },
  ],
  [
    'grants on a resource stay where it was',
    {
      matches: CHANGES,
      change: (rows: Rows) => {
        for (const row of rows)
          row.touched = row.touched?.filter((each) => !each.startsWith('resources:')) ?? null
      },
    },
  ],
])('is seen to fail where %s', async (_, plant) => {
  const pair = await started(plant)
  expect(await findDifference(pair, { runs: 200 })).toMatch(/differs/)
})
