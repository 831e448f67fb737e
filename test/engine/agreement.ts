import { readFileSync } from 'node:fs'
import type { Enforcer } from 'casbin'
import fc from 'fast-check'
import { type CasbinLine, createEnforcer, toCasbin, toRequest } from '../../src/engine/casbin.ts'
import type { createEngine, Outcome, Policy } from '../../src/engine/engine.ts'
import type { Line, Question } from '../../src/engine/line.ts'
import {
  describeQuestion,
  drawQuestion,
  type Edit,
  type PolicyCase,
  policyCaseArb,
  withFewWalks,
} from './random-policies.ts'

// Whether an engine decides as full, stock Casbin does over all lines. The engine is passed in, so that copies
// with a planted mistake are put to the same question.

export const modelText = readFileSync(new URL('../../model.conf', import.meta.url), 'utf8')

/** How often each answer came, over all policies of a run. */
export type Tally = {
  policies: number
  decisions: number
  allowed: number
  denied: number
  conditional: number
}

type Lines = { platform: Line[]; organizations: { [id: string]: Line[] } }

const allLines = ({ platform, organizations }: Lines): Line[] => [
  ...platform,
  ...Object.values(organizations).flat(),
]

const applyEdit = (lines: Lines, edit: Edit): Lines => {
  if (edit.kind === 'none') return lines
  if (edit.kind === 'platform') return { ...lines, platform: edit.lines }
  const { organizationId, subjects } = edit
  const kept = lines.organizations[organizationId]!.filter(
    ({ subject }) => !subjects.includes(subject),
  )
  const given = edit.lines.filter(({ subject }) => subjects.includes(subject))
  return {
    ...lines,
    organizations: { ...lines.organizations, [organizationId]: [...kept, ...given] },
  }
}

/** Keeps Casbin's search finite: links are left out of the whole, then each part gets what is left. */
const tame = ({ platform, organizations }: Lines): Lines => {
  const kept = new Set(withFewWalks(allLines({ platform, organizations })))
  return {
    platform: platform.filter((line) => kept.has(line)),
    organizations: Object.fromEntries(
      Object.entries(organizations).map(([id, own]) => [id, own.filter((line) => kept.has(line))]),
    ),
  }
}

const linesAt = (lines: Lines, nowMs: number): CasbinLine[] =>
  allLines(lines)
    .filter(({ expiresAtMs }) => expiresAtMs === null || nowMs < expiresAtMs)
    .map(toCasbin)

const sameLine = (left: Line, right: Line) => JSON.stringify(left) === JSON.stringify(right)

/** A cause must be made of lines that exist, from the subject of the question to the deciding line. */
const findFlaw = (lines: Lines, question: Question, outcome: Outcome): string | undefined => {
  const because = outcome.because()
  if (because === null)
    return outcome.code === 'no-match' ? undefined : `${outcome.code} without a cause`
  const { line, chain } = because
  if (outcome.code === 'no-match') return 'no-match with a cause'
  if ((outcome.code === 'denied') !== (line.effect === 'deny')) return 'a cause of the other effect'
  if ((outcome.code === 'grant') !== (outcome.allowed && chain.length === 0))
    return `${outcome.code} by a chain of ${chain.length}`
  let subject = question.subject
  for (const link of chain) {
    if (link.subject !== subject) return 'a chain with a gap'
    subject = link.holds
  }
  if (subject !== line.subject) return 'a chain to another subject'
  const known = allLines(lines).map(canonical)
  const unknown = [line, ...chain].find((part) => !known.some((other) => sameLine(other, part)))
  return unknown && `a cause that is no line: ${JSON.stringify(unknown)}`
}

/** As the engine gives lines back: fields in its order, no condition instead of `true`. */
const canonical = (line: Line): Line => {
  const { kind, subject, place, expiresAtMs } = line
  if (line.kind === 'role')
    return { kind: 'role', subject, holds: line.holds, place, resource: line.resource, expiresAtMs }
  const { object, action, condition, effect } = line
  const isWhole = object.kind === 'prefix' && object.prefix === ''
  return {
    kind: kind as 'permission',
    subject,
    place,
    object: isWhole ? { kind: 'type', type: object.type } : object,
    action,
    condition: condition === 'true' ? null : condition,
    effect,
    expiresAtMs,
  }
}

/** Puts one policy through its rounds; throws an Error at the first decision that differs. */
const checkCase = async (
  make: typeof createEngine,
  modelText: string,
  { platform, organizations, rounds }: PolicyCase,
  tally: Tally,
): Promise<void> => {
  const engine = make({ modelText, verify: 'off', viewsMax: 8 })
  // Every state that the edits lead to must be one that Casbin can search.
  let lines = tame({ platform, organizations: { ...organizations } })
  let compiled = engine.compilePlatform(lines.platform)
  const policies = new Map<string | null, Policy>([[null, compiled]])
  for (const [id, own] of Object.entries(lines.organizations))
    policies.set(id, await engine.compileOrganization(compiled, id, own))
  let before: Question[] = []
  for (const { edit, nowMs, picks } of rounds) {
    const edited = applyEdit(lines, edit)
    const next = tame(edited)
    if (edit.kind === 'platform') {
      compiled = engine.compilePlatform(next.platform)
      policies.set(null, compiled)
      for (const id of Object.keys(next.organizations))
        policies.set(id, engine.withPlatform(policies.get(id) as never, compiled))
    }
    for (const [id, own] of Object.entries(next.organizations)) {
      const subjects = edit.kind === 'replace' && edit.organizationId === id ? edit.subjects : []
      // Links that taming took away change as well.
      const changed = [...lines.organizations[id]!, ...own].filter(
        (line) => !lines.organizations[id]!.includes(line) || !own.includes(line),
      )
      const replaced = new Set([...subjects, ...changed.map(({ subject }) => subject)])
      if (replaced.size > 0)
        engine.replaceSubjects(
          policies.get(id) as never,
          [...replaced],
          own.filter(({ subject }) => replaced.has(subject)),
        )
    }
    const isTamed = next.platform.length !== edited.platform.length
    if (edit.kind !== 'platform' && isTamed) {
      compiled = engine.compilePlatform(next.platform)
      policies.set(null, compiled)
      for (const id of Object.keys(next.organizations))
        policies.set(id, engine.withPlatform(policies.get(id) as never, compiled))
    }
    lines = next
    const drawn = picks.map((pick) => drawQuestion(allLines(lines), pick, nowMs))
    // The questions of the round before once more: what was compiled for them is stale now.
    const questions = [...before, ...drawn, ...drawn]
    before = drawn
    // A model that does not look at the line's domain would mix organizations, so it gets one at a time.
    const scope = (id: string | null): Lines =>
      engine.tier === 'full'
        ? { ...lines, organizations: id === null ? {} : { [id]: lines.organizations[id]! } }
        : lines
    const enforcers = new Map<string | null, Enforcer>()
    for (const id of policies.keys())
      enforcers.set(id, await createEnforcer(modelText, linesAt(scope(id), nowMs)))
    for (const asked of questions) {
      let environments = 0
      const environment = () => {
        environments += 1
        return asked.environment()
      }
      const question = { ...asked, nowMs, environment }
      const canAsk = !/^(role|team):/.test(question.subject)
      const enforcer = enforcers.get(question.organizationId)!
      const request = toRequest(question, asked.environment())
      const [expected, reason] = canAsk ? enforcer.enforceExSync(...request) : [false, []]
      const outcome = engine.decide(policies.get(question.organizationId)!, question)
      tally.decisions += 1
      tally.allowed += Number(expected)
      tally.denied += Number(!expected && reason.length > 0)
      tally.conditional += environments
      const fail = (what: string): never => {
        throw new Error(`${what}: ${describeQuestion(question)}`)
      }
      if (environments > 1) fail('the environment was asked for twice')
      if (outcome.allowed !== expected) fail(`Casbin says ${expected}, not so the engine`)
      if (canAsk && (outcome.code === 'denied') !== (!expected && reason.length > 0))
        fail(`the engine says ${outcome.code}, and Casbin's line is ${reason.join(', ')}`)
      // Where the model itself allows someone, no line is the cause.
      const flaw = engine.tier === 'full' ? undefined : findFlaw(lines, question, outcome)
      if (flaw) fail(flaw)
    }
  }
  tally.policies += 1
}

export type Run = {
  readonly tally: Tally
  /** Policies until the first difference, or null if there was none. */
  readonly failedAfter: number | null
  /** What differed, with the seed that repeats it. */
  readonly message: string
}

export type RunOptions = {
  readonly policies: number
  readonly seed?: number
  /** Whether a failing policy is made small before it is shown. */
  readonly shrinks: boolean
  /** Another model than the product's. */
  readonly model?: string
}

/** Compares an engine with Casbin on random policies. */
export const runAgreement = async (
  make: typeof createEngine,
  { policies, seed, shrinks, model = modelText }: RunOptions,
): Promise<Run> => {
  const tally: Tally = { policies: 0, decisions: 0, allowed: 0, denied: 0, conditional: 0 }
  const property = fc.asyncProperty(policyCaseArb, (policyCase) =>
    checkCase(make, model, policyCase, tally),
  )
  const options = { numRuns: policies, endOnFailure: !shrinks }
  const details = await fc.check(property, seed === undefined ? options : { ...options, seed })
  return {
    tally,
    failedAfter: details.failed ? details.numRuns : null,
    message: details.failed
      ? `seed ${details.seed}, path ${details.counterexamplePath}: ${String(details.errorInstance)}\n${JSON.stringify(details.counterexample)}`
      : '',
  }
}
