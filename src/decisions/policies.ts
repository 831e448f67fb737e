import { LRUCache } from 'lru-cache'
import * as v from 'valibot'
import type { Engine, OrganizationPolicy, PlatformPolicy } from '../engine/engine.ts'
import { Reference } from '../permissions/schema.ts'
import { type Context, parseRevisionToken, revisionToken } from '../platform/context.ts'
import type { Queryable, Sql, Transaction } from '../platform/db/connect.ts'
import { beforeDeadline } from '../platform/db/deadline.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import { Problem } from '../platform/problem.ts'
import {
  linesOfOrganization,
  linesOfPlatform,
  linesOfSlice,
  platformRoles,
  type RoleTable,
  roleTable,
} from './lines.ts'
import type {
  GrantRow,
  MemberRow,
  OrganizationRows,
  PlatformRows,
  ResourceRow,
  Scope,
} from './repository.ts'
import * as repository from './repository.ts'

/** How fresh an answer must be. */
export type Consistency = 'minimize_latency' | 'full' | { atLeast: string }

/** What all organizations share, compiled. */
export type PlatformState = {
  readonly revision: number
  readonly policy: PlatformPolicy
  readonly permissions: ReadonlyMap<string, Scope>
  readonly strictTypes: ReadonlySet<string>
  readonly roles: RoleTable
  readonly token: string
}

export type MemberFacts = {
  readonly isOwner: boolean
  readonly status: 'active' | 'suspended'
  readonly expiresAtMs: number | null
  readonly attributes: Readonly<Record<string, unknown>> | null
}

export type ResourceFacts = {
  readonly workspaceId: string | null
  readonly owner: string | null
  readonly suspendedBecause: string | null
  readonly attributes: Readonly<Record<string, unknown>> | null
}

/** One organization, compiled: everything its decisions depend on. Changed in one step, never half-way. */
export type OrganizationState = {
  readonly id: string
  slug: string
  status: string
  revision: number
  platform: PlatformState
  policy: OrganizationPolicy
  readonly members: Map<string, MemberFacts>
  readonly resources: Map<string, ResourceFacts>
  /** By id and by slug. */
  readonly workspaces: Map<string, { id: string; slug: string }>
  roles: RoleTable
  /** Some grant was expanded from a role's lines, so that a change of the role changes this organization's lines. */
  expandsRoles: boolean
  /** The revisions as a token, made once. */
  token: string
  /** A newer revision exists: it must be read before the next answer. */
  stale: boolean
  /** When it was last marked as asked, for what is dropped first. */
  askedAtMs: number
}

export type PoliciesOptions = {
  /** Bytes all organizations together may take; the least recently asked ones are dropped. */
  bytesMax: number
  /** How old what is answered may be, in milliseconds, where nothing tells us of changes. */
  stalenessMs: number
  now?: () => number
}

/** The policies of all organizations in memory, each as of a revision that is known to be current. */
export type Policies = ReturnType<typeof createPolicies>

const PLAIN: MemberFacts = { isOwner: false, status: 'active', expiresAtMs: null, attributes: null }

const factsOfMember = ([, isOwner, status, expiresAtMs, attributes]: MemberRow): MemberFacts =>
  !isOwner && status === 'active' && expiresAtMs === null && attributes === null
    ? PLAIN
    : { isOwner, status, expiresAtMs, attributes }

const factsOfResource = ([, , workspaceId, owner, suspendedBecause, attributes]: ResourceRow) => ({
  workspaceId,
  owner,
  suspendedBecause,
  attributes,
})

/** Milliseconds an organization may take to load; the largest take seconds. */
const LOAD_DEADLINE_MS = 30_000

/** Changes listed one by one, up to this many rows, are patched in; more are loaded anew. */
const PATCHED_MAX = 500

/**
 * Keeps policies and knows when they are out of date.
 *
 * A node learns of a change because it made it (`changed`), or by reading `policy_changes` at the staleness bound. Where
 * it cannot read them, it does not answer: what cannot be decided safely is a 503.
 */
export const createPolicies = (engine: Engine, options: PoliciesOptions) => {
  const now = options.now ?? Date.now
  const states = new LRUCache<string, OrganizationState>({
    maxSize: options.bytesMax,
    sizeCalculation: (state) => bytesOf(engine, state),
  })
  const idsBySlug = new LRUCache<string, string>({ max: 100_000 })
  const loading = new Map<
    string,
    { done: Promise<OrganizationState | undefined>; dirty: boolean }
  >()
  let platform: PlatformState | undefined
  let platformStale = true
  let platformLoading: Promise<PlatformState> | undefined
  let cursor: string | null = null
  let checkedAtMs = Number.NEGATIVE_INFINITY
  let checking: Promise<void> | undefined

  const markStale = (organizationId: string) => {
    const state = states.peek(organizationId)
    if (state) state.stale = true
    const inFlight = loading.get(organizationId)
    if (inFlight) inFlight.dirty = true
  }

  /** Reads what changed anywhere, and marks it. Callers that come meanwhile wait for the same answer. */
  const check = (sql: Sql): Promise<void> => {
    checking ??= (async () => {
      const startedAtMs = now()
      const found = await beforeDeadline(repository.findChangesSince(sql, cursor))
      for (const [organizationId, revision] of found.changes) {
        if (organizationId === 'platform') {
          if (revision > (platform?.revision ?? 0)) platformStale = true
          continue
        }
        const state = states.peek(organizationId)
        if (!state || revision > state.revision) markStale(organizationId)
      }
      cursor = found.cursor
      checkedAtMs = startedAtMs
    })().finally(() => {
      checking = undefined
    })
    return checking
  }

  const loadPlatform = (sql: Sql): Promise<PlatformState> => {
    platformLoading ??= (async () => {
      platformStale = false
      try {
        const rows = await inPlatform(sql, repository.findPlatform)
        // Kept where nothing changed: another object would have every organization compare itself anew.
        if (platform?.revision !== rows.revision) platform = compilePlatform(engine, rows)
        return platform
      } catch (error) {
        platformStale = true
        throw error
      }
    })().finally(() => {
      platformLoading = undefined
    })
    return platformLoading
  }

  const currentPlatform = async (sql: Sql): Promise<PlatformState> => {
    if (now() - checkedAtMs > options.stalenessMs) await check(sql)
    // Loaded again as often as a change arrives while loading.
    while (!platform || platformStale) await loadPlatform(sql)
    return platform
  }

  /** Two readers may have loaded the same organization; the newer one stays. */
  const store = (state: OrganizationState) => {
    const known = states.peek(state.id)
    if (known && known !== state && known.revision > state.revision) return known
    states.set(state.id, state)
    idsBySlug.set(state.slug, state.id)
    return state
  }

  /** Brings one organization to its present revision: patched where the changes are few, else loaded anew. */
  const refresh = async (tx: Queryable, organizationId: string, shared: PlatformState) => {
    const known = states.peek(organizationId)
    if (known) {
      known.stale = false
      const patched = await patch(engine, tx, known, shared)
      if (patched) return store(known)
    }
    const rows = await repository.findOrganization(tx, organizationId)
    if (!rows) {
      states.delete(organizationId)
      return undefined
    }
    return store(await compileOrganization(engine, rows, shared))
  }

  const load = (sql: Sql, organizationId: string): Promise<OrganizationState | undefined> => {
    const running = loading.get(organizationId)
    if (running) return running.done
    const entry = { dirty: false, done: Promise.resolve<OrganizationState | undefined>(undefined) }
    entry.done = (async () => {
      const shared = await currentPlatform(sql)
      try {
        return await beforeDeadline(
          inSnapshot(sql, (tx) => refresh(tx, organizationId, shared)),
          LOAD_DEADLINE_MS,
        )
      } catch (error) {
        // Half-read changes may not be mistaken for none.
        const state = states.peek(organizationId)
        if (state) state.stale = true
        throw error
      } finally {
        loading.delete(organizationId)
        if (entry.dirty) markStale(organizationId)
      }
    })()
    loading.set(organizationId, entry)
    return entry.done
  }

  const isCurrent = (state: OrganizationState) =>
    !state.stale && !platformStale && state.platform === platform

  /** The id behind an id or a slug; undefined where there is no such organization. */
  const identify = async (sql: Sql, reference: string): Promise<string | undefined> => {
    const known = idsBySlug.get(reference)
    if (known !== undefined) return known
    if (states.has(reference)) return reference
    if (!v.is(Reference, reference)) return undefined
    const found = await inPlatform(sql, (tx) => repository.findOrganizationId(tx, reference))
    if (found !== undefined && found !== reference) idsBySlug.set(reference, found)
    return found
  }

  /** The organization's policy if it can be answered from at once, without a promise: what a warm check asks. */
  const peek = (reference: string): OrganizationState | undefined => {
    const state = states.peek(reference) ?? states.peek(idsBySlug.get(reference) ?? '')
    if (!state || !isCurrent(state) || (state.slug !== reference && state.id !== reference))
      return undefined
    const nowMs = now()
    if (nowMs - checkedAtMs > options.stalenessMs) return undefined
    // Recency is kept to the second: to move an entry on every question touches its neighbours in memory, too.
    if (nowMs - state.askedAtMs > 1000) {
      state.askedAtMs = nowMs
      states.get(state.id)
    }
    return state
  }

  /**
   * The organization's policy, as fresh as asked. Undefined where there is no such organization.
   * @throws Problem 503 when the demanded revision cannot be reached; whatever the driver throws when the database is away
   */
  const find = async (
    sql: Sql,
    reference: string,
    consistency: Consistency = 'minimize_latency',
  ): Promise<OrganizationState | undefined> => {
    if (now() - checkedAtMs > options.stalenessMs) await check(sql)
    const organizationId = await identify(sql, reference)
    if (organizationId === undefined) return undefined
    await demand(sql, organizationId, consistency)
    for (;;) {
      const state = states.get(organizationId)
      if (state && isCurrent(state)) {
        if (state.slug === reference || state.id === reference) return reached(state, consistency)
        // The slug was given away or changed: ask again whose it is.
        idsBySlug.delete(reference)
        const owner = await identify(sql, reference)
        return owner === undefined || owner === organizationId
          ? undefined
          : find(sql, owner, consistency)
      }
      if (!(await load(sql, organizationId))) {
        idsBySlug.delete(reference)
        return undefined
      }
    }
  }

  /** Marks what is known as out of date where more was demanded than it has seen. */
  const demand = async (sql: Sql, organizationId: string, consistency: Consistency) => {
    if (consistency === 'minimize_latency') return
    const state = states.peek(organizationId)
    const wanted =
      consistency === 'full'
        ? await beforeDeadline(repository.findRevisions(sql, organizationId))
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
  ): Promise<OrganizationState> => {
    const revisions = await repository.findRevisions(tx, organizationId)
    if (revisions.ownChange) throw new Error('the ceiling must be asked before anything is changed')
    if (!platform || platform.revision !== revisions.platformRevision) {
      platformStale = true
      throw Object.assign(new Error('the platform changed meanwhile'), { code: '40001' })
    }
    const state = states.get(organizationId)
    if (state && state.revision === revisions.revision && state.platform === platform) return state
    const loaded = await refresh(tx, organizationId, platform)
    if (loaded && loaded.revision !== revisions.revision)
      throw Object.assign(new Error('another reader came between'), { code: '40001' })
    if (!loaded)
      throw new Problem('not-found', 'organization-not-found', 'There is no such organization.')
    context.log.debug({ organizationId, revision: loaded.revision }, 'policy read inside a change')
    return loaded
  }

  const counts: Record<string, number> = {}

  return {
    engine,
    /** Decisions so far, by code. */
    counts,
    peek,
    /** The platform's policy if it can be answered from at once. */
    peekPlatform: () =>
      platform && !platformStale && now() - checkedAtMs <= options.stalenessMs
        ? platform
        : undefined,
    find,
    findLocked,
    currentPlatform,
    /** Forgets what is known of an organization's (or the platform's) revision. Called after each commit. */
    changed: (organizationId: string) => {
      if (organizationId === 'platform') platformStale = true
      else markStale(organizationId)
    },
    /** For metrics: how many organizations are held, and their bytes. */
    size: () => ({ organizations: states.size, bytes: states.calculatedSize ?? 0 }),
  }
}

const inSnapshot = <Result>(
  sql: Sql,
  work: (tx: Transaction) => Promise<Result>,
): Promise<Result> =>
  sql.begin('isolation level repeatable read read only', async (tx) => {
    await tx`select set_config('role', 'latchkey_platform', true)`
    return work(tx as Transaction)
  }) as Promise<Result>

const compilePlatform = (engine: Engine, rows: PlatformRows): PlatformState => ({
  revision: rows.revision,
  policy: engine.compilePlatform(linesOfPlatform(rows)),
  permissions: new Map(rows.permissions),
  strictTypes: new Set(rows.strictTypes),
  roles: platformRoles(rows),
  token: revisionToken('', 0, rows.revision),
})

const compileOrganization = async (
  engine: Engine,
  rows: OrganizationRows,
  platform: PlatformState,
): Promise<OrganizationState> => ({
  id: rows.id,
  slug: rows.slug,
  status: rows.status,
  revision: rows.revision,
  platform,
  policy: await engine.compileOrganization(
    platform.policy,
    rows.id,
    linesOfOrganization(rows, platform.roles),
  ),
  members: new Map(rows.members.map((row) => [row[0], factsOfMember(row)])),
  resources: new Map(rows.resources.map((row) => [`${row[0]}:${row[1]}`, factsOfResource(row)])),
  workspaces: new Map(
    rows.workspaces.flatMap(([id, slug]) => [
      [id, { id, slug }],
      [slug, { id, slug }],
    ]),
  ),
  roles: roleTable(rows),
  expandsRoles: rows.grants.some(isExpanded),
  token: revisionToken(rows.id, rows.revision, platform.revision),
  stale: false,
  askedAtMs: 0,
})

const isExpanded = ([, , , , , , roleName, , effect, condition]: GrantRow) =>
  roleName !== null && (effect === 'deny' || condition !== null)

type Touched = { subjects: string[]; resources: string[] }

/** What listed changes touch, or undefined where they reach further than single subjects and resources. */
const touchedBy = (changes: { touched: string[] | null }[]): Touched | undefined => {
  const subjects = new Set<string>()
  const resources = new Set<string>()
  for (const { touched } of changes) {
    if (touched === null) return undefined
    for (const item of touched) {
      const colon = item.indexOf(':')
      const [table, what] = [item.slice(0, colon), item.slice(colon + 1)]
      if (
        table === 'grants' ||
        table === 'members' ||
        table === 'teams' ||
        table === 'team_members'
      )
        subjects.add(what)
      else if (table === 'resources') resources.add(what)
      else if (table !== 'api_keys') return undefined
    }
  }
  if (subjects.size + resources.size > PATCHED_MAX) return undefined
  return { subjects: [...subjects], resources: [...resources] }
}

/**
 * Replaces what single changes touched. All reading comes first; the state is then changed in one step, so that no
 * question ever meets half of a change.
 * @returns false where the changes reach further, or the log no longer holds them
 */
const patch = async (
  engine: Engine,
  tx: Queryable,
  state: OrganizationState,
  platform: PlatformState,
): Promise<boolean> => {
  if (state.platform !== platform && state.expandsRoles) return false
  const from = state.revision
  const { revision } = await repository.findRevisions(tx, state.id)
  if (revision === null || revision < from) return false
  if (revision > from) {
    const changes = await repository.findChanges(tx, state.id, from)
    const complete = changes.length === revision - from
    const touched = complete ? touchedBy(changes) : undefined
    if (!touched) return false
    const slice = await repository.findSlice(tx, { organizationId: state.id, ...touched })
    if (state.revision !== from) {
      // Another reader was quicker; what we read may be older than what it applied.
      state.stale = true
      return true
    }
    applySlice(engine, state, touched, slice)
  }
  if (state.platform !== platform) {
    state.policy = engine.withPlatform(state.policy, platform.policy)
    state.platform = platform
  }
  state.revision = revision
  state.token = revisionToken(state.id, revision, platform.revision)
  return true
}

const applySlice = (
  engine: Engine,
  state: OrganizationState,
  touched: Touched,
  slice: Awaited<ReturnType<typeof repository.findSlice>>,
) => {
  const lines = [...linesOfSlice(slice, state.id, [state.roles, state.platform.roles])]
  engine.replaceSubjects(state.policy, slice.subjects, lines)
  state.expandsRoles ||= slice.grants.some(isExpanded)
  for (const subject of slice.subjects) state.members.delete(subject)
  for (const row of slice.members) state.members.set(row[0], factsOfMember(row))
  for (const resource of touched.resources) state.resources.delete(resource)
  for (const row of slice.resources)
    state.resources.set(`${row[0]}:${row[1]}`, factsOfResource(row))
}

/** Rough bytes of an organization's facts; the engine knows those of its lines. */
const bytesOf = (engine: Engine, state: OrganizationState) =>
  1000 +
  engine.bytes(state.policy) +
  100 * state.members.size +
  300 * state.resources.size +
  200 * state.workspaces.size
