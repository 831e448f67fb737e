import { createSlices } from './casbin.ts'
import { canAsk } from './chain.ts'
import { decideByIndex } from './compiled-index.ts'
import { type Explanation, explainByCasbin } from './explain.ts'
import { createGenericDecider } from './generic-decider.ts'
import { type IndexedPolicy, indexOrganization, indexPlatform } from './indexed-policy.ts'
import type { Environment, Line, Question } from './line.ts'
import {
  linesOfStore,
  linesOfSubject,
  replaceInStore,
  storeOrganization,
  storePlatform,
} from './line-store.ts'
import { readModel, type Tier, tierOf } from './model.ts'
import type { Outcome } from './outcome.ts'
import { decideOver, livingLines, outcomeOf, reachableLines } from './slice.ts'
import { createSymbols } from './symbols.ts'
import { createViewCache } from './view-cache.ts'

export type { EvaluatedCondition, Explanation, NearMiss } from './explain.ts'
export type { Because, Outcome, OutcomeCode } from './outcome.ts'

/** A question that the index and Casbin decided differently. */
export type Difference = {
  readonly question: Omit<Question, 'environment'>
  readonly environment: Environment
  /** What the index said; Casbin said the opposite, and its word was answered. */
  readonly indexAllowed: boolean
  /** The lines over which Casbin was asked. */
  readonly lines: readonly Line[]
}

export type EngineOptions = {
  /** The text of `model.conf`. */
  readonly modelText: string
  /**
   * Which questions Casbin decides once more, in about 0.1 ms each: none, about one in a thousand, or all. Has no
   * effect with a model that only Casbin decides.
   */
  readonly verify: 'off' | 'sample' | 'all'
  /** Called for every question that is decided differently; Casbin's decision is the answer. */
  readonly onDifference?: (difference: Difference) => void
  /** How many views (one subject in one place, about 600 bytes) stay compiled. Default 100,000. */
  readonly viewsMax?: number
}

declare const kind: unique symbol

/** The platform's lines, compiled. */
export type PlatformPolicy = { readonly [kind]: 'platform' }

/** An organization's lines over the platform's, compiled. */
export type OrganizationPolicy = {
  readonly [kind]: 'organization'
  readonly organizationId: string
}

export type Policy = PlatformPolicy | OrganizationPolicy

/** Decides questions as Casbin does with the model, from lines compiled before. */
export type Engine = {
  /** How questions are decided: by the compiled index, or by Casbin over some or all lines. */
  readonly tier: Tier
  /** One sentence for the log: why this tier. */
  readonly tierReason: string
  /** Throws an Error for a line that does not hold everywhere. */
  readonly compilePlatform: (lines: Iterable<Line>) => PlatformPolicy
  /**
   * Lets other work run every 5,000 lines; about 1 µs a line. Rejects with an Error for a line of another
   * organization or of the platform.
   */
  readonly compileOrganization: (
    platform: PlatformPolicy,
    organizationId: string,
    lines: Iterable<Line>,
  ) => Promise<OrganizationPolicy>
  /** The same organization, sharing its lines, over another platform. Takes no time. */
  readonly withPlatform: (
    policy: OrganizationPolicy,
    platform: PlatformPolicy,
  ) => OrganizationPolicy
  /**
   * Exchanges all lines of these subjects at once; a subject without lines loses all. Throws an Error, with
   * nothing changed, for a line of another subject or place.
   */
  readonly replaceSubjects: (
    policy: OrganizationPolicy,
    subjects: readonly string[],
    lines: Iterable<Line>,
  ) => void
  /**
   * Decides. An organization's policy decides questions at the platform (organization null) by the platform's
   * lines. Throws an Error for a question about another organization, and with a model of another shape where
   * Casbin throws.
   */
  readonly decide: (policy: Policy, question: Question) => Outcome
  /** Why, and what would change it. Asks Casbin: 0.2 ms and more. */
  readonly explain: (
    policy: Policy,
    question: Question,
    /** Which roles and teams may be named as what would turn a deny; all of them if left out. */
    isCandidate?: (subject: string) => boolean,
  ) => Explanation
  /** An estimate of the memory that a policy's own lines take; its views are bounded by `viewsMax`. */
  readonly bytes: (policy: Policy) => number
  /** How many lines the policy holds, without the platform's for an organization. */
  readonly lineCount: (policy: Policy) => number
  /** The policy's own lines again, by subject, without the platform's for an organization. */
  readonly linesOf: (policy: Policy) => Iterable<Line>
  /** Whether this subject has any line of its own on the platform, in force or expired. */
  readonly holdsOnPlatform: (platform: PlatformPolicy, subject: string) => boolean
}

const VIEWS_MAX = 100_000
/** With `sample` every question is verified with this chance. */
const SAMPLE_CHANCE = 1 / 1000

const opened = (policy: Policy) => policy as unknown as IndexedPolicy
const platformPolicy = (policy: IndexedPolicy) => policy as unknown as PlatformPolicy
const organizationPolicy = (policy: IndexedPolicy) => policy as unknown as OrganizationPolicy

/** The tier of a model. Throws for one that has no room for our lines or makes their order matter. */
const chooseTierFor = (modelText: string): ReturnType<typeof tierOf> => {
  const model = readModel(modelText)
  const definition = (section: string) => model.model.get(section)?.get(section)
  const fail = (detail: string): never => {
    throw new Error(`The model cannot take Latchkey's lines and questions: ${detail}.`)
  }
  const { length: asked = 0 } = definition('r')?.tokens ?? []
  const fields = definition('p')?.tokens ?? []
  const linkFields = definition('g')?.value.split(',').length ?? 0
  if (asked !== 5)
    fail(`r has ${asked} fields and needs 5: subject, domain, object, action, environment`)
  if (fields.length !== 6 || fields[5] !== 'p_eft')
    fail('p needs 6 fields, the last of them eft: subject, domain, object, action, condition, eft')
  if (linkFields !== 3) fail('g needs 3 fields: subject, role or team, domain')
  if (/priority/i.test(definition('e')?.value ?? ''))
    fail('its effect depends on the order of lines, and grants have none')
  return tierOf(model)
}

const once = <Value>(make: () => Value): (() => Value) => {
  let made: { readonly value: Value } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

/**
 * Makes an engine for a model. Throws an Error that says what is wrong for a model that is malformed or cannot
 * take lines of subject, place, object, action, condition and effect.
 */
export const createEngine = (options: EngineOptions): Engine => {
  const { modelText, verify, onDifference, viewsMax = VIEWS_MAX } = options
  const { tier, reason } = chooseTierFor(modelText)
  const slices = createSlices(modelText)
  const index = { symbols: createSymbols(), cache: createViewCache(Math.max(1, viewsMax)) }

  /** The policy that a question is about: an organization's, or the platform's below it. */
  const policyFor = (policy: Policy, { organizationId }: Question): IndexedPolicy => {
    const { platform } = opened(policy)
    if (organizationId === null) return platform
    if (organizationId === opened(policy).organizationId) return opened(policy)
    throw new Error(
      `a question about ${organizationId} was asked of the policy of ${opened(policy).organizationId ?? 'the platform'}`,
    )
  }

  const fast = (policy: Policy, question: Question): Outcome =>
    decideByIndex(index, opened(policy), question)

  const verified = (policy: Policy, given: Question): Outcome => {
    const question = { ...given, environment: once(given.environment) }
    const outcome = fast(policy, question)
    const lines = canAsk(question.subject)
      ? reachableLines(opened(policy), [question.subject], question)
      : []
    const decision = decideOver(slices, lines, question, question.environment())
    if (decision.allowed === outcome.allowed) return outcome
    const { environment, ...rest } = question
    onDifference?.({
      question: rest,
      environment: environment(),
      indexAllowed: outcome.allowed,
      lines,
    })
    return outcomeOf(decision, question, () => lines)
  }

  const chooseDecide = (): Engine['decide'] => {
    if (tier !== 'index') {
      const generic = createGenericDecider(modelText)
      return (policy, question) => generic.decide(policyFor(policy, question), question)
    }
    if (verify === 'off') return fast
    if (verify === 'all') return verified
    return (policy, question) =>
      Math.random() < SAMPLE_CHANCE ? verified(policy, question) : fast(policy, question)
  }

  /** Lines of roles and teams that could be given: the platform's and the organization's. */
  function* candidates(policy: IndexedPolicy, isCandidate: (subject: string) => boolean) {
    for (const store of new Set([policy.platform.store, policy.store]))
      for (const subject of store.subjects.keys())
        if (!canAsk(subject) && isCandidate(subject)) yield* linesOfSubject(store, subject)
  }

  return {
    tier,
    tierReason: reason,
    compilePlatform: (lines) => platformPolicy(indexPlatform(storePlatform(index.symbols, lines))),
    compileOrganization: async (platform, organizationId, lines) => {
      const store = await storeOrganization(index.symbols, organizationId, lines)
      return organizationPolicy(indexOrganization(opened(platform), store))
    },
    withPlatform: (policy, platform) =>
      organizationPolicy(indexOrganization(opened(platform), opened(policy).store)),
    replaceSubjects: (policy, subjects, lines) =>
      replaceInStore(opened(policy).store, subjects, lines),
    decide: chooseDecide(),
    explain: (policy, question, isCandidate = () => true) => {
      const asked = policyFor(policy, question)
      const linesFor = (subjects: readonly string[]) =>
        tier === 'index' ? reachableLines(asked, subjects, question) : livingLines(asked, question)
      return explainByCasbin(
        { slices, linesFor, candidates: () => candidates(asked, isCandidate) },
        { ...question, environment: once(question.environment) },
      )
    },
    bytes: (policy) => opened(policy).store.bytes,
    lineCount: (policy) => opened(policy).store.lines,
    linesOf: (policy) => linesOfStore(opened(policy).store),
    holdsOnPlatform: (platform, subject) => opened(platform).store.subjects.has(subject),
  }
}
