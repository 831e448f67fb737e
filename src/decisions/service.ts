import type { Engine } from '../engine/engine.ts'
import { type Context, parseRevisionToken } from '../platform/context.ts'
import { didYouMean } from '../platform/nearest.ts'
import { organizationClosed, Problem, unprocessable } from '../platform/problem.ts'
import {
  type AccessOptions,
  createAccess,
  isClosed,
  isKnownTo,
  isOperatorWith,
  mayAsk,
  subjectsOf,
} from './access.ts'
import { type Ask, type Decision, decide, decideBeforeLines, questionOf } from './decide.ts'
import type { Wanted } from './held.ts'
import type { Lasting } from './lasting.ts'
import {
  type Consistency,
  createPolicies,
  type OrganizationState,
  type Policies,
  type PoliciesOptions,
} from './policies.ts'
import type { BatchCheck, CheckRequest } from './schema.ts'
import { keptOutBy, refusedAddress } from './security.ts'
import { holds } from './slice.ts'
import type { Keys } from './slice-repository.ts'
import { traceOf } from './trace.ts'

export type { Ask, Decision } from './decide.ts'
export { refuseRepeated } from './defaults.ts'
export type { Wanted } from './held.ts'
export { createLasting, type Lasting } from './lasting.ts'
export type { OrganizationState, Policies } from './policies.ts'
export { keptOutBy, securityOf } from './security.ts'

/** Everything that decides, over one engine: policies in memory, and what the server asks of them for its own API. */
export const openDecisions = (engine: Engine, options: PoliciesOptions & AccessOptions) => {
  const policies = createPolicies(engine, options)
  return { policies, access: createAccess(policies, options) }
}

type Trace = ReturnType<typeof traceOf>
export type Answer = Pick<Decision, 'allowed' | 'reason' | 'code'> & { trace?: Trace }

type Checked = Answer & { revision: string }

/**
 * May this subject do this, on this resource, in this organization? A deny is an answer, never an error. A warm question is
 * answered without a promise: each turn of the event loop's queue costs about as much as the decision.
 */
export const check = (
  policies: Policies,
  context: Context,
  input: CheckRequest,
): Checked | Promise<Checked> => {
  const warm = input.consistency === undefined || input.consistency === 'minimize_latency'
  const state = warm ? policies.peek(input.organization) : undefined
  // A whole policy can be asked anything: what the question needs is not even put together.
  if (state?.slice === null) return answerIn(policies, context, state, input)
  const wanted = wantedBy(context, [input])
  if (state && holds(state, wanted)) return answerIn(policies, context, state, input)
  const consistency = input.consistency ?? 'minimize_latency'
  return findState(policies, context, input.organization, { consistency, wanted }).then((found) =>
    answerIn(policies, context, found, input),
  )
}

/** Whom and what some questions are about, and the caller, who must be allowed to ask. */
export const wantedBy = (
  { actor }: Context,
  questions: readonly { subject: string; resource?: string | null | undefined }[] = [],
): Keys => ({
  subjects: [...subjectsOf(actor), ...questions.map(({ subject }) => subject)],
  resources: questions.flatMap(({ resource }) => resource ?? []),
})

const answerIn = (
  policies: Policies,
  context: Context,
  state: OrganizationState,
  input: CheckRequest,
): Checked => {
  const nowMs = context.now().getTime()
  refuseAsking(policies, context, state, input.explain === true, nowMs)
  const { allowed, reason, code, trace } = answerTo(policies, state, input, nowMs)
  return trace
    ? { allowed, reason, code, trace, revision: state.token }
    : { allowed, reason, code, revision: state.token }
}

/** The organization's policy, if the caller may ask there. @throws Problem 404, 403 */
export const openTo = async (
  policies: Policies,
  context: Context,
  {
    organization,
    consistency = 'minimize_latency',
    explain = false,
    wanted = () => wantedBy(context),
  }: Pick<CheckRequest, 'organization' | 'consistency' | 'explain'> & { wanted?: () => Keys },
): Promise<OrganizationState> => {
  const state =
    (consistency === 'minimize_latency' ? peekWhole(policies, context, organization) : undefined) ??
    (await findState(policies, context, organization, { consistency, wanted: wanted() }))
  refuseAsking(policies, context, state, explain, context.now().getTime())
  return state
}

/** @throws Problem 404 for a caller that may not know of the organization, 403 for one that may not ask there */
const refuseAsking = (
  { engine }: Policies,
  context: Context,
  state: OrganizationState,
  explain: boolean,
  nowMs: number,
) => {
  const { actor } = context
  const permission = explain ? 'decision:explain' : 'decision:check'
  if (!isKnownTo(engine, actor, state)) throw notFound()
  const keptOut = keptOutBy(state.security, context, nowMs)
  if (keptOut && !isOperatorWith(engine, state, actor, permission, nowMs)) throw keptOut
  if (mayAsk(engine, actor, state, permission, nowMs)) return
  if (isClosed(state)) throw organizationClosed(permission)
  throw new Problem('forbidden', 'forbidden', `This needs the permission ${permission}.`, {
    permission,
  })
}

const notFound = () =>
  new Problem('not-found', 'organization-not-found', 'There is no such organization.')

/** A whole policy that can be answered from at once. @throws Problem 404 for a caller that may not know of it */
const peekWhole = (policies: Policies, context: Context, organization: string) => {
  const state = policies.peek(organization)
  if (state?.slice !== null) return undefined
  if (!isKnownTo(policies.engine, context.actor, state)) throw notFound()
  return state
}

/** The organization a caller asks in with what is wanted of it, unless the caller may not know that it exists. */
export const findState = async (
  policies: Policies,
  context: Context,
  organization: string,
  { consistency, wanted }: { consistency: Consistency; wanted: Wanted },
): Promise<OrganizationState> => {
  const state = await policies.find(context.sql, organization, consistency, wanted)
  if (!state || !isKnownTo(policies.engine, context.actor, state)) throw notFound()
  if (typeof consistency === 'object') refuseForeignToken(state, consistency.atLeast)
  return state
}

const refuseForeignToken = (state: OrganizationState, token: string) => {
  const parsed = parseRevisionToken(token)
  if (!parsed || (parsed.organizationId !== state.id && parsed.organizationId !== 'platform'))
    throw new Problem(
      'invalid',
      'invalid-request',
      'The token was not given for this organization.',
      {
        errors: [
          {
            pointer: '/consistency/atLeast',
            detail: 'must be a Latchkey-Revision of this organization',
          },
        ],
      },
    )
}

/**
 * Decides one question, its names known, and counts the decision. What is allowed is still refused where the end user's
 * address is not one of those the organization allows.
 */
export const evaluate = (
  { engine, counts, asked }: Policies,
  state: OrganizationState,
  ask: Ask,
  nowMs: number,
): Decision => {
  let decision = decide(engine, state, ask, nowMs)
  if (state.security !== null && decision.allowed)
    decision = elsewhere(engine, state, ask, nowMs) ?? decision
  counts[decision.code] = (counts[decision.code] ?? 0) + 1
  asked.note(state, ask, decision.allowed)
  return decision
}

/** The refusal of an address; operators of the platform are where they are. */
const elsewhere = (engine: Engine, state: OrganizationState, ask: Ask, nowMs: number) => {
  const refusal = refusedAddress(state.security!, ask)
  if (!refusal) return undefined
  const actor = { ...NO_KEY, subject: ask.subject }
  return isOperatorWith(engine, state, actor, ask.permission, nowMs) ? undefined : refusal
}

const NO_KEY = { apiKeyId: null, organizationId: null, restrictedTo: null }

/**
 * Decides one question of a list, wherever the subject is, and notes how long the answer lasts. Not counted: who asks for a
 * list has asked once, not once for everybody who could be on it.
 * @throws Problem 422 for names that do not exist
 */
export const decideForList = (
  { engine }: Policies,
  state: OrganizationState,
  input: Omit<BatchCheck, 'organization'>,
  { nowMs, lasting }: { nowMs: number; lasting?: Lasting },
): Decision => decide(engine, state, { ...askOf(state, input), lasting }, nowMs)

/** Answers one question, its organization open to the caller. @throws Problem 422 for names that do not exist */
export const answerTo = (
  policies: Policies,
  state: OrganizationState,
  input: Omit<BatchCheck, 'organization'>,
  nowMs: number,
): Answer => {
  const ask = askOf(state, input)
  const decision = evaluate(policies, state, ask, nowMs)
  if (input.explain) return explained(policies.engine, state, ask, decision, nowMs)
  const { allowed, reason, code } = decision
  return { allowed, reason, code }
}

const explained = (
  engine: Engine,
  state: OrganizationState,
  ask: Ask,
  { allowed, reason, code }: Decision,
  nowMs: number,
) => {
  const trace = decideBeforeLines(engine, state, ask, nowMs)
    ? { line: null, chain: [], conditions: [], nearestMisses: [] }
    : traceOf(engine.explain(state.policy, questionOf(state, ask, nowMs), isCandidateIn(state)))
  return { allowed, reason, code, trace }
}

/** What may be named that would turn a deny: a slice holds the teams of some only, so of one no team is named. */
const isCandidateIn = ({ slice }: OrganizationState) =>
  slice === null ? undefined : (subject: string) => subject.startsWith('role:')

/** The question with its names checked. @throws Problem 422 for a permission or a workspace that does not exist */
const askOf = (state: OrganizationState, input: Omit<BatchCheck, 'organization'>): Ask => {
  const { permission, resource } = input
  if (!state.platform.permissions.has(permission))
    throw unprocessable(
      'permission-unknown',
      '/permission',
      `The permission is not registered.${didYouMean(permission, state.platform.permissions.keys())}`,
    )
  return {
    subject: input.subject,
    permission,
    resourceId: resource ? resourceIdOf(permission, resource) : null,
    resourceKey: resource ?? undefined,
    workspaceId: input.workspace ? workspaceIdOf(state, input.workspace) : null,
    context: input.context,
  }
}

const resourceIdOf = (permission: string, resource: string): string => {
  const colon = resource.indexOf(':')
  if (permission.charCodeAt(colon) === 58 && permission.startsWith(resource.slice(0, colon)))
    return resource.slice(colon + 1)
  throw unprocessable(
    'permission-of-another-type',
    '/resource',
    'The permission is about another resource type.',
  )
}

const workspaceIdOf = (state: OrganizationState, reference: string): string => {
  const workspace = state.workspaces.get(reference)
  if (workspace) return workspace.id
  const slugs = new Set([...state.workspaces.values()].map(({ slug }) => slug))
  throw unprocessable(
    'workspace-unknown',
    '/workspace',
    `There is no such workspace.${didYouMean(reference, slugs)}`,
  )
}
