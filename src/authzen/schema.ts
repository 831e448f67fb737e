import * as v from 'valibot'
import { Slug } from '../permissions/schema.ts'

// The shapes of OpenID AuthZEN 1.0. Unlike our own, they pass over members they do not know, and `null` for an
// optional member means that it is absent.

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** An object and nothing that only looks like one: to valibot's `object` a list is an object, too. */
const record = v.custom<Record<string, unknown>>(isRecord, 'must be an object')

const objectOf = <Entries extends v.ObjectEntries>(entries: Entries) =>
  v.pipe(record, v.object(entries))

const text = v.pipe(v.string(), v.nonEmpty('must not be empty'))
const properties = v.nullish(record)

/** One question. */
export const EvaluationRequest = objectOf({
  subject: objectOf({ type: text, id: text, properties }),
  action: objectOf({ name: text, properties }),
  resource: objectOf({ type: text, id: text, properties }),
  context: v.nullish(record),
})
export type EvaluationRequest = v.InferOutput<typeof EvaluationRequest>

const unread = v.optional(v.unknown())

/** What a question in a batch says itself, and what all of them fall back to: read only once it is put together. */
export const Parts = objectOf({
  subject: unread,
  action: unread,
  resource: unread,
  context: unread,
})
export type Parts = v.InferOutput<typeof Parts>

/** Questions one batch may hold. */
export const EVALUATIONS_MAX = 1000

const Semantic = v.picklist(
  ['execute_all', 'deny_on_first_deny', 'permit_on_first_permit'],
  'must be execute_all, deny_on_first_deny or permit_on_first_permit',
)
export type Semantic = v.InferOutput<typeof Semantic>

/** The envelope of a batch. Without `evaluations` it is a single question. */
export const EvaluationsRequest = objectOf({
  subject: unread,
  action: unread,
  resource: unread,
  context: unread,
  evaluations: v.nullish(
    v.pipe(
      v.array(v.unknown()),
      v.maxLength(EVALUATIONS_MAX, `must hold at most ${EVALUATIONS_MAX} evaluations`),
    ),
  ),
  options: v.nullish(objectOf({ evaluations_semantic: v.nullish(Semantic) })),
})

const ItemError = v.object({ error: v.object({ status: v.number(), message: v.string() }) })

/** A decision; a question in a batch that could not be understood is denied and says why. */
export const Decision = v.object({ decision: v.boolean(), context: v.optional(ItemError) })
export type Decision = v.InferOutput<typeof Decision>

/** A batch is answered in its order, a single question as such. */
export const EvaluationsAnswer = v.union([
  v.object({ evaluations: v.array(Decision) }),
  v.object({ decision: v.boolean() }),
])
export type EvaluationsAnswer = v.InferOutput<typeof EvaluationsAnswer>

/** The id or slug of an organization, as it may stand in a path. */
export const OrganizationName = v.union([Slug, v.pipe(v.string(), v.regex(/^org_[0-9a-z]{26}$/))])

/** What a client learns of this decision point before it asks. Members without a value are left out. */
export const Metadata = v.object({
  policy_decision_point: v.string(),
  access_evaluation_endpoint: v.string(),
  access_evaluations_endpoint: v.string(),
})
export type Metadata = v.InferOutput<typeof Metadata>
