import * as v from 'valibot'
import type { Engine } from '../engine/engine.ts'
import { Reference } from '../permissions/schema.ts'
import { type Context, parseRevisionToken } from '../platform/context.ts'
import type { Sql, Transaction } from '../platform/db/connect.ts'
import { beforeDeadline } from '../platform/db/deadline.ts'
import { findRevisions } from '../platform/db/revisions.ts'
import { inPlatform, inPlatformSnapshot, revisionsOf } from '../platform/db/transaction.ts'
import { join } from '../platform/join.ts'
import { Problem } from '../platform/problem.ts'
import { createAsked } from './asked.ts'
import { askingStore, type Marking, type RevisionStore, readingLog } from './freshness.ts'
import { NOBODY, type Wanted } from './held.ts'
import { createLoader, type HoldingOptions, type Reading } from './loader.ts'
import * as repository from './repository.ts'
import { holds, missingIn, type SlicedState } from './slice.ts'
import { compilePlatform, isWhole, type OrganizationState, type PlatformState } from './state.ts'

export type { OrganizationState, PlatformState } from './state.ts'

/** How fresh an answer must be. */
export type Consistency = 'minimize_latency' | 'full' | { atLeast: string }

export type PoliciesOptions = HoldingOptions & {
  /** How old what is answered may be, in milliseconds, where nothing tells us of changes. */
  stalenessMs: number
  /** Where revisions are asked for instead of reading the log, for nodes far from the database. */
  revisionStore?: RevisionStore | undefined
  now?: () => number
  /** Milliseconds a caller waits for what another has begun to read, see `join`. Default: as long as it takes. */
  joinMs?: number | undefined
}

/** The policies of all organizations in memory, each as of a revision that is known to be current. */
export type Policies = ReturnType<typeof createPolicies>

const NOTHING_CHANGED = { has: () => false }
/** Milliseconds an organization may take to load; the largest take seconds. */
const LOAD_DEADLINE_MS = 30_000
/** How often a policy that is out of date as soon as it was read is read again for one question. */
const READINGS_MAX = 100

/**
 * Keeps policies and knows when they are out of date.
 *
 * A node learns of a change because it made it (`changed`), because others told (`heard`), or by finding out at the staleness
 * bound (`freshness.ts`). Where it cannot find out, it does not answer: what cannot be decided safely is a 503.
 */
export const createPolicies = (engine: Engine, options: PoliciesOptions) => {
  const now = options.now ?? Date.now
  const { joinMs } = options
  const loader = createLoader(engine, options)
  const { states, idsBySlug } = loader
  /** Loads under way by what was asked for, with the organizations that changed meanwhile. */
  const loading = new Map<
    string,
    { done: Promise<OrganizationState | undefined>; changed: Set<string>; isGivenUp: boolean }
  >()
  let platform: PlatformState | undefined
  let platformStale = true
  let platformLoading: Promise<PlatformState> | undefined
  let platformTurn = 0

  /** Whoever waits for a change of an organization, or of `platform`. */
  const waiting = new Map<string, Set<() => void>>()

  const mark = (state: OrganizationState) => {
    state.stale = true
    state.marks++
  }

  const markStale = (organizationId: string) => {
    const state = states.peek(organizationId)
    if (state) mark(state)
    for (const { changed } of loading.values()) changed.add(organizationId)
    for (const tell of waiting.get(organizationId) ?? []) tell()
  }

  const markPlatformStale = () => {
    platformStale = true
    for (const tell of waiting.get('platform') ?? []) tell()
  }

  const forgetAll = () => {
    for (const id of [...states.keys()]) markStale(id)
    markPlatformStale()
  }

  const marking: Marking = {
    known: (home) => (home === 'platform' ? platform?.revision : states.peek(home)?.revision),
    markStale: (home) => {
      if (home === 'platform') markPlatformStale()
      else markStale(home)
    },
    forgetAll,
    verified: (home, atMs) => {
      const state = states.peek(home)
      if (state) state.verifiedAtMs = Math.max(state.verifiedAtMs, atMs)
    },
  }
  const bound = { joinMs, stalenessMs: options.stalenessMs, now }
  const freshness = options.revisionStore
    ? askingStore(options.revisionStore, bound, marking)
    : readingLog(bound, marking)

  const loadPlatform = (sql: Sql): Promise<PlatformState> => {
    const running = platformLoading
    if (running)
      return join(running, joinMs, () => {
        // Whoever began it has said already that nothing is out of date.
        if (platformLoading === running) [platformLoading, platformStale] = [undefined, true]
        return loadPlatform(sql)
      })
    const turn = ++platformTurn
    const started = (async () => {
      platformStale = false
      try {
        const rows = await inPlatform(sql, repository.findPlatform)
        // Another has begun anew and may know better: this one says nothing any more.
        if (turn !== platformTurn && platform) return platform
        // Kept where nothing changed: another object would have every organization compare itself anew.
        if (platform?.revision !== rows.revision) platform = compilePlatform(engine, rows)
        return platform
      } catch (error) {
        platformStale = true
        throw error
      }
    })().finally(() => {
      if (platformLoading === started) platformLoading = undefined
    })
    platformLoading = started
    return started
  }

  const currentPlatform = async (sql: Sql): Promise<PlatformState> => {
    if (!freshness.isFresh(now())) await freshness.ensure(sql)
    // Loaded again as often as a change arrives while loading.
    while (!platform || platformStale) await loadPlatform(sql)
    return platform
  }

  /** What has to be read before an organization can be asked, and under which name others wait for the same. */
  const readingFor = (reference: string, wanted: Wanted) => {
    const known = states.peek(reference)
    if (!known || isWhole(known))
      return { key: reference, read: known ? refreshing(known) : beginning(reference) }
    // A slice that is behind is brought up to date first, once for all who wait; what is missing is read then.
    if (!isCurrent(known)) return { key: reference, read: refreshing(known) }
    if (wanted === 'everything') return { key: `${reference} *`, read: beginning(reference) }
    const keys = missingIn(known as SlicedState, wanted) ?? NOBODY
    return {
      key: JSON.stringify([reference, keys]),
      read: (reading: Omit<Reading, 'sql'>, sql: Sql) =>
        loader.add(known as SlicedState, keys, { ...reading, sql }),
    }
  }

  /** A single statement, and so of one instant without a transaction. */
  const beginning = (reference: string) => (reading: Omit<Reading, 'sql'>, sql: Sql) =>
    loader.readFirst(reference, { ...reading, sql })

  const refreshing = (known: OrganizationState) => (reading: Omit<Reading, 'sql'>, sql: Sql) =>
    inPlatformSnapshot(sql, (tx) => loader.refresh(known, { ...reading, sql: tx }))

  const load = async (
    sql: Sql,
    reference: string,
    wanted: Wanted,
  ): Promise<OrganizationState | undefined> => {
    const platform = await currentPlatform(sql)
    const { key, read } = readingFor(reference, wanted)
    const running = loading.get(key)
    if (running)
      return join(running.done, joinMs, () => {
        // Changes are told to those only who stand here: what it reads after all counts as out of date.
        running.isGivenUp = true
        if (loading.get(key) === running) loading.delete(key)
        return load(sql, reference, wanted)
      })
    const changed = new Set<string>()
    const flight = {
      changed,
      isGivenUp: false,
      done: Promise.resolve<OrganizationState | undefined>(undefined),
    }
    const startedAtMs = now()
    let isOver = false
    flight.done = (async () => {
      try {
        // Whoever gave up waiting no longer looks for changes: what is read after all counts as out of date.
        const has = (id: string) => isOver || flight.isGivenUp || changed.has(id)
        const reading = { platform, wanted, changed: { has } }
        const state = await beforeDeadline(read(reading, sql), LOAD_DEADLINE_MS)
        // One that did not fit is marked by nobody else.
        if (state && has(state.id) && states.peek(state.id) !== state) mark(state)
        if (state) state.verifiedAtMs = Math.max(state.verifiedAtMs, startedAtMs)
        return state
      } finally {
        isOver = true
        if (loading.get(key) === flight) loading.delete(key)
      }
    })()
    loading.set(key, flight)
    return flight.done
  }

  const isCurrent = (state: OrganizationState) =>
    !state.stale && !platformStale && state.platform === platform

  /**
   * The organization's policy if it can be answered from at once, without a promise: what a warm check asks. It may be a
   * slice, which can be asked about what it holds only (`holds`).
   */
  const peek = (reference: string): OrganizationState | undefined => {
    const state = states.peek(reference) ?? states.peek(idsBySlug.get(reference) ?? '')
    if (!state || !isCurrent(state) || (state.slug !== reference && state.id !== reference))
      return undefined
    const nowMs = now()
    if (!freshness.isFresh(nowMs, state)) return undefined
    // Recency is kept to the second: to move an entry on every question touches its neighbours in memory, too.
    if (nowMs - state.askedAtMs > 1000) {
      state.askedAtMs = nowMs
      states.get(state.id)
    }
    return state
  }

  /**
   * The organization's policy, as fresh as asked, with whom and what is wanted of it. Undefined where there is no such
   * organization.
   * @throws Problem 503 when the demanded revision cannot be reached; whatever the driver throws when the database is away
   */
  const find = async (
    sql: Sql,
    reference: string,
    consistency: Consistency = 'minimize_latency',
    wanted: Wanted = NOBODY,
  ): Promise<OrganizationState | undefined> => {
    let id = idsBySlug.get(reference) ?? (states.has(reference) ? reference : undefined)
    const held = id === undefined ? undefined : states.peek(id)
    if (!freshness.isFresh(now(), held)) await freshness.ensure(sql, held?.id)
    if (id === undefined && !v.is(Reference, reference)) return undefined
    await demand(sql, id ?? reference, consistency)
    // What does not fit into memory is answered from where it was read.
    let read: OrganizationState | undefined
    for (let readings = 0; readings < READINGS_MAX; readings++) {
      const state = id === undefined ? undefined : (states.get(id) ?? read)
      if (state && isCurrent(state)) {
        if (state.slug !== reference && state.id !== reference) {
          // The slug was given away or changed: ask again whose it is.
          idsBySlug.delete(reference)
          id = undefined
        } else if (holds(state, wanted)) return reached(state, consistency)
      }
      read = await load(sql, id ?? reference, wanted)
      id = read?.id
      if (id === undefined) {
        idsBySlug.delete(reference)
        return undefined
      }
    }
    throw new Problem(
      'unavailable',
      'policy-unsettled',
      'The policy changes faster than it is read.',
    )
  }

  /** Marks what is known as out of date where more was demanded than it has seen. */
  const demand = async (sql: Sql, organizationId: string, consistency: Consistency) => {
    if (consistency === 'minimize_latency') return
    const state = states.peek(organizationId)
    const wanted =
      consistency === 'full'
        ? await beforeDeadline(findRevisions(sql, organizationId))
        : parseRevisionToken(consistency.atLeast)
    if (!wanted) return
    if (!state || (wanted.revision ?? 0) > state.revision) markStale(organizationId)
    if (!platform || wanted.platformRevision > platform.revision) platformStale = true
  }

  const reached = (state: OrganizationState, consistency: Consistency) => {
    if (typeof consistency === 'string') return state
    const wanted = parseRevisionToken(consistency.atLeast)
    if (
      !wanted ||
      (wanted.revision <= state.revision && wanted.platformRevision <= state.platform.revision)
    )
      return state
    if (wanted.organizationId === 'platform' && wanted.platformRevision <= state.platform.revision)
      return state
    throw new Problem(
      'unavailable',
      'revision-unreached',
      'The demanded revision is not in this database (yet).',
    )
  }

  /**
   * The policy as a transaction sees it that holds the organization's row and has changed nothing yet: what the ceiling
   * is measured against. Nothing newer can be committed meanwhile.
   */
  const findLocked = async (
    context: Context,
    tx: Transaction,
    organizationId: string,
    wanted: Wanted,
  ): Promise<OrganizationState> => {
    const revisions = revisionsOf(tx) ?? (await findRevisions(tx, organizationId))
    if (revisions.ownChange) throw new Error('the ceiling must be asked before anything is changed')
    if (!platform || platform.revision !== revisions.platformRevision) {
      platformStale = true
      throw Object.assign(new Error('the platform changed meanwhile'), { code: '40001' })
    }
    if (revisions.revision === null)
      throw new Problem('not-found', 'organization-not-found', 'There is no such organization.')
    const state = states.get(organizationId)
    if (
      state &&
      state.revision === revisions.revision &&
      state.platform === platform &&
      holds(state, wanted)
    )
      return state
    const reading = { sql: tx, platform, wanted, changed: NOTHING_CHANGED }
    const loaded = await loader.readAt(organizationId, revisions.revision, reading)
    if (loaded?.revision !== revisions.revision || !holds(loaded, wanted))
      throw Object.assign(new Error('another reader came between'), { code: '40001' })
    context.log.debug({ organizationId, revision: loaded.revision }, 'policy read inside a change')
    return loaded
  }

  const counts: Record<string, number> = {}

  return {
    engine,
    /** Decisions so far, by code. */
    counts,
    /** Decisions by organization and workspace, until they are taken and written down. */
    asked: createAsked(),
    peek,
    /** The platform's policy if it can be answered from at once. */
    peekPlatform: () =>
      platform && !platformStale && freshness.isFresh(now()) ? platform : undefined,
    find,
    findLocked,
    currentPlatform,
    /** Forgets what is known of an organization's (or the platform's) revision. Called after each commit. */
    changed: (organizationId: string) => {
      if (organizationId === 'platform') markPlatformStale()
      else markStale(organizationId)
    },
    /**
     * Another node has told of a change: what is older than that counts no more. Only ever makes answers younger, so that a
     * message may come twice, late, in any order, or be a lie.
     */
    heard: (home: string, revision: number | null) => {
      const known = home === 'platform' ? platform?.revision : states.peek(home)?.revision
      if (known !== undefined && revision !== null && revision <= known) return
      if (home === 'platform') markPlatformStale()
      else markStale(home)
    },
    /** Calls back on each change of these organizations (or `platform`) that this node hears of; answers how to stop. */
    onChange: (homes: readonly string[], tell: () => void) => {
      for (const home of homes) waiting.set(home, (waiting.get(home) ?? new Set()).add(tell))
      return () => {
        for (const home of homes) {
          const others = waiting.get(home)
          others?.delete(tell)
          if (others?.size === 0) waiting.delete(home)
        }
      }
    },
    stalenessMs: options.stalenessMs,
    /** So many grants, members and resources an organization may have that is held whole; undefined for any number. */
    wholeRowsMax: loader.wholeRowsMax,
    /** Something may have been missed: the log is read before the next answer. */
    unsure: freshness.unsure,
    /** For metrics: how many organizations are held, and their bytes. */
    size: () => ({ organizations: states.size, bytes: states.calculatedSize ?? 0 }),
  }
}
