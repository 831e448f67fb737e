import { LRUCache } from 'lru-cache'
import { type OpenShadow, type Shadow, ShadowError } from '../platform/shadow.ts'
import { indexUses, tablesOfPlan } from './plan-indexes.ts'
import { type Costed, PlanError, type PlannedQuery, type Planner } from './planner.ts'
import type { Replay } from './replay.ts'
import { costedOf } from './session.ts'
import { createParts, createShadowIndexes } from './shadow-indexes.ts'
import { firstKeyOfCandidate, firstKeyOfIndex, SKIP_SCAN_VERSION, skipsFirst } from './skip-scan.ts'
import type { Target, TargetIndex } from './target.ts'

/** Answers that are remembered. */
const ANSWERS_MAX = 20_000
/** How often a plan is looked at again without indexes that the target would not use like this. */
const AGAIN_MAX = 4

type Plan = Record<string, unknown>

const notesOf = (shadow: Shadow, target: Target, replay: Replay) => [
  ...replay.notes,
  ...shadow.failed.map(({ what, why }) => `The shadow is without ${what}: ${why}.`),
  ...(Number(target.settings.max_parallel_workers_per_gather ?? 0) > 0
    ? ['Costs are those of plans without parallel workers.']
    : []),
]

const asPlanError = (error: unknown): never => {
  throw error instanceof ShadowError ? new PlanError(error.message) : error
}

/**
 * A planner over a shadow of the database: PostgreSQL's own, in a process of ours, with the target's statistics. Nothing
 * reaches the target. What it does not know of it stands in the notes.
 */
export const openShadowPlanner = async (
  open: OpenShadow,
  target: Target,
  replay: Replay,
): Promise<Planner & { notes: string[] }> => {
  const shadow = await open(replay)
  const partsOf = createParts(target, replay.partitions)
  const shadowIndexes = createShadowIndexes(shadow, target, partsOf)
  const answers = new LRUCache<string, Costed>({ max: ANSWERS_MAX })
  const tables = new LRUCache<string, Set<string>>({ max: ANSWERS_MAX })
  const existing = new Map<string, TargetIndex>(
    target.tables.flatMap((table) =>
      table.indexes.map((index) => [`${table.schema}.${index.name}`, index] as const),
    ),
  )

  /** Indexes of the plan that are looked up without their first key. */
  const skipping = (plan: Plan) => {
    const uses = indexUses(plan).map((use) => ({ ...use, name: `${use.schema}.${use.index}` }))
    const skips = uses.filter(({ name, condition }) => {
      if (shadowIndexes.readWholly.has(name)) return false
      const added = shadowIndexes.owners.get(name)
      const index = existing.get(name)
      const key = added ? firstKeyOfCandidate(added.candidate) : index && firstKeyOfIndex(index)
      return skipsFirst(key, condition)
    })
    return {
      visible: new Set(skips.flatMap(({ name }) => shadowIndexes.owners.get(name)?.name ?? [])),
      hidden: skips.filter(({ name }) => existing.has(name)).map(({ name }) => name),
    }
  }

  const explain = (query: PlannedQuery, visible: readonly string[], hidden: readonly string[]) =>
    shadow.explain({ ...query, visible, hidden }).catch(asPlanError)

  /** An older target does not skip, but reads such an index whole where that is all it needs. */
  const explainAsTarget = async (
    query: PlannedQuery,
    visible: readonly string[],
    hidden: readonly string[],
  ): Promise<Plan> => {
    let plan = await explain(query, visible, hidden)
    if (target.version >= SKIP_SCAN_VERSION) return plan
    let [shown, away] = [visible, hidden]
    for (let again = 0; again < AGAIN_MAX; again++) {
      const skips = skipping(plan)
      if (skips.visible.size === 0 && skips.hidden.length === 0) return plan
      const wholes = await Promise.all([...skips.visible].map(shadowIndexes.wholeOf))
      shown = [
        ...shown.filter((name) => !skips.visible.has(name)),
        ...wholes.filter((name) => name !== undefined),
      ]
      away = [...away, ...skips.hidden]
      plan = await explain(query, shown, away)
    }
    return plan
  }

  const textOf = (schema: string, index: string) =>
    shadowIndexes.owners.get(`${schema}.${index}`)?.text

  const tablesOf = async (query: PlannedQuery): Promise<Set<string>> => {
    const before = tables.get(query.text)
    if (before) return before
    const found = tablesOfPlan(await explain(query, [], []))
    tables.set(query.text, found)
    return found
  }

  const touches = (name: string, of: ReadonlySet<string>) =>
    partsOf(name).some(({ schema, name: part }) => of.has(`${schema}.${part}`))

  return {
    how: 'shadow',
    notes: notesOf(shadow, target, replay),
    plan: async (query, { with: candidates, without = [] }) => {
      const read = await tablesOf(query)
      const added = await Promise.all(
        candidates
          .filter(({ table }) => touches(`${table.schema}.${table.name}`, read))
          .map((candidate) => shadowIndexes.add(candidate)),
      )
      const visible = added.map(({ name }) => name).sort()
      const hidden = without
        .filter((name) => {
          const index = existing.get(name)
          return index && touches(`${index.table.schema}.${index.table.name}`, read)
        })
        .sort()
      const key = JSON.stringify([query.text, query.parametersMax, visible, hidden])
      const before = answers.get(key)
      if (before) return before
      const costed = costedOf(await explainAsTarget(query, visible, hidden), textOf)
      answers.set(key, costed)
      return costed
    },
    bytesOf: shadowIndexes.bytesOf,
    close: () => shadow.close(),
  }
}
