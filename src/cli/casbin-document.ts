import type { CasbinRow } from '../engine/casbin-row.ts'

/** What an import document holds that a Casbin policy can say, and the permissions it names. */
export type CasbinDocument = {
  permissions: string[]
  roles: {
    name: string
    permissions: (string | { permission: string; condition: string })[]
    inherits: string[]
  }[]
  members: { user: string; roles: string[] }[]
  teams: { slug: string; parent: string | null; members: string[] }[]
  workspaces: { slug: string; name: string }[]
  grants: {
    subject: string
    role?: string
    permission?: string
    workspace?: string
    resource?: string
    effect?: 'allow' | 'deny'
    condition?: string
  }[]
}

type Problem = { line: number; detail: string }
type Place = { workspace?: string; resource?: string }

const ROLE = /^role:([a-z0-9][a-z0-9._-]{0,63})$/
const TEAM = /^team:([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)$/
/** `*`, `/acme/*`, `/acme/ws1/*`, and for a role on one resource `/acme/ws1/doc:7`. */
const DOMAIN = /^(?:\*|\/[^/]*\/(?:([^/*:]+)\/)?(?:\*|([^/*:]+:.+))?)$/

const placeOf = (domain: string): Place | undefined => {
  const match = DOMAIN.exec(domain)
  if (!match) return undefined
  return {
    ...(match[1] ? { workspace: match[1] } : {}),
    ...(match[2] ? { resource: match[2] } : {}),
  }
}

/**
 * Turns a Casbin policy of one organization into an import document: role lines become custom roles, memberships, teams
 * and role grants; permission lines become what roles hold, or grants. The organization is the one imported into,
 * whatever the lines call it.
 * @returns the document, and every line that means nothing here; such a policy must not be imported
 */
export const documentOfCasbin = (rows: readonly CasbinRow[]) => {
  const problems: Problem[] = []
  const permissions = new Set<string>()
  const roles = new Map<string, CasbinDocument['roles'][number]>()
  const members = new Map<string, CasbinDocument['members'][number]>()
  const teams = new Map<string, CasbinDocument['teams'][number]>()
  const workspaces = new Set<string>()
  const grants: CasbinDocument['grants'] = []

  const roleOf = (name: string) => {
    const role = roles.get(name) ?? { name, permissions: [], inherits: [] }
    roles.set(name, role)
    return role
  }
  const teamOf = (slug: string) => {
    const team = teams.get(slug) ?? { slug, parent: null, members: [] }
    teams.set(slug, team)
    return team
  }
  const mention = (subject: string) => {
    const team = TEAM.exec(subject)?.[1]
    if (team) teamOf(team)
    else if (subject.startsWith('user:') && !members.has(subject))
      members.set(subject, { user: subject, roles: [] })
  }

  const readLink = ({ line, fields }: CasbinRow) => {
    const [subject = '', holds = '', domain = ''] = fields
    const place = placeOf(domain)
    const refuse = (detail: string) => problems.push({ line, detail })
    if (!place)
      return refuse('The domain is none of *, /organization/*, /organization/workspace/*.')
    if (place.workspace) workspaces.add(place.workspace)
    const [heldRole, heldTeam] = [ROLE.exec(holds)?.[1], TEAM.exec(holds)?.[1]]
    const [role, team] = [ROLE.exec(subject)?.[1], TEAM.exec(subject)?.[1]]
    mention(subject)
    if (role && heldRole) {
      if (place.workspace || place.resource)
        return refuse('A role inherits in the whole organization or not at all.')
      roleOf(heldRole)
      return roleOf(role).inherits.push(heldRole)
    }
    if (heldTeam) {
      if (place.workspace || place.resource) return refuse('A team is of the whole organization.')
      const target = teamOf(heldTeam)
      if (!team) return target.members.push(subject)
      const child = teamOf(team)
      if (child.parent !== null && child.parent !== heldTeam)
        return refuse('A team has one parent at most.')
      child.parent = heldTeam
      return undefined
    }
    if (!heldRole) return refuse('What is held is neither role:name nor team:name.')
    roleOf(heldRole)
    const member = members.get(subject)
    if (member && !place.workspace && !place.resource) return member.roles.push(heldRole)
    return grants.push({ subject, role: heldRole, ...place })
  }

  const readPermission = ({ line, fields }: CasbinRow) => {
    const [
      subject = '',
      domain = '',
      object = '',
      action = '',
      condition = 'true',
      effect = 'allow',
    ] = fields
    const place = placeOf(domain)
    const refuse = (detail: string) => problems.push({ line, detail })
    if (!place || place.resource)
      return refuse('The domain is none of *, /organization/*, /organization/workspace/*.')
    const colon = object.indexOf(':')
    if (colon <= 0 || action === '*')
      return refuse('A permission names one resource type and one action.')
    const [type, id] = [object.slice(0, colon), object.slice(colon + 1)]
    if (id.length > 1 && id.endsWith('*'))
      return refuse('A prefix of resource ids cannot be granted.')
    if (place.workspace) workspaces.add(place.workspace)
    const permission = `${type}:${action}`
    permissions.add(permission)
    const when = condition === 'true' ? {} : { condition }
    const role = ROLE.exec(subject)?.[1]
    if (role) {
      if (id !== '*' || place.workspace || effect === 'deny')
        return refuse(
          'A role holds permissions on whole types, in the whole organization, and refuses none.',
        )
      return roleOf(role).permissions.push(
        condition === 'true' ? permission : { permission, condition },
      )
    }
    mention(subject)
    const resource = id === '*' ? {} : { resource: object }
    const refused = effect === 'deny' ? { effect: 'deny' as const } : {}
    return grants.push({ subject, permission, ...place, ...resource, ...when, ...refused })
  }

  for (const row of rows) {
    if (row.ptype === 'g') readLink(row)
    else readPermission(row)
  }
  const document: CasbinDocument = {
    permissions: [...permissions].sort(),
    roles: [...roles.values()],
    members: [...members.values()],
    teams: [...teams.values()],
    workspaces: [...workspaces].map((slug) => ({ slug, name: slug })),
    grants,
  }
  return { document, problems }
}
