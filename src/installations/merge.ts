/** One place where both sides changed the same thing differently. `path` is a JSON Pointer; nodes are named by their ids. */
export type Conflict = {
  readonly path: string
  readonly base: unknown
  readonly theirs: unknown
  readonly ours: unknown
}

/** How a conflict is resolved: by what the new version has, or by what stands here. */
export type Resolution = { readonly path: string; readonly take: 'theirs' | 'ours' }

type Merged = { value: unknown; conflicts: Conflict[] }

/** What is not there: different from null, which JSON can hold. */
const GONE = Symbol('gone')
type Side = unknown | typeof GONE

/**
 * Merges three JSON values: what only one side changed is taken, what both changed alike is taken once, and what both changed
 * differently is a conflict, never guessed. Lists whose entries all have an `id` are merged by it, in our order with theirs behind;
 * other lists are one value.
 * @returns the merged value, in which unresolved conflicts stand as ours
 */
export const mergeThree = (
  sides: { base: unknown; theirs: unknown; ours: unknown },
  resolutions: readonly Resolution[] = [],
): Merged => {
  const taken = new Map(resolutions.map(({ path, take }) => [path, take]))
  const conflicts: Conflict[] = []

  const merge = (base: Side, theirs: Side, ours: Side, path: string): Side => {
    if (isEqual(theirs, ours) || isEqual(base, theirs)) return ours
    if (isEqual(base, ours)) return theirs
    const lists = [base, theirs, ours].map(byId)
    if (lists.every((list) => list !== undefined)) return mergeLists(lists as ById[], path)
    if (isObject(theirs) && isObject(ours))
      return mergeObjects(isObject(base) ? base : {}, theirs, ours, path)
    const take = taken.get(path)
    if (take === undefined)
      conflicts.push({ path, base: shown(base), theirs: shown(theirs), ours: shown(ours) })
    return take === 'theirs' ? theirs : ours
  }

  const mergeObjects = (base: Members, theirs: Members, ours: Members, path: string) => {
    const merged: [string, unknown][] = []
    for (const key of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
      const value = merge(at(base, key), at(theirs, key), at(ours, key), `${path}/${escaped(key)}`)
      if (value !== GONE) merged.push([key, value])
    }
    return Object.fromEntries(merged)
  }

  const mergeLists = ([base, theirs, ours]: ById[], path: string) => {
    const merged: unknown[] = []
    for (const id of new Set([...ours!.keys(), ...theirs!.keys()])) {
      const [one, two, three] = [base, theirs, ours].map((side) => side!.get(id) ?? GONE)
      const value = merge(one, two, three, `${path}/${escaped(id)}`)
      if (value !== GONE) merged.push(value)
    }
    return merged
  }

  const value = merge(sides.base, sides.theirs, sides.ours, '')
  return { value: value === GONE ? null : value, conflicts }
}

type Members = Record<string, unknown>
type ById = Map<string, unknown>

const isObject = (value: Side): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const at = (members: Members, key: string): Side =>
  Object.hasOwn(members, key) ? members[key] : GONE

/** RFC 6901. */
const escaped = (key: string) => key.replaceAll('~', '~0').replaceAll('/', '~1')

const shown = (side: Side) => (side === GONE ? null : side)

/** The entries of a list by their ids; undefined where it is none of that kind. A list that is not there is empty. */
const byId = (side: Side): ById | undefined => {
  if (side === GONE) return new Map()
  if (!Array.isArray(side)) return undefined
  const entries = side.map((entry): [string, unknown] => [
    isObject(entry) ? String(entry.id ?? '') : '',
    entry,
  ])
  const found = new Map(entries)
  return found.size === side.length && !found.has('') ? found : undefined
}

const isEqual = (one: Side, other: Side): boolean => {
  if (one === other) return true
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((value, index) => isEqual(value, other[index]))
  if (!isObject(one) || !isObject(other)) return false
  const keys = Object.keys(one)
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && isEqual(one[key], other[key]))
  )
}
