import { LRUCache } from 'lru-cache'
import type { Engine } from '../engine/engine.ts'
import type { Queryable } from '../platform/db/connect.ts'
import type { Wanted } from './held.ts'
import { readWhole } from './read-whole.ts'
import * as repository from './repository.ts'
import { addTo, compileSlice, holds, missingIn, patchSlice, type SlicedState } from './slice.ts'
import { findFirst, type Keys } from './slice-repository.ts'
import {
  bytesOf,
  compileOrganization,
  isWhole,
  type OrganizationState,
  type PlatformState,
  patch,
} from './state.ts'

/** How organizations are held. */
export type HoldingOptions = {
  /** Bytes all organizations together may take; the least recently asked ones are dropped. */
  bytesMax: number
  /**
   * Of which organizations only slices are held, what is asked about and no more: of all, of large ones, of none. Default:
   * none. A model that only Casbin decides may look at anybody's lines, so with one of these all are held whole.
   */
  slices?: 'always' | 'large' | 'never' | undefined
  /** From how many grants, members and resources together an organization is large. */
  sliceRowsMin?: number | undefined
  /** So many of them can be held whole at all, for what needs everybody; undefined where memory is no question. */
  wholeRowsMax?: number | undefined
}

/** What is read, with what, and what was found out of date since the reading began. */
export type Reading = {
  readonly sql: Queryable
  readonly platform: PlatformState
  readonly wanted: Wanted
  readonly changed: { has(organizationId: string): boolean }
}

/** Of all bytes, what one organization's slice may take before it is begun anew. */
const SLICE_SHARE = 1 / 4
const LARGE_MAX = 10_000
/** How often reading is tried again where another reader came first. */
const ATTEMPTS_MAX = 10

/** Reads organizations, whole or in slices, and keeps them within the bound. */
export const createLoader = (engine: Engine, options: HoldingOptions) => {
  const { bytesMax, sliceRowsMin = Number.MAX_SAFE_INTEGER, wholeRowsMax } = options
  const slices = engine.tier === 'index' ? (options.slices ?? 'never') : 'never'
  const states = new LRUCache<string, OrganizationState>({
    maxSize: bytesMax,
    sizeCalculation: (state) => bytesOf(engine, state),
  })
  const idsBySlug = new LRUCache<string, string>({ max: 100_000 })
  /** Organizations that were found to be large: they need not be counted again. */
  const large = new LRUCache<string, true>({ max: LARGE_MAX })

  /** One that does not fit is answered from, and forgotten. */
  const hold = (state: OrganizationState) => {
    const isTooLarge = bytesOf(engine, state) > bytesMax * (isWhole(state) ? 1 : SLICE_SHARE)
    if (isTooLarge && isWhole(state)) large.set(state.id, true)
    // Deleted first, because an entry that is set again to the same state is not weighed again.
    states.delete(state.id)
    if (!isTooLarge) states.set(state.id, state)
  }

  /**
   * Two readers may have read the same organization; the newer one stays. `instead` is one that cannot be brought up to
   * date, whatever its revision says.
   */
  const keep = (
    state: OrganizationState,
    { changed }: Reading,
    instead?: OrganizationState,
  ): OrganizationState => {
    const known = states.peek(state.id)
    if (known && known !== instead && known.revision > state.revision) return known
    if (known?.revision === state.revision && isWhole(known) && !isWhole(state)) return known
    state.stale = changed.has(state.id)
    idsBySlug.set(state.slug, state.id)
    hold(state)
    return state
  }

  /** Undefined for one that is large, and for one that does not exist. */
  const readUnlessLarge = async (reference: string, { sql }: Reading) => {
    if (slices === 'always' || large.has(reference)) return undefined
    const rows = await repository.findOrganizationBelow(sql, reference, sliceRowsMin)
    if (rows && rows.rows < sliceRowsMin) return rows
    if (rows) large.set(rows.id, true)
    return undefined
  }

  /** One that is not in memory, by id or slug. Each statement is of one instant. */
  const readFirst = async (
    reference: string,
    reading: Reading,
    instead?: OrganizationState,
  ): Promise<OrganizationState | undefined> => {
    const { sql, platform, wanted } = reading
    const needsAll = wanted === 'everything' || slices === 'never'
    const whole = needsAll
      ? await readWhole(sql, reference, wholeRowsMax)
      : await readUnlessLarge(reference, reading)
    if (whole) return keep(await compileOrganization(engine, whole, platform), reading, instead)
    if (needsAll) return undefined
    const rows = await findFirst(sql, reference, wanted)
    return rows && keep(await compileSlice(engine, rows, platform, wanted), reading, instead)
  }

  /** Brings one that is held to its present revision: patched where the changes are few, else read anew. */
  const refresh = async (
    known: OrganizationState,
    reading: Reading,
  ): Promise<OrganizationState | undefined> => {
    const { sql, platform } = reading
    const patched = isWhole(known)
      ? await patch(engine, sql, known, platform)
      : await patchSlice(engine, sql, known as SlicedState, platform)
    if (patched === 'patched' && states.peek(known.id) === known) hold(known)
    if (patched !== 'beyond') return known
    const read = await readFirst(known.id, reading, known)
    if (!read && states.peek(known.id) === known) states.delete(known.id)
    return read
  }

  /** Adds what is missing. Where the database is further than the slice, that is marked as out of date. */
  const add = async (state: SlicedState, keys: Keys, { sql }: Pick<Reading, 'sql'>) => {
    const { revision, marks } = state
    const added = await addTo(engine, sql, state, keys)
    if (added === 'added' && states.peek(state.id) === state) hold(state)
    // Where it moved meanwhile, what was read is what is behind.
    if (added !== 'added' && state.revision === revision && state.marks === marks) {
      state.stale = true
      state.marks++
    }
    return state
  }

  /**
   * The organization as a transaction sees it in which nothing newer can come.
   * @returns undefined where there is none, or where readers came between again and again
   */
  const readAt = async (id: string, revision: number, reading: Reading) => {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const known = states.peek(id)
      if (!known || (reading.wanted === 'everything' && !isWhole(known)))
        return readFirst(id, reading)
      if (known.revision !== revision || known.platform !== reading.platform) {
        if (!(await refresh(known, reading))) return undefined
      } else if (holds(known, reading.wanted)) return known
      else
        await add(
          known as SlicedState,
          missingIn(known as SlicedState, reading.wanted as Keys)!,
          reading,
        )
    }
    return undefined
  }

  return { states, idsBySlug, readFirst, refresh, add, readAt, wholeRowsMax }
}
