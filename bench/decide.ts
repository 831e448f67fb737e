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
import type { LinePlace, Question, RoleLine } from '../src/engine/line.ts'
import {
  ACTIONS,
  createId,
  createRandom,
  drawQuestion,
  type Extras,
  NOW,
  ROLES,
  remake,
  shuffle,
  sizesOfMix,
  templateLines,
} from './mix.ts'

// How fast the engine decides in process, and what it takes to hold the grants. Run by itself:
//   node bench/decide.ts
// The mix is that of mix.ts.

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

const environment = () =>
  environmentOf({
    subject: { type: 'user', id: 'x' },
    resource: { type: 'scenario', id: 'x', owner: 'x' },
    action: { name: 'read' },
    now: new Date(NOW),
  })

type Drawn = { readonly policy: number; readonly question: Question }

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

/** Questions about some organizations, in a random order, with strings as a parser has just made them. */
const draw = (sizes: readonly number[], from: number, count: number, extras: Extras): Drawn[] => {
  const perOrganization = Math.ceil(count / (sizes.length - from))
  const drawn: Drawn[] = []
  for (let at = from; at < sizes.length && drawn.length < count; at++) {
    const { random, ...organization } = remake(at, sizes[at]!, extras)
    // The resources are known when the lines were made.
    for (const _ of organization.lines());
    for (let left = perOrganization; left > 0 && drawn.length < count; left--)
      drawn.push({
        policy: at,
        question: { ...drawQuestion(random, organization), nowMs: NOW, environment },
      })
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
