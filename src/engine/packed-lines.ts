import type { Line, LineObject, LinePlace } from './line.ts'
import { actionCode, type Symbols, typeCode } from './symbols.ts'

/**
 * All lines of one subject in one flat array that never changes: 16 to 40 bytes a line where objects would take
 * 300. Slot 0 is where the narrow lines begin. Before it stand the broad lines (roles held in a place;
 * permissions on everything or on a type), behind it the narrow ones (roles held on a resource; permissions on
 * a resource or a prefix), which a question looks up by id.
 *
 * A permission line: head, type?, id or prefix?, workspace?, condition?, expiry?
 * A role line:       head, role or team, type?, id?, workspace?, expiry?
 */
export type PackedLines = readonly (string | number)[]

/** What the numbers of packed lines mean. The workspaces are an organization's, numbered from 1. */
export type Names = {
  readonly organizationId: string | null
  readonly workspaces: readonly string[]
  readonly symbols: Symbols
}

// The head of a line, from its lowest bit.
const ROLE = 1
const PLACE_SHIFT = 1
const OBJECT_SHIFT = 3
const DENY = 1 << 5
const CONDITION = 1 << 6
const EXPIRY = 1 << 7
const ACTION_SHIFT = 8

const EVERYWHERE = 0
const ORGANIZATION = 1
const ORGANIZATION_ONLY = 2
const WORKSPACE = 3

const ALL = 0
const TYPE = 1
const RESOURCE = 2
const PREFIX = 3

/** The place of a question at the platform; workspaces are numbered from 1. */
export const AT_PLATFORM = -2
/** The place of a question in a workspace that no line names. */
export const AT_OTHER_WORKSPACE = -1
/** The place of a question at the organization itself. */
export const AT_ORGANIZATION = 0

const placeKind = (head: number) => (head >> PLACE_SHIFT) & 3
const objectKind = (head: number) => (head >> OBJECT_SHIFT) & 3

/** How many slots a line with this head takes, by the eight lowest bits. */
const SIZES = Uint8Array.from(
  { length: 256 },
  (_, head) =>
    1 +
    (head & ROLE) +
    Number(objectKind(head) >= TYPE) +
    Number(objectKind(head) >= RESOURCE) +
    Number(placeKind(head) === WORKSPACE) +
    Number((head & CONDITION) > 0) +
    Number((head & EXPIRY) > 0),
)

const headAt = (lines: PackedLines, at: number) => lines[at] as number

/** Where the first broad line stands. */
export const BROAD_START = 1
/** Where the narrow lines begin and the broad ones end. */
export const narrowStart = (lines: PackedLines): number => lines[0] as number
/** Where the line after this one stands. */
export const nextLine = (lines: PackedLines, at: number): number =>
  at + SIZES[headAt(lines, at) & 255]!

export const isRoleLine = (lines: PackedLines, at: number): boolean =>
  (headAt(lines, at) & ROLE) !== 0
export const isDeny = (lines: PackedLines, at: number): boolean => (headAt(lines, at) & DENY) !== 0
/** A permission line about a prefix of ids. */
export const isPrefix = (lines: PackedLines, at: number): boolean =>
  objectKind(headAt(lines, at)) === PREFIX

/** The role or team that a role line gives. */
export const holdsAt = (lines: PackedLines, at: number): string => lines[at + 1] as string

/** The resource's id, or the prefix, of a narrow line. */
export const idAt = (lines: PackedLines, at: number): string =>
  lines[at + 2 + (headAt(lines, at) & ROLE)] as string

/** The condition of a permission line, or null. */
export const conditionAt = (lines: PackedLines, at: number): string | null => {
  const head = headAt(lines, at)
  if ((head & CONDITION) === 0) return null
  return lines[nextLine(lines, at) - 1 - Number((head & EXPIRY) > 0)] as string
}

/** Milliseconds since the epoch from which the line no longer holds; Infinity when it always does. */
export const expiryAt = (lines: PackedLines, at: number): number =>
  (headAt(lines, at) & EXPIRY) === 0 ? Infinity : (lines[nextLine(lines, at) - 1] as number)

const workspaceAt = (lines: PackedLines, at: number): number => {
  const head = headAt(lines, at)
  const behind = 1 + Number((head & CONDITION) > 0) + Number((head & EXPIRY) > 0)
  return lines[nextLine(lines, at) - behind] as number
}

/** Whether a line without a resource holds in this place. */
export const placeHolds = (lines: PackedLines, at: number, place: number): boolean => {
  const head = headAt(lines, at)
  const kind = placeKind(head)
  if (kind === ORGANIZATION || kind === EVERYWHERE) return true
  if (kind === WORKSPACE) return workspaceAt(lines, at) === place
  // Casbin compares a role line's domain with domain and object, which this pattern never equals.
  return place === AT_ORGANIZATION && (head & ROLE) === 0
}

/** Whether a role on a resource holds in this place: in the one that is named and in none inside of it. */
const exactPlaceHolds = (lines: PackedLines, at: number, place: number): boolean => {
  const kind = placeKind(headAt(lines, at))
  if (kind === EVERYWHERE) return place === AT_PLATFORM
  return kind === WORKSPACE ? workspaceAt(lines, at) === place : place === AT_ORGANIZATION
}

/** Whether a broad permission line is about this type and action, wherever it holds. */
export const broadMatches = (
  lines: PackedLines,
  at: number,
  type: number,
  action: number,
): boolean => {
  const head = headAt(lines, at)
  const lineAction = head >> ACTION_SHIFT
  if (lineAction !== action && lineAction !== 0) return false
  return objectKind(head) === ALL || lines[at + 1] === type
}

/** Whether a narrow permission line is about this type and action in this place; its id is not looked at. */
export const narrowMatches = (
  lines: PackedLines,
  at: number,
  type: number,
  action: number,
  place: number,
): boolean => {
  const head = headAt(lines, at)
  const lineAction = head >> ACTION_SHIFT
  if (lineAction !== action && lineAction !== 0) return false
  return lines[at + 1] === type && placeHolds(lines, at, place)
}

/** Whether a role line on a resource is about this type in this place; its id is not looked at. */
export const roleOnResourceMatches = (
  lines: PackedLines,
  at: number,
  type: number,
  place: number,
): boolean => lines[at + 2] === type && exactPlaceHolds(lines, at, place)

const PLACES = {
  everywhere: EVERYWHERE,
  organization: ORGANIZATION,
  'organization-only': ORGANIZATION_ONLY,
  workspace: WORKSPACE,
} satisfies Record<LinePlace['kind'], number>

const OBJECTS = {
  all: ALL,
  type: TYPE,
  resource: RESOURCE,
  prefix: PREFIX,
} satisfies Record<LineObject['kind'], number>

/** What packing needs: numbers for workspaces, and one string for equal strings. */
export type Packing = {
  readonly symbols: Symbols
  readonly workspaceCode: (workspaceId: string) => number
  readonly shared: (text: string) => string
}

/** Text `true` is no condition, an empty prefix is the whole type: the same line in fewer slots. */
const objectOf = (line: Line): LineObject => {
  if (line.kind === 'role')
    return line.resource ? { kind: 'resource', ...line.resource } : { kind: 'all' }
  const { object } = line
  return object.kind === 'prefix' && object.prefix === ''
    ? { kind: 'type', type: object.type }
    : object
}

/** Appends a line to the slots of its subject, and says to which: broad or narrow. */
export const packLine = (
  line: Line,
  { symbols, workspaceCode, shared }: Packing,
  slots: { readonly broad: (string | number)[]; readonly narrow: (string | number)[] },
): void => {
  const object = objectOf(line)
  const condition = line.kind === 'permission' && line.condition !== 'true' ? line.condition : null
  const into = object.kind === 'resource' || object.kind === 'prefix' ? slots.narrow : slots.broad
  const head =
    (PLACES[line.place.kind] << PLACE_SHIFT) |
    (OBJECTS[object.kind] << OBJECT_SHIFT) |
    (condition === null ? 0 : CONDITION) |
    (line.expiresAtMs === null ? 0 : EXPIRY)
  if (line.kind === 'role') into.push(head | ROLE, shared(line.holds))
  else
    into.push(
      head |
        (line.effect === 'deny' ? DENY : 0) |
        (actionCode(symbols, line.action) << ACTION_SHIFT),
    )
  if (object.kind !== 'all') into.push(typeCode(symbols, object.type))
  if (object.kind === 'resource') into.push(shared(object.id))
  if (object.kind === 'prefix') into.push(shared(object.prefix))
  if (line.place.kind === 'workspace') into.push(workspaceCode(line.place.workspaceId))
  if (condition !== null) into.push(shared(condition))
  if (line.expiresAtMs !== null) into.push(line.expiresAtMs)
}

const unpackPlace = (lines: PackedLines, at: number, names: Names): LinePlace => {
  const kind = placeKind(headAt(lines, at))
  if (kind === EVERYWHERE) return { kind: 'everywhere' }
  const organizationId = names.organizationId!
  if (kind === ORGANIZATION) return { kind: 'organization', organizationId }
  if (kind === ORGANIZATION_ONLY) return { kind: 'organization-only', organizationId }
  const workspaceId = names.workspaces[workspaceAt(lines, at) - 1]!
  return { kind: 'workspace', organizationId, workspaceId }
}

const unpackObject = (lines: PackedLines, at: number, { symbols }: Names): LineObject => {
  const head = headAt(lines, at)
  const kind = objectKind(head)
  if (kind === ALL) return { kind: 'all' }
  const type = symbols.typeNames[lines[at + 1 + (head & ROLE)] as number]!
  if (kind === TYPE) return { kind: 'type', type }
  return kind === RESOURCE
    ? { kind: 'resource', type, id: idAt(lines, at) }
    : { kind: 'prefix', type, prefix: idAt(lines, at) }
}

/** The line that was packed here. */
export const unpackLine = (lines: PackedLines, at: number, subject: string, names: Names): Line => {
  const head = headAt(lines, at)
  const place = unpackPlace(lines, at, names)
  const object = unpackObject(lines, at, names)
  const expiresAtMs = head & EXPIRY ? expiryAt(lines, at) : null
  if (head & ROLE) {
    const resource = object.kind === 'resource' ? { type: object.type, id: object.id } : null
    return { kind: 'role', subject, holds: holdsAt(lines, at), place, resource, expiresAtMs }
  }
  return {
    kind: 'permission',
    subject,
    place,
    object,
    action: head >> ACTION_SHIFT ? names.symbols.actionNames[head >> ACTION_SHIFT]! : null,
    condition: conditionAt(lines, at),
    effect: head & DENY ? 'deny' : 'allow',
    expiresAtMs,
  }
}
