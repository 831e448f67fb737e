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
const ACTION_EVERY = 0
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

/** So many actions there may be that type and action fit into one number. */
const ACTIONS_MAX = 65_535

/** One number for a type and an action; different for all pairs. */
export const permissionKey = (type: number, action: number): number =>
  type * (ACTIONS_MAX + 1) + action

/** The number of a line's action. Throws an Error for more actions than a catalog ever holds. */
export const actionCode = ({ actions, actionNames }: Symbols, action: string | null): number => {
  if (action === null) return ACTION_EVERY
  const code = codeOf(actions, actionNames, action)
  if (code > ACTIONS_MAX) throw new Error(`the lines name more than ${ACTIONS_MAX} actions`)
  return code
}

/** Remembers the roles that the platform's lines give and hold. */
export const rememberRoles = ({ roles }: Symbols, line: Line): void => {
  if (line.subject.startsWith('role:')) roles.set(line.subject, line.subject)
  if (line.kind === 'role') roles.set(line.holds, line.holds)
}
