import type { Queryable } from './connect.ts'

/** One statement that a pool has run. What its parameters held is never told. */
export type SeenStatement = {
  /** As it was sent, with `$1` where values were. */
  text: string
  durationMs: number
  /** Rows that it answered or changed; 0 where it failed. */
  rows: number
}

/** Called after each statement, in the turn in which its answer came: must be quick, and must not throw. */
export type OnStatement = (seen: SeenStatement) => void

/** What the driver's queries are, as far as they are looked at here. */
type Query = {
  handler: object
  executed: boolean
  resolve: (result: { count?: number | null; length: number }) => void
  reject: (error: unknown) => void
  /** The connection that it was sent over. */
  state: object | null
  statement: { string?: string } | null
  strings: readonly string[]
}
type QueryClass = { prototype: Query & { handle: () => Promise<void> } }

const observers = new WeakMap<object, OnStatement>()
/** When the last answer came over a connection: what is sent ahead of its turn is not slow. */
const answeredAtMs = new WeakMap<object, number>()
let isPatched = false

/**
 * Timed from when it was sent, or, where it was sent ahead of its turn, from when the connection had answered what was before it:
 * waiting for a connection is no fault of the statement.
 */
const time = (query: Query, onStatement: OnStatement) => {
  const { resolve, reject } = query
  let state: object | null = null
  let sentAtMs = performance.now()
  // The driver notes the connection here when it sends.
  Object.defineProperty(query, 'state', {
    get: () => state,
    set: (connection: object | null) => {
      state = connection
      sentAtMs = performance.now()
    },
  })
  const seen = (rows: number) => {
    const nowMs = performance.now()
    const beganAtMs = Math.max(sentAtMs, (state && answeredAtMs.get(state)) ?? 0)
    if (state) answeredAtMs.set(state, nowMs)
    const text = query.statement?.string ?? query.strings[0]
    if (text !== undefined) onStatement({ text, durationMs: nowMs - beganAtMs, rows })
  }
  query.resolve = (result) => {
    seen(result?.count ?? result?.length ?? 0)
    resolve(result)
  }
  query.reject = (error) => {
    seen(0)
    reject(error)
  }
}

/** The driver has no hook for answers, only one for questions; every query of its goes through this method. */
const patch = ({ prototype }: QueryClass) => {
  if (isPatched) return
  isPatched = true
  const { handle } = prototype
  prototype.handle = function (this: Query) {
    const onStatement = this.executed ? undefined : observers.get(this.handler)
    if (onStatement) time(this, onStatement)
    return handle.call(this)
  }
}

/** Tells of every statement of a pool, or of one transaction of it. */
export const observe = (queryable: Queryable, onStatement: OnStatement): void => {
  // Never sent: only what is awaited is.
  const query = queryable`select` as unknown as Query & { constructor: QueryClass }
  patch(query.constructor)
  observers.set(query.handler, onStatement)
}
