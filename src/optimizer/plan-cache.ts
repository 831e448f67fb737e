import { LRUCache } from 'lru-cache'
import type { OptimizerStats, QueryPlan } from './schema.ts'

const PLANS_MAX = 500
const BYTES_MAX = 16_000_000
/** Milliseconds from which an answer, or a query that was run, is slow. */
const SLOW_MS = 100

export type PlanCache = ReturnType<typeof createPlanCache>

const counting = () => {
  let [count, slow, sumMs] = [0, 0, 0]
  return {
    add: (ms: number) => {
      count++
      sumMs += ms
      if (ms >= SLOW_MS) slow++
    },
    read: () => ({ count, slow, averageMs: count === 0 ? null : sumMs / count }),
  }
}

/** The plans of this process and its figures. What was planned under another signature is forgotten. */
export const createPlanCache = (since: Date) => {
  const plans = new LRUCache<string, QueryPlan>({
    max: PLANS_MAX,
    maxSize: BYTES_MAX,
    sizeCalculation: (plan, key) => key.length + JSON.stringify(plan).length,
  })
  const [answers, executions] = [counting(), counting()]
  let [signature, cached, refused] = ['', 0, 0]
  /** What is kept holds under this signature. */
  const holdUnder = (current: string) => {
    if (current !== signature) plans.clear()
    signature = current
  }
  return {
    find: (key: string, current: string) => {
      holdUnder(current)
      return plans.get(key)
    },
    keep: (key: string, current: string, plan: QueryPlan) => {
      holdUnder(current)
      plans.set(key, plan)
    },
    clear: () => {
      const { size } = plans
      plans.clear()
      return size
    },
    answered: (plan: QueryPlan, ms: number) => {
      answers.add(ms)
      if (plan.cached) cached++
      if (plan.executionMs !== null) executions.add(plan.executionMs)
    },
    refused: () => void refused++,
    stats: (): OptimizerStats => {
      const { count: total, slow, averageMs } = answers.read()
      return {
        since: since.toISOString(),
        ...{ total, cached, refused, slow, slowMs: SLOW_MS, averageMs },
        executions: executions.read(),
        ...{ plans: plans.size, plansMax: PLANS_MAX },
      }
    },
  }
}
