import { environmentOf } from '../engine/condition.ts'
import type { Engine, Outcome } from '../engine/engine.ts'
import type { Question } from '../engine/line.ts'
import { type Lasting, watched } from './lasting.ts'
import type { OrganizationState } from './policies.ts'
import { reasonOf } from './reason.ts'

/** Why a decision fell as it did. Stable words for programs. */
export type DecisionCode =
  | 'role'
  | 'grant'
  | 'denied'
  | 'no-match'
  | 'not-a-member'
  | 'suspended'
  | 'condition'
  | 'unknown-resource'

export type Decision = {
  readonly allowed: boolean
  readonly code: DecisionCode
  /** One sentence for people. */
  readonly reason: string
}

type Attributes = Readonly<Record<string, unknown>>

/** A question in the words of the API, its names already known to the catalog. */
export type Ask = {
  readonly subject: string
  readonly permission: string
  /** null asks about every resource of the type. */
  readonly resourceId: string | null
  /** The resource as the caller wrote it, `type:id`, where it is at hand: it need not be joined again. */
  readonly resourceKey?: string | undefined
  /** The workspace's id; a registered resource's own place counts instead. */
  readonly workspaceId: string | null
  readonly context?: Attributes | undefined
  /** AuthZEN only: what the caller says of the three, over what is stored. */
  readonly subjectProperties?: Attributes | undefined
  readonly resourceProperties?: Attributes | undefined
  readonly actionProperties?: Attributes | undefined
  /** Where it is noted how long the answer lasts. */
  readonly lasting?: Lasting | undefined
}

const refused = (code: DecisionCode, reason: string): Decision => ({ allowed: false, code, reason })
const NOT_A_MEMBER = refused('not-a-member', 'the subject is not a member of this organization')
const MEMBER_SUSPENDED = refused('suspended', 'the member is suspended')
const ORGANIZATION_SUSPENDED = refused('suspended', 'the organization is suspended')
const RESOURCE_SUSPENDED = refused('suspended', 'the resource is suspended')
const UNKNOWN_RESOURCE = refused(
  'unknown-resource',
  'resources of this type must be registered, and this one is not',
)
const NEVER_ASKS = refused('no-match', 'teams, roles and the like receive grants but never ask')

/** The permission's type and action: the first colon splits. */
export const splitPermission = (permission: string): Split => {
  const known = splits.get(permission)
  if (known) return known
  const colon = permission.indexOf(':')
  const split = { type: permission.slice(0, colon), action: permission.slice(colon + 1) }
  if (splits.size < SPLITS_MAX) splits.set(permission, split)
  return split
}

type Split = { readonly type: string; readonly action: string }
/** The parts are texts that were hashed before: fresh ones would be hashed for every question. */
const splits = new Map<string, Split>()
const SPLITS_MAX = 10_000

/**
 * Decides. What is no policy line comes first: who may ask at all, what is suspended, what does not exist. Then the engine.
 * The permission must be in the catalog (`state.platform.permissions`); where it is asked follows from its scope.
 */
export const decide = (
  engine: Engine,
  state: OrganizationState,
  ask: Ask,
  nowMs: number,
): Decision => {
  const early = decideBeforeLines(engine, state, ask, nowMs)
  if (early) return early
  const outcome = engine.decide(state.policy, questionOf(state, ask, nowMs))
  return decisionOf(state, outcome)
}

/** What is decided before any line: undefined when the lines decide. */
export const decideBeforeLines = (
  engine: Engine,
  state: OrganizationState,
  ask: Ask,
  nowMs: number,
): Decision | undefined => {
  const { subject, permission, resourceId, resourceKey } = ask
  if (state.status === 'suspended' || state.status === 'pending_deletion')
    return ORGANIZATION_SUSPENDED
  if (subject.startsWith('team:') || subject.startsWith('role:')) return NEVER_ASKS
  const member = state.members.get(subject)
  if (member === undefined) {
    if (subject.startsWith('user:') && !engine.holdsOnPlatform(state.platform.policy, subject))
      return NOT_A_MEMBER
  } else {
    if (member.status === 'suspended') return MEMBER_SUSPENDED
    if (member.expiresAtMs !== null) {
      if (member.expiresAtMs <= nowMs) return NOT_A_MEMBER
      if (ask.lasting) ask.lasting.untilMs = Math.min(ask.lasting.untilMs, member.expiresAtMs)
    }
  }
  if (resourceId === null) return undefined
  const { type } = splitPermission(permission)
  const resource = !state.hasResources
    ? undefined
    : state.resources.get(resourceKey ?? `${type}:${resourceId}`)
  if (resource === undefined)
    return state.platform.strictTypes.has(type) ? UNKNOWN_RESOURCE : undefined
  return resource.suspendedBecause === null ? undefined : RESOURCE_SUSPENDED
}

/** The question as the engine asks it: its place follows from the permission's scope and where the resource is. */
export const questionOf = (state: OrganizationState, ask: Ask, nowMs: number): Question => {
  const { type, action } = splitPermission(ask.permission)
  const scope = state.platform.permissions.get(ask.permission)
  const resource =
    ask.resourceId === null || !state.hasResources
      ? undefined
      : state.resources.get(ask.resourceKey ?? `${type}:${ask.resourceId}`)
  return {
    subject: ask.subject,
    organizationId: scope === 'platform' ? null : state.id,
    workspaceId: scope === 'workspace' ? workspaceOf(state, ask, type, resource) : null,
    type,
    id: ask.resourceId,
    action,
    nowMs,
    environment: () => environment(state, ask, type, action, nowMs),
  }
}

const workspaceOf = (
  state: OrganizationState,
  ask: Ask,
  type: string,
  resource: { workspaceId: string | null } | undefined,
) => {
  if (resource) return resource.workspaceId
  // A workspace itself is asked about inside it.
  if (type === 'workspace' && ask.resourceId !== null && ask.workspaceId === null)
    return state.workspaces.get(ask.resourceId)?.id ?? null
  return ask.workspaceId
}

const environment = (
  state: OrganizationState,
  ask: Ask,
  type: string,
  action: string,
  nowMs: number,
) => {
  const colon = ask.subject.indexOf(':')
  const resource =
    ask.resourceId === null ? undefined : state.resources.get(`${type}:${ask.resourceId}`)
  const said = environmentOf({
    subject: {
      type: ask.subject.slice(0, colon),
      id: ask.subject.slice(colon + 1),
      attributes: merged(state.members.get(ask.subject)?.attributes, ask.subjectProperties),
    },
    resource: {
      type,
      id: ask.resourceId ?? undefined,
      owner: resource?.owner ?? undefined,
      registered: resource !== undefined,
      attributes: merged(resource?.attributes, ask.resourceProperties),
    },
    action: { name: action, properties: ask.actionProperties },
    context: ask.context,
    now: new Date(nowMs),
  })
  return ask.lasting ? watched(said, ask.lasting) : said
}

const merged = (stored: Attributes | null | undefined, said: Attributes | undefined) =>
  said === undefined ? (stored ?? undefined) : stored ? { ...stored, ...said } : said

/** The engine's outcome in the words of the API. Its sentence is composed once per outcome. */
const decisionOf = (state: OrganizationState, outcome: Outcome): Decision => {
  outcome.reason ??= reasonOf(state, outcome)
  return outcome as Outcome & { reason: string }
}
