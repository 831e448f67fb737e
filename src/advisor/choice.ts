import type { SelectionProblem } from './select.ts'

/** A set of items, and what all costs with them. */
export type Choice = {
  items: ReadonlySet<number>
  /** Of each query. */
  costs: readonly number[]
  /** All queries by their weights. */
  reads: number
  /** The same, and writes. */
  cost: number
  bytes: number
  /** Whether a query has become dearer than the limits allow. */
  isRegression: boolean
}

/** Costs that differ by less are the same. */
const EQUAL_SHARE = 1e-9

/** Whether one costs less than the other, or the same with fewer bytes. */
export const isBetter = (one: Choice, other: Choice): boolean => {
  const difference = one.cost - other.cost
  if (Math.abs(difference) > EQUAL_SHARE * Math.max(one.cost, other.cost)) return difference < 0
  return one.bytes < other.bytes || (one.bytes === other.bytes && one.items.size < other.items.size)
}

/** Makes choices and counts them; only the queries that a change concerns are asked about. */
export const createChoices = (problem: SelectionProblem) => {
  const { items, queries, limits } = problem
  let base: readonly number[] = []

  const readsOf = (costs: readonly number[]) =>
    costs.reduce((sum, each, at) => sum + each * queries[at]!.weight, problem.otherCost)

  const summed = (chosen: ReadonlySet<number>, costs: readonly number[]): Choice => ({
    items: chosen,
    costs,
    reads: readsOf(costs),
    cost: readsOf(costs) + problem.writeCostOf([...chosen]),
    bytes: [...chosen].reduce((sum, each) => sum + items[each]!.bytes, 0),
    isRegression: costs.some((each, at) => each > base[at]! * (1 + limits.regressionShareMax)),
  })

  const costWith = (query: number, chosen: ReadonlySet<number>) => {
    const concerned = [...chosen].filter((each) => queries[query]!.items.has(each))
    return problem.costOf(
      query,
      concerned.sort((a, b) => a - b),
    )
  }

  const empty = async (): Promise<Choice> => {
    const none = new Set<number>()
    base = await Promise.all(queries.map((_, query) => costWith(query, none)))
    return summed(none, base)
  }

  const changed = (choice: Choice, add: readonly number[], remove: readonly number[]) => {
    const gone = new Set(remove)
    return new Set([...[...choice.items].filter((each) => !gone.has(each)), ...add])
  }

  const change = async (
    choice: Choice,
    add: readonly number[],
    remove: readonly number[],
  ): Promise<Choice> => {
    const chosen = changed(choice, add, remove)
    const touched = [...add, ...remove]
    const costs = await Promise.all(
      queries.map((query, at) =>
        touched.some((each) => query.items.has(each)) ? costWith(at, chosen) : choice.costs[at]!,
      ),
    )
    return summed(chosen, costs)
  }

  const isAllowed = (choice: Choice, add: readonly number[], remove: readonly number[]) => {
    const chosen = [...changed(choice, add, remove)]
    if (chosen.length > limits.indexesMax) return false
    const bytes = chosen.reduce((sum, each) => sum + items[each]!.bytes, 0)
    const perTable = Map.groupBy(chosen, (each) => items[each]!.table).values()
    return (
      bytes <= limits.budgetBytes &&
      [...perTable].every(({ length }) => length <= limits.indexesPerTableMax)
    )
  }

  return { empty, change, isAllowed }
}
