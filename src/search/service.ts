import type { BatchCheck } from '../decisions/schema.ts'
import type { Wanted } from '../decisions/service.ts'
import {
  type Decision,
  decideForList,
  findState,
  type OrganizationState,
  type Policies,
  wantedBy,
} from '../decisions/service.ts'
import type { Context } from '../platform/context.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import { cursorAt, positionOf, toPage } from '../platform/page.ts'
import { Problem } from '../platform/problem.ts'
import { keptAt } from './kept.ts'
import * as repository from './repository.ts'
import type { SearchPermissions, SearchResources, SearchSubjects } from './schema.ts'

/** Candidates read at once, and asked about for one answer; beyond, the answer ends with a cursor. */
const READ_MAX = 1000
const ASKED_MAX = 20_000

type Source = (after: string, limit: number) => Promise<string[]>
type Found = { key: string } & Pick<Decision, 'reason' | 'code'>

/**
 * Walks candidates in order and keeps those that are allowed, until the page is full. Whether somebody or something is
 * allowed is decided as `/check` decides it, from wherever they are: a list cannot disagree with a check.
 */
const walk = async (
  source: Source,
  ask: (key: string) => Decision,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
  signal?: AbortSignal,
) => {
  const found: Found[] = []
  let [after, asked] = [positionOf(cursor), 0]
  for (;;) {
    const candidates = await source(after, READ_MAX)
    signal?.throwIfAborted()
    for (const key of candidates) {
      after = key
      asked++
      const { allowed, reason, code } = ask(key)
      if (allowed) found.push({ key, reason, code })
      if (found.length > limit)
        return { ...toPage(found, limit, (each) => each.key), complete: false }
    }
    if (candidates.length < READ_MAX)
      return { ...toPage(found, limit, (each) => each.key), complete: true }
    // Most are denied: an answer that goes on is better than one that does not come.
    if (asked >= ASKED_MAX) return { items: found, nextCursor: cursorAt(after), complete: false }
  }
}

/** The policy as it is now, with what is asked about: a list that is acted on must not be behind. */
const stateOf = (policies: Policies, context: Context, wanted: Wanted) =>
  findState(policies, context, context.organizationId, { consistency: 'full', wanted })

/** The same policy, with everything that is asked about next. */
const policyFor = (
  policies: Policies,
  context: Context,
  { state, asked }: { state: OrganizationState; asked: { subject: string; resource: string }[] },
): OrganizationState | Promise<OrganizationState> =>
  state.slice === null
    ? state
    : findState(policies, context, state.id, {
        consistency: { atLeast: state.token },
        wanted: wantedBy(context, asked),
      })

/** The same policy with everybody who may be on a list. */
const withEverybody = async (policies: Policies, context: Context, state: OrganizationState) =>
  state.slice === null
    ? state
    : findState(policies, context, state.id, {
        consistency: { atLeast: state.token },
        wanted: 'everything',
      })

type At = Pick<BatchCheck, 'workspace' | 'resource'>
const placed = ({ workspace, resource }: At): At => ({
  ...(workspace ? { workspace } : {}),
  ...(resource ? { resource } : {}),
})

/**
 * What may this subject do here? Each permission with the reason why it is allowed. Not kept: all it needs is in memory, and
 * making sure that a page may be kept would take longer than the page.
 */
export const searchPermissions = async (
  policies: Policies,
  context: Context,
  { subject, limit, cursor, ...place }: SearchPermissions,
) => {
  const state = await stateOf(policies, context, wantedBy(context, [{ subject, ...place }]))
  const nowMs = context.now().getTime()
  const type = place.resource?.split(':')[0]
  const keys = [...state.platform.permissions.keys()]
    .filter((key) => !type || key.startsWith(`${type}:`))
    .sort()
  const source: Source = async (after, most) => keys.filter((key) => key > after).slice(0, most)
  const ask = (permission: string) =>
    decideForList(policies, state, { ...placed(place), subject, permission }, { nowMs })
  const page = await walk(source, ask, { limit, cursor })
  const items = page.items.map(({ key, ...why }) => ({ permission: key, ...why }))
  return { ...page, items, revision: state.token }
}

/** Who may do this here? Members, keys, services and operators, each with the reason. */
export const searchSubjects = async (
  policies: Policies,
  context: Context,
  input: SearchSubjects,
) => {
  const { permission, limit, cursor, ...place } = input
  const known = await stateOf(policies, context, wantedBy(context))
  return keptAt(context, known, ['subjects', input], async (about) => {
    const { organizationId } = context
    const state = await withEverybody(policies, context, known)
    const source: Source = (after, most) =>
      inPlatform(context.sql, (tx) =>
        repository.findCandidates(tx, { organizationId, after, limit: most }),
      )
    const ask = (subject: string) =>
      decideForList(policies, state, { ...placed(place), subject, permission }, about)
    const page = await walk(source, ask, { limit, cursor }, about.signal)
    return { ...page, items: page.items.map(({ key, ...why }) => ({ subject: key, ...why })) }
  })
}

/** On which resources of the permission's type may this subject do this? Registered ones, and those with a grant. */
export const searchResources = async (
  policies: Policies,
  context: Context,
  input: SearchResources,
) => {
  const { subject, permission, type: named, limit, cursor, workspace } = input
  const type = permission.slice(0, permission.indexOf(':'))
  const known = await stateOf(policies, context, wantedBy(context, [{ subject }]))
  if (named !== undefined && named !== type)
    throw new Problem('unprocessable', 'type-differs', 'The permission is about another type.', {
      errors: [{ pointer: '/type', detail: `must be ${type}, or left out` }],
    })
  return keptAt(context, known, ['resources', input], async (about) => {
    const { organizationId } = context
    let state = known
    const source: Source = async (after, most) => {
      const ids = await inPlatform(context.sql, (tx) =>
        repository.findResources(tx, { organizationId, type, after, limit: most }),
      )
      const asked = ids.map((id) => ({ subject, resource: `${type}:${id}` }))
      state = await policyFor(policies, context, { state, asked })
      return ids
    }
    const ask = (id: string) => {
      const resource = `${type}:${id}`
      const question = { ...placed({ workspace, resource }), subject, permission }
      return decideForList(policies, state, question, about)
    }
    const page = await walk(source, ask, { limit, cursor }, about.signal)
    const items = page.items.map(({ key, ...why }) => ({ resource: `${type}:${key}`, ...why }))
    return { ...page, items }
  })
}
