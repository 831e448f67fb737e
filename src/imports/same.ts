/** Whether two values of JSON are the same, whatever the order of their members. */
export const isSameJson = (left: unknown, right: unknown): boolean => {
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null)
    return false
  if (Array.isArray(left) || Array.isArray(right))
    return (
      Array.isArray(left) &&
      Array.isArray(right) &&
      left.length === right.length &&
      left.every((each, index) => isSameJson(each, right[index]))
    )
  const names = Object.keys(left)
  return (
    names.length === Object.keys(right).length &&
    names.every(
      (name) =>
        Object.hasOwn(right, name) && isSameJson(memberOf(left, name), memberOf(right, name)),
    )
  )
}

const memberOf = (value: object, name: string) => (value as Record<string, unknown>)[name]
