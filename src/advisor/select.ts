import { type Choice, createChoices, isBetter } from './choice.ts'
import { improve, ROOMY_SHARE } from './improve.ts'

/** What is chosen from, and what a choice costs. Items and queries are numbers. */
export type SelectionProblem = {
  items: { bytes: number; table: string }[]
  /** How much each query counts, and the items that may change what it costs. */
  queries: { weight: number; items: ReadonlySet<number> }[]
  /** What one query costs with these items there, of which all concern it. */
  costOf(query: number, items: readonly number[]): Promise<number>
  /** What all else costs: a gain is a share of all. */
  otherCost: number
  /** What writing costs more with these items there. */
  writeCostOf(items: readonly number[]): number
  /** Whether the first is of no more use once the second is there. */
  isWithin(narrow: number, wide: number): boolean
  /** Items that are of use together only. */
  bundles: readonly (readonly number[])[]
  limits: SelectionLimits
  signal?: AbortSignal
}

export type SelectionLimits = {
  indexesMax: number
  indexesPerTableMax: number
  budgetBytes: number
  gainShareMin: number
  regressionShareMax: number
}

/** What has come of it: the items, and what all costs with them. */
export type Selected = { items: number[]; cost: number; bytes: number }

type Measure = (gain: number, bytes: number) => number
const byBenefit: Measure = (gain) => gain
const byBenefitPerByte: Measure = (gain, bytes) => (bytes > 0 ? gain / bytes : gain * 1e9)

type Move = { add: readonly number[]; remove: readonly number[] }

/** What could be done next: add one, add some that belong together, put a wider one in the place of a narrow one. */
const movesFrom = ({ items, bundles, isWithin }: SelectionProblem, choice: Choice): Move[] => {
  const free = items.map((_, at) => at).filter((at) => !choice.items.has(at))
  const replaced = (add: readonly number[]) =>
    [...choice.items].filter((held) => add.some((each) => isWithin(held, each)))
  const adds = [
    ...free.map((each) => [each]),
    ...bundles.map((each) => each.filter((item) => !choice.items.has(item))),
  ]
  return adds.filter((add) => add.length > 0).map((add) => ({ add, remove: replaced(add) }))
}

const keyOf = ({ add }: Move) => add.join()

/**
 * Adds the best move as long as it is worth it. What a move gained before is taken as the most that it may gain now, so that
 * few are asked of again.
 */
const greedy = async (
  problem: SelectionProblem,
  measure: Measure,
  from?: Choice,
): Promise<Choice> => {
  const choices = createChoices(problem)
  const none = await choices.empty()
  let choice = from ?? none
  const hopes = new Map<string, number>()
  for (;;) {
    problem.signal?.throwIfAborted()
    const moves = movesFrom(problem, choice)
      .filter(({ add, remove }) => choices.isAllowed(choice, add, remove))
      .map((move) => ({ move, hope: hopes.get(keyOf(move)) ?? Number.POSITIVE_INFINITY }))
      .sort((a, b) => b.hope - a.hope)
    let best: { choice: Choice; worth: number } | undefined
    for (const { move, hope } of moves) {
      if (best && hope <= best.worth) break
      const next = await choices.change(choice, move.add, move.remove)
      const gain = choice.cost - next.cost
      // One that stands for two is worth it as soon as it is better.
      const isFewer = move.remove.length > move.add.length
      const isWorth = gain > 0 && (isFewer || gain >= problem.limits.gainShareMin * choice.reads)
      const worth = next.isRegression ? 0 : measure(gain, next.bytes - choice.bytes)
      hopes.set(keyOf(move), worth)
      if (isWorth && !next.isRegression && worth > (best?.worth ?? 0))
        best = { choice: next, worth }
    }
    if (!best) return choice
    choice = best.choice
  }
}

/** A wider item must save this share of what a further one must. */
const WIDER_SHARE = 0.25

/** Puts a narrower item in the place of one that is hardly better. */
const narrowed = async (problem: SelectionProblem, from: Choice): Promise<Choice> => {
  const { items, isWithin, limits } = problem
  const choices = createChoices(problem)
  await choices.empty()
  let choice = from
  for (const wide of from.items) {
    const narrower = [...items.keys()]
      .filter((each) => !choice.items.has(each) && isWithin(each, wide))
      .filter((each) => items[each]!.bytes <= items[wide]!.bytes)
      .sort((a, b) => items[a]!.bytes - items[b]!.bytes)
    for (const narrow of narrower) {
      const next = await choices.change(choice, [narrow], [wide])
      const loss = next.cost - choice.cost
      if (next.isRegression || loss > WIDER_SHARE * limits.gainShareMin * choice.reads) continue
      choice = next
      break
    }
  }
  return choice
}

/**
 * Chooses items for the least cost of all queries and writes within the limits: greedily by benefit and by benefit per byte, each
 * then improved by what greed does not see, and the better one of both.
 */
export const select = async (problem: SelectionProblem): Promise<Selected> => {
  const run = async (measure: Measure) => {
    const improved = await improve(problem, await greedy(problem, measure))
    // What narrower ones leave undone may be worth an item of its own now.
    return greedy(problem, measure, await narrowed(problem, improved))
  }
  const first = await run(byBenefit)
  // Where there is room enough, what a byte brings does not matter.
  const isRoomy = first.bytes < problem.limits.budgetBytes * ROOMY_SHARE
  const second = isRoomy ? first : await run(byBenefitPerByte)
  const best = isBetter(second, first) ? second : first
  return { items: [...best.items].sort((a, b) => a - b), cost: best.cost, bytes: best.bytes }
}
