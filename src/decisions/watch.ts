import type { Context } from '../platform/context.ts'
import { parseRevisionToken, revisionToken } from '../platform/context.ts'
import { inOrganization } from '../platform/db/transaction.ts'
import { Problem } from '../platform/problem.ts'
import type { OrganizationState, Policies } from './policies.ts'
import * as repository from './repository.ts'
import type { WatchRequest } from './schema.ts'
import { touchedBy } from './state.ts'

/** What a watcher is sent; `id` is a token, from which watching goes on after a lost connection. */
export type WatchEvent =
  | { event: 'ready' | 'reset'; id: string; data: { revision: string } }
  | { event: 'change'; id: string; data: WatchedChange }
  | { event: 'heartbeat' }

/** One revision. Subjects and resources that it touches; null where it may touch all. */
export type WatchedChange = {
  revision: string
  at: string
  subjects: string[] | null
  resources: string[] | null
}

export type WatchOptions = {
  signal: AbortSignal
  /** Milliseconds between two signs of life where nothing happens. */
  heartbeatMs?: number
  /** Milliseconds after which a watcher is sent away, to come back with whatever rights it has then. */
  untilMs?: number
}

/** Half of what proxies commonly wait. */
const HEARTBEAT_MS = 15_000
const WATCH_MS_MAX = 900_000
/** Streams of one process. */
const WATCHERS_MAX = 1000
/** Changes that are sent one by one; who has missed more is told that anything may have changed. */
const LISTED_MAX = 500

type Cursor = { revision: number; platformRevision: number }

const cursorOf = (state: OrganizationState): Cursor => ({
  revision: state.revision,
  platformRevision: state.platform.revision,
})

let watchers = 0

/**
 * The changes of an organization's policy from a revision on, as they are committed, wherever that is. Who may ask for
 * decisions may know when to ask again; who may no longer is sent nothing more.
 * @throws Problem 400 for a token that is not of this organization; 503 where too many watch
 */
export const watchPolicy = async (
  policies: Policies,
  context: Context,
  { since }: WatchRequest,
  options: WatchOptions,
): Promise<AsyncGenerator<WatchEvent>> => {
  const from = since === undefined ? undefined : cursorIn(since, context.organizationId)
  if (watchers >= WATCHERS_MAX)
    throw new Problem('unavailable', 'too-many-watchers', 'Too many are watching here; try again.')
  const state = await current(policies, context)
  return watching(policies, context, { state, from }, options)
}

const cursorIn = (token: string, organizationId: string): Cursor => {
  const parsed = parseRevisionToken(token)
  if (parsed?.organizationId === organizationId) return parsed
  const detail = 'must be a Latchkey-Revision of this organization'
  throw new Problem(
    'invalid',
    'invalid-request',
    'The token was not given for this organization.',
    {
      errors: [{ pointer: '/since', detail }],
    },
  )
}

const current = async (policies: Policies, { sql, organizationId }: Context) => {
  const state = await policies.find(sql, organizationId)
  if (!state)
    throw new Problem('not-found', 'organization-not-found', 'There is no such organization.')
  return state
}

const watching = async function* (
  policies: Policies,
  context: Context,
  { state, from }: { state: OrganizationState; from: Cursor | undefined },
  { signal, heartbeatMs = HEARTBEAT_MS, untilMs = WATCH_MS_MAX }: WatchOptions,
): AsyncGenerator<WatchEvent> {
  watchers++
  const bell = createBell(signal)
  const stop = policies.onChange([state.id, 'platform'], bell.ring)
  const endsAtMs = Date.now() + untilMs
  let cursor = from ?? cursorOf(state)
  let saidAtMs = Date.now()
  try {
    yield { event: 'ready', id: tokenOf(state.id, cursor), data: { revision: state.token } }
    while (!signal.aborted && Date.now() < endsAtMs) {
      if (!(await mayWatch(context))) return
      const now = await current(policies, context)
      for (const event of await eventsBetween(context, cursor, now)) {
        yield event
        saidAtMs = Date.now()
      }
      cursor = cursorOf(now)
      if (Date.now() - saidAtMs >= heartbeatMs) {
        yield { event: 'heartbeat' }
        saidAtMs = Date.now()
      }
      await bell.wait(Math.min(policies.stalenessMs, heartbeatMs))
    }
  } finally {
    watchers--
    stop()
  }
}

const mayWatch = (context: Context) =>
  context.access.permits(context, 'decision:check', { organizationId: context.organizationId })

const tokenOf = (id: string, { revision, platformRevision }: Cursor) =>
  revisionToken(id, revision, platformRevision)

/** What happened between two revisions, in order. */
const eventsBetween = async (
  context: Context,
  from: Cursor,
  state: OrganizationState,
): Promise<WatchEvent[]> => {
  const reached = cursorOf(state)
  const missed = reached.revision - from.revision
  const data = { revision: state.token }
  // A database that was restored from a backup stands before what the watcher has seen.
  if (missed < 0 || missed > LISTED_MAX || reached.platformRevision < from.platformRevision)
    return [{ event: 'reset', id: state.token, data }]
  const changes =
    missed === 0
      ? []
      : await inOrganization(context, (tx) =>
          repository.listChanges(tx, state.id, from.revision, reached.revision),
        )
  if (changes.length !== missed) return [{ event: 'reset', id: state.token, data }]
  const events = changes.map((change): WatchEvent => {
    const token = tokenOf(state.id, { ...from, revision: change.revision })
    const touched = touchedBy([change])
    return {
      event: 'change',
      id: token,
      data: {
        revision: token,
        at: change.changedAt,
        subjects: touched?.subjects ?? null,
        resources: touched?.resources ?? null,
      },
    }
  })
  if (reached.platformRevision > from.platformRevision)
    events.push({
      event: 'change',
      id: state.token,
      data: { ...data, at: context.now().toISOString(), subjects: null, resources: null },
    })
  return events
}

/** Something to wait for: until it rings, the time is over, or nobody listens any more. */
const createBell = (signal: AbortSignal) => {
  let rung = false
  let wake: (() => void) | undefined
  const ring = () => {
    rung = true
    wake?.()
  }
  signal.addEventListener('abort', ring, { once: true })
  return {
    ring,
    wait: async (ms: number) => {
      let timer: ReturnType<typeof setTimeout> | undefined
      if (!rung)
        await new Promise<void>((resolve) => {
          wake = resolve
          timer = setTimeout(resolve, ms)
        })
      clearTimeout(timer)
      rung = false
    },
  }
}
