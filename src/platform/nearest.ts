/** Steps of one inserted, removed or replaced character between two words, at most `most + 1`. */
export const distance = (left: string, right: string, most: number): number => {
  if (Math.abs(left.length - right.length) > most) return most + 1
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let row = 1; row <= left.length; row++) {
    const current = [row]
    for (let column = 1; column <= right.length; column++) {
      const same = left[row - 1] === right[column - 1]
      current[column] = Math.min(
        previous[column]! + 1,
        current[column - 1]! + 1,
        previous[column - 1]! + (same ? 0 : 1),
      )
    }
    previous = current
  }
  return previous[right.length]!
}

/** Steps that a known name may be away from a mistyped one. */
export const stepsMost = (name: string): number => Math.max(2, Math.floor(name.length / 4))

/** The known names nearest to a mistyped one, nearest first, at most three. */
export const nearest = (name: string, known: Iterable<string>): string[] => {
  const most = stepsMost(name)
  return [...known]
    .map((candidate) => ({ candidate, steps: distance(name, candidate, most) }))
    .filter(({ steps }) => steps <= most)
    .sort((a, b) => a.steps - b.steps || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, 3)
    .map(({ candidate }) => candidate)
}

/** ` Did you mean a, b?`, or nothing when no known name is near. */
export const didYouMean = (name: string, known: Iterable<string>): string => {
  const names = nearest(name, known)
  return names.length > 0 ? ` Did you mean ${names.join(', ')}?` : ''
}
