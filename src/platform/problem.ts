/** The kinds of refusal. A closed set: `http/respond.ts` gives each its status. */
export type ProblemKind =
  | 'invalid'
  | 'unauthenticated'
  | 'payment-required'
  | 'forbidden'
  | 'not-found'
  | 'method-not-allowed'
  | 'conflict'
  | 'gone'
  | 'stale'
  | 'too-large'
  | 'unsupported-media-type'
  | 'unprocessable'
  | 'limited'
  | 'unavailable'

/** One place in the input (a JSON Pointer, RFC 6901) and what is wrong there. Never the received value. */
export type Fault = { pointer: string; detail: string }

type Extras = {
  errors?: Fault[]
  permission?: string
  retryAfterSeconds?: number
  allow?: string[]
  /** What the answer says in its headers. */
  headers?: Readonly<Record<string, string>>
  [extension: string]: unknown
}

/**
 * What a caller can mend: thrown anywhere, rendered as `application/problem+json` (RFC 9457) in one place.
 * `code` is stable and has one home in the source; `detail` is a sentence for people.
 */
export class Problem extends Error {
  readonly kind: ProblemKind
  readonly code: string
  readonly detail: string
  readonly extras: Extras

  constructor(kind: ProblemKind, code: string, detail: string, extras: Extras = {}) {
    super(`${code}: ${detail}`)
    this.name = 'Problem'
    this.kind = kind
    this.code = code
    this.detail = detail
    this.extras = extras
  }
}

/** A 403 for the people and keys of an organization that is closed: no permission of theirs counts. */
export const organizationClosed = (permission: string) =>
  new Problem(
    'forbidden',
    'organization-suspended',
    'The organization is suspended or about to be deleted.',
    { permission },
  )

/** A 404 for a path that leads nowhere, or must not be told apart from one. */
export const pathNotFound = () =>
  new Problem('not-found', 'path-not-found', 'There is nothing at this path.')

/** A 422 about one place in the body. */
export const unprocessable = (code: string, pointer: string, detail: string) =>
  new Problem('unprocessable', code, detail, { errors: [{ pointer, detail }] })
