import type { Outcome } from '../engine/engine.ts'
import type { LinePlace, PermissionLine, RoleLine } from '../engine/line.ts'
import type { OrganizationState } from './policies.ts'

/** `organization acme`, `workspace ws1`: a place in words. */
const placeName = (state: OrganizationState, place: LinePlace): string => {
  if (place.kind === 'everywhere') return 'the platform'
  if (place.kind === 'workspace')
    return `workspace ${state.workspaces.get(place.workspaceId)?.slug ?? place.workspaceId}`
  return `organization ${state.slug}`
}

const objectName = ({ object }: PermissionLine): string => {
  if (object.kind === 'resource') return `${object.type}:${object.id}`
  if (object.kind === 'type') return `every ${object.type}`
  return object.kind === 'prefix' ? `${object.type}:${object.prefix}…` : 'everything'
}

/** A role's or team's name for people: the part after home and scope. */
export const shortName = (subject: string): string =>
  subject.startsWith('role:')
    ? `role ${subject.slice(subject.lastIndexOf('.') + 1)}`
    : subject.replace(':', ' ')

const linkPlace = (state: OrganizationState, link: RoleLine): string =>
  link.resource
    ? `on ${link.resource.type}:${link.resource.id}`
    : `in ${placeName(state, link.place)}`

/** The chain from the subject to the role that decided: `role editor in workspace ws1 through team eng`. */
const chainName = (state: OrganizationState, chain: readonly RoleLine[]): string => {
  const held = chain.find(({ holds }) => holds.startsWith('role:')) ?? chain.at(-1)
  if (!held) return 'a role'
  const teams = chain
    .filter(({ holds }) => holds.startsWith('team:'))
    .map(({ holds }) => shortName(holds))
  const through = held.holds.startsWith('team:') ? [] : teams
  const words = `${shortName(held.holds)} ${linkPlace(state, held)}`
  return through.length > 0 ? `${words} through ${through.join(', ')}` : words
}

/** One sentence that says why. */
export const reasonOf = (state: OrganizationState, outcome: Outcome): string => {
  const because = outcome.because()
  if (!because) return 'no role or grant gives this here'
  const { line, chain } = because
  const place = placeName(state, line.place)
  switch (outcome.code) {
    case 'role':
      return `granted by ${chainName(state, chain)}`
    case 'grant':
      return `granted directly on ${objectName(line)} in ${place}`
    case 'denied':
      return chain.length === 0
        ? `denied by a grant to the subject on ${objectName(line)} in ${place}`
        : `denied by a grant to ${shortName(line.subject)} on ${objectName(line)} in ${place}`
    case 'condition':
      return `would be granted on ${objectName(line)} in ${place}, but its condition does not hold`
    default:
      return 'no role or grant gives this here'
  }
}
