import { canAsk } from '../engine/chain.ts'
import type { Engine } from '../engine/engine.ts'
import type { Line } from '../engine/line.ts'
import type { Queryable } from '../platform/db/connect.ts'
import { createHeldRows, type HeldRows, type Wanted } from './held.ts'
import { linesOfSlice } from './lines.ts'
import * as repository from './slice-repository.ts'
import {
  changesSince,
  compileOrganization,
  factsOfMember,
  factsOfResource,
  isExpanded,
  type MemberFacts,
  moveTo,
  type OrganizationState,
  type Patched,
  type PlatformState,
  type ResourceFacts,
  type Touched,
} from './state.ts'

/**
 * Of a large organization, or where there is little memory, only what was asked about is held: single subjects with the
 * teams they come to, and single resources. All of it is of one revision, and nothing of it is ever let go: a slice that
 * grew too large is forgotten as a whole, so that whoever still answers from it finds what they made sure of.
 */
export type Slice = {
  /** Whoever can ask, with their lines. */
  readonly members: HeldRows<MemberFacts>
  readonly resources: HeldRows<ResourceFacts>
  /** Teams, with their lines and their parents. */
  readonly teams: Set<string>
  /** How often something was added or replaced. */
  version: number
}

/** One organization of which a slice is held. */
export type SlicedState = OrganizationState & { readonly slice: Slice }

const textOf = (attributes: Readonly<Record<string, unknown>> | null) =>
  attributes === null ? 0 : 2 * JSON.stringify(attributes).length

const createSlice = (): Slice => ({
  members: createHeldRows(({ attributes }) => textOf(attributes)),
  resources: createHeldRows(({ attributes }) => textOf(attributes)),
  teams: new Set(),
  version: 0,
})

/** What of the wanted is not held; undefined where all is. */
export const missingIn = ({ slice }: SlicedState, wanted: repository.Keys) => {
  const subjects = wanted.subjects.filter((key) => canAsk(key) && !slice.members.isHeld(key))
  const resources = wanted.resources.filter((key) => !slice.resources.isHeld(key))
  return subjects.length + resources.length === 0
    ? undefined
    : { subjects: [...new Set(subjects)], resources: [...new Set(resources)] }
}

/** Whether a state can be asked about all of these. */
export const holds = (state: OrganizationState, wanted: Wanted): boolean =>
  state.slice === null ||
  (wanted !== 'everything' && missingIn(state as SlicedState, wanted) === undefined)

/** A first slice of an organization, compiled over the platform. */
export const compileSlice = async (
  engine: Engine,
  rows: repository.FirstRows,
  platform: PlatformState,
  keys: repository.Keys,
): Promise<SlicedState> => {
  const slice = createSlice()
  const { members, resources } = slice
  const state = await compileOrganization(engine, rows, platform)
  noteRows(slice, keys, rows)
  return { ...state, slice, members, resources, hasResources: true }
}

/** Writes down who and what was read, whether there is such a row or not. */
const noteRows = (slice: Slice, keys: repository.Keys, rows: repository.HeldRows) => {
  for (const subject of keys.subjects) if (canAsk(subject)) slice.members.put(subject, undefined)
  for (const resource of keys.resources) slice.resources.put(resource, undefined)
  for (const holder of rows.holders) if (holder.startsWith('team:')) slice.teams.add(holder)
  for (const row of rows.members) slice.members.put(row[0], factsOfMember(row))
  for (const row of rows.resources) slice.resources.put(`${row[0]}:${row[1]}`, factsOfResource(row))
  slice.version++
}

const apply = (
  engine: Engine,
  state: SlicedState,
  {
    keys,
    rows,
    replaced,
  }: { keys: repository.Keys; rows: repository.HeldRows; replaced: Set<string> },
) => {
  const lines: Line[] = []
  for (const line of linesOfSlice(rows, state.id, [state.roles, state.platform.roles]))
    if (replaced.has(line.subject)) lines.push(line)
  engine.replaceSubjects(state.policy, [...replaced], lines)
  state.expandsRoles ||= rows.grants.some(isExpanded)
  noteRows(state.slice, keys, rows)
}

/**
 * Adds subjects and resources to a slice.
 * @returns 'behind' where the database is further than the slice, which must be brought there first
 */
export const addTo = async (
  engine: Engine,
  sql: Queryable,
  state: SlicedState,
  keys: repository.Keys,
): Promise<'added' | 'behind' | 'gone'> => {
  const rows = await repository.findMore(sql, state.id, keys)
  if (!rows) return 'gone'
  // From here on in one step. Equal revisions are equal policies: what is held already need not be replaced.
  if (rows.revision !== state.revision) return 'behind'
  const replaced = new Set(rows.holders.filter((holder) => !state.slice.teams.has(holder)))
  apply(engine, state, { keys, rows, replaced })
  return 'added'
}

/** Brings a slice to the revision of the transaction: what it holds is replaced where it was touched. */
export const patchSlice = async (
  engine: Engine,
  tx: Queryable,
  state: SlicedState,
  platform: PlatformState,
): Promise<Patched> => {
  if (state.platform !== platform && state.expandsRoles) return 'beyond'
  const { revision: from, marks } = state
  const since = await changesSince(tx, state)
  if (!since) return state.revision === from ? 'beyond' : 'overtaken'
  const { version } = state.slice
  const keys = heldOf(engine, state, since.touched)
  const rows =
    keys.subjects.length + keys.resources.length === 0
      ? undefined
      : await repository.findMore(tx, state.id, keys)
  // Whoever was added meanwhile may be touched, too, and was not read.
  if (state.revision !== from || state.slice.version !== version) return 'overtaken'
  if (rows && rows.revision !== since.revision) return 'overtaken'
  // Lines that were expanded meanwhile are those of the platform before.
  if (state.platform !== platform && state.expandsRoles) return 'beyond'
  moveTo(engine, state, since.revision, platform)
  if (rows) apply(engine, state, { keys, rows, replaced: new Set(rows.holders) })
  state.stale = state.marks !== marks
  return 'patched'
}

/**
 * What of the touched is held. The lines of a grant on a resource say where the resource is: where it was moved, they are
 * touched, too, whether anybody has asked about the resource or not.
 */
const heldOf = (engine: Engine, state: SlicedState, touched: Touched): repository.Keys => {
  const { members, teams, resources } = state.slice
  const isHeld = (subject: string) => members.isHeld(subject) || teams.has(subject)
  const subjects = new Set(touched.subjects.filter(isHeld))
  if (touched.resources.length > 0) {
    const moved = new Set(touched.resources)
    for (const line of engine.linesOf(state.policy)) {
      const on = resourceOf(line)
      if (on !== undefined && moved.has(on)) subjects.add(line.subject)
    }
  }
  return { subjects: [...subjects], resources: touched.resources.filter(resources.isHeld) }
}

/** The resource that a line is about, `type:id`. */
const resourceOf = (line: Line): string | undefined => {
  if (line.kind === 'role')
    return line.resource ? `${line.resource.type}:${line.resource.id}` : undefined
  return line.object.kind === 'resource' ? `${line.object.type}:${line.object.id}` : undefined
}
