import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type SelectionLimits, type SelectionProblem, select } from '../../src/advisor/select.ts'
import { casesOf } from './cases.ts'

type Index = string[]
type Mocks = {
  cost_rules: { candidate_indexes: Index[] }
  autoadmin: { max_indexes: number; max_width: number; expect: Index[] }[]
  extend: {
    name: string
    sizes: Record<string, number>
    cost?: Record<string, number>
    result: { budget: number; expect: Index[] }[]
  }[]
}
const mocks = casesOf<Mocks>('hyrise-selection-mocks.json')

const FREE: SelectionLimits = {
  indexesMax: 99,
  indexesPerTableMax: 99,
  budgetBytes: Number.POSITIVE_INFINITY,
  gainShareMin: 0.003,
  regressionShareMax: 0.1,
}

const isPrefix = (narrow: Index, wide: Index) => narrow.every((column, at) => wide[at] === column)

const chooseOf = async (
  indexes: Index[],
  bytesOf: (index: Index) => number,
  costs: ((chosen: Index[]) => number)[],
  limits: Partial<SelectionLimits>,
) => {
  const all = new Set(indexes.keys())
  const asked = { ...FREE, ...limits }
  const { items, cost, bytes } = await select({
    items: indexes.map((index) => ({ bytes: bytesOf(index), table: 't' })),
    queries: costs.map(() => ({ weight: 1, items: all })),
    costOf: async (query, items) => costs[query]!(items.map((at) => indexes[at]!)),
    writeCostOf: () => 0,
    otherCost: 0,
    isWithin: (narrow, wide) => isPrefix(indexes[narrow]!, indexes[wide]!),
    bundles: [],
    limits: asked,
  })
  return { chosen: items.map((at) => indexes[at]!), cost, bytes }
}

/** What the rules of the file say a query costs: the first that any index satisfies. */
const ruled = (rules: [number, Index][], none: number) => (chosen: Index[]) =>
  rules.find(([, prefix]) => chosen.some((index) => isPrefix(prefix, index)))?.[0] ?? none
const Q0 = ruled([[20, ['A']]], 100)
const Q1 = ruled(
  [
    [20, ['A', 'B', 'C']],
    [25, ['A', 'B']],
    [27, ['A', 'C']],
    [30, ['A']],
    [40, ['B']],
    [50, ['C']],
  ],
  150,
)

describe.skipIf(!mocks)('the published cases of a choice:', () => {
  test('one wide index serves two queries, and no second one is chosen', async () => {
    for (const each of mocks!.autoadmin) {
      const indexes = mocks!.cost_rules.candidate_indexes.filter(
        ({ length }) => length <= each.max_width,
      )
      const { chosen } = await chooseOf(indexes, ({ length }) => length, [Q0, Q1], {
        indexesMax: each.max_indexes,
      })
      expect(chosen).toEqual(each.expect)
    }
  })

  const costsOf = (costs: Record<string, number>) => (chosen: Index[]) => {
    const name = chosen
      .map((index) => index.join())
      .sort()
      .join('+')
    return costs[name] ?? (name.includes(',') ? costs.any_two_column! : Number.NaN)
  }

  test.each(
    (mocks?.extend ?? []).flatMap((scenario) =>
      scenario.result.map((each) => ({ ...each, scenario, name: scenario.name })),
    ),
  )('$name, budget $budget', async ({ scenario, budget, expect: expected }) => {
    // The first scenario has the costs of the second one and other sizes.
    const costs = scenario.cost ?? mocks!.extend.find(({ cost }) => cost?.['A+B+C'])!.cost!
    const isSmall = scenario.sizes['B,A'] !== undefined
    const sized = mocks!.cost_rules.candidate_indexes.filter(
      (index) => scenario.sizes[index.join()] !== undefined || (!isSmall && index.length === 2),
    )
    const bytesOf = (index: Index) =>
      scenario.sizes[index.join()] ?? scenario.sizes.two_columns ?? 20
    const cost = costsOf(costs)
    const answer = await chooseOf(sized, bytesOf, [cost], { budgetBytes: budget })
    const size = (chosen: Index[]) => chosen.reduce((sum, each) => sum + bytesOf(each), 0)
    expect(answer.bytes).toBeLessThanOrEqual(budget)
    expect(answer.cost).toBeLessThanOrEqual(cost(expected))
    if (answer.cost === cost(expected)) expect(answer.bytes).toBeLessThanOrEqual(size(expected))
    // Where greed by size is wrong, the best is found.
    if (scenario.cost === costs && budget === 3) expect(answer.chosen).toEqual([['B']])
  })
})

/** A small problem: each query is served by one of some sets of items, the cheapest that is there. */
type Small = {
  sizes: number[]
  queries: { weight: number; base: number; plans: { needs: number[]; share: number }[] }[]
  writes: number[]
  budget: number
}

const smallProblem: fc.Arbitrary<Small> = fc.integer({ min: 2, max: 7 }).chain((count) => {
  const item = fc.integer({ min: 0, max: count - 1 })
  return fc.record({
    sizes: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: count, maxLength: count }),
    writes: fc.array(fc.integer({ min: 0, max: 30 }), { minLength: count, maxLength: count }),
    budget: fc.integer({ min: 0, max: 50 }),
    queries: fc.array(
      fc.record({
        weight: fc.integer({ min: 1, max: 9 }),
        base: fc.integer({ min: 10, max: 500 }),
        plans: fc.array(
          fc.record({
            needs: fc.uniqueArray(item, { minLength: 1, maxLength: 2 }),
            share: fc.double({ min: 0.01, max: 1, noNaN: true }),
          }),
          { maxLength: 6 },
        ),
      }),
      { minLength: 1, maxLength: 5 },
    ),
  })
})

const costIn = ({ queries }: Small, query: number, has: (item: number) => boolean) => {
  const { base, plans } = queries[query]!
  const usable = plans.filter(({ needs }) => needs.every(has))
  return base * Math.min(1, ...usable.map(({ share }) => share))
}

const totalOf = (small: Small, chosen: readonly number[]) =>
  small.queries.reduce(
    (sum, { weight }, at) => sum + weight * costIn(small, at, (item) => chosen.includes(item)),
    chosen.reduce((sum, item) => sum + small.writes[item]!, 0),
  )

const bytesIn = ({ sizes }: Small, chosen: readonly number[]) =>
  chosen.reduce((sum, item) => sum + sizes[item]!, 0)

/** The least cost of all sets that fit: each is looked at. */
const least = (small: Small): number => {
  const { sizes, budget } = small
  let best = Number.POSITIVE_INFINITY
  for (let bits = 0; bits < 2 ** sizes.length; bits++) {
    const chosen = [...sizes.keys()].filter((item) => (bits >> item) & 1)
    if (bytesIn(small, chosen) <= budget) best = Math.min(best, totalOf(small, chosen))
  }
  return best
}

const problemOf = (small: Small): SelectionProblem => ({
  items: small.sizes.map((bytes) => ({ bytes, table: 't' })),
  queries: small.queries.map(({ weight, plans }) => ({
    weight,
    items: new Set(plans.flatMap(({ needs }) => needs)),
  })),
  costOf: async (query, items) => costIn(small, query, (item) => items.includes(item)),
  writeCostOf: (items) => items.reduce((sum, item) => sum + small.writes[item]!, 0),
  otherCost: 0,
  isWithin: () => false,
  bundles: small.queries.flatMap(({ plans }) => plans.map(({ needs }) => needs)),
  limits: { ...FREE, budgetBytes: small.budget, gainShareMin: 0 },
})

test('a choice keeps to the budget, says what it costs, and is never worse than none', async () => {
  await fc.assert(
    fc.asyncProperty(smallProblem, async (small) => {
      const { items, cost, bytes } = await select(problemOf(small))
      expect(bytes).toBe(bytesIn(small, items))
      expect(bytes).toBeLessThanOrEqual(small.budget)
      expect(cost).toBeCloseTo(totalOf(small, items), 6)
      expect(cost).toBeLessThanOrEqual(totalOf(small, []) + 1e-9)
    }),
    { numRuns: 500 },
  )
})

test('a choice is the best of all, but for few that cost little more', async () => {
  const ratios: number[] = []
  await fc.assert(
    fc.asyncProperty(smallProblem, async (small) => {
      const { cost } = await select(problemOf(small))
      const best = least(small)
      expect(cost).toBeGreaterThanOrEqual(best - 1e-6)
      ratios.push(cost / best)
    }),
    { numRuns: 2000, seed: 20261122 },
  )
  // By this seed 4 of 2,000, the worst by 21 %.
  const missed = ratios.filter((ratio) => ratio > 1 + 1e-6)
  expect(missed.length).toBeLessThanOrEqual(10)
  expect(Math.max(...ratios)).toBeLessThanOrEqual(1.25)
})
