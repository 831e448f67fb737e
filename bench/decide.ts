import { readFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { environmentOf } from '../src/engine/condition.ts'
import {
  createEngine,
  type Engine,
  type OrganizationPolicy,
  type PlatformPolicy,
} from '../src/engine/engine.ts'
import type { Line, LinePlace, Question, RoleLine } from '../src/engine/line.ts'

// How fast the engine decides in process, and what it takes to hold the grants. Run by itself:
//   node bench/decide.ts
// The mix: 1M grants in 10,000 organizations (one of 100,000, nine of 5,000, the others 86); 45 % roles in the
// organization, 15 % in a workspace, 5 % on a resource, 33 % permissions on a resource of which a fifth denies,
// 2 % lines of custom roles; 53 lines of built-in roles.

/** One measured figure beside its target. */
export type BenchRow = {
  readonly name: string
  readonly value: number
  readonly unit: string
  readonly target: number | null
  /** What the figure was taken over. */
  readonly note: string
}

const modelText = readFileSync(new URL('../model.conf', import.meta.url), 'utf8')
const NOW = Date.parse('2026-11-21T00:00:00Z')
const LATER = NOW + 86_400_000

/** Repeatable chance (mulberry32). */
const createRandom = (seed: number) => {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  return { next, below: (count: number) => Math.floor(next() * count) }
}
type Random = ReturnType<typeof createRandom>

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

/** Text as a driver or a parser hands it over: one flat string of its own. */
const flat = (text: string) => Buffer.from(text, 'latin1').toString('latin1')

/** The 26 characters of a TypeID: a time, then chance. */
const createId = (random: Random, prefix: string): string => {
  let id = `${prefix}01kb`
  for (let at = 0; at < 22; at++) id += ALPHABET[random.below(32)]
  return flat(id)
}

const TYPES = ['scenario', 'folder', 'report', 'dataset', 'model', 'dashboard']
const ACTIONS = ['read', 'create', 'update', 'delete', 'execute', 'share', 'export', 'archive']
const ROLES = ['viewer', 'editor', 'admin']
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

/** 53 lines: viewer < editor < admin, as roles of organizations and of workspaces. */
const templateLines = (): Line[] => {
  const lines: Line[] = []
  for (const scope of ['organization', 'workspace']) {
    const [viewer, editor, admin] = ROLES.map((role) => `role:${scope}.${role}`)
    lines.push(heldEverywhere(editor!, viewer!), heldEverywhere(admin!, editor!))
    for (const type of TYPES) {
      lines.push(permission(viewer!, type, 'read'))
      lines.push(permission(editor!, type, 'update'), permission(editor!, type, 'execute'))
      lines.push(permission(admin!, type, 'delete'))
    }
  }
  lines.push(permission('role:platform.support', 'scenario', 'read'))
  return lines.slice(0, 53)
}

type Extras = { readonly conditional: boolean; readonly expiring: boolean }

/** The lines of one organization, made while they are read, and whom and what to ask about. */
const organizationOf = (random: Random, organizationId: string, grants: number, extras: Extras) => {
  const users = Array.from({ length: Math.max(1, Math.round(grants * 0.45)) }, () =>
    createId(random, 'user:'),
  )
  const workspaces = Array.from({ length: 3 }, () => createId(random, 'wsp_'))
  const resources: { id: string; type: string; workspaceId: string }[] = []
  const role = flat(`role:${organizationId}.workspace.analyst`)
  const place: LinePlace = { kind: 'organization', organizationId }
  const somewhere = (): LinePlace & { workspaceId: string } => ({
    kind: 'workspace',
    organizationId,
    workspaceId: workspaces[random.below(3)]!,
  })
  const someone = () => users[random.below(users.length)]!
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
    if (share < 15 / 55)
      return {
        ...base,
        subject: someone(),
        holds: flat(`role:workspace.${ROLES[random.below(3)]}`),
        place: where,
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
    const object = { kind: 'type' as const, type: TYPES[random.below(6)]! }
    return { ...line, subject: role, place, object, condition: null, effect: 'allow' }
  }

  function* lines() {
    for (let at = 0; at < grants; at++) yield lineAt(at)
  }
  return { organizationId, users, workspaces, resources, lines }
}

const environment = () =>
  environmentOf({
    subject: { type: 'user', id: 'x' },
    resource: { type: 'scenario', id: 'x', owner: 'x' },
    action: { name: 'read' },
    now: new Date(NOW),
  })

type Drawn = { readonly policy: number; readonly question: Question }

type Asked = ReturnType<typeof organizationOf>

/** A question with strings of its own, as a parser makes them. */
const drawQuestion = (random: Random, organization: Asked): Question => {
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
  return { ...(JSON.parse(JSON.stringify(body)) as typeof body), nowMs: NOW, environment }
}

const collectGarbage = (): void => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  gc()
  gc()
}

const heldBytes = () => {
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const sizesOfMix = (grants: number): number[] => {
  const large = [grants / 10, ...Array.from({ length: 9 }, () => grants / 200)]
  const rest = grants - large.reduce((sum, size) => sum + size, 0)
  const count = Math.round(rest / 85.6)
  return [...large, ...Array.from({ length: count }, () => Math.round(rest / count))]
}

type Held = {
  readonly engine: Engine
  readonly policies: OrganizationPolicy[]
  readonly platform: PlatformPolicy
  readonly questions: Drawn[]
  readonly hot: Drawn[]
  readonly grants: number
  readonly bytes: number
  readonly residentBytes: number
  readonly estimated: number
  readonly compileMs: number
}

const shuffle = <Value>(random: Random, values: Value[]): Value[] => {
  for (let at = values.length - 1; at > 0; at--) {
    const other = random.below(at + 1)
    ;[values[at], values[other]] = [values[other]!, values[at]!]
  }
  return values
}

/** The same organization every time it is made, so that questions are drawn after the measuring. */
const remake = (at: number, size: number, extras: Extras) => {
  const random = createRandom(at)
  return { random, ...organizationOf(random, createId(random, 'org_'), size, extras) }
}

/** Questions about some organizations, in a random order, with strings as a parser has just made them. */
const draw = (sizes: readonly number[], from: number, count: number, extras: Extras): Drawn[] => {
  const perOrganization = Math.ceil(count / (sizes.length - from))
  const drawn: Drawn[] = []
  for (let at = from; at < sizes.length && drawn.length < count; at++) {
    const { random, ...organization } = remake(at, sizes[at]!, extras)
    // The resources are known when the lines were made.
    for (const _ of organization.lines());
    for (let left = perOrganization; left > 0 && drawn.length < count; left--)
      drawn.push({ policy: at, question: drawQuestion(random, organization) })
  }
  const fresh = JSON.parse(JSON.stringify(shuffle(createRandom(count), drawn))) as Drawn[]
  return fresh.map(({ policy, question }) => ({ policy, question: { ...question, environment } }))
}

/** Holds organizations of these sizes, and draws questions over all of them and over the last. */
const hold = async (sizes: readonly number[], count: number, extras: Extras): Promise<Held> => {
  const engine = createEngine({ modelText, verify: 'off' })
  const platform = engine.compilePlatform(templateLines())
  const policies: OrganizationPolicy[] = []
  const before = heldBytes()
  const residentBefore = process.memoryUsage.rss()
  let compileMs = 0
  for (const [at, size] of sizes.entries()) {
    const { organizationId, lines } = remake(at, size, extras)
    const made = size > 1000 ? lines() : [...lines()]
    const started = performance.now()
    policies.push(await engine.compileOrganization(platform, organizationId, made))
    compileMs += performance.now() - started
  }
  const bytes = heldBytes() - before
  const residentBytes = process.memoryUsage.rss() - residentBefore
  return {
    engine,
    policies,
    platform,
    questions: draw(sizes, 0, count, extras),
    hot: draw(sizes, sizes.length - 1, 1024, extras),
    grants: sizes.reduce((sum, size) => sum + size, 0),
    bytes,
    residentBytes,
    estimated: policies.reduce((sum, policy) => sum + engine.bytes(policy), 0),
    compileMs,
  }
}

type Timing = { readonly medianUs: number; readonly lowestUs: number; readonly highestUs: number }

/** Median time of a decision over windows of at least 300 ms, after all views were built. */
const time = (
  { engine, policies }: Pick<Held, 'engine' | 'policies'>,
  drawn: readonly Drawn[],
  windows = 7,
): Timing => {
  let allowed = 0
  const pass = () => {
    for (const { policy, question } of drawn)
      if (engine.decide(policies[policy]!, question).allowed) allowed += 1
  }
  pass()
  pass()
  const figures: number[] = []
  for (let window = 0; window < windows; window++) {
    const started = performance.now()
    let passes = 0
    let elapsed = 0
    while (elapsed < 300) {
      pass()
      passes += 1
      elapsed = performance.now() - started
    }
    figures.push((1000 * elapsed) / (passes * drawn.length))
  }
  if (allowed === 0) throw new Error('no question was allowed')
  figures.sort((a, b) => a - b)
  return {
    medianUs: figures[windows >> 1]!,
    lowestUs: figures[0]!,
    highestUs: figures.at(-1)!,
  }
}

const shareAllowed = ({ engine, policies }: Held, drawn: readonly Drawn[]) =>
  drawn.filter(({ policy, question }) => engine.decide(policies[policy]!, question).allowed)
    .length / drawn.length

const spread = ({ lowestUs, highestUs }: Timing) =>
  `${lowestUs.toFixed(2)}–${highestUs.toFixed(2)} µs over 7 windows`

const small = (count: number) => Array.from({ length: count }, () => 100)
const PLAIN: Extras = { conditional: false, expiring: false }

/** Time of a question that no view was built for, over different subjects. */
const timeCold = (held: Held): number => {
  const fresh = held.policies.map((policy) => held.engine.withPlatform(policy, held.platform))
  const first = new Map(
    held.questions.map((drawn) => [`${drawn.policy} ${drawn.question.subject}`, drawn]),
  )
  const drawn = [...first.values()].slice(0, 20_000)
  const started = performance.now()
  for (const { policy, question } of drawn) held.engine.decide(fresh[policy]!, question)
  return (1000 * (performance.now() - started)) / drawn.length
}

/** Time to exchange one subject's lines, asked once after each so that a view is built again. */
const timeEdit = (held: Held): number => {
  const { engine, policies, hot } = held
  const { policy: at, question } = hot[0]!
  const policy = policies[at]!
  const { subject } = question
  const lines = [...engine.linesOf(policy)].filter((line) => line.subject === subject)
  const started = performance.now()
  for (let round = 0; round < 20_000; round++) engine.replaceSubjects(policy, [subject], lines)
  return (1000 * (performance.now() - started)) / 20_000
}

/** Teams with roles on single resources, as code hosts have them: 20 teams, each on 2,500 of 10,000. */
const holdTeams = async (verify: 'off' | 'all') => {
  const random = createRandom(3)
  const engine = createEngine({ modelText, verify })
  const platform = engine.compilePlatform(templateLines())
  const organizationId = 'org_teams'
  const place: LinePlace = { kind: 'organization', organizationId }
  const ids = Array.from({ length: 10_000 }, () => createId(random, ''))
  const teams = Array.from({ length: 20 }, (_, at) => `team:${at}`)
  const users = Array.from({ length: 200 }, () => createId(random, 'user:'))
  const held = (subject: string, holds: string, id: string | null): RoleLine => ({
    kind: 'role',
    subject,
    holds,
    place,
    resource: id === null ? null : { type: 'scenario', id },
    expiresAtMs: null,
  })
  const lines = [
    ...users.map((user, at) => held(user, teams[at % 20]!, null)),
    ...teams.flatMap((team, at) =>
      Array.from({ length: 2500 }, (_, id) =>
        held(team, `role:workspace.${ROLES[at % 3]}`, ids[(at * 500 + id) % 10_000]!),
      ),
    ),
  ]
  const policies = [await engine.compileOrganization(platform, organizationId, lines)]
  const drawn = Array.from({ length: 4096 }, () => ({
    policy: 0,
    question: {
      ...(JSON.parse(
        JSON.stringify({
          subject: users[random.below(200)],
          organizationId,
          workspaceId: null,
          type: 'scenario',
          id: ids[random.below(10_000)],
          action: ACTIONS[random.below(2) * 2],
        }),
      ) as Omit<Question, 'environment' | 'nowMs'>),
      nowMs: NOW,
      environment,
    },
  }))
  return { engine, policies, drawn }
}

/** Time of one call, over some hundred of them. */
const timeEach = (drawn: readonly Drawn[], call: (each: Drawn) => void): number => {
  for (const each of drawn.slice(0, 50)) call(each)
  const started = performance.now()
  for (const each of drawn) call(each)
  return (1000 * (performance.now() - started)) / drawn.length
}

/** Measures everything; about a minute. */
export const benchDecide = async (): Promise<BenchRow[]> => {
  const rows: BenchRow[] = []
  const row = (name: string, value: number, unit: string, target: number | null, note: string) =>
    rows.push({ name, value: Number(value.toPrecision(3)), unit, target, note })

  const mix = await hold(sizesOfMix(1_000_000), 65_536, PLAIN)
  const { engine, grants, policies, questions } = mix
  row(
    'memory held',
    mix.bytes / grants,
    'B/grant',
    200,
    `${grants} grants, ${policies.length} organizations`,
  )
  row('resident memory', mix.residentBytes / grants, 'B/grant', null, 'grown while compiling')
  row('memory as the engine estimates it', mix.estimated / grants, 'B/grant', null, '')
  row(
    'compile',
    (1000 * mix.compileMs) / grants,
    'µs/line',
    null,
    `${(mix.compileMs / 1000).toFixed(1)} s in all`,
  )
  row('first question of a subject', timeCold(mix), 'µs', null, 'view built, 20,000 subjects')
  const hot = time(mix, mix.hot)
  row('decide, 1,024 questions of one organization', hot.medianUs, 'µs', 0.5, spread(hot))
  const before = heldBytes()
  const wide = time(mix, questions)
  row('decide, 65,536 questions over all organizations', wide.medianUs, 'µs', 2.5, spread(wide))
  const ofViews = (heldBytes() - before) / questions.length
  row('views built for them', ofViews, 'B/question', null, 'bounded by viewsMax')
  const some = time(mix, questions.slice(0, 1024))
  row('decide, 1,024 questions over all organizations', some.medianUs, 'µs', null, spread(some))
  row('allowed', 100 * shareAllowed(mix, questions), '%', null, 'of the 65,536')
  row('change one subject', timeEdit(mix), 'µs', null, 'lines of one subject exchanged')
  const explained = timeEach(mix.hot, ({ policy, question }) => {
    engine.explain(policies[policy]!, question)
  })
  row('explain', explained, 'µs', null, 'small organization')
  mix.policies.length = 0

  const few = await hold(small(100), 1024, PLAIN)
  const many = await hold(small(10_000), 1024, PLAIN)
  const turns = Array.from({ length: 5 }, () => [
    time(few, few.hot, 1).medianUs,
    time(many, many.hot, 1).medianUs,
  ])
  const [fewUs, manyUs] = [0, 1].map(
    (at) => turns.map((turn) => turn[at]!).sort((a, b) => a - b)[2]!,
  )
  row(
    'growth from 10k to 1M grants, one organization',
    manyUs! / fewUs!,
    'x',
    1.5,
    `${fewUs!.toFixed(2)} → ${manyUs!.toFixed(2)} µs, medians of 5 turns each`,
  )
  few.policies.length = 0
  many.policies.length = 0

  const full = await hold(sizesOfMix(1_000_000), 65_536, { conditional: true, expiring: true })
  row('memory held, 5 % conditional and 5 % expiring', full.bytes / full.grants, 'B/grant', 200, '')
  const fullHot = time(full, full.hot)
  row('decide, the same mix, one organization', fullHot.medianUs, 'µs', null, spread(fullHot))
  full.policies.length = 0

  const teams = await holdTeams('off')
  const ofTeams = time(teams, teams.drawn)
  row('decide, roles of teams on single resources', ofTeams.medianUs, 'µs', null, spread(ofTeams))
  const explainedTeams = timeEach(teams.drawn.slice(0, 200), ({ question }) => {
    teams.engine.explain(teams.policies[0]!, question)
  })
  row(
    'explain, roles of teams on single resources',
    explainedTeams,
    'µs',
    null,
    '2,500 for each team',
  )
  const verified = await hold([100], 1024, PLAIN)
  const checking = createEngine({ modelText, verify: 'all' })
  const again = await checking.compileOrganization(
    checking.compilePlatform(templateLines()),
    verified.hot[0]!.question.organizationId!,
    verified.engine.linesOf(verified.policies[0]!),
  )
  const withCasbin = timeEach(verified.hot, ({ question }) => {
    checking.decide(again, question)
  })
  row('decide and verify with Casbin', withCasbin, 'µs', null, 'ENGINE_VERIFY=all')
  return rows
}

if (import.meta.main) {
  console.log(
    `Node ${process.version}, ${cpus()[0]?.model}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(2)}`,
  )
  const rows = await benchDecide()
  console.table(
    Object.fromEntries(
      rows.map(({ name, value, unit, target, note }) => [name, { value, unit, target, note }]),
    ),
  )
}
