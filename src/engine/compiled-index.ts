import { canAsk } from './chain.ts'
import {
  type BroadMatch,
  isWithin,
  type LineAt,
  type Link,
  matchBroad,
  openMatching,
} from './closure.ts'
import { conditionHolds } from './condition.ts'
import { forgetViews, type IndexedPolicy, workspacePlace } from './indexed-policy.ts'
import type { Effect, Environment, Question } from './line.ts'
import { type NarrowLines, visitNarrow } from './narrow.ts'
import { type Conditions, createOutcome, type Instance, type StoredOutcome } from './outcome.ts'
import {
  conditionAt,
  holdsAt,
  isDeny,
  isRoleLine,
  narrowMatches,
  roleOnResourceMatches,
} from './packed-lines.ts'
import { ACTION_UNKNOWN, permissionKey, type Symbols, TYPE_UNKNOWN } from './symbols.ts'
import {
  createView,
  extendView,
  findOutcome,
  findView,
  keepOutcome,
  type Place,
  putView,
  type View,
} from './view.ts'
import type { ViewCache } from './view-cache.ts'

// The hot path: a question is decided with half a dozen map lookups, whatever the number of lines. It decides
// as Casbin does with the model of `model.conf`; the property test keeps the two together.

const codeOfAllow = (view: View, line: LineAt) => (line.subject === view.subject ? 'grant' : 'role')

const isKnown = (type: number, action: number) => type !== TYPE_UNKNOWN && action !== ACTION_UNKNOWN

const broadOfClosure = (
  { closure, place }: View,
  type: number,
  action: number,
  nowMs: number,
): BroadMatch => {
  const key = permissionKey(type, action)
  const known = closure.broad.get(key)
  if (known !== undefined) return known
  const matching = openMatching(type, action, place.code, nowMs)
  for (const { subject, packed } of closure.holdings) matchBroad(matching, subject, packed)
  if (isKnown(type, action)) closure.broad.set(key, matching)
  return matching
}

const join = (some: readonly LineAt[], others: readonly LineAt[] | null): readonly LineAt[] =>
  others === null || others.length === 0 ? some : [...some, ...others]

/** What the broad lines decide about a type and action, whatever the resource. */
const broadOutcome = (
  view: View,
  type: number,
  action: number,
  nowMs: number,
  instance: Instance | null,
): StoredOutcome => {
  const { subject, onPlatform, inOrganization } = view
  const held = broadOfClosure(view, type, action, nowMs)
  const own = openMatching(type, action, view.place.code, nowMs)
  if (onPlatform) matchBroad(own, subject, onPlatform)
  if (inOrganization) matchBroad(own, subject, inOrganization)
  const deny = own.deny ?? held.deny
  if (deny) return createOutcome('denied', view, deny, null, instance)
  const denyIf = join(own.denyIf, held.denyIf)
  const allow = held.allow ?? own.allow
  const allowIf = join(own.allowIf, held.allowIf)
  const isConditional = denyIf.length > 0 || (allow === null && allowIf.length > 0)
  const conditions: Conditions | null = isConditional ? { allowIf, denyIf } : null
  return allow
    ? createOutcome(codeOfAllow(view, allow), view, allow, conditions, instance)
    : createOutcome('no-match', view, null, conditions, instance)
}

/** What is known of a question while its narrow lines are looked at. */
type Weighing = {
  readonly type: number
  readonly action: number
  readonly place: number
  /** Which of the view's narrow lines are being looked at. */
  source: number
  allow: LineAt | null
  allowKey: number
  deny: LineAt | null
  denyKey: number
  allowIf: LineAt[] | null
  denyIf: LineAt[] | null
  links: Link[] | null
}

const weighPermission = (weighing: Weighing, { subject, packed }: NarrowLines, at: number) => {
  if (isRoleLine(packed, at)) return
  if (!narrowMatches(packed, at, weighing.type, weighing.action, weighing.place)) return
  const line = { subject, packed, at }
  const isConditional = conditionAt(packed, at) !== null
  if (isDeny(packed, at)) {
    if (isConditional) weighing.denyIf = [...(weighing.denyIf ?? []), line]
    else {
      weighing.deny = line
      weighing.denyKey = weighing.source
    }
  } else if (isConditional) weighing.allowIf = [...(weighing.allowIf ?? []), line]
  else {
    weighing.allow = line
    weighing.allowKey = weighing.source
  }
}

const weighLink = (weighing: Weighing, { subject, packed }: NarrowLines, at: number) => {
  if (!isRoleLine(packed, at)) return
  if (!roleOnResourceMatches(packed, at, weighing.type, weighing.place)) return
  const holds = holdsAt(packed, at)
  weighing.links ??= []
  if (!weighing.links.some((link) => link.subject === subject && link.holds === holds))
    weighing.links.push({ subject, holds })
}

/** The view with every role that is held on this resource, also through roles held on it. */
const extendFor = (
  policy: IndexedPolicy,
  view: View,
  id: string,
  nowMs: number,
  weighing: Weighing,
): View => {
  let extended = view
  for (;;) {
    weighing.links = null
    for (const lines of extended.narrow)
      if (lines.hasRoles) visitNarrow(lines, id, nowMs, weighLink, weighing)
    // Read anew: the visits above assigned it.
    const links = weighing.links as Link[] | null
    if (links === null || links.length === extended.links.length) return extended
    extended = extendView(policy.sources, view, links, nowMs)
  }
}

/** A single narrow line decides; the outcome is kept with the view unless it is about one resource's roles. */
const narrowOutcome = (
  view: View,
  line: LineAt,
  source: number,
  instance: Instance | null,
): StoredOutcome => {
  const code = isDeny(line.packed, line.at) ? 'denied' : codeOfAllow(view, line)
  if (instance !== null) return createOutcome(code, view, line, null, instance)
  // Below zero, where no key of a type and action is.
  const key = -1 - line.at * view.narrow.length - source
  const known = findOutcome(view, key)
  if (known !== undefined) return known
  const outcome = createOutcome(code, view, line, null, null)
  keepOutcome(view, key, outcome)
  return outcome
}

const findHolding = (
  lines: readonly LineAt[],
  effect: Effect,
  environment: Environment,
): LineAt | undefined =>
  lines.find(({ packed, at }) => conditionHolds(conditionAt(packed, at)!, effect, environment))

const NO_LINES: readonly LineAt[] = []

/**
 * Decides with the lines about single resources and the conditions. The order is the cheapest; the answer is
 * the same in any: a deny wins, whatever allows.
 */
const decideNarrowly = (
  policy: IndexedPolicy,
  view: View,
  question: Question,
  type: number,
  action: number,
  broad: StoredOutcome,
): StoredOutcome => {
  if (broad.code === 'denied') return broad
  const { id, nowMs } = question
  let asked = view
  let base = broad
  let conditions = broad.conditions
  let instance: Instance | null = null
  const weighing: Weighing = {
    type,
    action,
    place: view.place.code,
    source: 0,
    allow: null,
    allowKey: 0,
    deny: null,
    denyKey: 0,
    allowIf: null,
    denyIf: null,
    links: null,
  }
  if (id !== null) {
    if (view.hasLinks) asked = extendFor(policy, view, id, nowMs, weighing)
    if (asked !== view) {
      instance = { type: question.type, id, nowMs }
      const extended = broadOutcome(asked, type, action, nowMs, instance)
      if (extended.code === 'denied') return extended
      conditions = extended.conditions
      if (!base.allowed) base = extended
    }
    for (let source = 0; source < asked.narrow.length; source++) {
      weighing.source = source
      visitNarrow(asked.narrow[source]!, id, nowMs, weighPermission, weighing)
    }
  }
  const { deny, allow } = weighing
  if (deny) return narrowOutcome(asked, deny, weighing.denyKey, instance)

  const denyIf = join(conditions?.denyIf ?? NO_LINES, weighing.denyIf)
  const isAllowed = base.allowed || allow !== null
  const allowIf = isAllowed ? NO_LINES : join(conditions?.allowIf ?? NO_LINES, weighing.allowIf)
  if (denyIf.length > 0 || allowIf.length > 0) {
    const environment = question.environment()
    const refusing = findHolding(denyIf, 'deny', environment)
    if (refusing) return createOutcome('denied', asked, refusing, null, instance)
    const allowing = findHolding(allowIf, 'allow', environment)
    if (allowing)
      return createOutcome(codeOfAllow(asked, allowing), asked, allowing, null, instance)
    if (allowIf.length > 0) return createOutcome('condition', asked, allowIf[0]!, null, instance)
  }
  if (base.allowed || allow === null) return base
  return narrowOutcome(asked, allow, weighing.allowKey, instance)
}

const compileView = (
  cache: ViewCache,
  policy: IndexedPolicy,
  place: Place,
  { subject, nowMs }: Question,
): View | undefined => {
  if (!canAsk(subject)) return undefined
  const view = createView(policy.sources, policy.sharedClosures, subject, place, nowMs)
  if (view === undefined) return undefined
  putView(view)
  cache.admit(view)
  return view
}

/** What an index shares among its policies. */
export type CompiledIndex = { readonly symbols: Symbols; readonly cache: ViewCache }

/**
 * Decides. An organization's policy also decides questions at the platform, by the platform's lines. Throws an
 * Error for a question about another organization.
 */
export const decideByIndex = (
  { symbols, cache }: CompiledIndex,
  policy: IndexedPolicy,
  question: Question,
): StoredOutcome => {
  if (question.organizationId !== policy.organizationId) {
    if (question.organizationId !== null)
      throw new Error(
        `a question about ${question.organizationId} was asked of the policy of ${policy.organizationId ?? 'the platform'}`,
      )
    policy = policy.platform
  }
  if (policy.version !== policy.store.version) forgetViews(policy)
  const place =
    question.workspaceId === null || policy.organizationId === null
      ? policy.here
      : workspacePlace(policy, question.workspaceId)
  const { nowMs } = question
  let view = findView(place, question.subject)
  if (view === undefined || !isWithin(view.span, nowMs)) {
    view = compileView(cache, policy, place, question)
    if (view === undefined) return createOutcome('no-match', null, null, null, null)
  } else if (!view.isUsed) view.isUsed = true

  const type = symbols.types.get(question.type) ?? TYPE_UNKNOWN
  const action = symbols.actions.get(question.action) ?? ACTION_UNKNOWN
  const key = permissionKey(type, action)
  let broad = isKnown(type, action) ? findOutcome(view, key) : undefined
  if (broad === undefined) {
    broad = broadOutcome(view, type, action, nowMs, null)
    if (isKnown(type, action)) keepOutcome(view, key, broad)
  }
  if (broad.conditions === null && (view.narrow.length === 0 || question.id === null)) return broad
  return decideNarrowly(policy, view, question, type, action, broad)
}
