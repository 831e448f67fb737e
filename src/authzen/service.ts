import * as v from 'valibot'
import {
  type Ask,
  evaluate,
  type OrganizationState,
  openTo,
  type Policies,
  refuseRepeated,
  wantedBy,
} from '../decisions/service.ts'
import { ID_BYTES_MAX } from '../permissions/schema.ts'
import type { Context } from '../platform/context.ts'
import { parse } from '../platform/parse.ts'
import { Problem } from '../platform/problem.ts'
import {
  type Decision,
  EvaluationRequest,
  type EvaluationsAnswer,
  EvaluationsRequest,
  type Metadata,
  OrganizationName,
  Parts,
  type Semantic,
} from './schema.ts'

/**
 * OpenID AuthZEN 1.0: the decisions of `/check` in the standard's words. What is unknown here is denied, where our own
 * endpoints say 422, and why is told there only.
 */

/** What the operator of this server decides about the properties that callers send. */
export type AuthzenSettings = {
  /** Attributes of which only the stored value counts: `subject.role`, `resource.owner`. */
  storedOnly: ReadonlySet<string>
}

/** A body, and the organization its path names, if it names one. */
type Asked = AuthzenSettings & { organization: string | undefined; body: unknown }
type Answered<Body> = { revision: string; body: Body }

/** One question. @throws Problem 400, 403, 404 */
export const answerEvaluation = async (
  policies: Policies,
  context: Context,
  asked: Asked,
): Promise<Answered<Decision>> => {
  const read = reading(() => parse(EvaluationRequest, asked.body))
  const policy = await openPolicy(policies, context, asked, [read])
  const answer = decide(policy, readOf(read))
  return { revision: policy.state.token, body: answer }
}

/** The answer that ends a batch early. */
const ENDS_AT: Record<Semantic, boolean | undefined> = {
  execute_all: undefined,
  deny_on_first_deny: false,
  permit_on_first_permit: true,
}

/** Up to 1,000 questions in their order, or a single one where none are listed. @throws Problem 400, 403, 404 */
export const answerEvaluations = async (
  policies: Policies,
  context: Context,
  asked: Asked,
): Promise<Answered<EvaluationsAnswer>> => {
  const batch = reading(() => readBatch(asked.body))
  const policy = await openPolicy(policies, context, asked, batch.value?.questions ?? [])
  const revision = policy.state.token
  const { single, questions, semantic } = readOf(batch)
  if (single) return { revision, body: decide(policy, readOf(questions[0]!)) }
  const endsAt = ENDS_AT[semantic]
  const answers: Decision[] = []
  for (const question of questions) {
    const answer = decideItem(policy, question)
    answers.push(answer)
    if (answer.decision === endsAt) break
  }
  return { revision, body: { evaluations: answers } }
}

/** The questions of a batch; a single one where none are listed. Every item is read with what it inherits. */
const readBatch = (body: unknown) => {
  const { evaluations, options, ...defaults } = parse(EvaluationsRequest, body)
  const semantic = options?.evaluations_semantic ?? 'execute_all'
  const single = !evaluations?.length
  if (single)
    return { single, semantic, questions: [reading(() => parse(EvaluationRequest, defaults))] }
  refuseRepeated(defaults, evaluations.length)
  const questions = evaluations.map((item) =>
    reading(() => parse(EvaluationRequest, withDefaults(defaults, parse(Parts, item)))),
  )
  return { single, semantic, questions }
}

/** What was read, or why it could not be: whoever may not ask is told that first. */
type Read<Value> = { value: Value; error?: undefined } | { value?: undefined; error: unknown }

const reading = <Value>(read: () => Value): Read<Value> => {
  try {
    return { value: read() }
  } catch (error) {
    return { error }
  }
}

const readOf = <Value>(read: Read<Value>): Value => {
  if (read.value === undefined) throw read.error
  return read.value
}

/** An organization's policy at one instant, opened for one request. */
type OpenPolicy = AuthzenSettings & { policies: Policies; state: OrganizationState; nowMs: number }

/** The policy of the organization that is named, else of the one the caller's key belongs to. */
const openPolicy = async (
  policies: Policies,
  context: Context,
  { organization = context.actor.organizationId ?? undefined, storedOnly }: Asked,
  questions: readonly Read<EvaluationRequest>[],
): Promise<OpenPolicy> => {
  if (organization === undefined)
    throw new Problem(
      'invalid',
      'organization-needed',
      'This caller belongs to no single organization; ask at /{organization}/access/v1/….',
    )
  if (!v.is(OrganizationName, organization)) throw organizationNotFound()
  const wanted = () =>
    wantedBy(
      context,
      questions.flatMap(({ value }) => (value && !isNeverStored(value) ? entitiesOf(value) : [])),
    )
  const state = await openTo(policies, context, { organization, wanted })
  return { policies, state, nowMs: context.now().getTime(), storedOnly }
}

const organizationNotFound = () =>
  new Problem('not-found', 'organization-not-found', 'There is no such organization.')

/** Defaults that nobody uses may be incomplete: a fault is that of one item. */
const decideItem = (policy: OpenPolicy, question: Read<EvaluationRequest>): Decision => {
  try {
    return decide(policy, readOf(question))
  } catch (error) {
    if (!(error instanceof Problem) || error.kind !== 'invalid') throw error
    return { decision: false, context: { error: { status: 400, message: faultIn(error) } } }
  }
}

const faultIn = ({ detail, extras: { errors: [fault] = [] } }: Problem): string =>
  fault ? `${fault.pointer || 'The evaluation'} ${fault.detail}.` : detail

/** An entity is taken whole, never merged member by member. */
const withDefaults = (defaults: Parts, item: Parts): Parts => ({
  subject: item.subject ?? defaults.subject,
  action: item.action ?? defaults.action,
  resource: item.resource ?? defaults.resource,
  context: item.context ?? defaults.context,
})

const decide = (policy: OpenPolicy, request: EvaluationRequest): Decision => {
  const ask = askOf(policy, request)
  const { policies, state, nowMs } = policy
  return { decision: ask !== undefined && evaluate(policies, state, ask, nowMs).allowed }
}

/** The question in our words, or nothing for one that can only be denied. */
const askOf = ({ state, storedOnly }: OpenPolicy, question: EvaluationRequest): Ask | undefined => {
  const { subject, action, resource, context } = question
  if (isNeverStored(question)) return undefined
  const permission = `${resource.type}:${action.name}`
  if (!state.platform.permissions.has(permission)) return undefined
  return {
    subject: entitiesOf(question).subject,
    permission,
    resourceId: resource.id,
    workspaceId: null,
    context: context ?? undefined,
    subjectProperties: said('subject', subject.properties, storedOnly),
    resourceProperties: said('resource', resource.properties, storedOnly),
    actionProperties: action.properties ?? undefined,
  }
}

/** Who and what is asked about, in our words. */
const entitiesOf = ({ subject, resource }: EvaluationRequest) => ({
  subject: `${subject.type}:${subject.id}`,
  resource: `${resource.type}:${resource.id}`,
})

/** What can only be denied, because it cannot be stored. */
const isNeverStored = ({ subject, action, resource }: EvaluationRequest) =>
  // The first colon splits: with one in a type, `a:b` and `c` would be the permission of `a` and `b:c`.
  subject.type.includes(':') ||
  resource.type.includes(':') ||
  // Longer ones are never stored. A batch would make up and look up a long default for each of its items.
  [subject.type, subject.id, resource.type, resource.id, action.name].some(isTooLong)

const isTooLong = (text: string) => text.length > ID_BYTES_MAX

/** What a caller says of an entity, without what only the store may say. */
const said = (
  entity: 'subject' | 'resource',
  properties: Record<string, unknown> | null | undefined,
  storedOnly: ReadonlySet<string>,
) => {
  if (!properties || storedOnly.size === 0) return properties ?? undefined
  const trusted = Object.entries(properties).filter(
    ([name]) => !storedOnly.has(`${entity}.${name}`),
  )
  return Object.fromEntries(trusted)
}

/** What clients may know of the decision point with this identifier. */
export const describeDecisionPoint = (identifier: string): Metadata => ({
  policy_decision_point: identifier,
  access_evaluation_endpoint: `${identifier}/access/v1/evaluation`,
  access_evaluations_endpoint: `${identifier}/access/v1/evaluations`,
})

/**
 * The same of one organization. Nothing is looked up: the document is public and may not tell which organizations exist.
 * @throws Problem 404 for what cannot be an organization's name
 */
export const describeOrganization = (identifier: string, organization: string): Metadata => {
  if (!v.is(OrganizationName, organization)) throw organizationNotFound()
  return describeDecisionPoint(`${identifier}/${organization}`)
}
