import { Problem, type ProblemKind } from '../problem.ts'

/**
 * What a broken rule of the database means to a caller: kind, code, sentence, and the place in the body if there is one; or
 * made of the detail that the rule gave, which must then hold nothing but what the caller may see.
 */
export type Violation =
  | readonly [kind: ProblemKind, code: string, detail: string, pointer?: string]
  | ((error: { readonly message: string; readonly detail?: string }) => Problem)

/** By constraint name, or by SQLSTATE for the rules that raise. */
export type Violations = { readonly [nameOrState: string]: Violation }

type DatabaseError = { code: string; constraint_name?: string; message: string; detail?: string }

const isDatabaseError = (error: unknown): error is DatabaseError =>
  error instanceof Error && error.name === 'PostgresError'

/** SQLSTATE classes that say the database is away, full or shutting down. */
const AWAY = /^(08|53|57P|58)/
const AWAY_CODES = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  'CONNECTION_CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
])

/** Whether an error says that the database cannot be asked at all right now. */
export const isDatabaseAway = (error: unknown): boolean => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (error instanceof AggregateError) return error.errors.some(isDatabaseAway)
  return AWAY_CODES.has(code) || (isDatabaseError(error) && AWAY.test(code))
}

/** The problem a refused statement means; undefined when the error is a fault of ours. */
export const problemOfViolation = (error: unknown, violations: Violations): Problem | undefined => {
  if (!isDatabaseError(error)) return undefined
  const known = violations[error.constraint_name ?? ''] ?? violations[error.code]
  if (!known) return undefined
  if (typeof known === 'function') return known(error)
  const [kind, code, detail, pointer] = known
  return new Problem(
    kind,
    code,
    detail,
    pointer === undefined ? {} : { errors: [{ pointer, detail }] },
  )
}
