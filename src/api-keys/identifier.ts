import { LRUCache } from 'lru-cache'
import type { Actor } from '../platform/context.ts'
import type { Sql } from '../platform/db/connect.ts'
import { join } from '../platform/join.ts'

/** A key that was verified, while what it depends on stands still. */
type Verified = { actor: Actor; untilMs: number; revision: number; verifiedAtMs: number }

export type IdentifierOptions = {
  /** Looks a key up and verifies it. */
  verify: (
    sql: Sql,
    token: string,
    nowMs: number,
  ) => Promise<{ actor: Actor; untilMs: number } | undefined>
  /** The revision a key's validity depends on, if it is known to be current without asking the database. */
  peekRevision: (organizationId: string | null) => number | undefined
  /** The same, asking the database if need be. */
  revision: (sql: Sql, organizationId: string | null) => Promise<number | undefined>
  /** Milliseconds a caller waits for what another has begun to look up, see `join`. */
  joinMs?: number | undefined
}

const CACHED_MAX = 50_000
/** As often at least a key in use is looked up, so that it is known when it was used last. */
const VERIFIED_ANEW_MS = 60_000

/**
 * Remembers verified keys. An entry holds the revision it was verified at: revoking, rotating or expiring a key raises it,
 * so the next request is verified anew. Nothing wrong is remembered. (The map is keyed by the token itself: its lookup
 * hashes the whole token with a seed, so time tells nothing about its parts.)
 */
export const createIdentifier = ({ verify, peekRevision, revision, joinMs }: IdentifierOptions) => {
  const verified = new LRUCache<string, Verified>({ max: CACHED_MAX })

  const looking = new Map<string, Promise<Actor | undefined>>()

  /** The revision is read first and the key after it, so that a revocation between the two is not missed. */
  const verifyAt = async (
    sql: Sql,
    token: string,
    nowMs: number,
    organizationId: string | null,
  ) => {
    const at = await revision(sql, organizationId)
    const known = verified.get(token)
    if (known && known.revision === at && isFresh(known, nowMs)) return known.actor
    const found = await verify(sql, token, nowMs)
    if (at !== undefined && found?.actor.organizationId === organizationId)
      verified.set(token, { ...found, revision: at, verifiedAtMs: nowMs })
    else verified.delete(token)
    return found?.actor
  }

  const look = async (sql: Sql, token: string, nowMs: number): Promise<Actor | undefined> => {
    const known = verified.get(token)
    if (known) return verifyAt(sql, token, nowMs, known.actor.organizationId)
    const found = await verify(sql, token, nowMs)
    return found && verifyAt(sql, token, nowMs, found.actor.organizationId)
  }

  /** What is remembered, if it is known to be true still. */
  const remembered = (token: string, nowMs: number): Actor | undefined => {
    const known = verified.get(token)
    if (!known || !isFresh(known, nowMs)) return undefined
    return peekRevision(known.actor.organizationId) === known.revision ? known.actor : undefined
  }

  /**
   * Requests that come with the same key at the same time wait for the first of them. What that one found counts for them
   * only while nothing has changed since: a key may have been revoked after it was read.
   */
  const lookOnce = async (sql: Sql, token: string, nowMs: number): Promise<Actor | undefined> => {
    const running = looking.get(token)
    if (running) {
      const ended = running.catch(() => undefined)
      await join(ended, joinMs, async () => {
        if (looking.get(token) === running) looking.delete(token)
        return undefined
      })
      return remembered(token, nowMs) ?? look(sql, token, nowMs)
    }
    const started = look(sql, token, nowMs).finally(() => {
      if (looking.get(token) === started) looking.delete(token)
    })
    looking.set(token, started)
    return started
  }

  return (sql: Sql, token: string, nowMs: number): Actor | Promise<Actor | undefined> =>
    remembered(token, nowMs) ?? lookOnce(sql, token, nowMs)
}

const isFresh = ({ untilMs, verifiedAtMs }: Verified, nowMs: number) =>
  untilMs > nowMs && nowMs - verifiedAtMs < VERIFIED_ANEW_MS
