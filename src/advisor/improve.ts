import { type Choice, createChoices, isBetter } from './choice.ts'
import type { SelectionProblem } from './select.ts'

const ROUNDS_MAX = 12
/** Limits do not bind where so little of them is used. */
export const ROOMY_SHARE = 0.7
/** So many of the choice's items, the least useful ones, are tried to be given up two at a time. */
const GIVEN_UP_TOGETHER_MAX = 6

type Removal = { remove: readonly number[]; without: Choice }

/** What each query would cost at best: with all items that concern it. */
const floorsOf = ({ queries, costOf }: SelectionProblem) =>
  Promise.all(
    queries.map(({ items }, at) =>
      costOf(
        at,
        [...items].sort((a, b) => a - b),
      ),
    ),
  )

/** What adding these could gain at most; a query that costs its least already gains nothing. */
const mostGained = (
  { queries }: SelectionProblem,
  from: Choice,
  floors: readonly number[],
  add: readonly number[],
) =>
  queries.reduce((sum, { weight, items }, at) => {
    const isConcerned = add.some((each) => items.has(each))
    return sum + (isConcerned ? Math.max(from.costs[at]! - floors[at]!, 0) * weight : 0)
  }, 0)

/**
 * Makes a choice better by what greed does not see: leaving out what others have made useless, one for one, one for two and two for
 * one. Each time the first change that is better is kept, until there is none.
 */
export const improve = async (problem: SelectionProblem, from: Choice): Promise<Choice> => {
  const choices = createChoices(problem)
  await choices.empty()
  const floors = await floorsOf(problem)
  const { items, bundles, limits } = problem
  const all = items.map((_, at) => at)

  const withoutUseless = async (start: Choice): Promise<Choice> => {
    let choice = start
    for (;;) {
      const tries = await Promise.all(
        [...choice.items].map((each) => choices.change(choice, [], [each])),
      )
      // What is worth less than the limit would not have been added last.
      const best = tries
        .filter((each) => {
          const loss = each.cost - choice.cost
          return isBetter(each, choice) || loss < limits.gainShareMin * each.reads
        })
        .sort((a, b) => a.cost - b.cost || a.bytes - b.bytes)[0]
      if (!best) return choice
      choice = best
    }
  }

  /** Two are given up for one where there is no room for all. */
  const isRoomy = (choice: Choice) =>
    choice.bytes < limits.budgetBytes * ROOMY_SHARE && choice.items.size < limits.indexesMax

  const removalsOf = async (choice: Choice): Promise<Removal[]> => {
    const single = await Promise.all(
      [...choice.items].map(async (each) => ({
        remove: [each],
        without: await choices.change(choice, [], [each]),
      })),
    )
    single.sort((a, b) => a.without.cost - b.without.cost)
    if (isRoomy(choice)) return [{ remove: [], without: choice }, ...single]
    const least = single.slice(0, GIVEN_UP_TOGETHER_MAX).map(({ remove }) => remove[0]!)
    const pairs = least.flatMap((one, at) => least.slice(at + 1).map((other) => [one, other]))
    const double = await Promise.all(
      pairs.map(async (remove) => ({ remove, without: await choices.change(choice, [], remove) })),
    )
    return [{ remove: [], without: choice }, ...single, ...double]
  }

  /** The best of all additions that fit and could be worth it; a second one is added where there is room. */
  const refill = async (
    choice: Choice,
    { remove, without }: Removal,
  ): Promise<Choice | undefined> => {
    const lost = without.cost - choice.cost
    const free = all.filter((each) => !without.items.has(each) && !remove.includes(each))
    const adds = [...free.map((each) => [each]), ...bundles]
      .filter((add) => choices.isAllowed(without, add, []))
      .filter((add) => mostGained(problem, without, floors, add) > 0)
    const isHopeless =
      mostGained(problem, without, floors, free) + choice.cost * 1e-9 < lost && remove.length > 0
    if (isHopeless) return undefined
    const tried: { add: readonly number[]; next: Choice }[] = []
    for (const add of adds) {
      problem.signal?.throwIfAborted()
      const next = await choices.change(without, add, [])
      if (next.isRegression || next.cost >= without.cost) continue
      tried.push({ add, next })
      if (isWorth(next, choice)) return next
    }
    tried.sort((a, b) => a.next.cost - b.next.cost)
    for (const { next } of tried.slice(0, 3))
      for (const { add } of tried) {
        if (add.some((each) => next.items.has(each)) || !choices.isAllowed(next, add, [])) continue
        const both = await choices.change(next, add, [])
        if (!both.isRegression && isWorth(both, choice)) return both
      }
    return undefined
  }

  /** One more item must be worth the limit; as many or fewer must only be better. */
  const isWorth = (next: Choice, choice: Choice) => {
    const more = Math.max(next.items.size - choice.items.size, 0)
    const gain = choice.cost - next.cost
    return (
      isBetter(next, choice) && (more === 0 || gain >= more * limits.gainShareMin * choice.reads)
    )
  }

  let choice = await withoutUseless(from)
  for (let round = 0; round < ROUNDS_MAX; round++) {
    let better: Choice | undefined
    for (const removal of await removalsOf(choice)) {
      better = await refill(choice, removal)
      if (better) break
    }
    if (!better) return choice
    choice = await withoutUseless(better)
  }
  return choice
}
