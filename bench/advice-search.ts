/** What is searched: items and queries are numbers. */
export type Search = {
  items: number
  queries: readonly { weight: number; useful: ReadonlySet<number> }[]
  costOf: (query: number, items: readonly number[]) => Promise<number>
  /** What the items cost besides, in the same units. */
  extraOf: (items: readonly number[]) => number
  /** What each item takes, and what all may take together. */
  budget?: { bytesOf: readonly number[]; bytesMax: number }
}

type State = { items: ReadonlySet<number>; costs: readonly number[]; total: number }

/** An item that changes less than this share of all is of no use. */
const SHARE_MIN = 1e-4
const ROUNDS_MAX = 8

/**
 * Looks for the items with the least cost: adds the best one until none helps, then leaves out and exchanges one for one until
 * nothing gets better. Nobody knows whether it is the best of all; the floor says how far off it can be.
 */
export const searchBest = async (
  { items, queries, costOf, extraOf, budget }: Search,
  from: readonly number[] = [],
): Promise<{ items: number[]; total: number }> => {
  const cost = (query: number, set: ReadonlySet<number>) =>
    costOf(
      query,
      [...queries[query]!.useful].filter((item) => set.has(item)).sort((a, b) => a - b),
    )
  const concerned = Array.from({ length: items }, (_, item) =>
    queries.flatMap(({ useful }, query) => (useful.has(item) ? [query] : [])),
  )
  const stateOf = (set: ReadonlySet<number>, costs: readonly number[]): State => ({
    items: set,
    costs,
    total:
      queries.reduce((sum, { weight }, query) => sum + weight * costs[query]!, 0) +
      extraOf([...set]),
  })
  const change = async (
    state: State,
    add: readonly number[],
    remove: readonly number[],
  ): Promise<State> => {
    const set = new Set([...state.items, ...add])
    for (const each of remove) set.delete(each)
    const costs = [...state.costs]
    for (const query of new Set([...add, ...remove].flatMap((item) => concerned[item]!)))
      costs[query] = await cost(query, set)
    return stateOf(set, costs)
  }

  const bytesOf = (item: number) => budget?.bytesOf[item] ?? 0
  const fits = (set: ReadonlySet<number>, add: number, remove?: number) =>
    !budget ||
    [...set, add].reduce((sum, item) => sum + (item === remove ? 0 : bytesOf(item)), 0) <=
      budget.bytesMax

  const addBest = async (start: State): Promise<State> => {
    let state = start
    const hopes = new Map<number, number>()
    for (;;) {
      let best: { state: State; worth: number } | undefined
      const free = [...concerned.keys()]
        .filter((item) => !state.items.has(item) && concerned[item]!.length > 0)
        .filter((item) => fits(state.items, item))
        .sort((a, b) => (hopes.get(b) ?? Infinity) - (hopes.get(a) ?? Infinity))
      for (const item of free) {
        if (best && (hopes.get(item) ?? Infinity) <= best.worth) break
        const next = await change(state, [item], [])
        const gain = state.total - next.total
        // Where bytes are scarce it is the gain of each that counts.
        const worth = budget ? gain / Math.max(bytesOf(item), 1) : gain
        hopes.set(item, worth)
        if (gain > state.total * SHARE_MIN && worth > (best?.worth ?? 0))
          best = { state: next, worth }
      }
      if (!best) return state
      state = best.state
    }
  }

  const leaveOut = async (start: State): Promise<State> => {
    let state = start
    for (const item of start.items) {
      const next = await change(state, [], [item])
      if (next.total <= state.total * (1 + SHARE_MIN)) state = next
    }
    return state
  }

  const exchange = async (start: State): Promise<State> => {
    let state = start
    for (const item of start.items) {
      const others = new Set(concerned[item]!.flatMap((query) => [...queries[query]!.useful]))
      let best = state
      for (const other of others) {
        if (state.items.has(other) || !fits(state.items, other, item)) continue
        const next = await change(state, [other], [item])
        if (next.total < best.total * (1 - SHARE_MIN / 10)) best = next
      }
      state = best
    }
    return state
  }

  const first = new Set(from)
  let state = stateOf(first, await Promise.all(queries.map((_, query) => cost(query, first))))
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const before = state.total
    state = await exchange(await leaveOut(await addBest(state)))
    if (state.total >= before * (1 - SHARE_MIN / 10)) break
  }
  return { items: [...state.items].sort((a, b) => a - b), total: state.total }
}
