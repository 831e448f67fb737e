/** Names with the names right above them. */
export type Parents = ReadonlyMap<string, Iterable<string>>

/**
 * What nests without end or too deep: names that sit in a cycle, and those on a path of more links than allowed.
 * Walks without recursion: a document may hold a chain of a hundred thousand.
 */
export const findNestingFaults = (parents: Parents, linksMax: number) => {
  const children = invert(parents)
  const above = longestPaths(parents, children)
  const below = longestPaths(children, parents)
  const cyclic = new Set<string>()
  const tooDeep = new Set<string>()
  for (const name of parents.keys()) {
    const [up, down] = [above.get(name), below.get(name)]
    // What no end is reached from in either direction lies in a cycle, or between two.
    if (up === undefined && down === undefined) cyclic.add(name)
    else if ((up ?? 0) + (down ?? 0) > linksMax) tooDeep.add(name)
  }
  return { cyclic, tooDeep }
}

const invert = (parents: Parents): Map<string, Set<string>> => {
  const children = new Map<string, Set<string>>()
  for (const name of parents.keys()) children.set(name, new Set())
  for (const [name, above] of parents)
    for (const parent of above) {
      if (!children.has(parent)) children.set(parent, new Set())
      children.get(parent)?.add(name)
    }
  return children
}

/** The links of the longest path up from each name; none for names that reach a cycle. */
const longestPaths = (up: Parents, down: Parents): Map<string, number> => {
  const links = new Map<string, number>()
  const waiting = new Map<string, number>()
  const ready: string[] = []
  for (const name of new Set([...up.keys(), ...down.keys()])) {
    const count = new Set(up.get(name) ?? []).size
    waiting.set(name, count)
    if (count === 0) ready.push(name)
  }
  for (let name = ready.pop(); name !== undefined; name = ready.pop()) {
    let longest = 0
    for (const parent of up.get(name) ?? []) longest = Math.max(longest, links.get(parent)! + 1)
    links.set(name, longest)
    for (const child of down.get(name) ?? []) {
      const left = waiting.get(child)! - 1
      waiting.set(child, left)
      if (left === 0) ready.push(child)
    }
  }
  return links
}
