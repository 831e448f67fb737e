import {
  expiryAt,
  idAt,
  isPrefix,
  isRoleLine,
  narrowStart,
  nextLine,
  type PackedLines,
} from './packed-lines.ts'

/** Where the narrow lines of one subject about each id stand. */
type NarrowIndex = {
  readonly byId: ReadonlyMap<string, readonly number[]>
  readonly prefixes: readonly number[]
}

/** The narrow lines of one subject. */
export type NarrowLines = {
  readonly subject: string
  readonly packed: PackedLines
  /** null when there are so few that a look at each is quicker. */
  readonly index: NarrowIndex | null
  /** Whether some give a role on a resource. */
  readonly hasRoles: boolean
}

/** Up to how many slots narrow lines are looked at one by one. */
const SLOTS_WITHOUT_INDEX = 24

const indexOf = (packed: PackedLines): NarrowIndex => {
  const byId = new Map<string, number[]>()
  const prefixes: number[] = []
  for (let at = narrowStart(packed); at < packed.length; at = nextLine(packed, at)) {
    if (isPrefix(packed, at)) {
      prefixes.push(at)
      continue
    }
    const places = byId.get(idAt(packed, at))
    if (places) places.push(at)
    else byId.set(idAt(packed, at), [at])
  }
  return { byId, prefixes }
}

const hasRoleLine = (packed: PackedLines): boolean => {
  for (let at = narrowStart(packed); at < packed.length; at = nextLine(packed, at))
    if (isRoleLine(packed, at)) return true
  return false
}

/** A team with ten thousand resources is indexed once, not once for each of its members. */
const known = new WeakMap<PackedLines, NarrowLines>()

/** The narrow lines among these, or null if there are none. */
export const narrowLinesOf = (subject: string, packed: PackedLines): NarrowLines | null => {
  const start = narrowStart(packed)
  if (start === packed.length) return null
  const few = packed.length - start <= SLOTS_WITHOUT_INDEX
  if (few) return { subject, packed, index: null, hasRoles: hasRoleLine(packed) }
  let lines = known.get(packed)
  if (lines === undefined) {
    lines = { subject, packed, index: indexOf(packed), hasRoles: hasRoleLine(packed) }
    known.set(packed, lines)
  }
  return lines
}

const matchesId = (packed: PackedLines, at: number, id: string): boolean =>
  isPrefix(packed, at) ? id.startsWith(idAt(packed, at)) : idAt(packed, at) === id

const NONE: readonly number[] = []

/**
 * Shows every line about this id that holds at this time to `visit`. What `visit` needs is passed along as
 * `context`, so that no function is made for a question.
 */
export const visitNarrow = <Context>(
  lines: NarrowLines,
  id: string,
  nowMs: number,
  visit: (context: Context, lines: NarrowLines, at: number) => void,
  context: Context,
): void => {
  const { packed, index } = lines
  if (index === null) {
    for (let at = narrowStart(packed); at < packed.length; at = nextLine(packed, at))
      if (matchesId(packed, at, id) && nowMs < expiryAt(packed, at)) visit(context, lines, at)
    return
  }
  for (const at of index.byId.get(id) ?? NONE)
    if (nowMs < expiryAt(packed, at)) visit(context, lines, at)
  for (const at of index.prefixes)
    if (matchesId(packed, at, id) && nowMs < expiryAt(packed, at)) visit(context, lines, at)
}
