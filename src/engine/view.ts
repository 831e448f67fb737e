import {
  ALWAYS,
  type Closure,
  closeOver,
  collectHeld,
  isWithin,
  type Link,
  meet,
  NO_NARROW,
  openSpan,
  type Sources,
  type Span,
} from './closure.ts'
import { type NarrowLines, narrowLinesOf } from './narrow.ts'
import type { StoredOutcome } from './outcome.ts'
import type { Names, PackedLines } from './packed-lines.ts'

// What is compiled from lines when a question meets them. A hundred thousand views may be held, so they are
// kept small: what most do not have is null or shared.

/** The views of one policy, by subject: the first place that was asked about, the others behind it. */
export type Views = {
  readonly bySubject: Map<string, View>
  /** False once a change made them stale. */
  isLive: boolean
}

/** One place in which questions are asked. It holds no lines, so that a view does not keep a policy alive. */
export type Place = {
  readonly names: Names
  /** null at the organization, at the platform, and in a workspace that no line names. */
  readonly workspaceId: string | null
  /** The number of the workspace, or one of `AT_PLATFORM`, `AT_ORGANIZATION`, `AT_OTHER_WORKSPACE`. */
  readonly code: number
  readonly views: Views
  /** By the names of the roles and teams that are held directly; made when first needed. */
  closures: Map<string, Closure> | null
}

/** What one subject holds in one place. */
export type View = {
  readonly subject: string
  readonly place: Place
  readonly span: Readonly<Span>
  /** The subject's own lines on the platform and in the organization. */
  readonly onPlatform: PackedLines | null
  readonly inOrganization: PackedLines | null
  readonly closure: Closure
  /** Narrow lines of the subject and of all its roles and teams. */
  readonly narrow: readonly NarrowLines[]
  /** Whether a role may be held on the resource in question. */
  readonly hasLinks: boolean
  /** Roles held on the resource, for which this view stands; none in a view of its place. */
  readonly links: readonly Link[]
  /** Outcomes by their keys: a list as long as they are few, then a map. */
  firstOutcome: StoredOutcome | null
  outcomes: Map<number, StoredOutcome> | null
  /** The same subject with roles held on a resource; made when first needed. */
  extensions: View[] | null
  /** Of the view that `Views` knows: the subject's views of other places. */
  others: Map<number, View> | null
  /** Whether a question met it since the cache last looked. */
  isUsed: boolean
}

/** The view of a subject in a place, if there is one. */
export const findView = (place: Place, subject: string): View | undefined => {
  const first = place.views.bySubject.get(subject)
  if (first === undefined || first.place === place) return first
  return first.others?.get(place.code)
}

/** Puts a view where it is found, in place of the one before. */
export const putView = (view: View): void => {
  const { place, subject } = view
  const { bySubject } = place.views
  const first = bySubject.get(subject)
  if (first === undefined) bySubject.set(subject, view)
  else if (first.place === place) {
    view.others = first.others
    bySubject.set(subject, view)
  } else {
    first.others ??= new Map()
    first.others.set(place.code, view)
  }
}

/** Takes a view away, unless another stands in its place. */
export const dropView = (view: View): void => {
  const { place, subject } = view
  const { bySubject } = place.views
  const first = bySubject.get(subject)
  if (first !== view) {
    if (first?.others?.get(place.code) === view) first.others.delete(place.code)
    return
  }
  const { others } = view
  const [next] = others ? others.values() : []
  if (others === null || next === undefined) {
    bySubject.delete(subject)
    return
  }
  others.delete(next.place.code)
  next.others = others
  bySubject.set(subject, next)
}

/** Up to how many outcomes a list is quicker than a map, and smaller. */
const LISTED_MAX = 8

/** An outcome that was kept under this key. */
export const findOutcome = (view: View, key: number): StoredOutcome | undefined => {
  if (view.outcomes !== null) return view.outcomes.get(key)
  for (let outcome = view.firstOutcome; outcome !== null; outcome = outcome.next)
    if (outcome.key === key) return outcome
  return undefined
}

/** Keeps an outcome with its view. */
export const keepOutcome = (view: View, key: number, outcome: StoredOutcome): void => {
  outcome.key = key
  if (view.outcomes !== null) {
    view.outcomes.set(key, outcome)
    return
  }
  outcome.next = view.firstOutcome
  view.firstOutcome = outcome
  let length = 0
  for (let other: StoredOutcome | null = outcome; other !== null; other = other.next) length++
  if (length <= LISTED_MAX) return
  view.outcomes = new Map()
  for (let other: StoredOutcome | null = outcome; other !== null; ) {
    view.outcomes.set(other.key, other)
    const { next }: StoredOutcome = other
    other.next = null
    other = next
  }
  view.firstOutcome = null
}

/** Closures that no organization adds to, shared by all of them. */
export type SharedClosures = Map<string, Closure>

/** Above this many closures a place or the platform forgets them all and begins anew. */
const CLOSURES_MAX = 4096
/** Above this many combinations of roles on resources a view forgets them all and begins anew. */
const EXTENSIONS_MAX = 64

/** One name stands for itself unless it could be read as a list of names. */
const keyOf = (held: readonly string[]): string => {
  const [first = ''] = held
  return held.length === 1 && !first.startsWith('[') ? first : JSON.stringify(held)
}

const EMPTY: Closure = {
  span: ALWAYS,
  members: [],
  holdings: [],
  narrow: NO_NARROW,
  isOfPlatform: true,
  broad: new Map(),
}

const keepClosure = (closures: Map<string, Closure>, key: string, closure: Closure): void => {
  if (closures.size >= CLOSURES_MAX) closures.clear()
  closures.set(key, closure)
}

const isUntouched = ({ members }: Closure, own: Sources['own']): boolean => {
  for (const member of members) if (own.has(member)) return false
  return true
}

const findClosure = (
  sources: Sources,
  shared: SharedClosures,
  held: string[],
  place: Place,
  nowMs: number,
): Closure => {
  if (held.length === 0) return EMPTY
  const names = held.length === 1 ? held : [...new Set(held)].sort()
  const key = keyOf(names)
  const ofPlatform = shared.get(key)
  if (ofPlatform && isWithin(ofPlatform.span, nowMs) && isUntouched(ofPlatform, sources.own))
    return ofPlatform
  const known = place.closures?.get(key)
  if (known && isWithin(known.span, nowMs)) return known
  const closure = closeOver(sources, names, [], place.code, nowMs)
  place.closures ??= new Map()
  keepClosure(closure.isOfPlatform ? shared : place.closures, key, closure)
  return closure
}

const narrowOf = (
  subject: string,
  own: readonly (PackedLines | null)[],
  closure: Closure,
): readonly NarrowLines[] => {
  const lines = own.flatMap((packed) => (packed && narrowLinesOf(subject, packed)) ?? [])
  return lines.length === 0 ? closure.narrow : [...lines, ...closure.narrow]
}

const NO_LINKS: readonly Link[] = []

type ViewParts = Pick<View, 'subject' | 'place' | 'onPlatform' | 'inOrganization' | 'links'>

const assemble = (parts: ViewParts, span: Readonly<Span>, closure: Closure): View => {
  const { subject, place, onPlatform, inOrganization, links } = parts
  const narrow = narrowOf(subject, [onPlatform, inOrganization], closure)
  // What every question reads stands first, so that it comes with as few reads of memory as possible.
  return {
    place,
    span: meet(span, closure.span),
    firstOutcome: null,
    outcomes: null,
    narrow,
    isUsed: false,
    others: null,
    hasLinks: narrow.some((lines) => lines.hasRoles),
    links,
    subject,
    closure,
    onPlatform,
    inOrganization,
    extensions: null,
  }
}

const heldDirectly = (
  { onPlatform, inOrganization, place }: Omit<ViewParts, 'links'>,
  nowMs: number,
  span: Span,
): string[] => {
  const held: string[] = []
  if (onPlatform) collectHeld(onPlatform, place.code, nowMs, span, held)
  if (inOrganization) collectHeld(inOrganization, place.code, nowMs, span, held)
  return held
}

/** What this subject holds in this place, compiled; undefined when it holds nothing anywhere. 1 to 5 µs. */
export const createView = (
  sources: Sources,
  shared: SharedClosures,
  subject: string,
  place: Place,
  nowMs: number,
): View | undefined => {
  const onPlatform = sources.platform.get(subject) ?? null
  const inOrganization = sources.own.get(subject) ?? null
  if (onPlatform === null && inOrganization === null) return undefined
  const parts = { subject, place, onPlatform, inOrganization, links: NO_LINKS }
  const span = openSpan()
  const held = heldDirectly(parts, nowMs, span)
  return assemble(parts, span, findClosure(sources, shared, held, place, nowMs))
}

const sameLinks = (some: readonly Link[], others: readonly Link[]): boolean =>
  some.length === others.length &&
  some.every(
    ({ subject, holds }, at) => subject === others[at]!.subject && holds === others[at]!.holds,
  )

/** The same view when these roles are held on the resource as well. */
export const extendView = (
  sources: Sources,
  view: View,
  links: readonly Link[],
  nowMs: number,
): View => {
  const extensions = view.extensions ?? []
  const known = extensions.findIndex((extension) => sameLinks(extension.links, links))
  if (known >= 0 && isWithin(extensions[known]!.span, nowMs)) return extensions[known]!
  const span = openSpan()
  const held = heldDirectly(view, nowMs, span)
  for (const link of links) if (link.subject === view.subject) held.push(link.holds)
  const closure = closeOver(sources, held, links, view.place.code, nowMs)
  const extension = assemble({ ...view, links }, span, closure)
  if (known >= 0) extensions[known] = extension
  else if (extensions.length === EXTENSIONS_MAX) extensions.splice(0, EXTENSIONS_MAX, extension)
  else extensions.push(extension)
  view.extensions = extensions
  return extension
}
