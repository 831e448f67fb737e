import type { Context as HonoContext } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { isDatabaseAway, problemOfViolation, type Violations } from '../db/violation.ts'
import type { Log } from '../log.ts'
import { Problem, type ProblemKind, pathNotFound } from '../problem.ts'
import { requestIdOf } from './request-id.ts'

/** The one place that knows statuses. A kind without its status does not compile. */
export const STATUS = {
  invalid: 400,
  unauthenticated: 401,
  'payment-required': 402,
  forbidden: 403,
  'not-found': 404,
  'method-not-allowed': 405,
  conflict: 409,
  gone: 410,
  stale: 412,
  'too-large': 413,
  'unsupported-media-type': 415,
  unprocessable: 422,
  limited: 429,
  unavailable: 503,
} as const satisfies Record<ProblemKind, number>

const TITLE = {
  invalid: 'The request is malformed',
  unauthenticated: 'The caller is not known',
  'payment-required': 'It must be bought first',
  forbidden: 'The caller may not do this',
  'not-found': 'There is no such thing',
  'method-not-allowed': 'The method is not offered here',
  conflict: 'The state does not allow this',
  gone: 'It was withdrawn',
  stale: 'Somebody else changed it first',
  'too-large': 'The request is too large',
  'unsupported-media-type': 'The content type is not offered',
  unprocessable: 'The request cannot be carried out',
  limited: 'Too many requests',
  unavailable: 'It cannot be answered safely now',
} as const satisfies Record<ProblemKind, string>

/** RFC 9457. `instance` names the request, so that a caller's report leads to our log. */
export const renderProblem = (problem: Problem, requestId: string): Response => {
  const { kind, code, detail, extras } = problem
  const { retryAfterSeconds, allow, headers: more = {}, ...members } = extras
  const status = STATUS[kind]
  const body = {
    type: `urn:latchkey:problem:${code}`,
    title: TITLE[kind],
    status,
    code,
    detail,
    instance: `urn:latchkey:request:${encodeURIComponent(requestId)}`,
    ...members,
  }
  const headers = new Headers({
    'content-type': 'application/problem+json',
    'x-request-id': requestId,
    'cache-control': 'no-store',
    ...more,
  })
  if (status === 401) headers.set('www-authenticate', 'Bearer realm="latchkey"')
  if (allow) headers.set('allow', allow.join(', '))
  if (status === 503 || retryAfterSeconds !== undefined)
    headers.set('retry-after', String(retryAfterSeconds ?? 1))
  return new Response(JSON.stringify(body), { status, headers })
}

/** The problem any thrown thing means. What is not for the caller is logged whole and answered without its message. */
export const problemOf = (error: unknown, violations: Violations): Problem | undefined => {
  if (error instanceof Problem) return error
  const violation = problemOfViolation(error, violations)
  if (violation) return violation
  if (isDatabaseAway(error))
    return new Problem(
      'unavailable',
      'database-unavailable',
      'The database cannot be reached; try again.',
    )
  if (error instanceof HTTPException && error.status === 413)
    return new Problem(
      'too-large',
      'body-too-large',
      'The body is larger than this endpoint takes.',
    )
  if (error instanceof HTTPException && error.status < 500)
    return new Problem('invalid', 'malformed-request', 'The request cannot be read.')
  return undefined
}

/** Hono's `onError`. What a caller was refused is told to `onRefusal` as well. */
export const respondToError =
  (log: Log, violations: Violations, onRefusal?: (problem: Problem, c: HonoContext) => void) =>
  (error: unknown, c: HonoContext): Response => {
    const requestId: string = c.get('requestId') ?? 'unknown'
    const problem = problemOf(error, violations)
    if (problem) {
      if (problem.kind === 'unavailable') log.warn({ requestId, err: error }, problem.code)
      if (problem.kind === 'forbidden' || problem.kind === 'unauthenticated')
        onRefusal?.(problem, c)
      return renderProblem(problem, requestId)
    }
    log.error({ requestId, err: error }, 'a request failed')
    const internal = {
      type: 'urn:latchkey:problem:internal',
      title: 'Something is broken here',
      status: 500,
      code: 'internal',
      detail: 'This is our fault. The log has the details under the request id.',
      instance: `urn:latchkey:request:${encodeURIComponent(requestId)}`,
    }
    return new Response(JSON.stringify(internal), {
      status: 500,
      headers: { 'content-type': 'application/problem+json', 'x-request-id': requestId },
    })
  }

/** A route's path with every parameter replaced by "any one part". */
const patternOf = (path: string) =>
  new RegExp(`^${path.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:[A-Za-z]+/g, '[^/]+')}$`)

/** Hono's `notFound`: 405 with `Allow` where the path exists for other methods (RFC 9110 §15.5.6), else 404. */
export const respondToUnknown = (routes: readonly { method: string; path: string }[]) => {
  const known = routes
    .filter(({ method }) => method !== 'ALL')
    .map(({ method, path }) => ({ method, pattern: patternOf(path) }))
  return (c: HonoContext): Response => {
    const requestId: string = c.get('requestId') ?? requestIdOf(c.req.header('x-request-id'))
    const allow = [
      ...new Set(
        known.filter(({ pattern }) => pattern.test(c.req.path)).map(({ method }) => method),
      ),
    ]
    const problem =
      allow.length > 0
        ? new Problem(
            'method-not-allowed',
            'method-not-allowed',
            'This path does not take that method.',
            { allow },
          )
        : pathNotFound()
    return renderProblem(problem, requestId)
  }
}
