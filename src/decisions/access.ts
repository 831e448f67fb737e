import { environmentOf } from '../engine/condition.ts'
import type { Engine } from '../engine/engine.ts'
import {
  type Access,
  type Actor,
  type Context,
  type Held,
  parseRevisionToken,
} from '../platform/context.ts'
import { refuseInsideChange } from '../platform/db/transaction.ts'
import { type Ask, decide, decideBeforeLines, questionOf, splitPermission } from './decide.ts'
import { createLacking } from './lacking.ts'
import type { OrganizationState, PlatformState, Policies } from './policies.ts'
import { keptOutBy } from './security.ts'
import type { Keys } from './slice-repository.ts'

export type AccessOptions = {
  selfService: boolean
  defaultPlan: string
  /** Tells other nodes which revision an organization (or `platform`) has reached; null where that is not known. */
  announce: (home: string, revision: number | null) => void
}

/** The server authorizes its own API with its own engine: what `permit` and the grant ceiling ask. */
export const createAccess = (
  policies: Policies,
  { selfService, defaultPlan, announce }: AccessOptions,
): Access => {
  const { engine } = policies
  const lacking = createLacking()
  const find = (context: Context, organizationId: string, wanted?: Keys) => {
    refuseInsideChange(context)
    return policies.find(context.sql, organizationId, 'minimize_latency', wanted)
  }
  const findFor = (context: Context, organizationId: string, resources?: string[]) =>
    find(context, organizationId, wantedBy(context.actor, resources))
  return {
    permits: async (context, permission, { organizationId, workspaceId = null, resource }) => {
      refuseInsideChange(context)
      const nowMs = context.now().getTime()
      if (organizationId === null) {
        const platform = await policies.currentPlatform(context.sql)
        return subjectsOf(context.actor).every((subject) =>
          holdsOnPlatform(engine, platform, subject, permission, nowMs),
        )
      }
      const wanted = resource && [`${resource.type}:${resource.id}`]
      const state = await findFor(context, organizationId, wanted)
      if (!state) return false
      const held = {
        permission,
        place: { organizationId, workspaceId },
        resource: resource ?? null,
      }
      if (keptOutBy(state.security, context, nowMs))
        return isOperatorWith(engine, state, context.actor, permission, nowMs)
      if (isClosed(state) && isOwner(state, context.actor) && isOpenToOwners(permission))
        return holds(engine, opened(state), context.actor, held, nowMs)
      return holds(engine, state, context.actor, held, nowMs)
    },
    keptOut: async (context, organizationId, { sparesOperators } = { sparesOperators: true }) => {
      const state = await find(context, organizationId)
      if (!state || (sparesOperators && isOfPlatform(engine, state, context.actor)))
        return undefined
      return keptOutBy(state.security, context, context.now().getTime())
    },
    isClosed: async (context, organizationId) => {
      const state = await find(context, organizationId)
      return state !== undefined && isClosed(state)
    },
    knows: async (context, organizationId) => {
      const state = await findFor(context, organizationId)
      return state !== undefined && isKnownTo(engine, context.actor, state)
    },
    ceiling: async (context, tx) => {
      const nowMs = context.now().getTime()
      const { actor, organizationId } = context
      const wanted = wantedBy(actor, lacking.take(organizationId))
      const state = await policies.findLocked(context, tx, organizationId, wanted)
      return {
        holds: (held) =>
          lacking.answer(state, () => holds(engine, opened(state), actor, held, nowMs)),
        reads: (given) => {
          if (!isOfPlatform(engine, state, actor)) lacking.require(state, given)
        },
        mayGiveOwnership:
          isOwner(state, actor) ||
          subjectsOf(actor).every((subject) =>
            holdsOnPlatform(engine, state.platform, subject, 'org:create', nowMs),
          ),
      }
    },
    workspaceId: async (context, reference) =>
      (await find(context, context.organizationId))?.workspaces.get(reference)?.id,
    selfService,
    defaultPlan,
    changed: (home, token) => {
      policies.changed(home)
      announce(home, reachedBy(home, token))
    },
  }
}

/** Whether an actor has anything to do with an organization, so that it may know that it exists. */
export const isKnownTo = (
  engine: Engine,
  { subject, organizationId }: Actor,
  state: OrganizationState,
) =>
  organizationId === null
    ? engine.holdsOnPlatform(state.platform.policy, subject) ||
      state.members.get(subject) !== undefined
    : organizationId === state.id

/** Whether an actor holds a permission in the organization as it is now. */
export const mayAsk = (
  engine: Engine,
  actor: Actor,
  state: OrganizationState,
  permission: string,
  nowMs: number,
) => holds(engine, state, actor, { permission, place: { organizationId: state.id } }, nowMs)

/** Whether an actor holds a permission on the platform, so that no setting of an organization keeps it out. */
export const isOperatorWith = (
  engine: Engine,
  { platform }: OrganizationState,
  actor: Actor,
  permission: string,
  nowMs: number,
) =>
  subjectsOf(actor).every((subject) =>
    holdsOnPlatform(engine, platform, subject, permission, nowMs),
  )

const isOfPlatform = (engine: Engine, { platform }: OrganizationState, { subject }: Actor) =>
  engine.holdsOnPlatform(platform.policy, subject)

/** What is needed of an organization to decide what an actor may do there, on these resources too. */
const wantedBy = (actor: Actor, resources: readonly string[] = []): Keys => ({
  subjects: subjectsOf(actor),
  resources,
})

/** Whose permissions count for an actor: a restricted personal key holds what both it and its member hold. */
export const subjectsOf = ({ subject, restrictedTo }: Actor) =>
  restrictedTo === null ? [subject] : [subject, restrictedTo]

const isOwner = (state: OrganizationState, { subject, restrictedTo }: Actor) => {
  const member = state.members.get(subject)
  return restrictedTo === null && member?.isOwner === true && member.status === 'active'
}

/** Whether the organization's own people and keys are denied everything. */
export const isClosed = ({ status }: OrganizationState) =>
  status === 'suspended' || status === 'pending_deletion'

/** What the owners of a closed organization may look at: itself, its members, its bills. */
const SHOWN_WHILE_CLOSED = new Set(['org:read', 'org:billing:view', 'org:usage:read'])

/** Whether a permission counts for owners of a closed organization. What would change something is refused by its state. */
const isOpenToOwners = (permission: string) =>
  SHOWN_WHILE_CLOSED.has(permission) || !/:(?:read|explain|check)$/.test(permission)

/** The organization as if it were open: its owners still read it and restore it. */
const opened = (state: OrganizationState): OrganizationState =>
  isClosed(state) ? { ...state, status: 'active' } : state

/**
 * Whether an actor holds a permission. A suspended organization denies all to its own people and keys; only the platform's
 * operators, whose power comes from elsewhere, act in it.
 */
const holds = (
  engine: Engine,
  state: OrganizationState,
  actor: Actor,
  { permission, place, resource, condition }: Held,
  nowMs: number,
): boolean => {
  if (!state.platform.permissions.has(permission)) return false
  return subjectsOf(actor).every((subject) => {
    if (holdsOnPlatform(engine, state.platform, subject, permission, nowMs)) return true
    const ask = {
      subject,
      permission,
      resourceId: resource?.id ?? null,
      workspaceId: place.workspaceId ?? null,
    }
    return condition === undefined
      ? decide(engine, state, ask, nowMs).allowed
      : mayGive(engine, state, ask, condition, nowMs)
  })
}

/** Whether a subject holds what it asks for without a condition, or under the very condition it gives it with. */
const mayGive = (
  engine: Engine,
  state: OrganizationState,
  ask: Ask,
  condition: string | null,
  nowMs: number,
): boolean => {
  if (decideBeforeLines(engine, state, ask, nowMs)) return false
  const question = questionOf(state, ask, nowMs)
  const outcome = engine.decide(state.policy, question)
  if (!outcome.allowed && outcome.code !== 'condition') return false
  if (outcome.allowed && !outcome.because()?.line.condition) return true
  if (condition === null) return false
  const { conditions } = engine.explain(state.policy, question)
  return conditions.some(({ line }) => line.effect === 'allow' && line.condition === condition)
}

/** Held on the platform, and so everywhere. */
const holdsOnPlatform = (
  engine: Engine,
  platform: PlatformState,
  subject: string,
  permission: string,
  nowMs: number,
): boolean => {
  if (!engine.holdsOnPlatform(platform.policy, subject)) return false
  const { type, action } = splitPermission(permission)
  return engine.decide(platform.policy, {
    subject,
    organizationId: null,
    workspaceId: null,
    type,
    id: null,
    action,
    nowMs,
    environment: () =>
      environmentOf({
        subject: { type: '', id: '' },
        resource: { type },
        action: { name: action },
        now: new Date(nowMs),
      }),
  }).allowed
}

/** The revision in a token, if it is one of this organization (or of the platform). */
const reachedBy = (home: string, token: string | undefined): number | null => {
  const parsed = token === undefined ? undefined : parseRevisionToken(token)
  if (parsed?.organizationId !== home) return null
  return home === 'platform' ? parsed.platformRevision : parsed.revision
}
