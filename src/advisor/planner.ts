import type { Candidate } from './candidate.ts'

/** How an answer was come by. The first two ask PostgreSQL's planner; `formula` is arithmetic, so what it says is unverified. */
export type How = 'shadow' | 'hypopg' | 'built' | 'formula'

/** A query as a planner is asked of it: with `$n` and no values it is planned for any values. */
export type PlannedQuery = { text: string; parametersMax: number }

/** The indexes that a query is planned with, besides those that are there. */
export type Situation = {
  with: readonly Candidate[]
  /** Names of indexes that are there and are looked away from, as schema.name. */
  without?: readonly string[]
}

/** What a query would cost. */
export type Costed = {
  /** The planner's units. */
  cost: number
  /** Which of the candidates it would use, by their text (candidateText). */
  candidates: string[]
  /** Which of the indexes that are there it would use, as schema.name. */
  indexes: string[]
  /** The root of `explain (format json)`; null where no planner was asked. */
  plan: Record<string, unknown> | null
}

/** Somebody who knows what queries would cost if indexes were there. */
export type Planner = {
  how: How
  /**
   * @throws PlanError where the query cannot be planned
   */
  plan(query: PlannedQuery, situation: Situation): Promise<Costed>
  /** The bytes an index would take. */
  bytesOf(candidate: Candidate): Promise<number>
  close(): Promise<void>
}

/** A query that cannot be planned: of the query's own fault, as the database says it. */
export class PlanError extends Error {
  override readonly name = 'PlanError'
}
