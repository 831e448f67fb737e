/** Levels of nesting that a value may have; deeper ones would end on the stack. */
const DEPTH_MAX = 100

/**
 * A value as its JSON text says it, frozen through and through: what many callers share, none can change. Members named
 * `__proto__` are left out: copied into another object, they would become its prototype.
 * @throws RangeError where it is nested too deep
 */
export const frozen = (value: unknown, depth = 0): unknown => {
  if (typeof value !== 'object' || value === null) return value
  if (depth > DEPTH_MAX) throw new RangeError(`a cached value is nested deeper than ${DEPTH_MAX}`)
  if (Array.isArray(value)) {
    for (const each of value) frozen(each, depth + 1)
    return Object.freeze(value)
  }
  if (Object.hasOwn(value, '__proto__')) Reflect.deleteProperty(value, '__proto__')
  for (const name in value) frozen((value as Record<string, unknown>)[name], depth + 1)
  return Object.freeze(value)
}

/** Reads JSON into a frozen value. @throws SyntaxError where it is none */
export const parsePlain = (text: string): unknown => frozen(JSON.parse(text))
