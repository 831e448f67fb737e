import type { Sql } from '../platform/db/connect.ts'
import { beforeDeadline } from '../platform/db/deadline.ts'
import { findRevisions } from '../platform/db/revisions.ts'
import { join } from '../platform/join.ts'
import * as repository from './repository.ts'

/** Until when something that is held is known to be current, beside what it is. */
export type Verified = { verifiedAtMs: number }

/** What learns of newer revisions, for all that a node holds. */
export type Freshness = {
  /** Whether what is held (an organization, or only the platform) was found to be current recently enough for this moment. */
  isFresh(nowMs: number, held?: Verified): boolean
  /** Finds out what is newer, and marks it. @throws where that cannot be known: then nothing may be answered */
  ensure(sql: Sql, home?: string): Promise<void>
  /** Something may have been missed: the next answer finds out first. */
  unsure(): void
}

/** What finding out leads to. */
export type Marking = {
  /** The revision that is held of an organization, or of `platform`. */
  known(home: string): number | undefined
  markStale(home: string): void
  /** Everything that is held counts as out of date. */
  forgetAll(): void
  /** What is held of an organization, or of the platform, was current at this moment. */
  verified(home: string, atMs: number): void
}

type Options = {
  stalenessMs: number
  now: () => number
  /** Milliseconds a caller waits for what another has begun to read, see `join`. */
  joinMs?: number | undefined
}

/** Milliseconds in which a node must read the log of changes, which is kept for twice as long. */
const UNREAD_MS_MAX = 12 * 3_600_000

/** Reads what changed anywhere, for all organizations at once, as often as answers may be old. */
export const readingLog = ({ stalenessMs, now, joinMs }: Options, marking: Marking): Freshness => {
  let cursor: string | null = null
  let checkedAtMs = Number.NEGATIVE_INFINITY
  let readAtMs = Number.NEGATIVE_INFINITY
  let doubts = 0
  let checking: Promise<void> | undefined

  const read = async (sql: Sql) => {
    const [startedAtMs, doubtsBefore] = [now(), doubts]
    const found = await beforeDeadline(repository.findChangesSince(sql, cursor))
    for (const [home, revision] of found.changes) {
      const known = marking.known(home)
      if (known === undefined || revision > known) marking.markStale(home)
    }
    cursor = found.cursor
    // The log is kept for a day: a node that slept for long may have missed what is no longer in it.
    if (startedAtMs - readAtMs > UNREAD_MS_MAX) marking.forgetAll()
    readAtMs = startedAtMs
    if (doubts === doubtsBefore) checkedAtMs = startedAtMs
  }

  const check = (sql: Sql): Promise<void> => {
    const started = read(sql).finally(() => {
      if (checking === started) checking = undefined
    })
    checking = started
    return started
  }

  return {
    isFresh: (nowMs) => nowMs - checkedAtMs <= stalenessMs,
    // Callers that come meanwhile wait for the same answer.
    ensure: (sql) => {
      const running = checking
      if (running)
        return join(running, joinMs, () => {
          if (checking === running) checking = undefined
          return check(sql)
        })
      return check(sql)
    },
    unsure: () => {
      doubts++
      checkedAtMs = Number.NEGATIVE_INFINITY
    },
  }
}

/** Revisions beside the database: what other nodes have told within the last moment. */
export type RevisionStore = {
  /** null where nobody has told within `keptMs`, so that the database must be asked. */
  read(homes: readonly string[]): Promise<(number | null)[]>
  /** Tells what the database has said. */
  publish(home: string, revision: number): Promise<void>
}

/**
 * Asks a store beside the database for the revisions of single organizations, for nodes far from the database that nobody
 * can push to. A revision stands there for half of the time that answers may be old, and is believed here for the other
 * half: so that a writer who could tell nobody is found out in time.
 */
export const askingStore = (
  store: RevisionStore,
  { stalenessMs, now }: Options,
  marking: Marking,
): Freshness => {
  const believedMs = stalenessMs / 2
  let platform: Verified = { verifiedAtMs: Number.NEGATIVE_INFINITY }
  const isYoung = ({ verifiedAtMs }: Verified, nowMs: number) => nowMs - verifiedAtMs <= believedMs

  const ask = async (sql: Sql, home: string | undefined): Promise<(number | null)[]> => {
    const homes = home === undefined ? ['platform'] : ['platform', home]
    // A store that does not answer knows nothing.
    const told = await store.read(homes).catch(() => homes.map(() => null))
    if (told.every((revision) => revision !== null)) return told
    const found = await beforeDeadline(findRevisions(sql, home ?? ''))
    const reached = [found.platformRevision, found.revision].slice(0, homes.length)
    for (const [at, revision] of reached.entries())
      if (revision !== null) store.publish(homes[at]!, revision).catch(() => {})
    return reached
  }

  return {
    isFresh: (nowMs, held) =>
      isYoung(platform, nowMs) && (held === undefined || isYoung(held, nowMs)),
    ensure: async (sql, home) => {
      const startedAtMs = now()
      const [platformRevision, revision] = await ask(sql, home)
      if ((platformRevision ?? 0) > (marking.known('platform') ?? 0)) marking.markStale('platform')
      platform = { verifiedAtMs: startedAtMs }
      if (home === undefined) return
      const known = marking.known(home)
      // One that is gone is found to be gone when it is read.
      if (known !== undefined && (revision == null || revision > known)) marking.markStale(home)
      marking.verified(home, startedAtMs)
    },
    unsure: () => {
      platform = { verifiedAtMs: Number.NEGATIVE_INFINITY }
      marking.forgetAll()
    },
  }
}
