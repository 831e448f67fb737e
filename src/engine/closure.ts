import { LINK_BUDGET } from './chain.ts'
import { type NarrowLines, narrowLinesOf } from './narrow.ts'
import {
  BROAD_START,
  broadMatches,
  conditionAt,
  expiryAt,
  holdsAt,
  isDeny,
  isRoleLine,
  narrowStart,
  nextLine,
  type PackedLines,
  placeHolds,
} from './packed-lines.ts'

/** A permission line where it is kept: the lines of its subject, and the place among them. */
export type LineAt = {
  readonly subject: string
  readonly packed: PackedLines
  readonly at: number
}

/** The broad lines that are about one type and action: what they say whatever the resource. */
export type BroadMatch = Readonly<
  Pick<BroadMatching, 'allow' | 'deny'> & Pick<BroadMatching, 'allowIf' | 'denyIf'>
>

/** The span of time in which no line begins or ends to hold: from `fromMs`, before `untilMs`. */
export type Span = { fromMs: number; untilMs: number }

/** The span of what no expiry limits: nearly always, so it is one object and known by that. */
export const ALWAYS: Readonly<Span> = { fromMs: -Infinity, untilMs: Infinity }

/** A span that shrinks while lines are looked at. */
export const openSpan = (): Span => ({ ...ALWAYS })

/** What is left of both. */
export const meet = (some: Readonly<Span>, other: Readonly<Span>): Readonly<Span> => {
  const fromMs = Math.max(some.fromMs, other.fromMs)
  const untilMs = Math.min(some.untilMs, other.untilMs)
  return fromMs === -Infinity && untilMs === Infinity ? ALWAYS : { fromMs, untilMs }
}

/** Whether a time lies in a span. */
export const isWithin = (span: Readonly<Span>, nowMs: number): boolean =>
  span === ALWAYS || (nowMs >= span.fromMs && nowMs < span.untilMs)

/** The packed lines of one subject, and whose they are. */
export type Holding = { readonly subject: string; readonly packed: PackedLines }

/**
 * Roles and teams with everything they hold in one place, without the subject that holds them: subjects with
 * the same roles share it.
 */
export type Closure = {
  readonly span: Readonly<Span>
  /** Without their links on resources. */
  readonly members: readonly string[]
  readonly holdings: readonly Holding[]
  readonly narrow: readonly NarrowLines[]
  /** Whether every member is known to the platform alone, so that all organizations may share this. */
  readonly isOfPlatform: boolean
  readonly broad: Map<number, BroadMatch>
}

/** A role or team that one of the members holds on the resource that is asked about. */
export type Link = { readonly subject: string; readonly holds: string }

/** What a subject's lines are, by its name: an organization's and the platform's. */
export type Sources = {
  readonly own: ReadonlyMap<string, PackedLines>
  readonly platform: ReadonlyMap<string, PackedLines>
}

/** Whether a line holds now; the span shrinks to the times for which the answer is the same. */
const holdsNow = (packed: PackedLines, at: number, nowMs: number, span: Span): boolean => {
  const expiryMs = expiryAt(packed, at)
  // Written so that a time that is no number is past every expiry.
  if (nowMs < expiryMs) {
    if (expiryMs < span.untilMs) span.untilMs = expiryMs
    return true
  }
  if (expiryMs > span.fromMs) span.fromMs = expiryMs
  return false
}

/** Passes the roles and teams that these lines give in a place, and narrows the span by every broad line. */
export const collectHeld = (
  packed: PackedLines,
  place: number,
  nowMs: number,
  span: Span,
  into: string[],
): void => {
  const end = narrowStart(packed)
  for (let at = BROAD_START; at < end; at = nextLine(packed, at)) {
    if (!placeHolds(packed, at, place)) continue
    if (holdsNow(packed, at, nowMs, span) && isRoleLine(packed, at)) into.push(holdsAt(packed, at))
  }
}

/** Shared by all that have no narrow lines. */
export const NO_NARROW: readonly NarrowLines[] = []
const NO_LINES: readonly LineAt[] = []

const narrowOf = (holdings: readonly Holding[]): readonly NarrowLines[] => {
  const narrow = holdings.flatMap(({ subject, packed }) => narrowLinesOf(subject, packed) ?? [])
  return narrow.length === 0 ? NO_NARROW : narrow
}

/**
 * Everything that is held through these roles and teams in a place, breadth first and as deep as Casbin looks.
 * `links` are the roles held on the resource in question.
 */
export const closeOver = (
  { own, platform }: Sources,
  held: readonly string[],
  links: readonly Link[],
  place: number,
  nowMs: number,
): Closure => {
  const span = openSpan()
  const holdings: Holding[] = []
  const reached = new Set<string>(held)
  let isOfPlatform = links.length === 0
  let level: string[] = [...reached]
  for (let depth = 1; level.length > 0; depth++) {
    const next: string[] = []
    for (const subject of level) {
      const ofPlatform = platform.get(subject)
      const ofOrganization = own.get(subject)
      if (ofPlatform === undefined || ofOrganization !== undefined) isOfPlatform = false
      for (const packed of [ofPlatform, ofOrganization]) {
        if (packed === undefined) continue
        holdings.push({ subject, packed })
        collectHeld(packed, place, nowMs, span, next)
      }
      for (const link of links) if (link.subject === subject) next.push(link.holds)
    }
    if (depth === LINK_BUDGET) break
    level = []
    for (const subject of next)
      if (!reached.has(subject)) {
        reached.add(subject)
        level.push(subject)
      }
  }
  const narrow = narrowOf(holdings)
  return {
    span: meet(span, ALWAYS),
    members: [...reached],
    holdings,
    narrow,
    isOfPlatform,
    broad: new Map(),
  }
}

/** What lines say about a type and action, while they are looked at. */
export type BroadMatching = {
  readonly type: number
  readonly action: number
  readonly place: number
  readonly nowMs: number
  allow: LineAt | null
  deny: LineAt | null
  allowIf: readonly LineAt[]
  denyIf: readonly LineAt[]
}

/** Nothing looked at yet. */
export const openMatching = (
  type: number,
  action: number,
  place: number,
  nowMs: number,
): BroadMatching => ({
  type,
  action,
  place,
  nowMs,
  allow: null,
  deny: null,
  allowIf: NO_LINES,
  denyIf: NO_LINES,
})

/** Looks at the broad lines of one subject. */
export const matchBroad = (matching: BroadMatching, subject: string, packed: PackedLines): void => {
  const { type, action, place, nowMs } = matching
  const end = narrowStart(packed)
  for (let at = BROAD_START; at < end; at = nextLine(packed, at)) {
    if (isRoleLine(packed, at) || !broadMatches(packed, at, type, action)) continue
    if (!placeHolds(packed, at, place) || !(nowMs < expiryAt(packed, at))) continue
    const line = { subject, packed, at }
    const isConditional = conditionAt(packed, at) !== null
    if (isDeny(packed, at)) {
      if (isConditional) matching.denyIf = [...matching.denyIf, line]
      else matching.deny ??= line
    } else if (isConditional) matching.allowIf = [...matching.allowIf, line]
    else matching.allow ??= line
  }
}
