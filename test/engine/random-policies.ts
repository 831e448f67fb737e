import fc from 'fast-check'
import { LINK_BUDGET } from '../../src/engine/chain.ts'
import { environmentOf } from '../../src/engine/condition.ts'
import type {
  Line,
  LineObject,
  LinePlace,
  PermissionLine,
  Question,
  RoleLine,
} from '../../src/engine/line.ts'

// Random policies full of near collisions, and questions that are drawn from their lines so that many of them
// are allowed. Everything is an arbitrary of fast-check, so a failure shrinks.

const ORGANIZATIONS = ['acme', 'acme2'] as const
const WORKSPACES = ['ws1', 'ws2', 'ws1/x', '*']
const USERS = ['user:ann', 'user:auth0|a', 'user:a,b', 'service:*', 'user:1*', 'identity:%2F']
const TEAMS = ['team:t1', 'team:t2', 'team:t3']
const PLATFORM_ROLES = ['role:platform.p1', 'role:organization.o1', 'role:organization.o2']
const CUSTOM_ROLES = ['role:rol_1', 'role:rol_2', 'role:r,x']
/** Teams and roles in an order; most links lead from an earlier to a later one. */
const HELD = [...TEAMS, ...CUSTOM_ROLES, ...PLATFORM_ROLES]
const TYPES = ['doc', 'note', 'do']
const IDS = ['1', '12', '1*', '*', 'a/b', 'a,b', '%2F', 'auth0|a', '😀', 'é', '2']
const PREFIXES = ['1', 'a', '%', '*', '😀', '']
const ACTIONS = ['read', 'write', 'read:all', '*']
const CONDITIONS = [
  'true',
  'context.mfa',
  'context.mfa == true',
  'has(context.mfa) && !context.mfa',
  'context.missing == 1',
  'subject.id',
  'context.mfa ==',
  '',
]
const EXPIRIES = [1000, 2000, 3000]
const TIMES = [500, 1000, 1500, 2500, 3500]

const objectArb: fc.Arbitrary<LineObject> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<LineObject>({ kind: 'all' }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('type' as const), type: fc.constantFrom(...TYPES) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('resource' as const),
      type: fc.constantFrom(...TYPES),
      id: fc.constantFrom(...IDS),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('prefix' as const),
      type: fc.constantFrom(...TYPES),
      prefix: fc.constantFrom(...PREFIXES),
    }),
  },
)

const placeArb = (organizationId: string | null): fc.Arbitrary<LinePlace> =>
  organizationId === null
    ? fc.constant({ kind: 'everywhere' })
    : fc.oneof(
        {
          weight: 5,
          arbitrary: fc.constant<LinePlace>({ kind: 'organization', organizationId }),
        },
        {
          weight: 1,
          arbitrary: fc.constant<LinePlace>({ kind: 'organization-only', organizationId }),
        },
        {
          weight: 3,
          arbitrary: fc.record({
            kind: fc.constant('workspace' as const),
            organizationId: fc.constant(organizationId),
            workspaceId: fc.constantFrom(...WORKSPACES),
          }),
        },
      )

// fast-check's option gives null once in `freq`; here a value is what is rare.
const rare = <Value>(value: fc.Arbitrary<Value>, weight: number): fc.Arbitrary<Value | null> =>
  fc.oneof({ weight, arbitrary: value }, { weight: 10 - weight, arbitrary: fc.constant(null) })

const permissionArb = (organizationId: string | null): fc.Arbitrary<PermissionLine> =>
  fc.record({
    kind: fc.constant('permission' as const),
    subject: fc.constantFrom(
      ...USERS.slice(0, 4),
      ...HELD,
      ...(organizationId === null ? [] : USERS),
    ),
    place: placeArb(organizationId),
    object: objectArb,
    action: fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...ACTIONS) },
      { weight: 1, arbitrary: fc.constant(null) },
    ),
    condition: rare(fc.constantFrom(...CONDITIONS), 3),
    effect: fc.oneof(
      { weight: 8, arbitrary: fc.constant('allow' as const) },
      { weight: 1, arbitrary: fc.constant('deny' as const) },
    ),
    expiresAtMs: rare(fc.constantFrom(...EXPIRIES), 2),
  })

const endsArb: fc.Arbitrary<{ subject: string; holds: string }> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({ subject: fc.constantFrom(...USERS), holds: fc.constantFrom(...HELD) }),
  },
  {
    weight: 8,
    arbitrary: fc
      .tuple(fc.nat(HELD.length - 1), fc.nat(HELD.length - 1))
      .map(([a, b]) => ({ subject: HELD[Math.min(a, b)]!, holds: HELD[Math.max(a, b)]! })),
  },
  {
    weight: 1,
    arbitrary: fc.record({ subject: fc.constantFrom(...HELD), holds: fc.constantFrom(...HELD) }),
  },
)

const roleArb = (organizationId: string | null): fc.Arbitrary<RoleLine> =>
  fc
    .record({
      ends: endsArb,
      place: placeArb(organizationId),
      resource: rare(
        fc.record({ type: fc.constantFrom(...TYPES), id: fc.constantFrom(...IDS) }),
        3,
      ),
      expiresAtMs: rare(fc.constantFrom(...EXPIRIES), 2),
    })
    .map(({ ends, ...rest }) => ({ kind: 'role' as const, ...ends, ...rest }))

/** A chain as long as the link budget allows, or a little longer or shorter, with a permission at its end. */
const chainArb = (organizationId: string | null): fc.Arbitrary<Line[]> =>
  fc
    .record({
      links: fc.integer({ min: LINK_BUDGET - 2, max: LINK_BUDGET + 2 }),
      subject: fc.constantFrom(...USERS),
      place: placeArb(organizationId),
      type: fc.constantFrom(...TYPES),
    })
    .map(({ links, subject, place, type }) => {
      const names = [subject, ...Array.from({ length: links }, (_, at) => `role:deep.${at}`)]
      const roles = names.slice(1).map(
        (holds, at): RoleLine => ({
          kind: 'role',
          subject: names[at]!,
          holds,
          place,
          resource: null,
          expiresAtMs: null,
        }),
      )
      const permission: PermissionLine = {
        kind: 'permission',
        subject: names.at(-1)!,
        place,
        object: { kind: 'type', type },
        action: 'deep',
        condition: null,
        effect: 'allow',
        expiresAtMs: null,
      }
      return [...roles, permission]
    })

/** A way to a permission over two roles held on the same resource. */
const wayOnResourceArb = (organizationId: string | null): fc.Arbitrary<Line[]> =>
  fc
    .record({
      subject: fc.constantFrom(...USERS),
      through: fc.constantFrom(...TEAMS),
      holds: fc.constantFrom(...CUSTOM_ROLES),
      place: placeArb(organizationId),
      type: fc.constantFrom(...TYPES),
      id: fc.constantFrom(...IDS),
      permission: permissionArb(organizationId),
    })
    .map(({ subject, through, holds, place, type, id, permission }) => {
      const role = { kind: 'role' as const, place, resource: { type, id }, expiresAtMs: null }
      return [
        { ...role, subject, holds: through },
        { ...role, subject: through, holds },
        { ...permission, subject: holds, object: { kind: 'type', type } },
      ]
    })

/**
 * How many ways Casbin may walk at most. Its search remembers nothing, so a dense graph with a cycle would take
 * it for ever; such graphs are refused when written.
 */
const WALKS_MAX = 2000

const hasFewWalks = (lines: readonly RoleLine[]): boolean => {
  const next = Map.groupBy(lines, ({ subject }) => subject)
  return [...next.keys()].every((start) => {
    let level = new Map([[start, 1]])
    let walks = 0
    for (let depth = 0; depth < LINK_BUDGET && walks <= WALKS_MAX; depth++) {
      const following = new Map<string, number>()
      for (const [name, count] of level)
        for (const holds of new Set((next.get(name) ?? []).map((line) => line.holds)))
          following.set(holds, (following.get(holds) ?? 0) + count)
      level = following
      for (const count of level.values()) walks += count
    }
    return walks <= WALKS_MAX
  })
}

/** Without the links that would make Casbin's search endless. */
export const withFewWalks = (lines: readonly Line[]): Line[] => {
  const roles: RoleLine[] = []
  return lines.filter((line) => {
    if (line.kind !== 'role') return true
    roles.push(line)
    if (hasFewWalks(roles)) return true
    roles.pop()
    return false
  })
}

const linesArb = (organizationId: string | null, maxLength: number): fc.Arbitrary<Line[]> =>
  fc
    .tuple(
      fc.array(
        fc.oneof(
          { weight: 3, arbitrary: permissionArb(organizationId) },
          { weight: 3, arbitrary: roleArb(organizationId) },
        ),
        { maxLength, size: 'max' },
      ),
      rare(chainArb(organizationId), 2),
      rare(wayOnResourceArb(organizationId), 3),
    )
    .map(([lines, chain, way]) => [...lines, ...(chain ?? []), ...(way ?? [])])

/** Numbers from which a question about a policy is drawn, whatever its lines are by then. */
export type Pick = {
  readonly line: number
  readonly steps: readonly number[]
  readonly place: number
  readonly id: string
  readonly type: string
  readonly action: string
  readonly subject: string
  /** Which parts are taken from the alphabets and not from the lines. */
  readonly change: number
  readonly mfa: number
}

const pickArb: fc.Arbitrary<Pick> = fc.record({
  line: fc.noBias(fc.nat(1000)),
  steps: fc.array(fc.noBias(fc.nat(1000)), { minLength: 30, maxLength: 30 }),
  place: fc.noBias(fc.nat(1000)),
  id: fc.constantFrom(...IDS),
  type: fc.constantFrom(...TYPES, 'unheard-of'),
  action: fc.constantFrom(...ACTIONS, 'unheard-of', 'deep'),
  subject: fc.constantFrom(...USERS, 'user:nobody'),
  change: fc.noBias(fc.nat(69)),
  mfa: fc.nat(4),
})

/** What happens to the policy between two rounds of questions. */
export type Edit =
  | { readonly kind: 'none' }
  | { readonly kind: 'platform'; readonly lines: Line[] }
  | {
      readonly kind: 'replace'
      readonly organizationId: string
      /** Lines of the subjects that are replaced; the others are left out. */
      readonly lines: Line[]
      readonly subjects: string[]
    }

const editArb: fc.Arbitrary<Edit> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<Edit>({ kind: 'none' }) },
  {
    weight: 1,
    arbitrary: linesArb(null, 8).map((lines): Edit => ({ kind: 'platform', lines })),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(...ORGANIZATIONS).chain((organizationId) =>
      fc.record({
        kind: fc.constant('replace' as const),
        organizationId: fc.constant(organizationId),
        lines: linesArb(organizationId, 8),
        subjects: fc.subarray([...USERS, ...HELD], { minLength: 1, maxLength: 5 }),
      }),
    ),
  },
)

export type Round = { readonly edit: Edit; readonly nowMs: number; readonly picks: Pick[] }

/** A policy, and rounds of changes and questions. */
export type PolicyCase = {
  readonly platform: Line[]
  readonly organizations: { readonly [id: string]: Line[] }
  readonly rounds: Round[]
}

export const policyCaseArb: fc.Arbitrary<PolicyCase> = fc.record({
  platform: linesArb(null, 12),
  organizations: fc.record({ acme: linesArb('acme', 24), acme2: linesArb('acme2', 6) }),
  rounds: fc.array(
    fc.record({
      edit: editArb,
      nowMs: fc.constantFrom(...TIMES),
      picks: fc.array(pickArb, { minLength: 14, maxLength: 14 }),
    }),
    { minLength: 3, maxLength: 3 },
  ),
})

const at = <Value>(values: readonly Value[], pick: number): Value => values[pick % values.length]!

/** Someone who may hold what this subject holds: back along the role lines, as far as the pick says. */
const walkBack = (lines: readonly RoleLine[], from: string, pick: Pick): RoleLine[] => {
  const way: RoleLine[] = []
  for (let subject = from; ; ) {
    const before = lines.filter(({ holds }) => holds === subject)
    const isAsker = !subject.startsWith('role:') && !subject.startsWith('team:')
    const step = pick.steps[way.length]
    if (before.length === 0 || isAsker || step === undefined) return way
    const line = at(before, step)
    way.unshift(line)
    subject = line.subject
  }
}

const placeOf = (place: LinePlace, pick: Pick) => {
  const organizationId = place.kind === 'everywhere' ? null : place.organizationId
  const workspaceId = place.kind === 'workspace' ? place.workspaceId : null
  const somewhere = [...WORKSPACES, 'elsewhere', null, null]
  if (place.kind === 'organization')
    return { organizationId, workspaceId: at(somewhere, pick.place) }
  return { organizationId, workspaceId }
}

const idOf = (object: LineObject, pick: Pick): string | null => {
  if (object.kind === 'resource') return object.id
  if (object.kind === 'prefix') return object.prefix + (pick.place % 2 ? '' : pick.id)
  return pick.place % 3 === 0 ? null : pick.id
}

const environmentFor = (question: Omit<Question, 'environment' | 'nowMs'>, pick: Pick) => {
  const bags = [{ mfa: true }, { mfa: true }, { mfa: false }, { mfa: 'yes' }, {}]
  return environmentOf({
    subject: { type: 'user', id: question.subject.slice(question.subject.indexOf(':') + 1) },
    resource: { type: question.type, id: question.id },
    action: { name: question.action },
    context: bags[pick.mfa]!,
    now: new Date(0),
  })
}

/** A question about these lines: mostly one that a line is about, sometimes with a part exchanged. */
export const drawQuestion = (all: readonly Line[], pick: Pick, nowMs: number): Question => {
  const organization = at(ORGANIZATIONS, pick.steps[0]! % 5 === 0 ? 1 : 0)
  const lines = all.filter(
    ({ place, expiresAtMs }) =>
      (place.kind === 'everywhere' || place.organizationId === organization) &&
      (expiresAtMs === null || nowMs < expiresAtMs || pick.place % 5 === 0),
  )
  const given = lines.filter((line) => line.kind === 'permission')
  const wanted = pick.place % 6 === 0 ? 'deny' : 'allow'
  const fitting = given.filter(({ effect }) => effect === wanted)
  const permissions = fitting.length > 0 ? fitting : given
  const roles = lines.filter((line) => line.kind === 'role')
  const line = permissions.length > 0 ? at(permissions, pick.line) : undefined
  const way = line ? walkBack(roles, line.subject, pick) : []
  const onResource = way.find(({ resource }) => resource !== null)
  // The narrowest of the places on the way, and of the line itself.
  const places = [...(onResource ? [onResource.place] : []), ...way.map(({ place }) => place)]
  const place = [...places, ...(line ? [line.place] : [])]
    .filter(({ kind }) => kind !== 'everywhere')
    .sort((a, b) => Number(b.kind === 'workspace') - Number(a.kind === 'workspace'))[0]
  const somewhere: LinePlace = at(
    [
      { kind: 'organization', organizationId: 'acme' },
      { kind: 'everywhere' },
      { kind: 'organization', organizationId: 'acme2' },
    ],
    pick.place,
  )
  const exact = onResource?.resource
  const exactPlace = onResource && {
    organizationId: onResource.place.kind === 'everywhere' ? null : onResource.place.organizationId,
    workspaceId: onResource.place.kind === 'workspace' ? onResource.place.workspaceId : null,
  }
  const object = line?.object ?? { kind: 'all' }
  const drawn = {
    subject: way[0]?.subject ?? line?.subject ?? pick.subject,
    ...(exactPlace ?? placeOf(place ?? somewhere, pick)),
    type: exact?.type ?? (object.kind === 'all' ? pick.type : object.type),
    id: exact?.id ?? idOf(object, pick),
    action: line?.action ?? pick.action,
  }
  const changes = [
    { subject: pick.subject },
    { type: pick.type },
    { id: pick.id },
    { id: null },
    { action: pick.action },
    { workspaceId: at(WORKSPACES, pick.place) },
    { workspaceId: at(WORKSPACES, pick.steps[29]!) },
    { organizationId: at([...ORGANIZATIONS, null], pick.place) },
  ]
  const question = { ...drawn, ...(changes[pick.change] ?? {}) }
  const workspaceId = question.organizationId === null ? null : question.workspaceId
  const asked = { ...question, workspaceId }
  return { ...asked, nowMs, environment: () => environmentFor(asked, pick) }
}

/** What a question is, for a message. */
export const describeQuestion = ({ environment, ...question }: Question): string =>
  `${JSON.stringify(question)} with context ${JSON.stringify(environment().context)}`
