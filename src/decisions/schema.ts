import * as v from 'valibot'
import { PermissionKey, Reference, ResourceReference, Subject } from '../permissions/schema.ts'

/** Seconds a person's sign-in lasts where the organization has set nothing else. */
export const SESSION_TIMEOUT_SECONDS = 86_400

/** An organization's security settings as it has set them; what is left out has its default. */
export type StoredSecurity = {
  requireMfa?: boolean
  sessionTimeoutSeconds?: number
  ipAllowList?: string[]
}

const Consistency = v.union(
  [
    v.picklist(['minimize_latency', 'full']),
    v.strictObject({ atLeast: v.pipe(v.string(), v.nonEmpty(), v.maxLength(128)) }),
  ],
  'must be "minimize_latency", "full" or {"atLeast": "<token>"}',
)

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const question = {
  organization: Reference,
  workspace: v.optional(v.nullable(Reference)),
  subject: Subject,
  permission: PermissionKey,
  resource: v.optional(v.nullable(ResourceReference)),
  context: v.optional(v.custom<Record<string, unknown>>(isRecord, 'must be an object')),
}

/** One question. */
export const CheckRequest = v.strictObject({
  ...question,
  consistency: v.optional(Consistency),
  explain: v.optional(v.boolean()),
})
export type CheckRequest = v.InferOutput<typeof CheckRequest>

/** A question inside a batch; what it leaves out is taken from `defaults`. */
export const BatchCheck = v.strictObject({ ...question, explain: v.optional(v.boolean()) })
export type BatchCheck = v.InferOutput<typeof BatchCheck>

/** Questions one batch may hold. */
export const BATCH_MAX = 1000

const record = v.custom<Record<string, unknown>>(isRecord, 'must be an object')

/** The envelope only: each check is validated in its place, so that one bad check does not spoil the others. */
export const BatchRequest = v.strictObject({
  defaults: v.optional(record),
  checks: v.pipe(
    v.array(v.unknown()),
    v.maxLength(BATCH_MAX, `must hold at most ${BATCH_MAX} checks`),
  ),
  consistency: v.optional(Consistency),
})
export type BatchRequest = v.InferOutput<typeof BatchRequest>

export const DecisionCode = v.picklist([
  'role',
  'grant',
  'denied',
  'no-match',
  'not-a-member',
  'suspended',
  'condition',
  'unknown-resource',
])

/** How a decision came about. */
export const Trace = v.object({
  line: v.nullable(v.array(v.string())),
  chain: v.array(v.string()),
  conditions: v.array(v.object({ condition: v.string(), holds: v.nullable(v.boolean()) })),
  nearestMisses: v.array(v.string()),
})

const answer = {
  allowed: v.boolean(),
  reason: v.string(),
  code: DecisionCode,
  trace: v.optional(Trace),
}

export const CheckAnswer = v.object({ ...answer, revision: v.string() })

const ItemError = v.object({
  error: v.object({
    status: v.number(),
    code: v.string(),
    detail: v.string(),
    errors: v.optional(v.array(v.object({ pointer: v.string(), detail: v.string() }))),
  }),
})

export const BatchAnswer = v.object({
  results: v.array(v.union([v.object(answer), ItemError])),
  revision: v.nullable(v.string()),
})

/** From which revision on to watch; left out, from now on. */
export const WatchRequest = v.strictObject({
  since: v.optional(v.pipe(v.string(), v.nonEmpty(), v.maxLength(128))),
})
export type WatchRequest = v.InferOutput<typeof WatchRequest>
