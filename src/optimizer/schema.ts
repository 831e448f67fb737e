import * as v from 'valibot'
import { textUpTo } from '../permissions/schema.ts'

/** Characters a query may have. */
const QUERY_CHARACTERS_MAX = 10_000
const PARAMETERS_MAX = 100

const Query = v.pipe(textUpTo(QUERY_CHARACTERS_MAX), v.nonEmpty('must not be empty'))
const Parameter = v.nullable(v.union([textUpTo(2000), v.number(), v.boolean()]))

export const ExplainQuery = v.strictObject({
  query: Query,
  parameters: v.optional(
    v.pipe(
      v.array(Parameter),
      v.maxLength(PARAMETERS_MAX, `must be at most ${PARAMETERS_MAX} parameters`),
    ),
  ),
  analyze: v.optional(v.boolean(), false),
  fresh: v.optional(v.boolean(), false),
})
export type ExplainQuery = v.InferOutput<typeof ExplainQuery>

const FINDING_CODES = [
  'sequential-scan',
  'bad-estimate',
  'sort-spills',
  'foreign-key-without-index',
  'filter-removes-most-rows',
  'function-on-indexed-column',
  'cast-on-indexed-column',
  'statistics-missing',
] as const

/** Something worth looking at, and the node of the plan it is about; the pointer leads there from the plan. */
export const Finding = v.object({
  code: v.picklist(FINDING_CODES),
  detail: v.string(),
  node: v.object({
    pointer: v.string(),
    kind: v.string(),
    table: v.nullable(v.string()),
  }),
})
export type Finding = v.InferOutput<typeof Finding>

export const QueryPlan = v.object({
  fingerprint: v.string(),
  cached: v.boolean(),
  plannedAt: v.string(),
  /** Whether it is planned for any parameters, as none were given. */
  generic: v.boolean(),
  analyzed: v.boolean(),
  totalCost: v.number(),
  estimatedRows: v.number(),
  executionMs: v.nullable(v.number()),
  tables: v.array(v.string()),
  indexes: v.array(v.string()),
  findings: v.array(Finding),
  plan: v.record(v.string(), v.unknown()),
})
export type QueryPlan = v.InferOutput<typeof QueryPlan>

/** What this process has explained since it began. */
export const OptimizerStats = v.object({
  since: v.string(),
  total: v.number(),
  cached: v.number(),
  refused: v.number(),
  slow: v.number(),
  slowMs: v.number(),
  averageMs: v.nullable(v.number()),
  executions: v.object({
    count: v.number(),
    slow: v.number(),
    averageMs: v.nullable(v.number()),
  }),
  plans: v.number(),
  plansMax: v.number(),
})
export type OptimizerStats = v.InferOutput<typeof OptimizerStats>
