import { LRUCache } from 'lru-cache'
import type { Situation, Table } from './repository.ts'
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

/** A plan and the tables that it reads, whose statistics it was made of. */
export type KeptPlan = { plan: QueryPlan; tables: readonly Table[]; ownStatistics: string }

/** The plans of this process and its figures. What was planned for another schema is forgotten. */
export const createPlanCache = (since: Date) => {
  const plans = new LRUCache<string, KeptPlan>({
    max: PLANS_MAX,
    maxSize: BYTES_MAX,
    sizeCalculation: (kept, key) => key.length + JSON.stringify(kept).length,
  })
  const [answers, executions] = [counting(), counting()]
  let [schema, cached, refused] = ['', 0, 0]
  return {
    /** The tables that the plan of this key reads, if there is one. */
    tablesOf: (key: string) => plans.peek(key)?.tables ?? [],
    /** The plan of this key, if it would be made the same way again. */
    find: (key: string, situation: Situation) => {
      if (situation.schema !== schema) plans.clear()
      schema = situation.schema
      const kept = plans.get(key)
      return kept?.ownStatistics === situation.ownStatistics ? kept.plan : undefined
    },
    /** Keeps a plan, unless somebody has seen another schema since. */
    keep: (key: string, kept: KeptPlan, situation: Situation) => {
      if (situation.schema === schema) plans.set(key, kept)
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
