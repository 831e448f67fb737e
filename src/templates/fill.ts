import type { Definition } from '../scenarios/service.ts'

/** What an installer fills in. `name` stands in the definition as `{"$input": name}`, wherever the value goes. */
export type Input = {
  readonly name: string
  /** A `connection` is the id of one of the installer's; a `secret` is the reference to one, never its text. */
  readonly type: 'text' | 'number' | 'boolean' | 'connection' | 'secret'
  readonly label: string
  /** The service a connection or a secret is for. */
  readonly integration?: string | undefined
  readonly isRequired: boolean
  readonly default?: string | number | boolean | undefined
}

/** The name an object stands for, if it is the place of an input. */
export const inputAt = (value: unknown): string | undefined => {
  if (typeof value !== 'object' || value === null) return undefined
  const keys = Object.keys(value)
  const { $input } = value as { $input?: unknown }
  return keys.length === 1 && typeof $input === 'string' ? $input : undefined
}

/** The names of the inputs that stand in a definition. */
export const inputNamesIn = (definition: Definition): Set<string> => {
  const names = new Set<string>()
  const waiting: unknown[] = [definition]
  while (waiting.length > 0) {
    const value = waiting.pop()
    const name = inputAt(value)
    if (name !== undefined) names.add(name)
    else if (typeof value === 'object' && value !== null) waiting.push(...Object.values(value))
  }
  return names
}

/** The definition with the values in their places; an input without value or default stays as it is. */
export const fill = (
  definition: Definition,
  inputs: readonly Input[],
  values: Readonly<Record<string, unknown>>,
): Definition => {
  const byName = new Map(inputs.map((input) => [input.name, input]))
  const filled = (value: unknown): unknown => {
    const name = inputAt(value)
    if (name !== undefined) {
      const given = Object.hasOwn(values, name) ? values[name] : byName.get(name)?.default
      return given === undefined ? value : given
    }
    if (Array.isArray(value)) return value.map(filled)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, filled(member)]))
  }
  return filled(definition) as Definition
}
