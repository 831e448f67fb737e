import type { Engine, OrganizationPolicy, PlatformPolicy } from '../engine/engine.ts'
import { revisionToken } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'
import { findRevisions } from '../platform/db/revisions.ts'
import type { Rows } from './held.ts'
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
import { type Security, securityOf } from './security.ts'
import type { Slice } from './slice.ts'

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

/** One organization, compiled: what its decisions depend on, or a slice of that. Changed in one step, never half-way. */
export type OrganizationState = {
  readonly id: string
  slug: string
  status: string
  /** null where nothing is set. */
  readonly security: Security | null
  revision: number
  platform: PlatformState
  policy: OrganizationPolicy
  readonly members: Rows<MemberFacts>
  readonly resources: Rows<ResourceFacts>
  /** false where it is known that no resource is registered, so that none need be looked up. */
  hasResources: boolean
  /** What of it is held; null where that is everything. */
  readonly slice: Slice | null
  /** By id and by slug. */
  readonly workspaces: Map<string, { id: string; slug: string }>
  roles: RoleTable
  /** Some grant was expanded from a role's lines, so that a change of the role changes this organization's lines. */
  expandsRoles: boolean
  /** The revisions as a token, made once. */
  token: string
  /** A newer revision exists: it must be read before the next answer. */
  stale: boolean
  /** How often it was found out of date, so that a reader knows whether it was again while it read. */
  marks: number
  /** When it was last marked as asked, for what is dropped first. */
  askedAtMs: number
  /** When it was last known to be current. */
  verifiedAtMs: number
}

/** One of which everything is held. */
export type WholeState = OrganizationState & {
  readonly members: Map<string, MemberFacts>
  readonly resources: Map<string, ResourceFacts>
  readonly slice: null
}

/** Whether everything of it is held. */
export const isWhole = (state: OrganizationState): state is WholeState => state.slice === null

const PLAIN: MemberFacts = { isOwner: false, status: 'active', expiresAtMs: null, attributes: null }

/** What a row of `members` says. */
export const factsOfMember = ([
  ,
  isOwner,
  status,
  expiresAtMs,
  attributes,
]: MemberRow): MemberFacts =>
  !isOwner && status === 'active' && expiresAtMs === null && attributes === null
    ? PLAIN
    : { isOwner, status, expiresAtMs, attributes }

/** What a row of `resources` says. */
export const factsOfResource = ([
  ,
  ,
  workspaceId,
  owner,
  suspendedBecause,
  attributes,
]: ResourceRow) => ({
  workspaceId,
  owner,
  suspendedBecause,
  attributes,
})

/** Changes listed one by one, up to this many rows, are patched in; more are loaded anew. */
const PATCHED_MAX = 500

/** The platform's rows, compiled. */
export const compilePlatform = (engine: Engine, rows: PlatformRows): PlatformState => ({
  revision: rows.revision,
  policy: engine.compilePlatform(linesOfPlatform(rows)),
  permissions: new Map(rows.permissions),
  strictTypes: new Set(rows.strictTypes),
  roles: platformRoles(rows),
  token: revisionToken('', 0, rows.revision),
})

/** An organization's rows, compiled over the platform's. */
export const compileOrganization = async (
  engine: Engine,
  rows: OrganizationRows,
  platform: PlatformState,
): Promise<WholeState> => ({
  id: rows.id,
  slug: rows.slug,
  status: rows.status,
  security: securityOf(rows.security),
  revision: rows.revision,
  platform,
  policy: await engine.compileOrganization(
    platform.policy,
    rows.id,
    linesOfOrganization(rows, platform.roles),
  ),
  members: new Map(rows.members.map((row) => [row[0], factsOfMember(row)])),
  resources: new Map(rows.resources.map((row) => [`${row[0]}:${row[1]}`, factsOfResource(row)])),
  hasResources: rows.resources.length > 0,
  slice: null,
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
  marks: 0,
  askedAtMs: 0,
  verifiedAtMs: 0,
})

export const isExpanded = ([, , , , , , roleName, , effect, condition]: GrantRow) =>
  roleName !== null && (effect === 'deny' || condition !== null)

/** Subjects and resources by name. */
export type Touched = { subjects: string[]; resources: string[] }

/** What listed changes touch, or undefined where they reach further than single subjects and resources. */
export const touchedBy = (changes: { touched: string[] | null }[]): Touched | undefined => {
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

/** How bringing a policy up to date went: it reached further than single rows, or another reader came first. */
export type Patched = 'patched' | 'beyond' | 'overtaken'

/**
 * What happened since a policy was read, as far as single subjects and resources are touched; undefined where it reached
 * further, or the log no longer holds it.
 */
export const changesSince = async (tx: Queryable, { id, revision: from }: OrganizationState) => {
  const [{ revision }, changes] = await Promise.all([
    findRevisions(tx, id),
    repository.findChanges(tx, id, from),
  ])
  if (revision === null || revision < from || changes.length !== revision - from) return undefined
  const touched = touchedBy(changes)
  return touched && { revision, touched }
}

/**
 * Replaces what single changes touched. All reading comes first; the state is then changed in one step, so that no
 * question ever meets half of a change.
 */
export const patch = async (
  engine: Engine,
  tx: Queryable,
  state: WholeState,
  platform: PlatformState,
): Promise<Patched> => {
  if (state.platform !== platform && state.expandsRoles) return 'beyond'
  const { revision: from, marks } = state
  const since = await changesSince(tx, state)
  if (!since) return state.revision === from ? 'beyond' : 'overtaken'
  const { revision, touched } = since
  const slice =
    revision === from
      ? undefined
      : await repository.findSlice(tx, { organizationId: state.id, ...touched })
  // What was read may be older than what another reader applied meanwhile.
  if (state.revision !== from) return 'overtaken'
  moveTo(engine, state, revision, platform)
  if (slice) applySlice(engine, state, touched, slice)
  state.stale = state.marks !== marks
  return 'patched'
}

/** The lines are those of this revision now: says so, and stands on this platform. */
export const moveTo = (
  engine: Engine,
  state: OrganizationState,
  revision: number,
  platform: PlatformState,
) => {
  if (state.platform !== platform) {
    state.policy = engine.withPlatform(state.policy, platform.policy)
    state.platform = platform
  }
  state.revision = revision
  state.token = revisionToken(state.id, revision, platform.revision)
}

const applySlice = (
  engine: Engine,
  state: WholeState,
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
  state.hasResources = state.resources.size > 0
}

/** Rough bytes of an organization's facts; the engine knows those of its lines. */
export const bytesOf = (engine: Engine, state: OrganizationState) =>
  1000 +
  engine.bytes(state.policy) +
  200 * state.workspaces.size +
  (isWhole(state)
    ? 100 * state.members.size + 300 * state.resources.size
    : (state.slice?.members.bytes ?? 0) + (state.slice?.resources.bytes ?? 0))
