import { canAsk } from './chain.ts'
import type { Line } from './line.ts'
import {
  BROAD_START,
  type Names,
  nextLine,
  type PackedLines,
  type Packing,
  packLine,
  unpackLine,
} from './packed-lines.ts'
import { rememberRoles, type Symbols } from './symbols.ts'

/** The lines of the platform or of one organization, packed, by their subject. */
export type LineStore = Names & {
  readonly workspaces: string[]
  readonly subjects: Map<string, PackedLines>
  /** How many lines it holds. */
  lines: number
  /** An estimate of the memory it takes. */
  bytes: number
  /** Raised by every change, so that whatever was compiled from the lines before is known to be stale. */
  version: number
  /** Whose lines the last changes exchanged, the newest last. */
  readonly changes: (readonly string[])[]
  /** Whatever some role line gives and is neither role nor team: nothing, in policies that were checked. */
  readonly heldOddly: Set<string>
}

/** How many changes are remembered; who has not been asked for longer compiles anew. */
const CHANGES_MAX = 64

/** Every how many lines a long compilation lets other work run. */
const LINES_PER_TURN = 5000

/** Up to how many workspaces a look through the list is quicker than a map. */
const WORKSPACES_WITHOUT_MAP = 8

/** Large organizations only: a map for each of ten thousand small ones would cost more than their lists. */
const workspaceCodes = new WeakMap<readonly string[], Map<string, number>>()

const codesOf = (workspaces: readonly string[]): Map<string, number> => {
  const known = workspaceCodes.get(workspaces) ?? new Map<string, number>()
  for (let at = known.size; at < workspaces.length; at++) known.set(workspaces[at]!, at + 1)
  workspaceCodes.set(workspaces, known)
  return known
}

/** The number of a workspace that some line names, or undefined. */
export const findWorkspace = (
  { workspaces }: LineStore,
  workspaceId: string,
): number | undefined => {
  if (workspaces.length > WORKSPACES_WITHOUT_MAP) return codesOf(workspaces).get(workspaceId)
  for (let at = 0; at < workspaces.length; at++) if (workspaces[at] === workspaceId) return at + 1
  return undefined
}

const createLineStore = (organizationId: string | null, symbols: Symbols): LineStore => ({
  version: 0,
  workspaces: [],
  organizationId,
  symbols,
  subjects: new Map(),
  lines: 0,
  bytes: 600,
  changes: [],
  heldOddly: new Set(),
})

const refuseMisplaced = (line: Line, organizationId: string | null): void => {
  const { place } = line
  const owner = place.kind === 'everywhere' ? null : place.organizationId
  if (owner !== organizationId)
    throw new Error(
      `a line of ${line.subject} belongs to ${owner ?? 'the platform'}, not to ${organizationId ?? 'the platform'}`,
    )
  // Casbin would pass over a misspelt deny, and so allow.
  if (line.kind === 'permission' && line.effect !== 'allow' && line.effect !== 'deny')
    throw new Error(`a line of ${line.subject} has the effect ${JSON.stringify(line.effect)}`)
}

type Slots = { readonly broad: (string | number)[]; readonly narrow: (string | number)[] }

/** Equal strings once: the ids of one organization's lines repeat. */
const createSharing = (symbols: Symbols): Packing['shared'] => {
  const known = new Map<string, string>()
  return (text) => {
    const role = symbols.roles.get(text)
    if (role !== undefined) return role
    const first = known.get(text)
    if (first !== undefined) return first
    known.set(text, text)
    return text
  }
}

const createPacking = (store: LineStore): Packing => ({
  symbols: store.symbols,
  shared: createSharing(store.symbols),
  workspaceCode: (workspaceId) =>
    findWorkspace(store, workspaceId) ?? store.workspaces.push(workspaceId),
})

const BYTES_PER_SUBJECT = 140
const BYTES_PER_SLOT = 8

const countLines = (packed: PackedLines): number => {
  let count = 0
  for (let at = BROAD_START; at < packed.length; at = nextLine(packed, at)) count++
  return count
}

const bytesOf = (subject: string, packed: PackedLines): number => {
  let bytes = BYTES_PER_SUBJECT + subject.length
  // Names of roles are shared by many lines, other strings by few.
  for (const slot of packed)
    bytes +=
      typeof slot === 'string' && canAsk(slot) ? BYTES_PER_SLOT + 16 + slot.length : BYTES_PER_SLOT
  return bytes
}

const removeSubject = (store: LineStore, subject: string): void => {
  const packed = store.subjects.get(subject)
  if (packed === undefined) return
  store.subjects.delete(subject)
  store.lines -= countLines(packed)
  store.bytes -= bytesOf(subject, packed)
}

const keepSubject = (store: LineStore, subject: string, { broad, narrow }: Slots): void => {
  const start: (string | number)[] = [BROAD_START + broad.length]
  // `concat` makes an array without spare room, `push` does not.
  const packed: PackedLines = start.concat(broad, narrow)
  store.subjects.set(subject, packed)
  store.lines += countLines(packed)
  store.bytes += bytesOf(subject, packed)
}

const sortIn = (
  line: Line,
  store: LineStore,
  packing: Packing,
  bySubject: Map<string, Slots>,
): void => {
  refuseMisplaced(line, store.organizationId)
  let slots = bySubject.get(line.subject)
  if (slots === undefined) {
    slots = { broad: [], narrow: [] }
    bySubject.set(line.subject, slots)
  }
  packLine(line, packing, slots)
  if (line.kind === 'role' && canAsk(line.holds)) store.heldOddly.add(line.holds)
}

/** The platform's lines: few, and all of them hold everywhere. Throws for a line of an organization. */
export const storePlatform = (symbols: Symbols, lines: Iterable<Line>): LineStore => {
  const store = createLineStore(null, symbols)
  const packing = createPacking(store)
  const bySubject = new Map<string, Slots>()
  for (const line of lines) {
    rememberRoles(symbols, line)
    sortIn(line, store, packing, bySubject)
  }
  for (const [subject, slots] of bySubject) keepSubject(store, subject, slots)
  return store
}

const nextTurn = () => new Promise<void>((resolve) => setTimeout(resolve, 0))

/**
 * One organization's lines, let other work run every 5,000 of them. Throws for a line that belongs elsewhere.
 */
export const storeOrganization = async (
  symbols: Symbols,
  organizationId: string,
  lines: Iterable<Line>,
): Promise<LineStore> => {
  const store = createLineStore(organizationId, symbols)
  const packing = createPacking(store)
  const bySubject = new Map<string, Slots>()
  let done = 0
  for (const line of lines) {
    sortIn(line, store, packing, bySubject)
    if (++done % LINES_PER_TURN === 0) await nextTurn()
  }
  for (const [subject, slots] of bySubject) {
    keepSubject(store, subject, slots)
    if (++done % LINES_PER_TURN === 0) await nextTurn()
  }
  return store
}

/**
 * Exchanges all lines of these subjects, at once for whoever asks. Throws, with nothing changed, for a line of
 * another subject or place.
 */
export const replaceInStore = (
  store: LineStore,
  subjects: readonly string[],
  lines: Iterable<Line>,
): void => {
  const replaced = new Set(subjects)
  const packing = createPacking(store)
  const bySubject = new Map<string, Slots>()
  for (const line of lines) {
    if (!replaced.has(line.subject))
      throw new Error(`${line.subject} has a line and is not among the subjects to replace`)
    sortIn(line, store, packing, bySubject)
  }
  for (const subject of replaced) removeSubject(store, subject)
  for (const [subject, slots] of bySubject) keepSubject(store, subject, slots)
  store.version++
  store.changes.push([...replaced])
  if (store.changes.length > CHANGES_MAX) store.changes.shift()
}

/**
 * Whose lines changed since a version, if that is all there is to it: null when others may hold something
 * through them, or the changes are no longer known.
 */
export const subjectsChangedSince = (store: LineStore, version: number): string[] | null => {
  const missed = store.version - version
  if (missed > store.changes.length) return null
  const subjects = store.changes.slice(store.changes.length - missed).flat()
  return subjects.some((subject) => !canAsk(subject) || store.heldOddly.has(subject))
    ? null
    : subjects
}

/** Every line of a subject, as it was given: the broad ones first. */
export function* linesOfSubject(store: LineStore, subject: string): Generator<Line, undefined> {
  const packed = store.subjects.get(subject)
  if (packed === undefined) return
  for (let at = BROAD_START; at < packed.length; at = nextLine(packed, at))
    yield unpackLine(packed, at, subject, store)
}

/** Every line, by subject. */
export function* linesOfStore(store: LineStore): Generator<Line, undefined> {
  for (const subject of store.subjects.keys()) yield* linesOfSubject(store, subject)
}
