import type { LinePlace, Question, RoleLine } from './line.ts'

/**
 * How many role lines may lie between a subject and a line that it holds: membership of a team, nesting of
 * teams, the role and what it inherits, together. Casbin's role manager gets the same number and calls it the
 * maximal hierarchy level; longer chains count for nothing, and are refused when written.
 */
export const LINK_BUDGET = 24

/**
 * Whether a subject may be the one who asks. Roles and teams receive grants and never ask: Casbin would let
 * `role:root` do what its holders may.
 */
export const canAsk = (subject: string): boolean =>
  !subject.startsWith('role:') && !subject.startsWith('team:')

/** What a role line asks of a question. */
export type Asked = Pick<Question, 'organizationId' | 'workspaceId' | 'type' | 'id'>

const placeHolds = (place: LinePlace, { organizationId, workspaceId }: Asked): boolean => {
  if (place.kind === 'everywhere') return true
  if (place.organizationId !== organizationId) return false
  if (place.kind === 'organization') return true
  return place.kind === 'workspace' && place.workspaceId === workspaceId
}

/** A role on a resource holds in the one place that is named, and in none inside of it. */
const exactlyThere = (place: LinePlace, { organizationId, workspaceId }: Asked): boolean => {
  if (place.kind === 'everywhere') return organizationId === null
  if (place.organizationId !== organizationId) return false
  return (place.kind === 'workspace' ? place.workspaceId : null) === workspaceId
}

/** Whether a role line holds for what is asked; its time is not looked at. */
const roleLineHolds = ({ place, resource }: RoleLine, asked: Asked): boolean =>
  resource === null
    ? placeHolds(place, asked)
    : exactlyThere(place, asked) && resource.type === asked.type && resource.id === asked.id

/**
 * The shortest way from a subject to a role or team over lines that all hold for what is asked; empty when both
 * are the same, null when there is none within the link budget.
 */
export const findChain = (
  lines: Iterable<RoleLine>,
  asked: Asked,
  { from, to }: { readonly from: string; readonly to: string },
): RoleLine[] | null => {
  if (from === to) return []
  const bySubject = Map.groupBy(lines, ({ subject }) => subject)
  const reached = new Map<string, RoleLine[]>([[from, []]])
  for (const [subject, chain] of reached) {
    if (chain.length === LINK_BUDGET) continue
    for (const line of bySubject.get(subject) ?? []) {
      if (reached.has(line.holds) || !roleLineHolds(line, asked)) continue
      if (line.holds === to) return [...chain, line]
      reached.set(line.holds, [...chain, line])
    }
  }
  return null
}
