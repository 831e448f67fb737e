import type { Line } from './line.ts'

/**
 * Numbers for the types and actions that lines name, shared by all policies of an engine so that the index
 * compares numbers. Only lines add to it, questions never: it is as large as the catalog of permissions.
 */
export type Symbols = {
  /** By raw text; from 1. */
  readonly types: Map<string, number>
  readonly typeNames: string[]
  /** By raw text; from 1. */
  readonly actions: Map<string, number>
  readonly actionNames: string[]
  /** Roles of the platform by name, so that every organization's lines hold the same string. */
  readonly roles: Map<string, string>
}

/** A type that no line names: only lines about everything are about it. */
export const TYPE_UNKNOWN = 0
/** In a line: every action. */
export const ACTION_EVERY = 0
/** In a question: an action that no line names. */
export const ACTION_UNKNOWN = -1

export const createSymbols = (): Symbols => ({
  types: new Map(),
  typeNames: [''],
  actions: new Map(),
  actionNames: [''],
  roles: new Map(),
})

const codeOf = (codes: Map<string, number>, names: string[], name: string): number => {
  const known = codes.get(name)
  if (known !== undefined) return known
  const code = names.length
  codes.set(name, code)
  names.push(name)
  return code
}

/** The number of a type that a line names. */
export const typeCode = ({ types, typeNames }: Symbols, type: string): number =>
  codeOf(types, typeNames, type)

/** The number of a line's action. */
export const actionCode = ({ actions, actionNames }: Symbols, action: string | null): number =>
  action === null ? ACTION_EVERY : codeOf(actions, actionNames, action)

/** Remembers the roles that the platform's lines give and hold. */
export const rememberRoles = ({ roles }: Symbols, line: Line): void => {
  if (line.subject.startsWith('role:')) roles.set(line.subject, line.subject)
  if (line.kind === 'role') roles.set(line.holds, line.holds)
}
