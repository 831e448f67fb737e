import type { Line, LinePlace, Question, RoleLine } from '../src/engine/line.ts'

// The mix that everything is measured over: 1M grants in 10,000 organizations (one of 100,000, nine of 5,000, the others
// 86); 45 % roles in the organization, 15 % in a workspace, 5 % on a resource, 33 % permissions on a resource of which a
// fifth denies, 2 % lines of custom roles; 53 lines of built-in roles.

/** The time of every question in process. */
export const NOW = Date.parse('2026-11-21T00:00:00Z')
const LATER = NOW + 86_400_000

/** Repeatable chance (mulberry32). */
export const createRandom = (seed: number) => {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  return { next, below: (count: number) => Math.floor(next() * count) }
}
export type Random = ReturnType<typeof createRandom>

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

/** Text as a driver or a parser hands it over: one flat string of its own. */
const flat = (text: string) => Buffer.from(text, 'latin1').toString('latin1')

/** The 26 characters of a TypeID: a time, then chance. */
export const createId = (random: Random, prefix: string): string => {
  let id = `${prefix}01kb`
  for (let at = 0; at < 22; at++) id += ALPHABET[random.below(32)]
  return flat(id)
}

export const TYPES = ['scenario', 'folder', 'report', 'dataset', 'model', 'dashboard']
export const ACTIONS = [
  'read',
  'create',
  'update',
  'delete',
  'execute',
  'share',
  'export',
  'archive',
]
export const ROLES = ['reader', 'editor', 'keeper']
const EVERYWHERE: LinePlace = { kind: 'everywhere' }

const permission = (subject: string, type: string, action: string): Line => ({
  kind: 'permission',
  subject,
  place: EVERYWHERE,
  object: { kind: 'type', type },
  action,
  condition: null,
  effect: 'allow',
  expiresAtMs: null,
})

const heldEverywhere = (subject: string, holds: string): RoleLine => ({
  kind: 'role',
  subject,
  holds,
  place: EVERYWHERE,
  resource: null,
  expiresAtMs: null,
})

/** 53 lines: reader < editor < keeper, as roles of organizations and of workspaces. */
export const templateLines = (): Line[] => {
  const lines: Line[] = []
  for (const scope of ['organization', 'workspace']) {
    const [reader, editor, keeper] = ROLES.map((role) => `role:${scope}.${role}`)
    lines.push(heldEverywhere(editor!, reader!), heldEverywhere(keeper!, editor!))
    for (const type of TYPES) {
      lines.push(permission(reader!, type, 'read'))
      lines.push(permission(editor!, type, 'update'), permission(editor!, type, 'execute'))
      lines.push(permission(keeper!, type, 'delete'))
    }
  }
  lines.push(permission('role:platform.support', 'scenario', 'read'))
  return lines.slice(0, 53)
}

export type Extras = { readonly conditional: boolean; readonly expiring: boolean }

/** The lines of one organization, made while they are read, and whom and what to ask about. */
const organizationOf = (random: Random, organizationId: string, grants: number, extras: Extras) => {
  const users = Array.from({ length: Math.max(1, Math.round(grants * 0.45)) }, () =>
    createId(random, 'user:'),
  )
  const workspaces = Array.from({ length: 3 }, () => createId(random, 'wsp_'))
  const resources: { id: string; type: string; workspaceId: string }[] = []
  const place: LinePlace = { kind: 'organization', organizationId }
  const somewhere = (): LinePlace & { workspaceId: string } => ({
    kind: 'workspace',
    organizationId,
    workspaceId: workspaces[random.below(3)]!,
  })
  const someone = () => users[random.below(users.length)]!
  const given = new Set<string>()
  /** A subject that does not hold this role there yet: what is stored is stored once. */
  const someoneNew = (workspaceId: string, role: number): string => {
    const subject = someone()
    const key = `${subject} ${workspaceId} ${role}`
    if (given.has(key)) return someoneNew(workspaceId, role)
    given.add(key)
    return subject
  }
  let customLines = 0
  const expiresAtMs = () => (extras.expiring && random.next() < 0.05 ? LATER : null)

  const resourceIn = (workspaceId: string) => {
    const resource = { id: createId(random, ''), type: TYPES[random.below(6)]!, workspaceId }
    resources.push(resource)
    return resource
  }

  const lineAt = (at: number): Line => {
    const base = { kind: 'role' as const, place, resource: null, expiresAtMs: expiresAtMs() }
    if (at < users.length)
      return {
        ...base,
        subject: users[at]!,
        holds: flat(`role:organization.${ROLES[at % 10 === 0 ? 2 : at % 2]}`),
      }
    const share = (at - users.length) / (grants - users.length)
    const where = somewhere()
    if (share < 15 / 55) {
      const role = random.below(3)
      return {
        ...base,
        subject: someoneNew(where.workspaceId, role),
        holds: flat(`role:workspace.${ROLES[role]}`),
        place: where,
      }
    }
    if (share < 20 / 55) {
      const { id, type } = resourceIn(where.workspaceId)
      const resource = { type, id }
      return { ...base, subject: someone(), holds: 'role:workspace.editor', place: where, resource }
    }
    const action = ACTIONS[random.below(8)]!
    const line = { kind: 'permission' as const, expiresAtMs: expiresAtMs(), action }
    const effect = random.next() < 0.2 ? ('deny' as const) : ('allow' as const)
    const isConditional = extras.conditional && random.next() < 0.15
    if (share < 53 / 55) {
      const { id, type } = resourceIn(where.workspaceId)
      const condition = isConditional ? flat('resource.owner == subject.id') : null
      const object = { kind: 'resource' as const, type, id }
      return { ...line, subject: someone(), place: where, object, condition, effect }
    }
    const custom = customLines++
    return {
      ...line,
      subject: flat(`role:${organizationId}.workspace.analyst-${Math.floor(custom / 48)}`),
      action: ACTIONS[custom % 8]!,
      place,
      object: { kind: 'type' as const, type: TYPES[Math.floor(custom / 8) % 6]! },
      condition: null,
      effect: 'allow',
      expiresAtMs: null,
    }
  }

  function* lines() {
    for (let at = 0; at < grants; at++) yield lineAt(at)
  }
  return { organizationId, users, workspaces, resources, lines }
}

export const sizesOfMix = (grants: number): number[] => {
  const large = [grants / 10, ...Array.from({ length: 9 }, () => grants / 200)]
  const rest = grants - large.reduce((sum, size) => sum + size, 0)
  const count = Math.round(rest / 85.6)
  return [...large, ...Array.from({ length: count }, () => Math.round(rest / count))]
}

export const shuffle = <Value>(random: Random, values: Value[]): Value[] => {
  for (let at = values.length - 1; at > 0; at--) {
    const other = random.below(at + 1)
    ;[values[at], values[other]] = [values[other]!, values[at]!]
  }
  return values
}

/** The same organization every time it is made, so that questions are drawn after the measuring. */
export const remake = (at: number, size: number, extras: Extras) => {
  const random = createRandom(at)
  return { random, ...organizationOf(random, createId(random, 'org_'), size, extras) }
}

/** An organization of the mix. */
export type Organization = ReturnType<typeof organizationOf>

/** A question without what is the same for all. */
export type Asked = Omit<Question, 'environment' | 'nowMs'>

/** A question with strings of its own, as a parser makes them. */
export const drawQuestion = (random: Random, organization: Organization): Asked => {
  const { organizationId, users, workspaces, resources } = organization
  const resource = resources[random.below(resources.length)]!
  const isKnown = random.next() < 0.5
  const body = {
    subject: users[random.below(users.length)]!,
    organizationId,
    workspaceId: isKnown ? resource.workspaceId : workspaces[random.below(3)]!,
    type: isKnown ? resource.type : TYPES[random.below(6)]!,
    id: isKnown ? resource.id : createId(random, ''),
    action: random.next() < 0.6 ? 'read' : ACTIONS[random.below(8)]!,
  }
  return JSON.parse(JSON.stringify(body)) as typeof body
}
